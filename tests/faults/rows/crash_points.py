"""Row 2: SIGKILL at each of up to 300 consecutive system calls of every operation that changes what is on disk.

First the operation runs once under strace, to see at which call it begins to touch the project: before that there is only the
dynamic loader. Then it runs again and again on a fresh copy of the same project, killed one call later each time.
"""

import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from faults import made, trace
from faults.harness import Bench, row
from faults.program import Project

# More than any of these operations has, so that each is covered to its end.
POINTS = 300
KILLED = -9
ROTATING = "[journal]\nsegment_bytes = 4096\n"


class Operation:
    """One command on a prepared project, and what must be so afterwards, killed or not."""

    def __init__(self, bench: Bench, template: Project, command: list[str], again: bool = False) -> None:
        self.bench = bench
        self.template = template
        self.command = command
        self.again = again

    def copy(self, name: str) -> Project:
        """A fresh copy of the prepared project."""
        folder = self.bench.scratch / name
        shutil.copytree(self.template.root.parent, folder, symlinks=True)
        return Project(self.bench, folder)

    def points(self) -> tuple[list[tuple[str, int]], Project]:
        """The calls at which to kill it; and the project after the whole operation."""
        project = self.copy("traced")
        calls = self.bench.scratch / "calls"
        done = project.run(*self.command, prefix=trace.strace("-o", str(calls)))
        if done.returncode not in (0, 4):
            raise AssertionError(f"{self.command} ended with {done.returncode}: {done.stderr.decode()}")
        return trace.points(calls, "/.agents", POINTS), project

    def crash(self, point: tuple[str, int], holds: Callable[[Project], str]) -> tuple[bool, str]:
        """Kills the operation at a call. Gives whether it died, and what is wrong afterwards, if anything."""
        name, number = point
        project = self.copy(f"{name}{number}")
        try:
            died = project.run(*self.command, prefix=trace.inject(name, f"signal=SIGKILL:when={number}")).returncode
            if self.again and project.run(*self.command).returncode != 0:
                return died == KILLED, "the next run fails"
            return died == KILLED, whole(project) or holds(project)
        finally:
            shutil.rmtree(project.root.parent, ignore_errors=True)


def whole(project: Project) -> str:
    """What is wrong with the log or its caches; nothing if all is well."""
    code, counts = project.verify()
    fragment = code == 30 and counts["damaged"] == 1
    if code != 0 and not fragment or counts["holes"]:
        return f"verify {code}, {counts['damaged']} damaged, {counts['holes']} holes"
    as_left = project.status()
    return "" if as_left == project.replayed_status() else "the status is not that of a replay"


