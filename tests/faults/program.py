"""A scratch project in which the real program runs, seeing nothing of the machine's own set-up."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import reader
from faults.harness import Bench

# Where no fault makes it slow, any command ends within this time; one that does not hangs.
PATIENCE_S = 120
# The instant that commands take for now where two of their outputs are compared.
NOW = "2026-11-20T18:00:00Z"
DONE, IO, DAMAGED, UNREADABLE = 0, 5, 30, 31


def await_condition(what: str, holds: Callable[[], bool], seconds: float = 10) -> None:
    """Looks again and again; an error after the deadline."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come within {seconds} s")
        time.sleep(0.005)


class Project:
    """One project with its own home. `prefix` stands before every command, such as strace with its options."""

    def __init__(self, bench: Bench, root: Path, config: str = "") -> None:
        self.bench = bench
        self.root = root / "project"
        self.home = root / "home"
        (self.root / ".agents").mkdir(parents=True, mode=0o700, exist_ok=True)
        self.claude = self.home / ".claude"
        self.claude.mkdir(parents=True, exist_ok=True)
        if config:
            self.configure(config)

    @property
    def logs(self) -> Path:
        """The folder of the streams."""
        return self.root / ".agents/logs"

    @property
    def state(self) -> Path:
        """The folder of the caches."""
        return self.root / ".agents/state"

    def active(self, stream: str = "background_monitoring") -> Path:
        """The file that a stream is appended to."""
        return self.logs / f"{stream}.jsonl"

    def configure(self, text: str) -> None:
        """Replaces the configuration of the project."""
        (self.root / ".agents/agentlog.toml").write_text(text)

    def environment(self, more: dict[str, str] | None = None) -> dict[str, str]:
        """All that a command sees."""
        home = self.home
        return {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(home),
            "XDG_CONFIG_HOME": f"{home}/.config",
            "XDG_STATE_HOME": f"{home}/.local/state",
            "XDG_CACHE_HOME": f"{home}/.cache",
            "XDG_DATA_HOME": f"{home}/.local/share",
            "CLAUDE_CONFIG_DIR": str(self.claude),
            "TMUX_TMPDIR": str(home),
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
            "NO_COLOR": "1",
            **self.bench.environment,
            **(more or {}),
        }

    def run(
        self, *arguments: str, prefix: list[str] | None = None, stdin: bytes = b"", env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Runs a command to its end."""
        process = self.spawn(*arguments, prefix=prefix, env=env)
        try:
            out, err = process.communicate(stdin, timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            kill(process)
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def spawn(
        self, *arguments: str, prefix: list[str] | None = None, env: dict[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Starts a command beside the row, in a process group of its own, which is killed with the row at the latest."""
        process = subprocess.Popen(
            [*(prefix or []), str(self.bench.binary), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.root,
            env=self.environment(env),
            start_new_session=True,
        )
        self.bench.cleanup.callback(kill, process)
        return process

    def emit(
        self, text: str, *more: str, prefix: list[str] | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Appends one note, which must succeed."""
        done = self.run("emit", "note.logged", "--task", "T", f"text={text}", *more, prefix=prefix, env=env)
        if done.returncode:
            raise AssertionError(f"emit ended with {done.returncode}: {done.stderr.decode()}")
        return done

    def status(self) -> Any:
        """`status -o json` at a fixed instant, without the time at which it was made."""
        done = self.run("status", "-o", "json", env={"__AGENTLOG_NOW": NOW})
        if done.returncode not in (0, 4):
            raise AssertionError(f"status ended with {done.returncode}: {done.stderr.decode()}")
        document = json.loads(done.stdout)
        document.pop("generated_at", None)
        return document

    def replayed_status(self) -> Any:
        """The same without any cache: what the log alone says."""
        shutil.rmtree(self.state, ignore_errors=True)
        return self.status()

    def verify(self) -> tuple[int, dict[str, int]]:
        """The exit code of `verify`, and its counts summed over all segments."""
        done = self.run("verify", "-o", "json")
        segments = json.loads(done.stdout)["segments"] if done.stdout else []
        return done.returncode, sum_counts(segments)

    def read(self) -> dict[str, int]:
        """The same counts by the independent reader."""
        return sum_counts(reader.read(self.root)["segments"])

    def events(self) -> Iterator[dict[str, Any]]:
        """All good events of all segments, by the independent reader."""
        for paths in reader.segment_paths(self.logs).values():
            for path in paths:
                for line in reader.content(path).split(b"\n")[:-1]:
                    if good := reader.event_of(line):
                        yield good[0]

    def texts(self) -> list[str]:
        """The texts of all notes."""
        return [event["text"] for event in self.events() if event["type"] == "note.logged"]


COUNTS = ("bytes", "ok", "unchecked", "damaged", "blank", "pending_bytes", "holes", "repeats")


def sum_counts(segments: list[dict[str, Any]]) -> dict[str, int]:
    """The counts of all segments together."""
    return {name: sum(segment[name] for segment in segments) for name in COUNTS}


def kill(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and all its children at once, a stopped one too."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            try:
                pipe.close()
            except BrokenPipeError:
                pass
