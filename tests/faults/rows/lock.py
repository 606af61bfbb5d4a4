"""Row 9: the lock of a stream is held by somebody who stopped, or who dies. Nobody waits longer than the bound."""

import fcntl
import os
import signal
import statistics
import subprocess
import sys
import time

from faults import ledger, machine
from faults.harness import Bench, row
from faults.program import Project, kill

# Medians are judged, not the longest: on a busy machine any process may be late.
BOUND_S = 0.3
AT_ONCE_S = 0.05

# Waits for the lock, says so, and keeps it.
HOLD = "import fcntl,sys,time; f=open(sys.argv[1]); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(600)"


def hold(bench: Bench, project: Project) -> subprocess.Popen[bytes]:
    """A process that holds the lock."""
    holder = subprocess.Popen(
        [sys.executable, "-S", "-c", HOLD, str(project.active())], stdout=subprocess.PIPE, start_new_session=True
    )
    bench.cleanup.callback(kill, holder)
    assert holder.stdout and holder.stdout.readline() == b"held\n"
    return holder


def emit_time(project: Project, text: str) -> float:
    """How long one append takes, the start of the process included."""
    begin = time.monotonic()
    project.emit(text)
    return time.monotonic() - begin


@row("9a", "lock holder stopped", f"an append within {BOUND_S * 1000:.0f} ms over the usual time, lost 0, glued 0")
def stopped(bench: Bench) -> None:
    """The holder will never give it back."""
    project = Project(bench, bench.folder("stopped"))
    usual = statistics.median(emit_time(project, f"usual {index}") for index in range(9))
    holder = hold(bench, project)
    holder.send_signal(signal.SIGSTOP)
    times = [emit_time(project, f"held {index}") for index in range(5)]
    bench.note("usual ms", round(1000 * usual))
    bench.at_most("median ms", round(1000 * statistics.median(times)), round(1000 * (usual + BOUND_S)))
    bench.note("longest ms", round(1000 * max(times)))
    bench.at_least("waited for the lock ms", round(1000 * min(times)), 100)
    state_whole(bench, project, 14)


@row("9b", "lock holder killed", f"an append at once: within {AT_ONCE_S * 1000:.0f} ms over the usual time")
def killed(bench: Bench) -> None:
    """The kernel gives the lock back with the process."""
    project = Project(bench, bench.folder("killed"))
    usual = statistics.median(emit_time(project, f"usual {index}") for index in range(9))
    times = []
    for index in range(5):
        holder = hold(bench, project)
        kill(holder)
        times.append(emit_time(project, f"killed {index}"))
    bench.note("usual ms", round(1000 * usual))
    bench.at_most("median ms", round(1000 * statistics.median(times)), round(1000 * (usual + AT_ONCE_S)))
    bench.note("longest ms", round(1000 * max(times)))
    state_whole(bench, project, 14)


@row("9c", "kill storm, locked and lock-free writers mixed", "acknowledged lost 0, duplicates 0, glued 0")
def mixed(bench: Bench) -> None:
    """As row 1, while the lock is held for a second, free for a moment, held again."""
    project = Project(bench, bench.folder("mixed"))
    project.emit("before")
    holder = subprocess.Popen(
        ["bash", "-c", 'while :; do flock "$1" sleep 0.4; sleep 0.2; done', "bash", project.active()],
        start_new_session=True,
    )
    bench.cleanup.callback(kill, holder)
    machine.need("flock")
    found = ledger.storm(bench, project, 4_000, kills=bench.pick(120, 20))
    kill(holder)
    bench.note("kills", found.kills)
    found.compare(bench, project, fragments_max=found.kills)


@row("9d", "lock held for reading", "an append within the bound")
def read_lock(bench: Bench) -> None:
    """A shared lock, as a backup program takes it."""
    project = Project(bench, bench.folder("shared"))
    usual = statistics.median(emit_time(project, f"usual {index}") for index in range(9))
    descriptor = os.open(project.active(), os.O_RDONLY)
    bench.cleanup.callback(os.close, descriptor)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    bench.at_most("ms", round(1000 * emit_time(project, "held 0")), round(1000 * (usual + BOUND_S)))
    state_whole(bench, project, 10)


def state_whole(bench: Bench, project: Project, notes: int) -> None:
    """Every note is there, and nothing is damaged."""
    bench.equal("notes", len(project.texts()), notes)
    code, counts = project.verify()
    bench.equal("verify", code, 0)
    bench.zero("damaged", counts["damaged"])
