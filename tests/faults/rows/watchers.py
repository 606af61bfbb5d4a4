"""Row 11: two watchers, an import and an emit at once. The second watcher is refused; nothing is recorded twice."""

import signal
import time

from faults import made
from faults.harness import Bench, row
from faults.program import DONE, IO, Project, await_condition, kill

CALLS = 600


def calls(project: Project) -> list[str]:
    """The ends of calls that are recorded."""
    if not project.logs.exists():
        return []
    return [event["call"] for event in project.events() if event["type"] == "tool.succeeded"]


@row("11a", "two watchers", f"the second ends with {IO}; nothing doubled")
def two_watchers(bench: Bench) -> None:
    """Both on the same project."""
    project = Project(bench, bench.folder("two"))
    cwd = str(project.root)
    path = made.place_transcript(project.claude, made.transcript(range(50), cwd))
    watch = project.spawn("watch", "--interval", "1h")
    await_condition("the first calls", lambda: len(calls(project)) == 50)
    second = project.run("watch", "--interval", "1h")
    bench.equal("second watcher", second.returncode, IO)
    bench.true("says why", b"another" in second.stderr)
    with path.open("ab") as transcript:
        transcript.write(b"".join(made.call(2 * index + 2, cwd) for index in range(50, 60)))
    await_condition("the next calls", lambda: len(calls(project)) >= 60)
    watch.send_signal(signal.SIGINT)
    bench.check("first watcher", code := watch.wait(10), code in (DONE, 130))
    state_once(bench, project, 60)


@row("11b", "watch, imports and emits at once", "every call once, every note once")
def all_at_once(bench: Bench) -> None:
    """A watcher, three imports of the same transcript one after the other, and notes, all at the same time."""
    project = Project(bench, bench.folder("all"))
    cwd = str(project.root)
    path = made.place_transcript(project.claude, made.transcript(range(CALLS), cwd))
    watch = project.spawn("watch", "--interval", "1h")
    imports = [project.spawn("import", str(path)) for _ in range(3)]
    for index in range(20):
        project.emit(f"note {index}")
    codes = [process.wait(60) for process in imports]
    bench.check("imports", codes, all(code in (DONE, IO) for code in codes))
    await_condition("all calls", lambda: len(calls(project)) >= CALLS, 30)
    watch.send_signal(signal.SIGINT)
    watch.wait(10)
    kill(watch)
    bench.equal("notes", sorted(project.texts()), sorted(f"note {index}" for index in range(20)))
    state_once(bench, project, CALLS)


@row("11c", "watchers killed and started again and again", "every call once")
def killed(bench: Bench) -> None:
    """The transcript grows all the time; each watcher lives for a fraction of a second."""
    project = Project(bench, bench.folder("killed"))
    cwd = str(project.root)
    path = made.place_transcript(project.claude, made.prompt(0, cwd))
    random, total = bench.random, 0
    for _ in range(bench.pick(60, 15)):
        watch = project.spawn("watch", "--interval", "1h")
        with path.open("ab") as transcript:
            transcript.write(b"".join(made.call(2 * index + 2, cwd) for index in range(total, total + 20)))
        total += 20
        time.sleep(random.uniform(0, 0.2))
        kill(watch)
    bench.equal("last run", project.run("watch", "--once").returncode, DONE)
    state_once(bench, project, total)


def state_once(bench: Bench, project: Project, expected: int) -> None:
    """Every call is recorded once, and the log is whole."""
    found = calls(project)
    bench.equal("calls", len(set(found)), expected)
    bench.zero("doubled calls", len(found) - len(set(found)))
    ids = [event["id"] for event in project.events()]
    bench.zero("doubled ids", len(ids) - len(set(ids)))
    code, counts = project.verify()
    bench.check("verify", code, code == 0 or (code == 30 and counts["holes"] == 0))
