"""What was acknowledged, kept outside the log, and its comparison with the log.

A writer is a process `agentlog emit --stdin`: one JSON object per line in, and for each that was written its id out. Line
k of its output is the acknowledgement of line k of its input, whatever happens to the process afterwards.
"""

import contextlib
import json
import os
import resource
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import reader
from faults.harness import Bench
from faults.program import Project, kill


def input_lines(count: int, line_bytes: int, name: str = "line", ids: list[str] | None = None) -> bytes:
    """Input for a writer: notes whose lines in the log are about `line_bytes` long."""
    padding = "x" * max(0, line_bytes - 190)
    lines = []
    for index in range(count):
        note = {"type": "note.logged", "text": f"{name} {index}", "padding": padding}
        if ids:
            note["id"] = ids[index]
        lines.append(json.dumps(note))
    return ("\n".join(lines) + "\n").encode()


@dataclass
class Ledger:
    """All acknowledgements of a row."""

    acknowledged: list[str] = field(default_factory=list)
    kills: int = 0

    def compare(self, bench: Bench, project: Project, fragments_max: int) -> None:
        """States what the log lacks, holds twice, or has glued together."""
        ids = Counter(event["id"] for event in project.events() if "id" in event)
        damaged, glued = damaged_lines(project)
        bench.at_least("acknowledged", len(self.acknowledged), 1)
        bench.zero("acknowledged lost", sum(identity not in ids for identity in self.acknowledged))
        bench.zero("duplicates", sum(count - 1 for count in ids.values()))
        bench.zero("glued", glued)
        bench.at_most("fragments", damaged, fragments_max)


def damaged_lines(project: Project) -> tuple[int, int]:
    """How many lines are no events, and how many of them are two lines in one."""
    damaged = glued = 0
    for paths in reader.segment_paths(project.logs).values():
        for path in paths:
            for line in reader.content(path).split(b"\n")[:-1]:
                if line.strip(reader.BLANK) and reader.event_of(line) is None:
                    damaged += 1
                    glued += line.find(b'{"v":1,"id":', 1) > 0
    return damaged, glued


class Writer:
    """One `emit --stdin` fed from a file, so that no pipe slows it; its acknowledgements go to a file too."""

    def __init__(
        self,
        project: Project,
        source: Path,
        acks: Path,
        *flags: str,
        prefix: list[str] | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        self.acks = acks
        with source.open("rb") as stdin, acks.open("wb") as stdout:
            self.process = subprocess.Popen(
                [*(prefix or []), str(project.bench.binary), "emit", "--stdin", "--task", "T", *flags],
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
                cwd=project.root,
                env=project.environment(env),
                start_new_session=True,
            )
        project.bench.cleanup.callback(kill, self.process)

    def acknowledged(self) -> list[str]:
        """The ids printed so far; half a line is no acknowledgement."""
        return [line.decode() for line in self.acks.read_bytes().split(b"\n")[:-1] if line]

    def has_written(self) -> bool:
        """Whether anything was acknowledged."""
        return self.acks.stat().st_size > 0

    def tear(self, log: Path, more: int, others: list["Writer"]) -> None:
        """Lets the log grow by so many bytes only, through this writer, so that its next write ends in the middle; the
        others are stopped meanwhile, wherever they are.

        A kill in the middle of write(2) leaves the same, but hits it once in a hundred times.
        """
        if not log.exists():
            return
        for other in others:
            other.process.send_signal(signal.SIGSTOP)
        limit = log.stat().st_size + more
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        deadline = time.monotonic() + 0.02
        while log.stat().st_size < limit and time.monotonic() < deadline:
            time.sleep(0.0005)
        self.process.kill()
        for other in others:
            other.process.send_signal(signal.SIGCONT)

    def kill(self) -> bool:
        """SIGKILL; whether it came in time."""
        kill(self.process)
        return self.process.returncode == -signal.SIGKILL

    def wait(self, seconds: float = 60) -> int:
        """Its exit code, once it has read everything."""
        try:
            self.process.wait(timeout=seconds)
        finally:
            kill(self.process)
        return self.process.returncode


def storm(bench: Bench, project: Project, line_bytes: int, kills: int, writers: int = 3) -> Ledger:
    """Kills random writers at random moments and replaces them; every second one writes durably."""
    random = bench.random
    scratch = bench.folder("writers")
    source = scratch / "input"
    source.write_bytes(input_lines(max(60, 3_000_000 // line_bytes), line_bytes))
    ledger = Ledger()
    running: list[Writer] = []
    started = 0
    deadline = time.monotonic() + 60 + kills
    while ledger.kills < kills:
        if time.monotonic() > deadline:
            raise TimeoutError(f"only {ledger.kills} kills: the writers end by themselves")
        while len(running) < writers:
            flags = ["--durable"] if started % 2 else []
            running.append(Writer(project, source, scratch / f"acks{started}", *flags))
            started += 1
        time.sleep(random.uniform(0.004, 0.016))
        victim = running.pop(random.randrange(len(running)))
        if victim.process.poll() not in (None, 0):
            raise AssertionError(f"a writer ended with {victim.process.returncode} before it was killed")
        if random.random() < 0.5:
            victim.tear(project.active(), random.randrange(1, 2 * line_bytes), running)
        ledger.kills += victim.kill()
        ledger.acknowledged.extend(victim.acknowledged())
        os.unlink(victim.acks)
    for writer in running:
        writer.wait()
        ledger.acknowledged.extend(writer.acknowledged())
    # Whoever comes next ends the last torn line.
    project.emit("after the storm")
    return ledger
