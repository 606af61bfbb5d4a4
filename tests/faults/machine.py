"""What only root can do: file systems in a file, mounts, and other users. Everything is undone with the row."""

import os
import shutil
import subprocess
from pathlib import Path

from faults.harness import Bench, Skipped

MAKE = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"], "btrfs": ["mkfs.btrfs", "-q", "-f"]}
# The smallest that each tool makes without complaint.
MEBIBYTES = {"ext4": 128, "xfs": 320, "btrfs": 256}


def need(*tools: str) -> None:
    """Skips the row where a program is missing."""
    for tool in tools:
        if not shutil.which(tool):
            raise Skipped(f"{tool} is not installed")


def need_root() -> None:
    """Skips the row for other users."""
    if os.geteuid() != 0:
        raise Skipped("needs root")


def mount(bench: Bench, *arguments: str, at: Path) -> None:
    """Mounts, and unmounts with the row."""
    need_root()
    # First, so that nothing stays if we are interrupted in the middle.
    bench.cleanup.callback(unmount, at)
    done = subprocess.run(["mount", *arguments, str(at)], check=False, capture_output=True, text=True)
    if done.returncode:
        raise Skipped(f"mount does not work here: {done.stderr.strip()}")


def unmount(at: Path) -> None:
    """Unmounts; a lazy one where somebody still looks at it, so that nothing is left behind."""
    if os.path.ismount(at) and subprocess.run(["umount", at], check=False, capture_output=True).returncode:
        subprocess.run(["umount", "-l", at], check=True)


def tmpfs(bench: Bench, size: str) -> Path:
    """A tmpfs of its own."""
    at = bench.folder("tmpfs")
    mount(bench, "-t", "tmpfs", "-o", f"size={size},mode=700", "agentlog-faults", at=at)
    return at


def image(bench: Bench, kind: str) -> Path:
    """A file with an empty file system in it."""
    need_root()
    need(MAKE[kind][0])
    path = bench.scratch / f"{kind}.img"
    with path.open("wb") as file:
        file.truncate(MEBIBYTES[kind] << 20)
    subprocess.run([*MAKE[kind], str(path)], check=True, capture_output=True)
    return path


def mount_image(bench: Bench, path: Path, name: str) -> Path:
    """Mounts the file system in a file. The loop device goes with the mount."""
    at = bench.folder(name)
    # A copied image has the same identity as its original, which xfs refuses to mount twice.
    options = "loop,nouuid" if path.name.startswith("xfs") else "loop"
    mount(bench, "-o", options, str(path), at=at)
    return at


def overlay(bench: Bench) -> Path:
    """An overlay file system over two folders."""
    lower, upper, work, at = (bench.folder(name) for name in ("lower", "upper", "work", "overlay"))
    mount(bench, "-t", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}", "overlay", at=at)
    return at


def as_nobody(bench: Bench) -> list[str]:
    """A prefix that runs a command as another user."""
    need_root()
    need("setpriv")
    prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    bench.scratch.chmod(0o755)
    if subprocess.run([*prefix, str(bench.binary), "--version"], check=False, capture_output=True).returncode:
        raise Skipped(f"another user cannot run {bench.binary.name} where it lies")
    return prefix
