"""Row 5: no space left, and then there is again. What was acknowledged is there; what was dropped is said in the log."""

import contextlib
import subprocess
import time
from pathlib import Path

from faults import machine, made
from faults.feed import Crew
from faults.harness import Bench, row
from faults.ledger import Ledger
from faults.program import DONE, IO, Project, await_condition

RESUME_S = 5


def fill_and_grow(bench: Bench, writers: int) -> None:
    """Writers fill a file system of 1 MiB, wait, and go on when there is room for all."""
    at = machine.tmpfs(bench, "1m")
    project = Project(bench, at)
    crew = Crew(project, writers)
    bench.note("full after s", round(wait_until_full(at), 1))
    # Long enough that some of what is given finds no place.
    crew.tend(lambda: False, 2)
    before = len(crew.acknowledged())
    subprocess.run(["mount", "-o", "remount,size=512m", str(at)], check=True)
    took = crew.tend(lambda: len(crew.acknowledged()) > before, 3 * RESUME_S)
    bench.at_most("writing again after s", round(took, 2), RESUME_S)
    crew.tend(lambda: False, 1)
    bench.check("exits at the end", codes := crew.finish(), all(code in (DONE, IO) for code in codes))
    bench.check("gave up", len(crew.gave_up()), all(code == IO for code in crew.gave_up()))
    Ledger(crew.acknowledged()).compare(bench, project, fragments_max=len(crew.everyone()))
    state_gaps(bench, project, crew)


def state_gaps(bench: Bench, project: Project, crew: Crew) -> None:
    """What was given, is not in the log, and was not refused by an exit code is counted by a `log.gap`."""
    texts = project.texts()
    missing = 0
    for writer in crew.running:
        present = sum(text.startswith(f"fed {writer.process.pid} ") for text in texts)
        missing += writer.given - present
    gaps = [event for event in project.events() if event["type"] == "log.gap"]
    bench.note("log.gap", len(gaps))
    bench.equal("dropped as the log says", sum(event["dropped_count"] for event in gaps), missing)


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


@row("5c", "full disk that grows, under watch", "everything recorded once within 5 s, the watcher lives")
def watched(bench: Bench) -> None:
    """The transcript lies on another file system and grows all the time: nothing of it needs to be dropped."""
    at = machine.tmpfs(bench, "1m")
    project = Project(bench, at)
    project.claude = bench.folder("claude")
    cwd = str(project.root)
    path = made.place_transcript(project.claude, made.transcript(range(5), cwd))
    watch = project.spawn("watch", "--interval", "1h")
    await_condition("first calls", lambda: ends(project) >= 5)
    filler = at / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    with path.open("ab") as transcript:
        transcript.write(b"".join(made.call(2 * index + 2, cwd) for index in range(5, 400)))
    time.sleep(2)
    bench.check("recorded while full", ends(project), ends(project) < 400)
    bench.equal("the watcher lives", watch.poll(), None)
    subprocess.run(["mount", "-o", "remount,size=512m", str(at)], check=True)
    begin = time.monotonic()
    await_condition("all calls", lambda: ends(project) >= 400, 30)
    bench.at_most("all recorded after s", round(time.monotonic() - begin, 2), RESUME_S)
    bench.equal("recorded", ends(project), 400)
    ids = [event["id"] for event in project.events()]
    bench.zero("duplicates", len(ids) - len(set(ids)))
    code, counts = project.verify()
    bench.at_most("fragments", counts["damaged"], 4)
    bench.check("verify", code, code in (0, 30))


def ends(project: Project) -> int:
    """How many ends of calls are recorded."""
    return sum(event["type"] == "tool.succeeded" for event in project.events()) if project.logs.exists() else 0
