"""Row 6: a line without end. It costs itself, and no memory."""

import sys
from pathlib import Path

from faults.harness import Bench, row
from faults.program import Project

GIBIBYTE = 1 << 30
RSS_LIMIT_MIB = 64
COMMANDS = (["status"], ["verify"], ["tail", "--raw", "-n", "1", "--type", "note.logged"])

# A small process in between: a child begins with the memory of whoever forked it, and this suite may be large.
MEASURE = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


def measure(bench: Bench, project: Project, last: str) -> None:
    """Runs every reading command; `last` must be what `tail` shows."""
    for command in COMMANDS:
        done = project.run(*command, prefix=[sys.executable, "-S", "-c", MEASURE])
        *_, kibibytes = done.stderr.split()
        bench.at_most(f"{command[0]} MiB", int(kibibytes) // 1024, RSS_LIMIT_MIB)
        bench.check(f"{command[0]} exit", done.returncode, done.returncode in (0, 30))
        if command[0] == "tail":
            bench.true("last line shown", last.encode() in done.stdout)


def giant(bench: Bench, filling: bytes | None, size: int, at_the_end: bool) -> None:
    """A log with one giant line: of `filling`, or a hole in the file, which reads as NUL bytes."""
    # No rotation: it would leave the giant at the end of a closed segment.
    project = Project(bench, bench.folder("giant"), f"[journal]\nsegment_bytes = {1 << 40}\n")
    project.emit("before the giant")
    path = project.active()
    with path.open("ab") as log:
        if filling is None:
            log.truncate(path.stat().st_size + size)
        else:
            for _ in range(size >> 20):
                log.write(filling * (1 << 20))
    last = "before the giant"
    if not at_the_end:
        last = "after the giant"
        # Whoever comes next ends the giant.
        project.emit(last)
    measure(bench, project, last)
    _, counts = project.verify()
    bench.equal("damaged", counts["damaged"], int(not at_the_end))
    bench.at_least("pending bytes", counts["pending_bytes"], size if at_the_end else 0)
    shorten(path)


def shorten(path: Path) -> None:
    """Gives the space back before the next row."""
    with path.open("r+b") as log:
        log.truncate(0)


EXPECTED = f"peak memory of status, verify, tail < {RSS_LIMIT_MIB} MiB; the lines around it are read"


@row("6a", "1 GiB of NUL at the end", EXPECTED)
def nul_at_the_end(bench: Bench) -> None:
    """As a crash of some file systems leaves it."""
    giant(bench, None, GIBIBYTE, at_the_end=True)


@row("6b", "1 GiB of NUL inside", EXPECTED)
def nul_inside(bench: Bench) -> None:
    """The same, and somebody went on."""
    giant(bench, None, GIBIBYTE, at_the_end=False)


@row("6c", "a line of 1 GiB at the end", EXPECTED)
def text_at_the_end(bench: Bench) -> None:
    """A real line of text (128 MiB in --quick)."""
    giant(bench, b"x", bench.pick(GIBIBYTE, GIBIBYTE >> 3), at_the_end=True)


@row("6d", "a line of 1 GiB inside", EXPECTED)
def text_inside(bench: Bench) -> None:
    """The same between good lines (128 MiB in --quick)."""
    giant(bench, b"x", bench.pick(GIBIBYTE, GIBIBYTE >> 3), at_the_end=False)
