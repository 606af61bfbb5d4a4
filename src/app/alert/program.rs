//! Programs that carry an alert: the user's own command, tmux, the desktop's. Each is bounded in time, has no terminal, and is
//! ended with all it started when its time is up or the watcher ends. What they print is not looked at.

use crate::app::interrupt;
use rustix::process::{Pid, Signal, kill_process_group};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a program may take.
pub const TIME_MAX: Duration = Duration::from_secs(10);
/// How often it is looked whether it has ended.
const PAUSE: Duration = Duration::from_millis(10);

/// How a program that was not to blame ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Well.
    Well,
    /// It was ended, because whoever runs it ends.
    Interrupted,
}

/// Runs a program to its end, or until `stop` is set, with `input` on its standard input.
///
/// # Errors
/// Why it could not be started, or how it ended, as a fragment of a sentence.
pub fn run(
    arguments: &[&str],
    variables: &[(&str, &str)],
    input: &str,
    time_max: Duration,
    stop: &AtomicBool,
) -> Result<Ended, String> {
    let (program, arguments) = arguments.split_first().ok_or("no program is named")?;
    let mut command = Command::new(program);
    command.args(arguments).envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // A group of its own: Ctrl-C is for the watcher, and what the program starts ends with it.
    command.process_group(0);
    let cannot_run = |error: std::io::Error| format!("cannot run {program}: {error}");
    let mut child = command.spawn().map_err(cannot_run)?;
    let stdin = child.stdin.take().filter(|_| !input.is_empty());
    let fed = stdin.map_or(Ok(()), |stdin| feed(stdin, input.to_owned()));
    // Without a thread it reads nothing, and its end says what it thinks of that.
    let outcome = wait(&mut child, time_max, stop);
    fed.map_err(cannot_run)?;
    match outcome {
        Ok(Some(status)) if status.success() => Ok(Ended::Well),
        Ok(Some(status)) => Err(format!("{program} ended with {}", ending(status))),
        Ok(None) if stop.load(Ordering::Relaxed) => Ok(Ended::Interrupted),
        Ok(None) => Err(format!("{program} was ended after {} s", time_max.as_secs())),
        Err(error) => Err(format!("cannot wait for {program}: {error}")),
    }
}

/// What a program prints, if it ends well in time.
#[must_use]
pub fn output(arguments: &[&str]) -> Option<String> {
    let (program, arguments) = arguments.split_first()?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    let mut child = command.spawn().ok()?;
    // What is asked for are a few names: they fit into the pipe, so it can be waited for first.
    let status = wait(&mut child, TIME_MAX, &AtomicBool::new(false)).ok()??;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take()?, &mut text).ok()?;
    status.success().then_some(text)
}

/// Where a program is in PATH.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let is_executable =
        |path: &PathBuf| path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok();
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(is_executable)
}

/// Writes beside the one who waits: who does not read a text that is larger than a pipe would hold him up. The thread ends
/// with the last reader, so nobody waits for it.
fn feed(mut stdin: ChildStdin, input: String) -> std::io::Result<()> {
    let write = move || {
        // Who does not read it does not want it.
        let _unread = stdin.write_all(input.as_bytes());
    };
    std::thread::Builder::new().name("alert input".to_owned()).spawn(write).map(drop)
}

/// How it ended; `None`: it was ended, because its time was up or `stop` was set.
fn wait(child: &mut Child, time_max: Duration, stop: &AtomicBool) -> std::io::Result<Option<ExitStatus>> {
    let end = Instant::now() + time_max;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= end || stop.load(Ordering::Relaxed) {
            if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                // It may have ended in this moment.
                let _gone = kill_process_group(group, Signal::KILL);
            }
            child.wait()?;
            return Ok(None);
        }
        interrupt::pause(PAUSE, stop);
    }
}

fn ending(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit code".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(line: &str, time_max: Duration) -> Result<Ended, String> {
        run(&["sh", "-c", line], &[("AGENTLOG_TASK", "a")], "{}", time_max, &AtomicBool::new(false))
    }

    #[test]
    fn a_program_gets_the_alert_and_its_end_is_told() {
        assert_eq!(sh("read line; test \"$line$AGENTLOG_TASK\" = '{}a'", TIME_MAX), Ok(Ended::Well));
        assert_eq!(sh("exit 3", TIME_MAX), Err("sh ended with exit code 3".to_owned()));
        assert_eq!(sh("kill -9 $$", TIME_MAX), Err("sh ended with signal 9".to_owned()));
        let goes_on = AtomicBool::new(false);
        let missing = run(&["no-such-program-here"], &[], "", TIME_MAX, &goes_on).unwrap_err();
        assert!(missing.starts_with("cannot run no-such-program-here: "), "{missing}");
    }

    #[test]
    fn a_program_that_does_not_end_is_ended_with_all_it_started() {
        let start = Instant::now();
        let told = sh("sleep 600 & sleep 600", Duration::from_millis(50));
        assert_eq!(told, Err("sh was ended after 0 s".to_owned()));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_program_that_does_not_read_is_ended_in_time_all_the_same() {
        let (input, goes_on) = ("x".repeat(1 << 20), AtomicBool::new(false));
        let told = run(&["sleep", "600"], &[], &input, Duration::from_millis(50), &goes_on);
        assert_eq!(told, Err("sleep was ended after 0 s".to_owned()));
    }

    #[test]
    fn a_program_ends_with_whoever_runs_it() {
        let start = Instant::now();
        let told = run(&["sleep", "600"], &[], "{}", Duration::from_mins(10), &AtomicBool::new(true));
        assert_eq!(told, Ok(Ended::Interrupted));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn what_a_program_prints_is_read_if_it_ends_well() {
        assert_eq!(output(&["echo", "x"]).as_deref(), Some("x\n"));
        assert_eq!(output(&["sh", "-c", "echo x; exit 1"]), None);
        assert!(find("sh").is_some() && find("no-such-program-here").is_none());
    }
}
