//! The flags of the commands about the past and about waiting: `diff`, `replay`, `rules`, `wait`, `inbox`, `ack`.

use crate::cli::command::TextOutput;
use crate::cli::value::duration;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// What changed between two instants.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  agentlog diff --from 2h                 what changed in the last two hours
  agentlog diff --from yesterday --to today   what changed yesterday")]
pub struct Diff {
    /// The earlier instant.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: String,
    /// The later instant [default: now].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub to: Option<String>,
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t = TextOutput::Text)]
    pub output: TextOutput,
}

/// Print again what the watcher printed, or would have.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  agentlog replay --from 8h                 the last eight hours, a minute per second
  agentlog replay --from yesterday --until today --speed max   yesterday at once
  agentlog replay bg_1a2b --speed 600x      one task

A pause that would take longer than a minute is cut short.")]
pub struct Replay {
    /// Only these tasks: ids, or prefixes that fit one task only.
    #[arg(value_name = "TASK")]
    pub tasks: Vec<String>,
    /// Where to begin [default: at the first event].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub from: Option<String>,
    /// Where to end [default: now].
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// How many times faster than it happened: `60x`, or `max` for no pauses.
    #[arg(long, value_name = "SPEED", default_value = "60x", value_parser = speed)]
    pub speed: Speed,
}

/// How fast time passes in a replay.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many times faster than it happened.
    Times(f64),
    /// Without pauses.
    Max,
}

/// Thresholds and what they are worth.
#[derive(Debug, Args)]
pub struct Rules {
    /// What to do.
    #[command(subcommand)]
    pub action: RulesAction,
}

/// What can be done with rules.
#[derive(Debug, Subcommand)]
pub enum RulesAction {
    /// Say what thresholds would have flagged, how early, and how often they were right.
    Test(RulesTest),
}

/// Thresholds tried on the log.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  agentlog rules test                       what the present thresholds flagged in 30 days
  agentlog rules test stricter.toml --since 7d   what others would have, and the difference

FILE is read in place of .agents/agentlog.toml; its section [health] counts. Against the known ends of tasks
(completed is good; failed, timed out and unverified is bad) precision says how many of the flagged tasks
ended badly, and recall how many of those that ended badly were flagged.")]
pub struct RulesTest {
    /// A configuration with other thresholds.
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// From when on.
    #[arg(long, value_name = "TIME", default_value = "30d", allow_hyphen_values = true)]
    pub since: String,
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t = TextOutput::Text)]
    pub output: TextOutput,
}

/// Wait for a task.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  agentlog wait bg_1a2b && notify-send done       until it has ended, however
  agentlog wait bg_1a2b --for completed --timeout 2h
  agentlog wait nightly --for stuck,struggling    until it needs somebody
  agentlog wait nightly --exit-status             0 completed, 12 failed, 13 timed out

Exit codes: 0 reached, 124 the time is up. A task that ends in another way than waited for ends the
waiting at once: 12 failed, 13 timed out, 4 completed or cancelled.")]
pub struct Wait {
    /// The task: its id, or a prefix that fits no other. It may not exist yet.
    pub task: String,
    /// What to wait for; several by commas.
    #[arg(long = "for", value_name = "STATE", value_enum, value_delimiter = ',', default_value = "ended")]
    pub states: Vec<Awaited>,
    /// How long to wait at most.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub timeout: Option<Duration>,
    /// Tell the state that was reached by the exit code.
    #[arg(long)]
    pub exit_status: bool,
}

/// A state that can be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Awaited {
    /// Any of completed, failed, timeout and cancelled.
    Ended,
    /// Ended well.
    Completed,
    /// Ended badly.
    Failed,
    /// Its time was up.
    Timeout,
    /// Stopped by someone.
    Cancelled,
    /// Finished its turn.
    Idle,
    /// At work.
    Healthy,
    /// Waits for something.
    Waiting,
    /// Its calls keep failing.
    Struggling,
    /// Nothing comes of it.
    Stuck,
    /// Nothing is known.
    Unknown,
}

/// What ended or needs somebody, and was not acknowledged yet.
#[derive(Debug, Args)]
pub struct Inbox {
    /// Also what was acknowledged.
    #[arg(short, long)]
    pub all: bool,
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t = TextOutput::Text)]
    pub output: TextOutput,
}

/// Acknowledge how tasks stand.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  agentlog ack bg_1a2b --text 'restarted by hand'
  agentlog ack --all          everything in the inbox")]
pub struct Ack {
    /// These tasks: ids, or prefixes that fit one task only.
    #[arg(value_name = "TASK", required_unless_present = "all", conflicts_with = "all")]
    pub tasks: Vec<String>,
    /// Everything in the inbox.
    #[arg(short, long)]
    pub all: bool,
    /// What to remember of it.
    #[arg(long, value_name = "TEXT")]
    pub text: Option<String>,
}

fn speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    let times = text.strip_suffix('x').unwrap_or(text).parse::<f64>().ok();
    times
        .filter(|times| times.is_finite() && *times > 0.0)
        .map(Speed::Times)
        .ok_or_else(|| "expected a factor such as 60x, or `max`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_factor_above_zero_or_no_pause() {
        assert_eq!(
            [speed("60x"), speed("0.5"), speed("max")],
            [Ok(Speed::Times(60.0)), Ok(Speed::Times(0.5)), Ok(Speed::Max)]
        );
        for wrong in ["0x", "-1x", "inf", "fast", ""] {
            assert!(speed(wrong).is_err(), "{wrong}");
        }
    }
}
