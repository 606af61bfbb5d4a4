//! The flags of `alert`.

use crate::alert::rule::Via;
use clap::{Args, Subcommand};

/// The alerts.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  agentlog alert test               send a sample through every [[alert]] of the configuration
  agentlog alert test --via osc9    does this terminal show notifications?

`agentlog watch` sends the real ones.")]
pub struct Alert {
    /// What to do.
    #[command(subcommand)]
    pub action: AlertAction,
}

/// What can be done with alerts.
#[derive(Debug, Subcommand)]
pub enum AlertAction {
    /// Send a sample through every rule, and say what became of each.
    Test(AlertTest),
}

/// Which ways are tried.
#[derive(Debug, Args)]
pub struct AlertTest {
    /// Only this way: bell, osc9, tmux, desktop, command, webhook; may be repeated.
    #[arg(long, value_name = "WAY", value_parser = via)]
    pub via: Vec<Via>,
}

fn via(word: &str) -> Result<Via, String> {
    let words = || Via::ALL.map(Via::word).join(", ");
    Via::of_word(word).ok_or_else(|| format!("expected one of {}", words()))
}
