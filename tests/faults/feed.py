"""A writer fed line by line, whose acknowledgements are read with their time as they come."""

import json
import subprocess
import threading
import time
from collections.abc import Callable

from faults.program import Project, await_condition, kill


class LiveWriter:
    """One `emit --stdin` between two threads: one gives it lines at a pace, the other notes what it answers."""

    def __init__(
        self,
        project: Project,
        *flags: str,
        line_bytes: int = 300,
        pause_s: float = 0.0005,
        prefix: list[str] | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        self.process = project.spawn("emit", "--stdin", "--task", "T", *flags, prefix=prefix, env=env)
        self.acknowledged: list[tuple[str, float]] = []
        self.given = 0
        self._padding = "x" * max(0, line_bytes - 200)
        self._pause_s = pause_s
        self._closing = threading.Event()
        self._feeder = threading.Thread(target=self._feed, daemon=True)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._feeder.start()
        self._listener.start()

    def _feed(self) -> None:
        assert self.process.stdin
        try:
            while not self._closing.is_set():
                note = {"type": "note.logged", "text": f"fed {self.process.pid} {self.given}", "padding": self._padding}
                self.process.stdin.write(json.dumps(note).encode() + b"\n")
                self.process.stdin.flush()
                self.given += 1
                time.sleep(self._pause_s)
            self.process.stdin.close()
        except (BrokenPipeError, ValueError):
            # It was killed, which is what some rows are about.
            pass

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.endswith(b"\n"):
                self.acknowledged.append((line.decode().strip(), time.monotonic()))

    def await_more(self, count: int, seconds: float = 10) -> float:
        """Waits for so many more acknowledgements; gives the seconds it took."""
        begin, wanted = time.monotonic(), len(self.acknowledged) + count
        await_condition(f"{count} more acknowledgements", lambda: len(self.acknowledged) >= wanted, seconds)
        return time.monotonic() - begin

    def finish(self, seconds: float = 60) -> int:
        """Ends its input and waits for its end."""
        self._closing.set()
        self._feeder.join(seconds)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self._listener.join(seconds)
        return self.process.returncode

    def kill(self) -> None:
        """SIGKILL, and what it had answered until then."""
        self._closing.set()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._listener.join(10)
        self._feeder.join(10)
        kill(self.process)

    def ids(self) -> list[str]:
        """What was acknowledged."""
        return [identity for identity, _ in self.acknowledged]


class Crew:
    """Writers of which one that gave up is started again, as whoever feeds it would."""

    def __init__(self, project: Project, count: int, line_bytes: int = 2_000) -> None:
        self.project = project
        self.line_bytes = line_bytes
        self.ended: list[LiveWriter] = []
        self.running = [LiveWriter(project, line_bytes=line_bytes) for _ in range(count)]

    def everyone(self) -> list[LiveWriter]:
        """Those at work and those that ended."""
        return [*self.ended, *self.running]

    def acknowledged(self) -> list[str]:
        """By all of them."""
        return [identity for writer in self.everyone() for identity in writer.ids()]

    def tend(self, holds: Callable[[], bool], seconds: float) -> float:
        """Until it holds, or the time is over; gives the seconds. Who ended is replaced after a moment."""
        begin = time.monotonic()
        while not holds() and time.monotonic() < begin + seconds:
            for index, writer in enumerate(self.running):
                if writer.process.poll() is not None:
                    self.ended.append(writer)
                    time.sleep(0.1)
                    self.running[index] = LiveWriter(self.project, line_bytes=self.line_bytes)
            time.sleep(0.001)
        return time.monotonic() - begin

    def finish(self) -> list[int]:
        """Ends their input; gives the exit codes of those that were at work."""
        return [writer.finish() for writer in self.running]

    def gave_up(self) -> list[int]:
        """The exit codes of the others."""
        return [writer.process.returncode for writer in self.ended]
