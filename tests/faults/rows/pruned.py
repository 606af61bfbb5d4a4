"""Row 19: old segments are removed. What was read stays read, and a task at work stays known."""

from faults import made
from faults.harness import Bench, row
from faults.program import DONE, Project

CWD = "/home/dev/shop"
STEPS, CALLS = 12, 10


def grown(bench: Bench) -> tuple[Project, list[str]]:
    """A session imported in steps, so that its streams were rotated; and the arguments that import it again."""
    project = Project(bench, bench.folder("pruned"), "[journal]\nsegment_bytes = 4096\n")
    path = project.home / "session.jsonl"
    path.write_bytes(made.prompt(0, CWD))
    for step in range(STEPS):
        with path.open("ab") as transcript:
            indexes = range(step * CALLS, (step + 1) * CALLS)
            transcript.write(b"".join(made.call(2 * index + 2, CWD) for index in indexes))
        assert project.run("import", str(path)).returncode == DONE
    return project, ["import", str(path)]


def ids(project: Project) -> list[str]:
    """The ids of facts that were read in the transcript: the same whenever they are read."""
    return [
        event["id"] for event in project.events() if "from" in event and event["type"].startswith(("tool.", "usage."))
    ]


@row("19a", "old segments removed, then imported again", "nothing recorded again; the task still known; verify 0")
def imported_again(bench: Bench) -> None:
    """With its caches, then without."""
    project, again = grown(bench)
    before = ids(project)
    bench.zero("doubled before", len(before) - len(set(before)))
    tasks = {task["task"] for task in project.status()["tasks"]}
    bench.equal("prune", project.run("prune", "--seal-after", "0s", "--older-than", "0s").returncode, DONE)
    left = ids(project)
    bench.at_least("facts removed", len(before) - len(left), 100)
    bench.equal("verify", project.verify()[0], DONE)
    for caches in ("with", "without"):
        if caches == "without":
            project.replayed_status()
        bench.equal(f"import {caches} caches", project.run(*again).returncode, DONE)
        bench.zero("recorded again", len(ids(project)) - len(left))
    bench.equal("tasks", {task["task"] for task in project.replayed_status()["tasks"]}, tasks)
    bench.equal("verify", project.verify()[0], DONE)


@row("19b", "a source grows after its segments were removed", "every new fact once")
def grown_on(bench: Bench) -> None:
    """The reader goes on where it was."""
    project, again = grown(bench)
    assert project.run("prune", "--seal-after", "0s", "--older-than", "0s").returncode == DONE
    left = ids(project)
    with open(again[1], "ab") as transcript:
        transcript.write(b"".join(made.call(2 * index + 2, CWD) for index in range(STEPS * CALLS, STEPS * CALLS + 5)))
    project.replayed_status()
    bench.equal("import", project.run(*again).returncode, DONE)
    new = ids(project)[len(left) :] if len(ids(project)) > len(left) else []
    # Per call a start, an end and a usage record.
    bench.equal("new facts", len(new), 15)
    bench.zero("doubled", len(new) - len(set(new)))
