//! The flags of `agentlog run`.

use crate::cli::value::{duration, task};
use crate::source::output::Preset;
use clap::Args;
use std::ffi::OsString;
use std::time::Duration;

/// Run a command as a watched task.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  agentlog run -- make test
  agentlog run --task nightly --preset tqdm --timeout 30m -- python train.py
  agentlog run --progress 'step (?<current>\\d+)/(?<total>\\d+)' -- ./simulate

The command's bytes pass through untouched, signals reach it, and its exit status is that of agentlog
(128 + n for signal n, 126 and 127 as a shell has them, 124 if --kill ended it), even when nothing can
be recorded. Inside it AGENTLOG_TASK names the task, so that `agentlog emit` speaks of it.

Where our output is a terminal, the command has one of its own (--no-pty: pipes); as with `ssh -t`, what it
leaves behind in the background is hung up at its end, and Ctrl-Z does not reach us. What it leaves behind with pipes
goes on and keeps our output open. If agentlog itself is killed (-9), the command meets a closed pipe, or a
terminal that hung up. A [[job]] of the task's name in the configuration gives patterns, parent, title and required
files that are not given here.")]
pub struct Run {
    /// The task; by default the program's name and a random mark. One that ended before begins its next attempt.
    #[arg(long, value_parser = task)]
    pub task: Option<String>,
    /// What the task is called; by default the program and its first argument.
    #[arg(long)]
    pub title: Option<String>,
    /// Who works.
    #[arg(long)]
    pub agent: Option<String>,
    /// The task that this one is a part of; inside a command that is run itself, that command's.
    #[arg(long, value_name = "TASK", env = "AGENTLOG_TASK", hide_env_values = true)]
    pub parent: Option<String>,
    /// The patterns of a common program: mqi, tqdm, cargo, pytest, snakemake, nextflow, percent.
    #[arg(long, value_name = "NAME", value_parser = preset)]
    pub preset: Option<Preset>,
    /// Progress in the output: a regular expression with groups `current`, `total`, `percent`, `message`; may be repeated.
    #[arg(long, value_name = "REGEX")]
    pub progress: Vec<String>,
    /// The output says that it ended well; may be repeated.
    #[arg(long, value_name = "REGEX")]
    pub success: Vec<String>,
    /// The output says that it failed, whatever the exit status; may be repeated.
    #[arg(long, value_name = "REGEX")]
    pub failure: Vec<String>,
    /// A word that marks the end in the output; may be repeated.
    #[arg(long, value_name = "WORD")]
    pub marker: Vec<String>,
    /// Errors in the output, instead of ERROR, FAILED, Exception, Traceback, CRITICAL, Fatal; may be repeated.
    #[arg(long, value_name = "REGEX")]
    pub error: Vec<String>,
    /// A file that must be there at the end, or a pattern such as `out/*.csv`; may be repeated.
    #[arg(long, value_name = "FILE")]
    pub require: Vec<String>,
    /// How long it may run before it counts as timed out.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// How long it may be without output before it counts as timed out.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub idle_timeout: Option<Duration>,
    /// End the command when its time is up (SIGTERM, later SIGKILL).
    #[arg(long)]
    pub kill: bool,
    /// With --kill: how long after SIGTERM SIGKILL follows.
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s", requires = "kill")]
    pub kill_after: Duration,
    /// Give the command pipes, even where our output is a terminal.
    #[arg(long)]
    pub no_pty: bool,
    /// The command and its arguments.
    #[arg(value_name = "CMD", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

fn preset(text: &str) -> Result<Preset, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}
