//! The command line: flags and their types, nothing else. Every flag means the same in every command.
//!
//! What is typed becomes values here; what they refer to (a task's prefix, a time relative to now) is resolved in `app`.

pub mod alert;
pub mod command;
pub mod config;
pub mod hooks;
pub mod past;
pub mod run;
pub mod summary;
mod value;

pub use crate::cli::command::Command;

use clap::{Args, Parser, ValueEnum};
use std::path::PathBuf;

/// The flight recorder of AI coding agents.
///
/// It watches what agents already write, appends typed events to .agents/logs/*.jsonl, folds them into the health of
/// every task, and writes weekly reviews. Without a command it shows the status of this project.
#[derive(Debug, Parser)]
#[command(name = "agentlog", version, max_term_width = 100, disable_help_subcommand = false)]
#[command(after_help = EXIT_CODES)]
pub struct Cli {
    /// Flags that all commands share.
    #[command(flatten)]
    pub global: Global,
    /// What to do; the status when nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// The exit codes, as `--help` prints them; `docs/EXIT_CODES.md` has the same table.
pub const EXIT_CODES: &str = "\
Exit codes:
  0    done, all well                 10   a task is struggling    (status --exit-status)
  1    internal error                 11   a task is stuck
  2    usage                          12   a task failed
  3    configuration is invalid       13   a task timed out
  4    nothing matched                14   a task waits for a person
  5    input, output or permission    30   log damaged, every good line readable
  40   a source is not understood     31   log not readable
  124  the time of `wait` is up       130  interrupted";

/// Flags that all commands share.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Work as if started in DIR; `.agents` is looked for there and above.
    #[arg(
        short = 'C',
        long = "directory",
        value_name = "DIR",
        global = true,
        env = "AGENTLOG_DIR",
        hide_env_values = true
    )]
    pub directory: Option<PathBuf>,
    /// The folder of the streams, instead of `.agents/logs`.
    #[arg(long, value_name = "DIR", global = true, env = "AGENTLOG_LOG_DIR", hide_env_values = true)]
    pub log_dir: Option<PathBuf>,
    /// The log of all projects, in `$XDG_STATE_HOME/agentlog`.
    #[arg(long, global = true)]
    pub global: bool,
    /// The configuration file, instead of `.agents/agentlog.toml`.
    #[arg(long, value_name = "FILE", global = true, env = "AGENTLOG_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// A setting, such as `health.failure_streak=5`; may be repeated. It goes before variables and files.
    #[arg(long, value_name = "KEY=VALUE", global = true, value_parser = config::assignment)]
    pub set: Vec<String>,
    /// When to use colour.
    #[arg(long, value_enum, default_value_t = ColorWhen::Auto, global = true, env = "AGENTLOG_COLOR", hide_env_values = true)]
    pub color: ColorWhen,
    /// Plain ASCII symbols.
    #[arg(long, global = true, env = "AGENTLOG_ASCII", hide_env_values = true, value_parser = clap::builder::FalseyValueParser::new())]
    pub ascii: bool,
    /// Time zone of times and weeks: `local`, `utc` or a name such as Europe/Berlin.
    #[arg(
        long,
        value_name = "ZONE",
        default_value = "local",
        global = true,
        env = "AGENTLOG_TZ",
        hide_env_values = true
    )]
    pub tz: String,
    /// No hints and notes on standard error.
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
