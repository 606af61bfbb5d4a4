"""Row 11d: watchers killed again and again while agents, jobs and worktrees all write."""

import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

from faults import made
from faults.harness import Bench, row
from faults.program import DONE, Project, kill

KINDS = 4
CONFIG = '[[job]]\nname = "{name}"\nlog = "logs/{name}.log"\npatterns = { preset = "mqi" }\n'
BATCHES = 500


@row("11d", "watchers killed while every kind of source grows", "all of it once, as one clean run has it")
def all_kinds(bench: Bench) -> None:
    """Transcripts of two agents, logs of jobs and status files, all growing; each watcher lives for a fraction of a second."""
    project = Project(bench, bench.folder("sources"), CONFIG)
    writers = Writers(project)
    rounds = bench.pick(60, 15)
    for index in range(rounds):
        watch = project.spawn("watch", "--interval", "1h")
        for step in range(4):
            writers.grow(index * 4 + step)
        time.sleep(bench.random.uniform(0, 0.3))
        kill(watch)
    bench.equal("last run", project.run("watch", "--once").returncode, DONE)
    ids = [event["id"] for event in project.events()]
    bench.zero("doubled ids", len(ids) - len(set(ids)))
    code, counts = project.verify()
    bench.check("verify", code, code == 0 or (code == 30 and counts["holes"] == 0))
    recorded = facts(project)
    project.logs.rename(project.root / "killed")
    project.state.rename(project.root / "state")
    bench.equal("clean run", project.run("watch", "--once").returncode, DONE)
    clean = facts(project)
    bench.at_least("facts", sum(clean.values()), rounds * 4 * KINDS)
    bench.zero("lost", sum((clean - recorded).values()))
    bench.zero("too many", sum((recorded - clean).values()))


class Writers:
    """What is watched."""

    def __init__(self, project: Project) -> None:
        self.cwd = str(project.root)
        self.transcript = made.place_transcript(project.claude, made.prompt(0, self.cwd))
        sessions = Path(project.environment()["HOME"]) / ".codex/sessions/2026/11/16"
        sessions.mkdir(parents=True)
        self.rollout = sessions / "rollout-2026-11-16T09-00-00-019e1625-0000-7000-8000-000000000001.jsonl"
        self.append_rollout("session_meta", {"id": "019e1625-0000-7000-8000-000000000001", "cwd": self.cwd})
        self.job = project.root / "logs/beam.log"
        self.job.parent.mkdir()
        self.job.write_text(f"Particle count --> 10000000 with {BATCHES} batches\n")
        self.worktree = project.root / ".worktrees/one/status.json"
        self.worktree.parent.mkdir(parents=True)

    def grow(self, index: int) -> None:
        """Everything grows by one."""
        with self.transcript.open("ab") as transcript:
            transcript.write(made.call(2 * index + 2, self.cwd))
        call = {"call_id": f"call_{index}"}
        self.append_rollout("response_item", {"type": "function_call", "name": "shell", "arguments": "{}", **call})
        output = f"Exit code: {index % 3}\nWall time: 0.1 seconds\nOutput:\nx"
        self.append_rollout("response_item", {"type": "function_call_output", "output": output, **call})
        with self.job.open("a") as job:
            job.write(f"Generating particles for ({index + 1} of {BATCHES} batches) in CPU ..\n")
        instant = f"2026-11-16T09:{index // 60:02}:{index % 60:02}.000Z"
        staged = self.worktree.with_suffix(".new")
        staged.write_text(json.dumps({"status": "running", "updatedAt": instant, "current": index}))
        os.replace(staged, self.worktree)

    def append_rollout(self, kind: str, payload: dict[str, Any]) -> None:
        """A line of the Codex session."""
        with self.rollout.open("a") as rollout:
            rollout.write(json.dumps({"timestamp": "2026-11-16T09:00:00.000Z", "type": kind, "payload": payload}) + "\n")


def facts(project: Project) -> Counter[tuple[str, ...]]:
    """What the sources said, without what depends on when somebody looked: of a status file only its last state is seen."""
    counted = Counter[tuple[str, ...]]()
    for event in project.events():
        name = event["type"]
        if name.startswith("tool.") or (name == "progress.reported" and event["source"] == "job"):
            detail = str(event.get("call", event.get("current")))
            counted[(name, event["source"], detail)] += 1
    return counted
