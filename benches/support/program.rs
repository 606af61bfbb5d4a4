//! The real program and its peers as processes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The program, in `project`, seeing nothing of the machine's own set-up.
pub(crate) fn agentlog(project: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agentlog"));
    command
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", project)
        .env("XDG_STATE_HOME", project.join("state"))
        .env("XDG_CACHE_HOME", project.join("cache"))
        .env("XDG_CONFIG_HOME", project.join("config"))
        .env("NO_COLOR", "1")
        .env("TZ", "UTC")
        .current_dir(project);
    command
}

/// How long a command takes from start to end, its output thrown away; its error when it fails.
pub(crate) fn wall_time(command: &mut Command) -> Result<Duration, String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let start = Instant::now();
    let output = command.output().map_err(|error| error.to_string())?;
    let time = start.elapsed();
    if output.status.success() {
        return Ok(time);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(stderr.lines().next().unwrap_or("failed without a word").chars().take(60).collect())
}

/// A folder for data that is kept between runs, below `target/`.
pub(crate) fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Megabytes of data to measure with: `AGENTLOG_BENCH_MB`, else 100.
pub(crate) fn megabytes() -> u64 {
    std::env::var("AGENTLOG_BENCH_MB").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}