def enumerate_crashes(bench: Bench, operation: Operation, holds: Callable[[Project], str]) -> None:
    """Crashes at every point, two at a time, and states what was found."""
    points, after = operation.points()
    if reason := holds(after):
        raise AssertionError(f"without any crash: {reason}")
    points = points[:: bench.pick(1, 10)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda point: operation.crash(point, holds), points))
    wrong = [(point, reason) for point, (_, reason) in zip(points, found) if reason]
    bench.note("points", len(points))
    bench.at_least("died", sum(died for died, _ in found), len(points) * 9 // 10)
    bench.zero("wrong", len(wrong))
    for (name, number), reason in wrong[:3]:
        bench.note(f"{name} {number}:", reason)


def filled(bench: Bench, notes: int, config: str = "") -> Project:
    """A project with some notes of the program's own."""
    project = Project(bench, bench.folder("template"), config)
    for index in range(notes):
        project.emit(f"before {index}")
    return project


def all_there(texts: list[str]) -> Callable[[Project], str]:
    """That these notes are each in the log once."""

    def holds(project: Project) -> str:
        found = project.texts()
        missing = [text for text in texts if found.count(text) != 1]
        return f"not once in the log: {missing[:3]}" if missing else ""

    return holds


@row("2a", "SIGKILL at each call of an append", "verify 0, or one fragment; status that of a replay; nothing lost")
def append(bench: Bench) -> None:
    """`emit` on a log that is there."""
    template = filled(bench, 3)
    command = ["emit", "note.logged", "--task", "T", "text=the last"]
    enumerate_crashes(bench, Operation(bench, template, command), all_there([f"before {index}" for index in range(3)]))


@row("2b", "SIGKILL at each call of a rotation", "as 2a; every later append works")
def rotation(bench: Bench) -> None:
    """`emit` on a log that is full, so that it is closed and a new one begins."""
    template = filled(bench, 0, ROTATING)
    texts: list[str] = []
    while not texts or template.active().stat().st_size < 4_000:
        texts.append(f"before {len(texts)} " + "x" * 200)
        template.emit(texts[-1])
    assert not (template.logs / "closed").exists(), "the log was closed before it was full"
    command = ["emit", "note.logged", "--task", "T", "text=" + "y" * 290]

    def holds(project: Project) -> str:
        for index in range(2):
            project.emit(f"after {index}")
        if not any((project.logs / "closed").glob("background_monitoring.*.jsonl")):
            return "nothing was closed"
        return all_there([*texts, "after 0", "after 1"])(project)

    enumerate_crashes(bench, Operation(bench, template, command), holds)


@row("2c", "SIGKILL at each call of sealing", "as 2a; a second run finishes")
def sealing(bench: Bench) -> None:
    """`prune --seal-after 0s` on closed segments."""
    template = filled(bench, 0, ROTATING)
    texts = [f"before {index} " + "x" * 200 for index in range(40)]
    for text in texts:
        template.emit(text)
    assert any((template.logs / "closed").glob("*.jsonl")), "nothing was closed"

    def holds(project: Project) -> str:
        if not any((project.logs / "closed").glob("*.zst")):
            return "nothing was sealed"
        return all_there(texts)(project)

    enumerate_crashes(bench, Operation(bench, template, ["prune", "--seal-after", "0s"], again=True), holds)


@row("2d", "SIGKILL at each call of saving a checkpoint", "status that of a replay")
def checkpoint(bench: Bench) -> None:
    """`status` on a log with more than 1 MiB that no checkpoint knows."""
    template = filled(bench, 1)
    with template.active().open("ab") as log:
        log.write(made.log("background_monitoring", 1_300_000).split(b"\n", 1)[1])
    whole_run = Operation(bench, template, ["status", "-o", "json"])
    _, after = whole_run.points()
    bench.at_least("files saved", len(list(after.state.iterdir())), 1)
    shutil.rmtree(after.root.parent)
    enumerate_crashes(bench, whole_run, lambda _: "")


@row("2e", "SIGKILL at each call of an import", "after a second run every fact once")
def ingest(bench: Bench) -> None:
    """`import` of a transcript, killed, then run again."""
    template = filled(bench, 0)
    path = template.home / "session.jsonl"
    path.write_bytes(made.transcript(range(30), "/home/dev/shop"))
    expected = [f"toolu_{2 * index + 2}" for index in range(30)]

    def holds(project: Project) -> str:
        events = list(project.events())
        ids = [event["id"] for event in events]
        ends: list[Any] = [event["call"] for event in events if event["type"] == "tool.succeeded"]
        if len(ids) != len(set(ids)):
            return f"{len(ids) - len(set(ids))} ids twice"
        return "" if ends == expected else f"{len(ends)} ends of calls, not {len(expected)}"

    operation = Operation(bench, template, ["import", str(path)], again=True)
    enumerate_crashes(bench, operation, holds)


@row("2f", "SIGKILL at each call of a repair", "after a second run verify 0, every good line there")
def repair(bench: Bench) -> None:
    """`repair` of a log with damage between good lines, killed, then run again."""
    template = filled(bench, 1)
    damaged = b'{"v":1,"id":"torn\n' + b"\x00" * 100 + b"\n"
    with template.active().open("ab") as log:
        log.write(damaged)
    texts = ["before 0", *(f"later {index}" for index in range(3))]
    for text in texts[1:]:
        template.emit(text)

    def holds(project: Project) -> str:
        _, counts = project.verify()
        return f"{counts['damaged']} still damaged" if counts["damaged"] else all_there(texts)(project)

    enumerate_crashes(bench, Operation(bench, template, ["repair"], again=True), holds)


@row(
    "2g", "SIGKILL at each call of removing segments", "after a second run the rest is whole, nothing is recorded again"
)
def removal(bench: Bench) -> None:
    """`prune` that seals and removes, killed, run again; then the transcript is imported again."""
    template = filled(bench, 0, ROTATING)
    path = template.home / "session.jsonl"
    for calls in range(10, 41, 10):
        path.write_bytes(made.transcript(range(calls), "/home/dev/shop"))
        template.run("import", str(path))

    def holds(project: Project) -> str:
        before = sum("from" in event for event in project.events())
        if project.run("import", str(path)).returncode:
            return "the import fails"
        again = sum("from" in event for event in project.events()) - before
        return f"{again} facts recorded again" if again else ""

    command = ["prune", "--seal-after", "0s", "--older-than", "0s"]
    enumerate_crashes(bench, Operation(bench, template, command, again=True), holds)
