"""Row 4: a power cut. The image of a file system is copied while the writer is stopped, and mounted again.

The copy holds what had reached the block layer, so the journal of the file system replays as after a real cut. It does not
lose what a disk has in its own cache: real losses can be larger, but not smaller.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from faults import machine, made
from faults.feed import LiveWriter
from faults.harness import Bench, row
from faults.program import Project

# The interval of the default durability, and the time that a sync of a busy file system in a file may take itself.
WINDOW_S = 0.05
SYNC_S = 0.3


def cut(bench: Bench, kind: str, flags: list[str], config: str = "") -> tuple[LiveWriter, float, Project, Project]:
    """Writes to a file system in a file until the power is cut. Gives the writer, the instant of the cut, the project as
    the stopped processes see it, and the project after the cut."""
    image = machine.image(bench, kind)
    before = machine.mount_image(bench, image, "before")
    project = Project(bench, before, config)
    # What is to survive must not depend on the folder's own fate.
    os.sync()
    writer = LiveWriter(project, *flags, line_bytes=2_000)
    stop = time.monotonic() + bench.pick(8, 3)
    while time.monotonic() < stop:
        # It saves checkpoints in the same moment.
        project.run("status", "-o", "json")
    writer.process.send_signal(signal.SIGSTOP)
    at = time.monotonic()
    after_image = bench.scratch / f"{kind}-after.img"
    subprocess.run(["cp", "--sparse=always", image, after_image], check=True)
    writer.kill()
    machine.unmount(before)
    after = machine.mount_image(bench, after_image, "after")
    (after / "project/.agents").mkdir(parents=True, exist_ok=True)
    return writer, at, project, Project(bench, after)


def compare(bench: Bench, writer: LiveWriter, at: float, after: Project, allowed_s: float) -> None:
    """States what the cut cost."""
    after.logs.mkdir(exist_ok=True)
    ids = {event["id"] for event in after.events()}
    lost = [at - when for identity, when in writer.acknowledged if identity not in ids]
    bench.at_least("acknowledged", len(writer.acknowledged), 100)
    bench.note("lost", len(lost))
    bench.at_most("age of the oldest lost ms", round(1000 * max(lost, default=0)), round(1000 * allowed_s))
    if allowed_s == 0:
        bench.zero("durable lost", len(lost))
    code, counts = after.verify()
    bench.check("verify", code, code in (0, 4) or (code == 30 and counts["damaged"] <= 1))
    bench.true("status is that of a replay", after.status() == after.replayed_status())


def durable(bench: Bench, kind: str) -> None:
    """What `--durable` has acknowledged is there."""
    writer, at, _, after = cut(bench, kind, ["--durable"])
    compare(bench, writer, at, after, allowed_s=0)


def default(bench: Bench, kind: str) -> None:
    """What the default has acknowledged is there, but for the last 50 ms and the sync that was under way."""
    writer, at, _, after = cut(bench, kind, [])
    compare(bench, writer, at, after, allowed_s=WINDOW_S + SYNC_S)


DURABLE = "acknowledged lost 0; checkpoint never ahead of the log"
DEFAULT = "lost at most the window of 50 ms and one sync; checkpoint never ahead of the log"


@row("4a", "power cut, --durable, ext4", DURABLE)
def durable_on_ext4(bench: Bench) -> None:
    """The most common file system."""
    durable(bench, "ext4")


@row("4b", "power cut, --durable, xfs", DURABLE)
def durable_on_xfs(bench: Bench) -> None:
    """The one that leaves empty files where fsync is forgotten."""
    durable(bench, "xfs")


@row("4c", "power cut, default durability, ext4", DEFAULT)
def default_on_ext4(bench: Bench) -> None:
    """As 4a without asking."""
    default(bench, "ext4")


@row("4d", "power cut, default durability, xfs", DEFAULT)
def default_on_xfs(bench: Bench) -> None:
    """As 4b without asking."""
    default(bench, "xfs")


def saved_checkpoint(bench: Bench, kind: str) -> tuple[Project, Path]:
    """A file system in a file, and on it a log of which a checkpoint has just been saved."""
    image = machine.image(bench, kind)
    project = Project(bench, machine.mount_image(bench, image, "before"))
    project.emit("the first")
    with project.active().open("ab") as log:
        log.write(made.log("background_monitoring", 1_300_000).split(b"\n", 1)[1])
        os.fsync(log.fileno())
    os.sync()
    project.status()
    return project, image


def cut_after_checkpoint(bench: Bench, kind: str) -> None:
    """The cut comes as soon as a checkpoint was saved: it must be there whole, or not at all."""
    project, image = saved_checkpoint(bench, kind)
    after_image = bench.scratch / f"{kind}-after.img"
    subprocess.run(["cp", "--sparse=always", image, after_image], check=True)
    after = Project(bench, machine.mount_image(bench, after_image, "after"))
    files = [path for path in after.state.rglob("*") if path.is_file() and path.suffix != ".lock"]
    bench.at_least("cache files after the cut", len(files), 1)
    bench.zero("empty cache files", sum(path.stat().st_size == 0 for path in files))
    bench.true("status is that of a replay", after.status() == after.replayed_status())
    shutil.rmtree(project.state)


@row("4e", "power cut right after a checkpoint, ext4", "no empty cache file; status that of a replay")
def checkpoint_on_ext4(bench: Bench) -> None:
    """Rename without fsync would leave an empty file on some file systems."""
    cut_after_checkpoint(bench, "ext4")


@row(
    "4f",
    "power cut right after a checkpoint, xfs",
    "no empty cache file; status that of a replay",
    "fsync-before-rename",
)
def checkpoint_on_xfs(bench: Bench) -> None:
    """And does on this one."""
    cut_after_checkpoint(bench, "xfs")


def durable_rotating(bench: Bench, kind: str) -> None:
    """As `durable`, while a new segment begins every 30 lines."""
    writer, at, _, after = cut(bench, kind, ["--durable"], "[journal]\nsegment_bytes = 65536\n")
    compare(bench, writer, at, after, allowed_s=0)
    closed = list((after.logs / "closed").glob("*.jsonl"))
    bench.at_least("closed segments", len(closed), 5)
    bench.zero("empty segments", sum(path.stat().st_size == 0 for path in closed))


@row("4g", "power cut between rotations, --durable, ext4", DURABLE)
def rotating_on_ext4(bench: Bench) -> None:
    """Links, renames and new files have to survive as well as lines."""
    durable_rotating(bench, "ext4")


@row("4h", "power cut between rotations, --durable, xfs", DURABLE)
def rotating_on_xfs(bench: Bench) -> None:
    """As 4g."""
    durable_rotating(bench, "xfs")
