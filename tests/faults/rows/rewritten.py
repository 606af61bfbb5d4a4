"""Row 18: a source that was rewritten behind the reader's back, with the same first kilobyte. Nothing new is overlooked."""

import signal

from faults import made
from faults.harness import Bench, row
from faults.program import DONE, Project, await_condition, kill

CWD = "/home/dev/shop"
OLD = 60


def version(number: int, calls: int, cwd: str = CWD) -> tuple[bytes, list[str]]:
    """A transcript whose first four calls are those of every version, and all others its own."""
    lines, names = [made.prompt(0, cwd)], []
    for index in range(calls):
        names.append(f"toolu_{index}" if index < 4 else f"toolu_{index}_version_{number}")
        lines.append(made.call(2 * index + 2, cwd, names[-1]))
    assert sum(map(len, lines[:5])) > 1024
    return b"".join(lines), names


def recorded(project: Project) -> list[str]:
    """The ends of calls."""
    if not project.logs.exists():
        return []
    return [event["call"] for event in project.events() if event["type"] == "tool.succeeded"]


def rewrite(bench: Bench, calls: int, keep_caches: bool = True) -> None:
    """Imports one version, then another one in its place."""
    project = Project(bench, bench.folder("rewritten"))
    path = project.home / f"{made.SESSION}.jsonl"
    first, first_names = version(1, OLD)
    path.write_bytes(first)
    bench.equal("first import", project.run("import", str(path)).returncode, DONE)
    bench.true("all of it", recorded(project) == first_names)
    if not keep_caches:
        project.replayed_status()
    second, second_names = version(2, calls)
    # In place, as an agent that compacts its transcript writes it: the inode stays.
    path.write_bytes(second)
    bench.equal("second import", project.run("import", str(path)).returncode, DONE)
    found = recorded(project)
    missing = [name for name in second_names if name not in found]
    bench.note("new calls", len(set(second_names) - set(first_names)))
    bench.zero("missing", len(missing))
    bench.zero("doubled", len(found) - len(set(found)))
    before = recorded(project)
    bench.equal("third import", project.run("import", str(path)).returncode, DONE)
    bench.zero("recorded again by a third import", len(recorded(project)) - len(before))
    bench.equal("verify", project.verify()[0], DONE)


EXPECTED = "all new records there, none doubled"


@row("18a", "source rewritten, longer", EXPECTED, "tail-hash")
def longer(bench: Bench) -> None:
    """A reader that trusts the size goes on in the middle of it."""
    rewrite(bench, OLD + 40)


@row("18b", "source rewritten, same number of lines", EXPECTED, "tail-hash")
def same_size(bench: Bench) -> None:
    """A reader that trusts the size sees nothing new at all."""
    rewrite(bench, OLD)


@row("18c", "source rewritten, shorter", EXPECTED)
def shorter(bench: Bench) -> None:
    """Truncated and begun anew."""
    rewrite(bench, OLD // 2)


@row("18d", "source rewritten, caches deleted meanwhile", EXPECTED)
def without_caches(bench: Bench) -> None:
    """Only the log knows how far it was read."""
    rewrite(bench, OLD + 40, keep_caches=False)


@row("18e", "source rewritten under watch", EXPECTED, "tail-hash")
def under_watch(bench: Bench) -> None:
    """The watcher has the old one open."""
    project = Project(bench, bench.folder("watched"))
    cwd = str(project.root)
    first, _ = version(1, OLD, cwd)
    path = made.place_transcript(project.claude, first)
    watch = project.spawn("watch", "--interval", "1h")
    await_condition("the first version", lambda: len(recorded(project)) == OLD)
    second, names = version(2, OLD + 40, cwd)
    path.write_bytes(second)
    await_condition("the second version", lambda: set(names) <= set(recorded(project)))
    watch.send_signal(signal.SIGINT)
    watch.wait(10)
    kill(watch)
    found = recorded(project)
    bench.zero("missing", len(set(names) - set(found)))
    bench.zero("doubled", len(found) - len(set(found)))
