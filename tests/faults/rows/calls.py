"""Row 7: single system calls that fail or do half of their work, each at an exact place; and syncs before renames."""

import contextlib
import resource
from collections import Counter

from faults import made, trace
from faults.feed import Crew, LiveWriter
from faults.harness import Bench, row
from faults.ledger import Ledger, Writer, input_lines
from faults.program import DONE, IO, Project

# Lines of 20 kB, three to a write: so many writes that the Nth is one of them.
LINES, LINE_BYTES = 40, 20_000


def faulty(
    bench: Bench, project: Project, name: str, prefix: list[str], *flags: str, lines: int = LINES
) -> tuple[int, Ledger]:
    """One writer under a fault. Gives its exit code and what it acknowledged."""
    source = bench.scratch / f"{name}-input"
    source.write_bytes(input_lines(lines, LINE_BYTES, name))
    writer = Writer(project, source, bench.scratch / f"{name}-acks", *flags, prefix=prefix)
    code = writer.wait()
    return code, Ledger(writer.acknowledged())


def failing_writes(bench: Bench, error: str) -> None:
    """The Nth write to the log fails once, for each N; then all from the Nth on."""
    lost = duplicates = glued = unexplained = crashed = 0
    # `3+` is the third and all after it; a signal that never stops coming is no fault of a disk.
    ever = ["1+2", "2+3"] if error == "EINTR" else ["1+", "3+"]
    whens = [f"{number}" for number in range(1, bench.pick(13, 5))] + ever
    for when in whens:
        project = Project(bench, bench.folder(f"{error}-{when.replace('+', 'on')}"))
        project.emit("before")
        prefix = trace.inject("write", f"error={error}:when={when}", project.active())
        code, ledger = faulty(bench, project, f"{error}{when}", prefix)
        project.emit("after")
        ids = Counter(event["id"] for event in project.events())
        lost += sum(identity not in ids for identity in ledger.acknowledged)
        duplicates += sum(count - 1 for count in ids.values())
        crashed += code < 0 or code == 101
        _, counts = project.verify()
        glued += counts["damaged"]
        # Nothing may be missing without a word: it fails, or says so in the log.
        said = any(event["type"] == "log.gap" for event in project.events())
        unexplained += code == 0 and not said and len(ledger.acknowledged) != LINES
    bench.note("places", len(whens))
    bench.zero("acknowledged lost", lost)
    bench.zero("duplicates", duplicates)
    bench.zero("damaged", glued)
    bench.zero("missing without a word", unexplained)
    bench.zero("crashes", crashed)


EXPECTED = "acknowledged lost 0, duplicates 0, damaged 0, nothing missing without a word"


@row("7a", "ENOSPC at the Nth write", EXPECTED)
def no_space(bench: Bench) -> None:
    """N = 1, 2, 3 …, and for good."""
    failing_writes(bench, "ENOSPC")


@row("7b", "EIO at the Nth write", EXPECTED)
def broken_disk(bench: Bench) -> None:
    """The same with a broken disk."""
    failing_writes(bench, "EIO")


@row("7c", "EINTR at the Nth write", EXPECTED)
def interrupted(bench: Bench) -> None:
    """A signal came: simply again."""
    failing_writes(bench, "EINTR")


@row("7d", "short writes", "acknowledged lost 0, glued 0, duplicates 0", "heal")
def short_writes(bench: Bench) -> None:
    """A write takes only a part of what it is given, and the next one fails; a moment later there is room again."""
    project = Project(bench, bench.folder("short"))
    project.emit("before")
    crew = Crew(project, 2)
    random, short, log = bench.random, 0, project.active()
    for _ in range(bench.pick(60, 12)):
        crew.tend(lambda: False, 0.03)
        limit = log.stat().st_size + random.randrange(1, 3_000)
        for writer in crew.running:
            limit_size(writer, limit)
        crew.tend(lambda: log.stat().st_size >= limit, 0.2)  # noqa: B023
        short += log.stat().st_size == limit
        for writer in crew.running:
            limit_size(writer, resource.RLIM_INFINITY)
    codes = crew.finish()
    project.emit("after")
    bench.check("exits", codes, all(code in (DONE, IO) for code in codes))
    bench.at_least("short writes", short, bench.pick(20, 4))
    Ledger(crew.acknowledged()).compare(bench, project, fragments_max=short + len(crew.everyone()))


