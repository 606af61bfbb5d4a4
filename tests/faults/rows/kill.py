"""Row 1: writers killed at random moments. What was acknowledged stays, and a fragment harms nobody else."""

from faults import ledger
from faults.harness import Bench, row
from faults.ledger import Ledger, Writer, input_lines
from faults.made import event_id
from faults.program import Project

EXPECTED = "acknowledged lost 0, duplicates 0, glued 0, fragments ≤ kills"


def storm(bench: Bench, line_bytes: int, on_tmpfs: bool) -> None:
    """One storm of 170 kills (27 in --quick); six of them make the row's 1,000."""
    project = Project(bench, bench.folder("storm", on_tmpfs))
    found = ledger.storm(bench, project, line_bytes, kills=bench.pick(170, 27))
    bench.note("kills", found.kills)
    found.compare(bench, project, fragments_max=found.kills)
    code, counts = project.verify()
    bench.check("verify", code, code == (30 if counts["damaged"] else 0))
    bench.zero("holes", counts["holes"])


@row("1a", "kill storm, 200 B lines, disk", EXPECTED, "heal")
def small_on_disk(bench: Bench) -> None:
    """Lines that tear only where they cross a page."""
    storm(bench, 200, on_tmpfs=False)


@row("1b", "kill storm, 4 kB lines, disk", EXPECTED, "heal")
def medium_on_disk(bench: Bench) -> None:
    """Lines of about a page."""
    storm(bench, 4_000, on_tmpfs=False)


@row("1c", "kill storm, 64 kB lines, disk", EXPECTED, "heal")
def large_on_disk(bench: Bench) -> None:
    """Lines of many pages."""
    storm(bench, 64_000, on_tmpfs=False)


@row("1d", "kill storm, 200 B lines, tmpfs", EXPECTED, "heal")
def small_on_tmpfs(bench: Bench) -> None:
    """As 1a, in memory."""
    storm(bench, 200, on_tmpfs=True)


@row("1e", "kill storm, 4 kB lines, tmpfs", EXPECTED, "heal")
def medium_on_tmpfs(bench: Bench) -> None:
    """As 1b, in memory."""
    storm(bench, 4_000, on_tmpfs=True)


@row("1f", "kill storm, 64 kB lines, tmpfs", EXPECTED, "heal")
def large_on_tmpfs(bench: Bench) -> None:
    """As 1c, in memory, where nearly every kill tears a line."""
    storm(bench, 64_000, on_tmpfs=True)


@row("1g", "many events of one process", "one id per line, the given ids kept, all in the log in their order", "")
def contract(bench: Bench) -> None:
    """What the ledger relies on."""
    project = Project(bench, bench.folder("contract"))
    ids = [event_id(f"given-{index}") for index in range(500)]
    for flags in ([], ["--durable"]):
        source = bench.scratch / "input"
        source.write_bytes(input_lines(500, 300, flags[0] if flags else "plain", None if flags else ids))
        writer = Writer(project, source, bench.scratch / "acks", *flags)
        bench.equal("exit", writer.wait(), 0)
        found = Ledger(writer.acknowledged())
        bench.equal("acknowledged", len(found.acknowledged), 500)
        bench.true("given ids kept", bool(flags) or found.acknowledged == ids)
        written = [event["id"] for event in project.events() if event["type"] == "note.logged"]
        bench.true("in order", written[-500:] == found.acknowledged)
        bench.zero(
            "paddings lost", sum("padding" not in event for event in project.events() if event["type"] == "note.logged")
        )
