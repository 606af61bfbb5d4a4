//! The flags of `config`, and `--set`.

use crate::cli::command::TextOutput;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The settings.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  agentlog config show --origin     every setting, and where it comes from
  agentlog config check             is what is said understood?
  agentlog --set health.failure_streak=5 status   another value for one command

--set goes before AGENTLOG_* variables (AGENTLOG_HEALTH_FAILURE_STREAK=5), these before .agents/agentlog.toml, and this
before agentlog/config.toml in $XDG_CONFIG_HOME.")]
pub struct Config {
    /// What to do.
    #[command(subcommand)]
    pub action: ConfigAction,
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t = TextOutput::Text, global = true)]
    pub output: TextOutput,
}

/// What can be done with settings.
#[derive(Debug, Subcommand)]
pub enum ConfigAction {
    /// Every setting with its value.
    Show {
        /// Say of each where it comes from: a line of a file, a variable, --set or the default.
        #[arg(long)]
        origin: bool,
    },
    /// The files that may say settings.
    Path,
    /// Name everything that is wrong, with its place.
    Check {
        /// Another file than those that are in use.
        file: Option<PathBuf>,
    },
}

/// A setting on the command line.
pub(crate) fn assignment(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((key, _)) if key.contains('.') => Ok(text.to_owned()),
        _ => Err("expected KEY=VALUE, such as health.failure_streak=5".to_owned()),
    }
}
