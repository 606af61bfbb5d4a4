"""Row 5: no space left, and then there is again. What was acknowledged is there; what was dropped is said in the log."""

import subprocess
import time
from pathlib import Path

from faults import machine
from faults.feed import LiveWriter
from faults.harness import Bench, row
from faults.ledger import Ledger
from faults.program import Project

RESUME_S = 5


def fill_and_grow(bench: Bench, writers: int) -> None:
    """Writers fill a file system of 1 MiB, wait, and go on when it grows to 16 MiB."""
    at = machine.tmpfs(bench, "1m")
    project = Project(bench, at)
    running = [LiveWriter(project, line_bytes=2_000) for _ in range(writers)]
    full_at = wait_until_full(at)
    bench.note("full after s", round(full_at, 1))
    # Long enough that some of what is given finds no place.
    time.sleep(2)
    before = sum(len(writer.acknowledged) for writer in running)
    subprocess.run(["mount", "-o", "remount,size=16m", str(at)], check=True)
    begin = time.monotonic()
    while sum(len(writer.acknowledged) for writer in running) <= before and time.monotonic() < begin + 3 * RESUME_S:
        time.sleep(0.005)
    bench.at_most("writing again after s", round(time.monotonic() - begin, 2), RESUME_S)
    time.sleep(1)
    codes = [writer.finish() for writer in running]
    bench.check("exits", codes, not any(code < 0 or code == 101 for code in codes))
    Ledger([identity for writer in running for identity in writer.ids()]).compare(bench, project, fragments_max=writers)
    state_gaps(bench, project, running)


def state_gaps(bench: Bench, project: Project, writers: list[LiveWriter]) -> None:
    """A `log.gap` iff something that was given is not in the log."""
    given = sum(writer.given for writer in writers)
    present = sum(text.startswith("fed ") for text in project.texts())
    gaps = [event for event in project.events() if event["type"] == "log.gap"]
    dropped = sum(event.get("dropped_count", 0) for event in gaps)
    bench.note("given", given)
    bench.note("log.gap", len(gaps))
    bench.equal("dropped as the log says", dropped, given - present)


def wait_until_full(at: Path) -> float:
    """Until less than a page is free; gives the seconds."""
    begin = time.monotonic()
    while True:
        usage = subprocess.run(["stat", "-f", "-c", "%a", str(at)], capture_output=True, text=True, check=True)
        if int(usage.stdout) == 0:
            return time.monotonic() - begin
        if time.monotonic() > begin + 30:
            raise TimeoutError("the file system does not fill up")
        time.sleep(0.01)


EXPECTED = f"acknowledged lost 0, writing again within {RESUME_S} s, log.gap iff something was dropped"


@row("5a", "full disk that grows, 1 writer", EXPECTED, "heal")
def one_writer(bench: Bench) -> None:
    """Alone."""
    fill_and_grow(bench, 1)


@row("5b", "full disk that grows, 3 writers", EXPECTED, "heal")
def three_writers(bench: Bench) -> None:
    """Short writes of one behind those of another."""
    fill_and_grow(bench, 3)
