"""Row 12: four writers at once on every local file system. No line is torn, none is lost."""

import contextlib
from pathlib import Path

from faults import machine
from faults.harness import Bench, Skipped, row
from faults.ledger import Ledger, Writer, input_lines
from faults.program import Project

WRITERS = 4
LINES = 2_000


def write_on(bench: Bench, folder: Path, name: str) -> None:
    """Four writers, lines of mixed sizes."""
    project = Project(bench, folder)
    running = []
    for index in range(WRITERS):
        source = bench.scratch / f"{name}-input{index}"
        source.write_bytes(input_lines(LINES, (250, 700, 2_500, 5_000)[index], f"{name} {index}"))
        running.append(Writer(project, source, bench.scratch / f"{name}-acks{index}"))
    codes = [writer.wait() for writer in running]
    ledger = Ledger([identity for writer in running for identity in writer.acknowledged()])
    bench.check("exits", codes, not any(codes))
    bench.equal("acknowledged", len(ledger.acknowledged), WRITERS * LINES)
    ledger.compare(bench, project, fragments_max=0)
    bench.equal("notes", sum(event["type"] == "note.logged" for event in project.events()), WRITERS * LINES)
    code, counts = project.verify()
    bench.equal("verify", code, 0)
    bench.zero("holes", counts["holes"])
    bench.zero("repeats", counts["repeats"])


EXPECTED = f"{WRITERS} writers × {LINES} lines: torn 0, lost 0"


@row("12a", "file system ext4", EXPECTED)
def ext4(bench: Bench) -> None:
    """In a file."""
    write_on(bench, machine.mount_image(bench, machine.image(bench, "ext4"), "ext4"), "ext4")


@row("12b", "file system xfs", EXPECTED)
def xfs(bench: Bench) -> None:
    """In a file."""
    write_on(bench, machine.mount_image(bench, machine.image(bench, "xfs"), "xfs"), "xfs")


@row("12c", "file system btrfs", EXPECTED)
def btrfs(bench: Bench) -> None:
    """In a file."""
    write_on(bench, machine.mount_image(bench, machine.image(bench, "btrfs"), "btrfs"), "btrfs")


@row("12d", "file system tmpfs", EXPECTED)
def tmpfs(bench: Bench) -> None:
    """In memory; without root in /dev/shm."""
    folder = None
    with contextlib.suppress(Skipped):
        folder = machine.tmpfs(bench, "256m")
    write_on(bench, folder or bench.folder("shm", on_tmpfs=True), "tmpfs")


@row("12e", "file system overlay", EXPECTED)
def overlay(bench: Bench) -> None:
    """As in a container."""
    write_on(bench, machine.overlay(bench), "overlay")
