#!/usr/bin/env python3
"""An independent reader of the log: what `agentlog verify` says, said again by other code.

Written from the protocol (docs/ARCHITECTURE.md, docs/EVENTS.md), sharing nothing with the program, so that a mistake would
have to be made twice. `reader.py DIR` prints {"segments": […], "unreadable": […]} for the log of the project DIR, segments
in the order of their stream; standard library only, and the program `zstd` for sealed segments.
"""

import json
import re
import subprocess
import sys
import zlib
from itertools import pairwise
from pathlib import Path
from typing import Any

LINE_BYTES_MAX = 262_144
DEPTH_MAX = 64
ACTIVE = re.compile(r"([A-Za-z0-9_-]{1,64})\.jsonl")
CLOSED = re.compile(r"([A-Za-z0-9_-]{1,64})\.(\d{8})\.(\d+)\.jsonl(\.zst)?")
FRAME = re.compile(rb',"crc":"([0-9a-f]{8})"\}')
FRAME_LENGTH = 18
BLANK = b" \t\n\r\x0c"

sys.set_int_max_str_digits(0)


def refuse_constant(name: str) -> None:
    """Python reads NaN and Infinity; JSON has neither."""
    raise ValueError(name)


def depth(value: Any) -> int:
    """How deep containers are nested; of a scalar 0."""
    deepest, level = 0, [value]
    while level := [item for item in level if isinstance(item, (dict, list))]:
        deepest += 1
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return deepest


def is_foreign(event: dict[str, Any]) -> bool:
    """Whether another program wrote the line: it names a task, or says when and what in its own words."""
    if any(name in event for name in ("type", "v", "w", "n", "crc")):
        return False

    def says(names: str) -> bool:
        return any(isinstance(event.get(name), str) and event[name].strip() for name in names.split())

    def has(names: str) -> bool:
        values = [event.get(name) for name in names.split()]
        return any(str(value).strip() for value in values if isinstance(value, (str, int, float)) and not isinstance(value, bool))

    if has("task_id taskId delegation_id background_task_id job_id") or str(event.get("id", "")).startswith("bg_"):
        return True
    times = "ts timestamp time at completed_at completedAt updated_at updatedAt started_at startedAt created_at createdAt"
    return has(times) and says("status state outcome result event event_type action")


def event_of(line: bytes) -> tuple[dict[str, Any], bool] | None:
    """The object of a good line, and whether a checksum says so; None for a damaged line."""
    if len(line) > LINE_BYTES_MAX:
        return None
    # An editor may have put a byte order mark in front, and made CRLF of the line end.
    line = line.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\r")
    try:
        event = json.loads(line.decode("utf-8"), parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return None
    # Each level inside the line's own object counts.
    if not isinstance(event, dict) or depth(event) - 1 > DEPTH_MAX:
        return None
    if not isinstance(event.get("type"), str) and not is_foreign(event):
        return None
    frame = FRAME.fullmatch(line[-FRAME_LENGTH:])
    if frame:
        return (event, True) if zlib.crc32(line[:-FRAME_LENGTH]) == int(frame[1], 16) else None
    return None if "w" in event and "n" in event else (event, False)


def segment_paths(logs: Path) -> dict[str, list[Path]]:
    """The segments of every stream, closed ones first; one inode and one name count once."""
    closed: dict[str, dict[tuple[str, int], Path]] = {}
    for path in (logs / "closed").iterdir() if (logs / "closed").is_dir() else []:
        if match := CLOSED.fullmatch(path.name):
            of_stream = closed.setdefault(match[1], {})
            key = (match[2], int(match[3]))
            if key not in of_stream or not match[4]:
                of_stream[key] = path
    active = {match[1]: path for path in logs.iterdir() if (match := ACTIVE.fullmatch(path.name))}
    streams: dict[str, list[Path]] = {}
    for stream in sorted({*closed, *active}):
        paths = [path for _, path in sorted(closed.get(stream, {}).items())]
        # The active name wins over a second, closed one that an interrupted rotation left.
        by_inode = {inode(path): path for path in [*paths, *([active[stream]] if stream in active else [])]}
        streams[stream] = sorted(by_inode.values(), key=lambda path: paths.index(path) if path in paths else len(paths))
    return streams


def inode(path: Path) -> tuple[int, int]:
    """What two names of one file have in common."""
    status = path.stat()
    return status.st_dev, status.st_ino


def content(path: Path) -> bytes:
    """The bytes of a segment, unpacked where it is sealed."""
    if path.suffix != ".zst":
        return path.read_bytes()
    return subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True).stdout


def report(path: Path, data: bytes, numbers: dict[str, dict[int, int]], position: int) -> dict[str, Any]:
    """The counts of one segment; `numbers` collects, per writer, in which segment of the stream a number first stands."""
    *lines, pending = data.split(b"\n")
    counts = {"ok": 0, "unchecked": 0, "damaged": 0, "blank": 0, "repeats": 0}
    seg = None
    for line in lines:
        if not line.strip(BLANK):
            counts["blank"] += 1
            continue
        good = event_of(line)
        if good is None:
            counts["damaged"] += 1
            continue
        event, checked = good
        counts["ok"] += 1
        counts["unchecked"] += not checked
        if event.get("type") == "segment.opened" and seg is None:
            seg = event.get("seg")
        if checked and isinstance(event.get("w"), str) and type(event.get("n")) is int:
            seen = numbers.setdefault(event["w"], {})
            counts["repeats"] += event["n"] in seen
            seen.setdefault(event["n"], position)
    return {"file": str(path), "seg": seg, "bytes": len(data), **counts, "pending_bytes": len(pending), "holes": 0}


def read(directory: Path) -> dict[str, Any]:
    """What stands in the log of a project, or in a folder of streams."""
    logs = directory / ".agents/logs" if (directory / ".agents").is_dir() else directory
    segments: list[dict[str, Any]] = []
    unreadable: list[str] = []
    for paths in segment_paths(logs).values():
        numbers: dict[str, dict[int, int]] = {}
        of_stream: list[dict[str, Any]] = []
        for path in paths:
            try:
                of_stream.append(report(path, content(path), numbers, len(of_stream)))
            except (OSError, subprocess.CalledProcessError) as error:
                unreadable.append(f"{path}: {error}")
        for seen in numbers.values():
            ordered = sorted(seen)
            for before, after in pairwise(ordered):
                of_stream[seen[after]]["holes"] += after - before - 1
        segments.extend(of_stream)
    return {"segments": segments, "unreadable": unreadable}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: reader.py DIR")
    json.dump(read(Path(sys.argv[1])), sys.stdout)
    print()
