"""Row 10: the clock is set, backwards and forwards. The order is that of the log; ids of a writer only grow."""

import glob
import os
import signal
from pathlib import Path

from faults import machine, made
from faults.feed import LiveWriter
from faults.harness import Bench, Skipped, row
from faults.program import Project, await_condition, kill

JUMPS = ("-1y", "+10y", "-1y", "+0", "-3s", "+3s")


def settable(bench: Bench) -> tuple[dict[str, str], Path]:
    """An environment whose clock is set by writing to a file, such as `-1y`."""
    machine.need("faketime")
    libraries = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    if not libraries:
        raise Skipped("libfaketime is not where Debian puts it")
    clock = bench.scratch / "clock"
    set_clock(clock, "+0")
    settings = {"FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    return {"LD_PRELOAD": libraries[0], **settings}, clock


def set_clock(clock: Path, offset: str) -> None:
    """Sets it in one step."""
    new = clock.with_suffix(".new")
    new.write_text(offset + "\n")
    os.replace(new, clock)


def inversions(events: list[dict[str, object]]) -> int:
    """How often an id made here is less than the one before it of the same writer. (A header is made when its segment is,
    which may be after the first event that goes there.)"""
    last: dict[object, str] = {}
    count = 0
    for event in events:
        identity = str(event.get("id", ""))
        if identity[14:15] == "7" and "w" in event and event["type"] != "segment.opened":
            count += identity < last.get(event["w"], "")
            last[event["w"]] = identity
    return count


@row("10a", "clock set between appends", "verify 0, order by position, id inversions 0")
def between(bench: Bench) -> None:
    """Each process begins in another year."""
    machine.need("faketime")
    project = Project(bench, bench.folder("between"))
    texts = []
    for index, jump in enumerate(JUMPS * 2):
        texts.append(f"note {index} at {jump}")
        project.emit(texts[-1], prefix=["faketime", "-f", jump.replace("+0", "+0s")])
    bench.true("order by position", project.texts() == texts)
    years = {str(event["ts"])[:4] for event in project.events() if event["type"] == "note.logged"}
    bench.at_least("years", len(years), 3)
    state(bench, project)


@row("10b", "clock set under a running writer", "verify 0, acknowledged lost 0, id inversions 0")
def under_a_writer(bench: Bench) -> None:
    """One process lives through all of it."""
    environment, clock = settable(bench)
    project = Project(bench, bench.folder("writer"))
    writer = LiveWriter(project, env=environment)
    for jump in JUMPS:
        writer.await_more(20)
        set_clock(clock, jump)
        writer.await_more(20)
    bench.equal("exit", writer.finish(), 0)
    ids = [event["id"] for event in project.events()]
    bench.zero("acknowledged lost", sum(identity not in ids for identity in writer.ids()))
    years = {str(event["ts"])[:4] for event in project.events() if event["type"] == "note.logged"}
    bench.at_least("years", len(years), 3)
    state(bench, project)


@row("10c", "clock set under watch", "every call recorded once, clock.stepped seen, status that of a replay")
def under_watch(bench: Bench) -> None:
    """A transcript grows while the clock jumps."""
    environment, clock = settable(bench)
    project = Project(bench, bench.folder("watch"))
    cwd = str(project.root)
    path = made.place_transcript(project.claude, made.transcript(range(1), cwd))
    watch = project.spawn("watch", "--interval", "1h", env=environment)
    for index, jump in enumerate(JUMPS, start=1):
        await_condition(f"call {index}", lambda: calls(project) >= index)  # noqa: B023
        set_clock(clock, jump)
        with path.open("ab") as transcript:
            transcript.write(made.call(2 * index + 2, cwd))
    await_condition("all calls", lambda: calls(project) >= len(JUMPS) + 1)
    watch.send_signal(signal.SIGINT)
    watch.wait(10)
    kill(watch)
    bench.equal("calls", calls(project), len(JUMPS) + 1)
    bench.at_least("clock.stepped", sum(event["type"] == "clock.stepped" for event in project.events()), 1)
    ids = [event["id"] for event in project.events()]
    bench.zero("duplicates", len(ids) - len(set(ids)))
    state(bench, project)


def calls(project: Project) -> int:
    """How many ends of calls are recorded."""
    return sum(event["type"] == "tool.succeeded" for event in project.events()) if project.logs.exists() else 0


def state(bench: Bench, project: Project) -> None:
    """What holds whatever the clock says."""
    bench.equal("verify", project.verify()[0], 0)
    bench.zero("id inversions", inversions(list(project.events())))
    bench.true("status is that of a replay", project.status() == project.replayed_status())
