"""Row 8: limits of the shell, permissions, and folders that disappear. An exit code and a sentence, never a crash."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from faults import machine, made
from faults.harness import Bench, row
from faults.ledger import Ledger, Writer, input_lines
from faults.program import DONE, IO, UNREADABLE, Project, await_condition, kill

PANIC = 101


def limited(limit: str) -> list[str]:
    """A prefix that runs a command under a limit of the shell."""
    return ["bash", "-c", f'ulimit {limit} && exec "$@"', "bash"]


@row("8a", "ulimit -f", "no death by SIGXFSZ, acknowledged lost 0, glued 0", "heal")
def file_size(bench: Bench) -> None:
    """The log may grow to 128 kB and no further; then somebody without the limit comes."""
    project = Project(bench, bench.folder("size"))
    source = bench.scratch / "input"
    source.write_bytes(input_lines(300, 900))
    writer = Writer(project, source, bench.scratch / "acks", prefix=limited("-f 128"))
    code = writer.wait()
    bench.check("exit", code, code == IO)
    bench.check("killed by SIGXFSZ", code == -signal.SIGXFSZ, code != -signal.SIGXFSZ)
    done = project.run("emit", "note.logged", "text=" + "y" * 290, prefix=limited("-f 128"))
    bench.equal("exit of emit", done.returncode, IO)
    project.emit("after")
    Ledger(writer.acknowledged()).compare(bench, project, fragments_max=2)


@row("8b", "ulimit -n 16 … 32, 100 streams", "too many open files 0, everything read and written")
def open_files(bench: Bench) -> None:
    """More streams than descriptors."""
    project = Project(bench, bench.folder("files"))
    project.emit("before")
    for index in range(100):
        stream = project.active(f"stream{index:03}")
        stream.write_bytes(made.log(stream.stem, 2_000))
        stream.chmod(0o600)
    transcript = project.home / "session.jsonl"
    commands = [["status"], ["verify"], ["tail", "-n", "5"], ["import", str(transcript)], ["report", "-o", "md"]]
    wrong = []
    for limit in (16, 20, 24, 32):
        transcript.write_bytes(made.transcript(range(limit), "/home/dev/shop"))
        for command in [*commands, ["emit", "note.logged", f"text=limit {limit}"]]:
            done = project.run(*command, prefix=limited(f"-n {limit}"))
            if done.returncode != DONE:
                wrong.append(f"{command[0]} at {limit}: {done.returncode} {done.stderr.decode()[:80]!r}")
    bench.zero("failed", len(wrong))
    for reason in wrong[:4]:
        bench.note("", reason)
    bench.equal("calls recorded", sum(event["type"] == "tool.succeeded" for event in project.events()), 32)


@row("8c", "read-only file system", f"reading works, writing ends with {IO}")
def read_only(bench: Bench) -> None:
    """Neither the log nor a cache can be written."""
    at = machine.tmpfs(bench, "8m")
    project = Project(bench, at)
    project.home = bench.folder("home")
    with project.root.parent.joinpath("session.jsonl").open("wb") as transcript:
        transcript.write(made.transcript(range(3), "/home/dev/shop"))
    project.emit("before")
    with project.active().open("ab") as log:
        log.write(made.log("background_monitoring", 1_300_000).split(b"\n", 1)[1])
    subprocess.run(["mount", "-o", "remount,ro", str(at)], check=True)
    for command in (["status"], ["verify"], ["tail"], ["show", "T"], ["report", "-o", "md"]):
        bench.equal(command[0], project.run(*command).returncode, DONE)
    import_command = ["import", str(project.root.parent / "session.jsonl")]
    for command in (["emit", "note.logged", "text=x"], ["watch", "--once"], import_command):
        done = project.run(*command)
        bench.equal(command[0], done.returncode, IO)
        bench.true("says why", b"ead-only" in done.stderr)


@row("8d", "chmod 000, as another user", "an exit code and a sentence; no panic, no hang")
def forbidden(bench: Bench) -> None:
    """The streams, then the folder of the streams, then `.agents` may not be opened."""
    prefix = machine.as_nobody(bench)
    project = Project(bench, bench.folder("forbidden"))
    for path in [project.root, project.home, *project.root.rglob("*"), *project.home.rglob("*")]:
        os.chown(path, 65534, 65534)
    project.emit("before", prefix=prefix)
    for path in (project.active(), project.logs, project.logs.parent):
        mode = path.stat().st_mode & 0o777
        path.chmod(0)
        for command in (["status"], ["verify"], ["tail"], ["emit", "note.logged", "text=x"], ["watch", "--once"]):
            done = project.run(*command, prefix=prefix)
            bench.check(f"{command[0]} on {path.name}", done.returncode, done.returncode in (3, 4, IO, UNREADABLE))
            bench.true("says why", b"ermission denied" in done.stderr or b"not readable" in done.stdout)
        path.chmod(mode)
    project.emit("after", prefix=prefix)
    bench.equal("texts", project.texts(), ["before", "after"])


@row("8e", "folder removed under a running watch", "no panic; what comes afterwards is recorded once")
def removed(bench: Bench) -> None:
    """The log is deleted while the watcher writes to it."""
    project = Project(bench, bench.folder("removed"))
    cwd = str(project.root)
    path = made.place_transcript(project.claude, made.transcript(range(3), cwd))
    watch = project.spawn("watch", "--interval", "1h")
    await_condition("first calls", lambda: calls(project) == 3)
    shutil.rmtree(project.logs)
    append(path, range(3, 6), cwd)
    await_condition("an end, or the new calls", lambda: watch.poll() is not None or calls(project) >= 3)
    bench.check("watcher", watch.poll(), watch.poll() in (None, IO))
    if watch.poll() is None:
        watch.send_signal(signal.SIGINT)
        bench.check("ended by Ctrl-C", code := watch.wait(10), code not in (PANIC, -signal.SIGABRT))
    kill(watch)
    bench.equal("second run", project.run("watch", "--once").returncode, DONE)
    # What was deleted may be gone; what came afterwards is not.
    recorded = [event["call"] for event in project.events() if event["type"] == "tool.succeeded"]
    bench.equal("new calls recorded", recorded[-3:], ["toolu_8", "toolu_10", "toolu_12"])
    ids = [event["id"] for event in project.events()]
    bench.zero("duplicates", len(ids) - len(set(ids)))
    bench.equal("verify", project.verify()[0], 0)


def calls(project: Project) -> int:
    """How many ends of calls are recorded."""
    return sum(event["type"] == "tool.succeeded" for event in project.events()) if project.logs.exists() else 0


def append(transcript: Path, indexes: range, cwd: str) -> None:
    """More calls at the end of a transcript."""
    with transcript.open("ab") as file:
        file.write(b"".join(made.call(2 * index + 2, cwd) for index in indexes))
