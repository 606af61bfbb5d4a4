"""strace: failing or killing a process at an exact call, and reading what it did."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from faults.harness import Skipped

LINE = re.compile(r"^(?P<pid>\d+) +(?P<name>[a-z0-9_]+)\((?P<arguments>.*)")


def strace(*options: str) -> list[str]:
    """The start of a command line."""
    if not shutil.which("strace"):
        raise Skipped("strace is not installed")
    return ["strace", "-f", "-qq", *options]


def inject(calls: str, fault: str, path: Path | None = None) -> list[str]:
    """A prefix under which `calls` suffer `fault`, on one file only where `path` is given."""
    only = ["-P", str(path)] if path else []
    return strace("-o", "/dev/null", *only, "-e", f"trace={calls}", "-e", f"inject={calls}:{fault}")


@dataclass(frozen=True)
class Call:
    """One system call of a traced process."""

    pid: int
    name: str
    arguments: str

    @property
    def failed(self) -> bool:
        """Whether it returned an error."""
        return "= -1 E" in self.arguments


def calls(trace: Path) -> list[Call]:
    """The calls of a trace file, in the order in which they began."""
    found = []
    for line in trace.read_text(errors="replace").splitlines():
        if match := LINE.match(line):
            found.append(Call(int(match["pid"]), match["name"], match["arguments"]))
    return found


def points(trace: Path, text: str, count: int) -> list[tuple[str, int]]:
    """`count` consecutive calls from the first that names `text` on: each as a name and the how-manieth call of that name
    it is in its thread, which is how strace counts."""
    found: list[tuple[str, int]] = []
    counted: dict[tuple[int, str], int] = {}
    for call in calls(trace):
        key = (call.pid, call.name)
        counted[key] = counted.get(key, 0) + 1
        if found or text in call.arguments:
            found.append((call.name, counted[key]))
    if not found:
        raise LookupError(f"no call names {text}")
    return list(dict.fromkeys(found))[:count]
