"""Row 14: segments are closed under the hands of writers and of a follower. Nothing is lost, nothing shown twice."""

import json
import threading
from collections import Counter
from typing import Any

import reader
from faults.harness import Bench, row
from faults.ledger import Ledger, Writer, input_lines
from faults.program import Project, await_condition, kill

WRITERS = 4
CONFIG = "[journal]\nsegment_bytes = 65536\n"


def headers(project: Project) -> tuple[int, int]:
    """How many segments there are, and how many do not begin with exactly one header."""
    wrong = 0
    paths = reader.segment_paths(project.logs)["background_monitoring"]
    for path in paths:
        events = [reader.event_of(line) for line in reader.content(path).split(b"\n")[:-1]]
        opened = [index for index, good in enumerate(events) if good and good[0]["type"] == "segment.opened"]
        wrong += opened != [0]
    return len(paths), wrong


def write_all(bench: Bench, project: Project, lines: int) -> Ledger:
    """Four writers to their end."""
    running = []
    for index in range(WRITERS):
        source = bench.scratch / f"input{index}"
        source.write_bytes(input_lines(lines, 300, f"writer {index}"))
        running.append(Writer(project, source, bench.scratch / f"acks{index}"))
    codes = [writer.wait() for writer in running]
    bench.check("exits", codes, not any(codes))
    return Ledger([identity for writer in running for identity in writer.acknowledged()])


@row(
    "14a", "rotation under 4 writers", "one header at the start of each segment; lost 0, duplicates 0, holes 0", "lock"
)
def writers(bench: Bench) -> None:
    """Each segment takes a part of a second."""
    project = Project(bench, bench.folder("rotation"), CONFIG)
    lines = bench.pick(5_000, 1_000)
    ledger = write_all(bench, project, lines)
    bench.equal("acknowledged", len(ledger.acknowledged), WRITERS * lines)
    ledger.compare(bench, project, fragments_max=0)
    segments, wrong = headers(project)
    bench.at_least("segments", segments, WRITERS * lines * 300 // 65_536 // 2)
    bench.zero("without its one header", wrong)
    code, counts = project.verify()
    bench.equal("verify", code, 0)
    bench.zero("holes", counts["holes"])
    bench.true("status is that of a replay", project.status() == project.replayed_status())


@row("14b", "tail -f across rotations", "every event shown once, in the order of the stream")
def follower(bench: Bench) -> None:
    """Started before the first event."""
    project = Project(bench, bench.folder("follower"), CONFIG)
    project.emit("first")
    tail = project.spawn("tail", "-f", "--raw", "-n", "all", "--type", "note.logged")
    shown: list[dict[str, Any]] = []
    assert tail.stdout

    def listen() -> None:
        shown.extend(json.loads(line) for line in tail.stdout or ())

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    await_condition("the first line", lambda: len(shown) == 1)
    lines = bench.pick(5_000, 1_000)
    write_all(bench, project, lines)
    wanted = WRITERS * lines + 1
    await_condition(f"{wanted} lines", lambda: len(shown) >= wanted, 30)
    # Whatever else it has to say comes before this one.
    project.emit("last")
    await_condition("the last line", lambda: shown[-1]["text"] == "last")
    kill(tail)
    listener.join(10)
    written = [event["id"] for event in project.events() if event["type"] == "note.logged"]
    seen = [event["id"] for event in shown]
    bench.equal("shown", len(seen), len(written))
    bench.zero("shown twice", sum(count - 1 for count in Counter(seen).values()))
    bench.zero("never shown", len(set(written) - set(seen)))
    # A writer that could not have the lock in time begins with a newline, which leaves a blank line behind. Its line may
    # come to a segment that is closed already, after those of the next one were shown.
    lock_free = project.read()["blank"]
    swapped = [index for index, (one, other) in enumerate(zip(seen, written)) if one != other]
    bench.check("out of order", len(swapped), not swapped or lock_free > 0)
    bench.note("lock-free appends", lock_free)
