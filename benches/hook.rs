//! How long an agent waits for a hook, from start to end. Floor: `sh -c :`, which is what any hook costs.

use crate::support::measure::{self, compare, contender};
use crate::support::program;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Prints milliseconds of a hook where no log is kept, where a transcript is asked for, and with a long input.
pub(crate) fn run() {
    let (with_log, without) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::create_dir_all(with_log.path().join(".agents/logs")).unwrap();
    let small = |cwd: &Path| {
        let transcript = cwd.join("none.jsonl");
        format!(
            r#"{{"session_id":"s","transcript_path":"{}","cwd":"{}"}}"#,
            transcript.display(),
            cwd.display()
        )
    };
    let large = format!(r#"{{"tool_response":"{}",{}"#, "x".repeat(500_000), &small(with_log.path())[1..]);
    let hook = |name: &str, cwd: &Path, input: String| {
        let path = cwd.join(name);
        agentlog::base::fs::replace(&path, input.as_bytes()).unwrap();
        let cwd = cwd.to_owned();
        contender(&format!("agentlog hook, {name}"), move || timed(&cwd, &path))
    };
    let contenders = vec![
        hook("no log there", without.path(), small(without.path())),
        hook("no watcher, no transcript yet", with_log.path(), small(with_log.path())),
        hook("the same, half a megabyte told", with_log.path(), large),
        contender("floor: sh -c :", || program::wall_time(Command::new("sh").args(["-c", ":"]))),
    ];
    compare(40, contenders, measure::milliseconds);
}

fn timed(cwd: &Path, input: &Path) -> Result<Duration, String> {
    let input = std::fs::File::open(input).map_err(|error| error.to_string())?;
    let mut command = program::agentlog(cwd, &["hook", "claude-code"]);
    command.stdin(input).stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status().map_err(|error| error.to_string())?;
    let time = start.elapsed();
    status.success().then_some(time).ok_or_else(|| status.to_string())
}
