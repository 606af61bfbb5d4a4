"""Row 16: sealed segments that are damaged, a manifest that is gone, and an archive that unpacks to gigabytes."""

import shutil
import struct
import subprocess
import sys
from pathlib import Path

from faults import machine
from faults.harness import Bench, row
from faults.program import DAMAGED, DONE, UNREADABLE, Project
from faults.rows.giant import MEASURE, RSS_LIMIT_MIB

TEXTS = [f"sealed {index} " + "x" * 250 for index in range(40)]


def sealed(bench: Bench) -> tuple[Project, list[Path]]:
    """A project with several sealed segments, oldest first, and an active one."""
    machine.need("zstd")
    project = Project(bench, bench.folder("sealed"), "[journal]\nsegment_bytes = 4096\n")
    for text in TEXTS:
        project.emit(text)
    done = project.run("prune", "--seal-after", "0s")
    if done.returncode != DONE:
        raise AssertionError(f"prune ended with {done.returncode}: {done.stderr.decode()}")
    archives = sorted((project.logs / "closed").glob("*.zst"))
    bench.at_least("sealed segments", len(archives), 2)
    bench.zero("closed and not sealed", len(list((project.logs / "closed").glob("background_monitoring.*.jsonl"))))
    return project, archives


@row("16a", "sealed and whole", "every line readable, verify 0, status that of a replay")
def whole(bench: Bench) -> None:
    """Before anything is damaged; tail and query read them too."""
    project, _ = sealed(bench)
    bench.equal("verify", project.verify()[0], DONE)
    bench.equal("the independent reader finds", len(project.texts()), len(TEXTS))
    shown = project.run("tail", "-n", "all", "--raw", "--type", "note.logged")
    bench.equal("tail shows", len(shown.stdout.splitlines()), len(TEXTS))
    bench.true("status is that of a replay", project.status() == project.replayed_status())


@row(
    "16b",
    "one byte of an archive changed",
    f"verify {DAMAGED} or {UNREADABLE}, the other segments read, memory bounded",
)
def changed(bench: Bench) -> None:
    """At several places of the first archive, one at a time."""
    project, archives = sealed(bench)
    path = archives[0]
    data = path.read_bytes()
    elsewhere = len(project.texts()) - notes_in(path)
    unnoticed = unread = too_large = 0
    # Every byte of its end, where the table of the frames is, and some of the rest.
    end = len(data) - 40
    places = [*range(0, end, end // bench.pick(200, 20) + 1), *range(end, len(data), bench.pick(1, 4))]
    path.chmod(0o600)
    for place in places:
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :])
        code = project.run("verify").returncode
        done = project.run("tail", "-n", "all", "--raw", "--type", "note.logged", prefix=measuring())
        shown = len(done.stdout.splitlines())
        unnoticed += code not in (DAMAGED, UNREADABLE) and shown != len(TEXTS)
        unread += shown < elsewhere
        too_large += peak(done) > RSS_LIMIT_MIB
    path.write_bytes(data)
    bench.note("places", len(places))
    bench.zero("unnoticed losses", unnoticed)
    bench.zero("other segments not read", unread)
    bench.zero(f"over {RSS_LIMIT_MIB} MiB", too_large)
    bench.equal("verify when put back", project.verify()[0], DONE)


@row("16c", "manifest missing", "nothing lost, status that of a replay")
def without_manifest(bench: Bench) -> None:
    """It is derived from the archives."""
    project, _ = sealed(bench)
    manifests = [path for path in project.logs.rglob("*") if "manifest" in path.name.lower()]
    bench.at_least("manifests", len(manifests), 1)
    for path in manifests:
        path.unlink()
    code, _ = project.verify()
    bench.check("verify", code, code in (DONE, DAMAGED))
    shown = project.run("tail", "-n", "all", "--raw", "--type", "note.logged")
    bench.equal("tail shows", len(shown.stdout.splitlines()), len(TEXTS))
    bench.true("status is that of a replay", project.status() == project.replayed_status())


def bomb(bench: Bench, with_table: bool) -> None:
    """An archive of zeros under the name of a segment."""
    project, archives = sealed(bench)
    path = archives[0].with_name("background_monitoring.20200101.001.jsonl.zst")
    size = bench.pick(3, 1) << 30
    zeros = bench.scratch / "zeros"
    with zeros.open("wb") as file:
        file.truncate(size)
    subprocess.run(["zstd", "-q", "-1", str(zeros), "-o", str(path)], check=True)
    if with_table:
        with path.open("ab") as file:
            file.write(seek_table(path.stat().st_size, size))
    shutil.copymode(archives[0], path)
    for command in (["verify"], ["status"], ["tail", "-n", "all", "--raw", "--type", "note.logged"]):
        done = project.run(*command, prefix=measuring())
        bench.at_most(f"{command[0]} MiB", peak(done), RSS_LIMIT_MIB)
        bench.check(f"{command[0]} exit", done.returncode, done.returncode in (DONE, DAMAGED, UNREADABLE))
        if command[0] == "verify":
            bench.check("noticed", done.returncode, done.returncode in (DAMAGED, UNREADABLE))
    bench.equal("tail shows", len(done.stdout.splitlines()), len(TEXTS))


def seek_table(packed: int, unpacked: int) -> bytes:
    """The table of frames of the zstd seekable format, for one frame: a frame to be skipped, with its own magic."""
    entries = struct.pack("<II", packed, unpacked)
    return struct.pack("<II", 0x184D2A5E, len(entries) + 9) + entries + struct.pack("<IBI", 1, 0, 0x8F92EAB1)


BOMB = f"memory < {RSS_LIMIT_MIB} MiB, verify {DAMAGED} or {UNREADABLE}, other segments read"


@row("16d", "archive that unpacks to 3 GiB", BOMB)
def bomb_with_table(bench: Bench) -> None:
    """Made as the program makes archives."""
    bomb(bench, with_table=True)


@row("16e", "archive of another program that unpacks to 3 GiB", BOMB)
def bomb_without_table(bench: Bench) -> None:
    """Made by `zstd`, without a table of frames."""
    bomb(bench, with_table=False)


def notes_in(archive: Path) -> int:
    """How many notes a sealed segment holds."""
    text = subprocess.run(["zstd", "-dcq", archive], check=True, capture_output=True).stdout
    return text.count(b'"type":"note.logged"')


def measuring() -> list[str]:
    """A prefix that says the peak memory at the end of standard error."""
    return [sys.executable, "-S", "-c", MEASURE]


def peak(done: subprocess.CompletedProcess[bytes]) -> int:
    """MiB."""
    return int(done.stderr.split()[-1]) // 1024
