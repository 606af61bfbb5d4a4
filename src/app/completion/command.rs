//! One command line, run to its end or to its time limit. Its output goes nowhere; it is our own process, so it may be ended.

use crate::app::interrupt;
use crate::source::job::CommandEnd;
use rustix::process::{Pid, Signal, kill_process_group};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Between two looks at whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How long it may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(2);

/// Runs a command line in a folder; `None`: we were told to stop, and so was it.
pub(super) fn run(line: &str, folder: &Path, limit: Duration, stop: &AtomicBool) -> Option<CommandEnd> {
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(folder).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Some(CommandEnd::NotStarted(error.to_string())),
    };
    if let Some(status) = await_end(&mut child, limit, stop) {
        return Some(end_of(status));
    }
    finish(&mut child);
    (!stop.load(Ordering::Relaxed)).then_some(CommandEnd::TimedOut(limit.as_secs()))
}

fn end_of(status: ExitStatus) -> CommandEnd {
    match (status.code(), status.signal()) {
        (Some(code), _) => CommandEnd::Code(code),
        (None, signal) => CommandEnd::Signal(signal.unwrap_or_default()),
    }
}

/// Its status, unless the time is over before, or somebody stops us.
fn await_end(child: &mut Child, limit: Duration, stop: &AtomicBool) -> Option<ExitStatus> {
    let began = Instant::now();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if began.elapsed() >= limit || stop.load(Ordering::Relaxed) {
            return None;
        }
        interrupt::pause(LOOK_EVERY, stop);
    }
}

/// Ends it and whatever it started: asked first, then not asked any more.
fn finish(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let send = |signal| {
        // It may have ended at this moment.
        let _ended = group.map(|group| kill_process_group(group, signal));
    };
    send(Signal::TERM);
    let never = AtomicBool::new(false);
    let ended = await_end(child, GRACE, &never);
    send(Signal::KILL);
    if ended.is_none() {
        let _status = child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(line: &str, limit: Duration) -> Option<CommandEnd> {
        let folder = tempfile::tempdir().unwrap();
        run(line, folder.path(), limit, &AtomicBool::new(false))
    }

    #[test]
    fn a_command_ends_with_its_status_its_signal_or_its_time() {
        let long = Duration::from_mins(1);
        assert_eq!(ran("exit 3", long), Some(CommandEnd::Code(3)));
        assert_eq!(ran("kill -9 $$", long), Some(CommandEnd::Signal(9)));
        assert_eq!(ran("sleep 600", Duration::ZERO), Some(CommandEnd::TimedOut(0)));
        let gone = run("true", Path::new("/nowhere/at/all"), long, &AtomicBool::new(false));
        assert!(matches!(gone, Some(CommandEnd::NotStarted(_))), "{gone:?}");
    }

    #[test]
    fn a_command_ends_with_whoever_wanted_to_know() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(run("sleep 600", folder.path(), Duration::from_mins(10), &AtomicBool::new(true)), None);
    }
}
