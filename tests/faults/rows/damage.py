"""Rows 3 and 15: cut, flipped and repaired bytes. Every byte is accounted for, and no change passes for a good line.

One `verify` checks thousands of damaged copies at once: each is a stream of its own.
"""

import json
import random
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import reader
from faults import made
from faults.harness import Bench, row
from faults.program import DAMAGED, DONE, Project

BATCH = 4096


def verified(bench: Bench, copies: Iterable[tuple[int, bytes]]) -> Iterable[tuple[int, bytes, dict[str, Any]]]:
    """Each copy with its number and what `verify` says of it."""
    project = Project(bench, bench.folder("copies"))
    batch: dict[str, tuple[int, bytes]] = {}

    def flush() -> list[tuple[int, bytes, dict[str, Any]]]:
        project.logs.mkdir(mode=0o700)
        for name, (_, data) in batch.items():
            (project.logs / name).write_bytes(data)
        done = project.run("verify", "-o", "json")
        segments = json.loads(done.stdout)["segments"]
        shutil.rmtree(project.logs)
        found = [(*batch[Path(segment["file"]).name], segment) for segment in segments]
        if len(found) != len(batch):
            raise AssertionError(f"verify names {len(found)} of {len(batch)} segments")
        batch.clear()
        return found

    for number, data in copies:
        batch[f"t{number:06}.jsonl"] = number, data
        if len(batch) == BATCH:
            yield from flush()
    yield from flush()


def conserved(segment: dict[str, Any]) -> bool:
    """Whether every byte of the file is good, damaged, blank or pending."""
    parts = ("ok_bytes", "damaged_bytes", "blank_bytes", "pending_bytes")
    return bool(sum(segment[part] for part in parts) == segment["bytes"])


@row("3a", "truncation at every byte", "whole lines good, the rest pending, 0 wrong of 20,480")
def truncation(bench: Bench) -> None:
    """A log of 20 kB, cut at every one of its bytes (every 16th in --quick)."""
    log = made.log("t", 20_480)
    cuts = range(0, 20_480, bench.pick(1, 16))
    wrong = unaccounted = 0
    for cut, data, segment in verified(bench, ((cut, log[:cut]) for cut in cuts)):
        lines = data.count(b"\n")
        expected = {"ok": lines, "damaged": 0, "blank": 0, "pending_bytes": cut - data.rfind(b"\n") - 1, "bytes": cut}
        wrong += any(segment[name] != count for name, count in expected.items())
        unaccounted += not conserved(segment)
    bench.note("cuts", len(cuts))
    bench.zero("wrong", wrong)
    bench.zero("bytes unaccounted for", unaccounted)


@row("3b", "one flipped bit, 10,000 times", "undetected 0; at most 2 lines lost by one bit", "crc")
def flips(bench: Bench) -> None:
    """Any bit of a log of 3 kB (1,000 times in --quick)."""
    log = made.log("t", 3_000)
    lines = log.count(b"\n")
    source = bench.random
    undetected = lost_most = unaccounted = disagreeing = 0
    flips = bench.pick(10_000, 1_000)
    for _, data, segment in verified(bench, ((number, flipped(log, source)) for number in range(flips))):
        undetected += segment["ok"] >= lines
        lost_most = max(lost_most, lines - segment["ok"])
        unaccounted += not conserved(segment)
        disagreeing += segment["ok"] != sum(reader.event_of(line) is not None for line in data.split(b"\n")[:-1])
    bench.note("flips", flips)
    bench.zero("undetected", undetected)
    bench.at_most("lines lost by one", lost_most, 2)
    bench.zero("bytes unaccounted for", unaccounted)
    bench.zero("disagreements with the independent reader", disagreeing)


def flipped(data: bytes, source: random.Random) -> bytes:
    """The same bytes but for one bit."""
    place = source.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << source.randrange(8))]) + data[place + 1 :]


DAMAGES = (b'{"v":1,"id":"torn', b"\x00" * 4096, b"\xff\xfe not text", b"[]", b"{", b"x" * 300_000, b'{"type":7}')


@row("15", "damage, then repair", "verify 0, every good line still there, the damage kept in a copy", "crc")
def repair(bench: Bench) -> None:
    """Every kind of damage between good lines, a flipped bit, and a torn end."""
    project = Project(bench, bench.folder("repair"))
    for index in range(3):
        project.emit(f"real {index}")
    path = project.active()
    good = made.log("background_monitoring", 6_000).splitlines(keepends=True)[1:]
    pieces = [path.read_bytes()]
    for index, line in enumerate(good):
        damage = DAMAGES[index % len(DAMAGES)]
        pieces += [line, damage + b"\n"]
    flip = good[-1].replace(b"a line", b"b line")
    path.write_bytes(b"".join(pieces) + flip + b'{"v":1,"id":"the torn end')
    path.chmod(0o600)
    before = [event["id"] for event in project.events()]
    code, counts = project.verify()
    bench.equal("before: verify", code, DAMAGED)
    bench.equal("damaged", counts["damaged"], len(good) + 1)

    done = project.run("repair")
    bench.equal("repair", done.returncode, DONE)
    code, counts = project.verify()
    bench.check("after: verify", code, code == DONE or (code == DAMAGED and counts["holes"] > 0))
    bench.zero("still damaged", counts["damaged"])
    after = [event["id"] for event in project.events()]
    bench.zero("good lines lost", sum(identity not in after for identity in before))
    everything = b"".join(file.read_bytes() for file in (project.root / ".agents").rglob("*") if file.is_file())
    bench.zero("damages not kept", sum(damage not in everything for damage in [*DAMAGES, flip.rstrip(b"\n")]))
    bench.true("status is that of a replay", project.status() == project.replayed_status())
    project.emit("after the repair")
