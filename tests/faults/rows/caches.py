"""Row 13: caches that are empty, cut, garbage, foreign, or ahead of the log. They are used whole or not at all."""

import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from faults import made
from faults.harness import Bench, row
from faults.program import Project

EXPECTED = "status that of a replay, always; an import records nothing twice"


def kept(project: Project) -> list[Path]:
    """The cache files; locks are none."""
    return [path for path in sorted(project.state.rglob("*")) if path.is_file() and path.stat().st_size]


def damages(data: bytes, garbage: bytes) -> Iterator[tuple[str, bytes]]:
    """What may become of a cache file."""
    yield "empty", b""
    yield "half", data[: len(data) // 2]
    yield "garbage", garbage
    yield "NUL", b"\0" * len(data)
    yield "an empty object", b"{}"
    for number in [place for place, byte in enumerate(data) if chr(byte).isdigit()][::40]:
        yield "another number", data[:number] + bytes([data[number] ^ 1]) + data[number + 1 :]
    yield "deep", b"[" * 100_000
    yield "foreign version", foreign(data)


def foreign(data: bytes) -> bytes:
    """A whole file of another version of the program, which says something else."""
    data = data.replace(made.SESSION.encode(), made.SESSION[::-1].encode())
    if data.startswith(b"agentlg"):
        # Eight bytes of magic, the checksum of all that follows, then a version such as 0.1.0+fold.1.
        covered = re.sub(rb"\+fold\.\d", b"+fold.0", data[12:])
        return data[:8] + zlib.crc32(covered).to_bytes(4, "little") + covered
    return data.replace(b'"layout":1', b'"layout":9')


def prepared(bench: Bench) -> tuple[Project, Path]:
    """A project with an imported transcript and a log large enough for a checkpoint."""
    project = Project(bench, bench.folder("caches"))
    transcript = project.home / "session.jsonl"
    transcript.write_bytes(made.transcript(range(40), "/home/dev/shop"))
    assert project.run("import", str(transcript)).returncode == 0
    with project.active().open("ab") as log:
        log.write(made.log("background_monitoring", 1_300_000).split(b"\n", 1)[1])
    project.status()
    return project, transcript


@row("13a", "damaged checkpoint and positions", EXPECTED)
def damaged(bench: Bench) -> None:
    """Every cache file, every damage, one at a time."""
    project, transcript = prepared(bench)
    expected = project.status()
    saved = bench.scratch / "saved"
    shutil.copytree(project.state, saved)
    bench.true("as saved", expected == project.replayed_status())
    events = sum(1 for _ in project.events())
    wrong, tried, files = [], 0, []
    for path in [saved / file.relative_to(project.state) for file in kept_of(saved, project)]:
        files.append(path.name.split("-")[0])
        data = path.read_bytes()
        tries = list(damages(data, bench.random.randbytes(len(data))))
        for name, content in tries[:5] + tries[5 :: bench.pick(1, 9)] + tries[-1:]:
            restore(saved, project)
            (project.state / path.relative_to(saved)).write_bytes(content)
            tried += 1
            if project.status() != expected:
                wrong.append(f"{path.name} {name}")
            if "positions" in path.name and project.run("import", str(transcript)).returncode != 0:
                wrong.append(f"import with {path.name} {name}")
    bench.note("files", "+".join(sorted(files)))
    bench.at_least("tried", tried, 8)
    bench.zero("wrong", len(wrong))
    if wrong:
        bench.note("such as", ", ".join(wrong[:3]))
    ids = [event["id"] for event in project.events() if event["type"].startswith(("tool.", "usage.", "task."))]
    bench.zero("recorded twice", len(ids) - len(set(ids)))
    bench.note("events", events)


def kept_of(saved: Path, project: Project) -> list[Path]:
    """The cache files of the project as they were saved."""
    restore(saved, project)
    return kept(project)


def restore(saved: Path, project: Project) -> None:
    """Puts all caches back."""
    shutil.rmtree(project.state, ignore_errors=True)
    shutil.copytree(saved, project.state)


def altered(bench: Bench, change: Callable[[Path], None]) -> None:
    """Changes the log behind the checkpoint's back and compares."""
    project, _ = prepared(bench)
    bench.at_least("cache files", len(kept(project)), 1)
    change(project.active())
    bench.true("status is that of a replay", project.status() == project.replayed_status())


@row("13b", "checkpoint ahead of the log", "status that of a replay")
def ahead(bench: Bench) -> None:
    """The log lost its last 10 KiB, as at a power cut."""

    def cut(log: Path) -> None:
        with log.open("r+b") as file:
            file.truncate(log.stat().st_size - 10 * 1024)

    altered(bench, cut)


@row("13c", "checkpoint of another log of the same size", "status that of a replay", "tail-hash")
def rewritten(bench: Bench) -> None:
    """The end of the log was cut and written anew, by another writer, up to beyond the old size."""

    def rewrite(log: Path) -> None:
        size = log.stat().st_size
        data = log.read_bytes()
        keep = data.rfind(b"\n", 0, size - 20 * 1024) + 1
        new, number = [data[:keep]], 0
        while sum(map(len, new)) < size + 4096:
            number += 1
            new.append(made.framed(made.note(number, "another history", "task-of-another-history"), "other", number))
        log.write_bytes(b"".join(new))

    altered(bench, rewrite)