def limit_size(writer: LiveWriter, limit: int) -> None:
    """How large a file may become through this writer."""
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(writer.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def failing_syncs(bench: Bench, when: str) -> None:
    """fdatasync fails; the kernel would then say yes on that descriptor without having written."""
    project = Project(bench, bench.folder("sync"))
    project.emit("before")
    calls = bench.scratch / "calls"
    prefix = trace.strace(
        "-y",
        "-o",
        str(calls),
        "-e",
        "trace=fdatasync,fsync,openat,close",
        "-e",
        f"inject=fdatasync,fsync:error=EIO:when={when}",
        "-P",
        str(project.active()),
    )
    code, ledger = faulty(bench, project, "sync", prefix, "--durable")
    bench.at_least("failed syncs", sum(call.failed for call in trace.calls(calls)), 1)
    bench.zero("syncs of a descriptor after its sync failed", retried(trace.calls(calls)))
    bench.check("exit", code, code >= 0 and code != 101)
    if when.endswith("+"):
        bench.zero("acknowledged as durable", len(ledger.acknowledged))
    else:
        ids = [event["id"] for event in project.events()]
        bench.zero("acknowledged lost", sum(identity not in ids for identity in ledger.acknowledged))
        framed = Counter((event["w"], event["n"], event["id"]) for event in project.events())
        again = sum(count - 1 for count in framed.values())
        # Written again with the same writer and number, so every reader sees one event.
        bench.equal("written again under other numbers", len(ids) - len(set(ids)) - again, 0)
    code, counts = project.verify()
    bench.zero("damaged", counts["damaged"])


def retried(calls: list[trace.Call]) -> int:
    """How many syncs came on a descriptor whose sync had failed before."""
    bad: set[tuple[int, str]] = set()
    count = 0
    for call in calls:
        descriptor = call.pid, call.arguments.split(")")[0].split("<")[0]
        if call.name in ("fsync", "fdatasync"):
            count += descriptor in bad
            if call.failed:
                bad.add(descriptor)
        elif call.name == "close":
            bad.discard(descriptor)
    return count


SYNCS = "no second sync on that descriptor; acknowledged lost 0"


@row("7e", "EIO at one fdatasync", SYNCS)
def sync_once(bench: Bench) -> None:
    """What may be lost is written again elsewhere."""
    failing_syncs(bench, "1")


@row("7f", "EIO at every fdatasync", "nothing is acknowledged as durable")
def sync_always(bench: Bench) -> None:
    """Then there is no durability to promise."""
    failing_syncs(bench, "1+")


@row("7g", "fsync before every rename", "0 files renamed that were not synced before", "fsync-before-rename")
def synced_before_renamed(bench: Bench) -> None:
    """Checkpoint, positions, and the next segment of a rotation, as strace sees them."""
    project = Project(bench, bench.folder("rename"), "[journal]\nsegment_bytes = 4096\n")
    transcript = project.home / "session.jsonl"
    transcript.write_bytes(made.transcript(range(30), "/home/dev/shop"))
    project.emit("before")
    with project.active().open("ab") as log:
        log.write(made.log("background_monitoring", 1_300_000).split(b"\n", 1)[1])
    renamed: Counter[str] = Counter()
    unsynced: list[str] = []
    commands = [["import", str(transcript)], ["status", "-o", "json"], ["prune", "--seal-after", "0s"]]
    commands += [["emit", "note.logged", "text=" + "x" * 290] for _ in range(20)]
    for index, command in enumerate(commands):
        calls = bench.scratch / f"calls{index}"
        project.run(
            *command,
            prefix=trace.strace(
                "-y", "-s", "4096", "-o", str(calls), "-e", "trace=fsync,fdatasync,rename,renameat,renameat2"
            ),
        )
        synced: set[str] = set()
        for call in trace.calls(calls):
            if call.name in ("fsync", "fdatasync"):
                synced.add(call.arguments.split("<", 1)[1].split(">")[0])
            elif str(project.root) in call.arguments and not call.failed:
                source, target = call.arguments.split('"')[1::2][:2]
                renamed[kind_of(target)] += 1
                if source not in synced:
                    unsynced.append(kind_of(target))
    bench.note("renamed", ", ".join(f"{name} {count}" for name, count in sorted(renamed.items())))
    for kind in ("checkpoint", "positions", "segment"):
        bench.at_least(kind, renamed[kind], 1)
    bench.zero("not synced before", len(unsynced))


def kind_of(path: str) -> str:
    """What sort of file it is."""
    if ".jsonl" in path:
        return "segment"
    return "positions" if "positions" in path else "checkpoint"
