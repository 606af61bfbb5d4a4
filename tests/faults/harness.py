"""Rows, verdicts, and what a row may use: a scratch directory, seeded randomness, and cleaning up whatever happens.

A row is a function that takes a Bench and states what it measured through it. It knows nothing of other rows.
"""

import contextlib
import os
import random
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path


class Skipped(Exception):
    """The machine lacks what the row needs; the message says what."""


@dataclass(frozen=True)
class Row:
    """One line of the matrix."""

    number: str
    name: str
    expected: str
    run: Callable[["Bench"], None]
    tags: frozenset[str]

    @property
    def group(self) -> str:
        """The number without its letter."""
        return self.number.rstrip("abcdefghijklmnopqrstuvwxyz")

    def matches(self, pattern: str) -> bool:
        """Whether `--only` means this row: its number, the number of its group, or a part of its name."""
        if pattern[:1].isdigit():
            return pattern in (self.number, self.group)
        return pattern.lower() in self.name.lower()


@dataclass(frozen=True)
class Result:
    """What became of a row."""

    row: Row
    verdict: str
    measured: str
    seconds: float

    @property
    def failed(self) -> bool:
        """Whether the program did not do what was expected."""
        return self.verdict == "FAILED"


ROWS: list[Row] = []


def row(
    number: str, name: str, expected: str, tags: str = ""
) -> Callable[[Callable[["Bench"], None]], Callable[["Bench"], None]]:
    """Registers a row. `tags` names the defences (see src/base/defence.rs) without which it must fail."""

    def register(run: Callable[["Bench"], None]) -> Callable[["Bench"], None]:
        ROWS.append(Row(number, name, expected, run, frozenset(tags.split())))
        return run

    return register


@dataclass
class Bench:
    """What a row works with, and the numbers it states."""

    binary: Path
    quick: bool
    seed: int
    scratch: Path
    cleanup: contextlib.ExitStack
    environment: dict[str, str]
    stated: list[str] = field(default_factory=list)
    violations: int = 0

    @property
    def random(self) -> random.Random:
        """Randomness of this row; the same in every run with the same seed."""
        return random.Random(f"{self.seed}:{self.scratch.name.split('-')[0]}")

    def pick(self, full: int, quick: int) -> int:
        """A size for the full run, and one for --quick."""
        return quick if self.quick else full

    def note(self, name: str, value: object) -> None:
        """States a number that may be anything."""
        self.stated.append(f"{name} {value}")

    def check(self, name: str, value: object, holds: bool) -> None:
        """States a number that must fulfil a condition."""
        self.violations += not holds
        self.stated.append(f"{name} {value}" if holds else f"**{name} {value}**")

    def true(self, name: str, holds: bool) -> None:
        """States that something is so."""
        self.check(name, "yes" if holds else "no", holds)

    def zero(self, name: str, value: int) -> None:
        """States a number that must be 0."""
        self.check(name, value, value == 0)

    def equal(self, name: str, value: object, expected: object) -> None:
        """States a value that must be another one."""
        self.check(name, value if value == expected else f"{value} (not {expected})", value == expected)

    def at_most(self, name: str, value: float, limit: float) -> None:
        """States a number with an upper bound."""
        text = value if value <= limit else f"{value} (more than {limit})"
        self.check(name, text, value <= limit)

    def at_least(self, name: str, value: float, limit: float) -> None:
        """States a number with a lower bound: mostly that the fault was really there."""
        text = value if value >= limit else f"{value} (less than {limit})"
        self.check(name, text, value >= limit)

    def folder(self, name: str, on_tmpfs: bool = False) -> Path:
        """A new empty folder, removed with the row."""
        if not on_tmpfs:
            path = self.scratch / name
        else:
            if not os.path.ismount("/dev/shm"):
                raise Skipped("/dev/shm is no tmpfs")
            path = Path(tempfile.mkdtemp(prefix="agentlog-faults-", dir="/dev/shm"))
            self.cleanup.callback(shutil.rmtree, path, ignore_errors=True)
            path = path / name
        path.mkdir(parents=True)
        return path


@contextlib.contextmanager
def bench(row: Row, binary: Path, quick: bool, seed: int, environment: dict[str, str]) -> Iterator[Bench]:
    """A Bench for one row. Everything it registers is undone in reverse order, also on Ctrl-C."""
    with contextlib.ExitStack() as stack:
        scratch = Path(tempfile.mkdtemp(prefix=f"{row.number}-agentlog-faults-"))
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        yield Bench(binary, quick, seed, scratch, stack, environment)


def execute(row: Row, binary: Path, quick: bool, seed: int, environment: dict[str, str]) -> Result:
    """Runs one row to its verdict. An error of the suite itself is a failed row, with its place."""
    begin = time.monotonic()
    stated: list[str] = []
    try:
        with bench(row, binary, quick, seed, environment) as it:
            stated = it.stated
            row.run(it)
            verdict = "FAILED" if it.violations else "ok"
    except Skipped as reason:
        verdict = f"skipped ({reason})"
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        words = " ".join(str(error).split())[:300]
        stated.append(f"**{type(error).__name__} at {Path(place.filename).name}:{place.lineno}: {words}**")
        verdict = "FAILED"
    return Result(row, verdict, ", ".join(stated), time.monotonic() - begin)
