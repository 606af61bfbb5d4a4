//! The flags of `summary`.

use crate::cli::command::TextOutput;
use clap::Args;

/// What agents do, and how well that fits their tasks.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  agentlog summary              all agents at work, the worst first
  agentlog summary bg_1a2b      all that is known of one
  agentlog summary -o json      for programs; the schema is `agentlog schema summary`")]
pub struct Summary {
    /// The task (id or prefix); all agents at work by default.
    pub task: Option<String>,
    /// Ask the model of [summary.model] instead of judging by rules alone.
    #[arg(long)]
    pub model: bool,
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t = TextOutput::Text)]
    pub output: TextOutput,
}
