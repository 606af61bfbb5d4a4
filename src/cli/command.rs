//! One struct per command.

use crate::cli::alert::Alert;
use crate::cli::config::Config;
use crate::cli::hooks::{Hook, Hooks};
use crate::cli::past::{Ack, Diff, Inbox, Replay, Rules, Wait};
use crate::cli::run::Run;
use crate::cli::summary::Summary;
use crate::cli::value::{age, count, duration, size, task};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// What agentlog can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make `.agents/` with a commented configuration here.
    Init(Init),
    /// Watch the agents of this project and record what they do.
    Watch(Watch),
    /// Show how every task stands, worst first.
    Status(Status),
    /// Show the last events, and follow new ones with -f.
    Tail(Tail),
    /// Show everything known of one task.
    Show(Show),
    /// Say why a task is in its state, and prove it; or what a number means.
    Explain(Explain),
    /// Say what each agent does, and how well that fits its task.
    Summary(Summary),
    /// Write the weekly review.
    Report(Report),
    /// Ask the log in SQL.
    Query(Query),
    /// Run a command as a watched task.
    Run(Run),
    /// Append one event, or one per line of standard input.
    Emit(Emit),
    /// Read transcripts and status files once, history included.
    Import(Import),
    /// Check that the log is whole.
    Verify(Verify),
    /// Take damaged places out of the log, and keep them.
    Repair(Repair),
    /// Seal old segments, and remove those that are older, or more, than is kept.
    Prune(Prune),
    /// Remove secrets that slipped into the log.
    Scrub(Scrub),
    /// Show how far each source file was read, or have it read again.
    Positions(Positions),
    /// Find every source on this machine and say what is wrong.
    Doctor(Doctor),
    /// Try the alerts: send a sample through every rule.
    Alert(Alert),
    /// Have the agents' hooks wake the watcher, or no longer.
    Hooks(Hooks),
    /// Pass on that something happened; what the installed hooks call.
    #[command(hide = true)]
    Hook(Hook),
    /// Show the settings and where each comes from, or check a file of them.
    Config(Config),
    /// Print the JSON Schema of an event type, an output or the configuration.
    Schema(Schema),
    /// Play sample sessions through the whole pipeline in a scratch directory.
    Demo(Demo),
    /// Say what changed between two instants.
    Diff(Diff),
    /// Print again what happened, as `watch` does, in the time of the log.
    Replay(Replay),
    /// Try thresholds on the log before they are used.
    Rules(Rules),
    /// Wait until a task has ended, or is in a state.
    Wait(Wait),
    /// Show what ended, got stuck or struggles, and was not acknowledged yet.
    Inbox(Inbox),
    /// Acknowledge how tasks stand, so that they leave the inbox.
    Ack(Ack),
}

/// Make `.agents/` here.
#[derive(Debug, Args)]
pub struct Init {}

/// Watch the agents of this project.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  agentlog watch                 record and print until Ctrl-C
  agentlog watch --once          read what is new, print the status, end (for cron)
  agentlog watch --interval 30s  print every 30 seconds

Changes of health are recorded as health.changed, and told as the [[alert]] sections of the configuration say.
SIGUSR1 (Ctrl-T where there is SIGINFO) prints the state of all live tasks now.")]
pub struct Watch {
    /// Read what is new once, print, and end.
    #[arg(long)]
    pub once: bool,
    /// How often the state of all live tasks is printed; changes are printed at once.
    #[arg(long, value_name = "TIME", default_value = "3m", value_parser = duration)]
    pub interval: Duration,
}

/// Show how every task stands.
#[derive(Debug, Default, Args)]
pub struct Status {
    /// Only these tasks: ids, or prefixes that fit one task only.
    #[arg(value_name = "TASK")]
    pub tasks: Vec<String>,
    /// The state at this instant: the fold of the events up to it.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub at: Option<String>,
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t = StatusOutput::Table)]
    pub output: StatusOutput,
    /// Also tasks that ended or fell silent long ago.
    #[arg(short, long)]
    pub all: bool,
    /// Tell the worst state by the exit code.
    #[arg(long)]
    pub exit_status: bool,
}

/// Forms of the status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum StatusOutput {
    /// For people.
    #[default]
    Table,
    /// With all columns.
    Wide,
    /// The schema `agentlog schema status`.
    Json,
    /// One row per task.
    Csv,
}

/// Show the last events.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  agentlog tail -f                          follow everything
  agentlog tail -n 50 --type 'tool.*'       the last 50 tool events
  agentlog tail --since 2h tool=Bash 'duration_ms>1000'
  agentlog tail --raw | jq 'select(.type==\"tool.failed\")'")]
pub struct Tail {
    /// Conditions on fields: `key=value`, `!=`, `~=` (regular expression), `>`, `<`, `>=`, `<=`.
    #[arg(value_name = "CONDITION")]
    pub conditions: Vec<String>,
    /// Go on with new events as they come.
    #[arg(short, long)]
    pub follow: bool,
    /// How many events from the end: a number or `all` [default: 10, with --since all].
    #[arg(short = 'n', long = "tail", value_name = "N", value_parser = count)]
    pub count: Option<usize>,
    /// Only events from this time on.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub since: Option<String>,
    /// Only events before this time.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub until: Option<String>,
    /// Only this task (id or prefix); may be repeated.
    #[arg(long, value_name = "TASK")]
    pub task: Vec<String>,
    /// Only this agent; may be repeated.
    #[arg(long, value_name = "AGENT")]
    pub agent: Vec<String>,
    /// Only this tool; may be repeated.
    #[arg(long, value_name = "TOOL")]
    pub tool: Vec<String>,
    /// Only this type, such as tool.failed or `tool.*`; may be repeated.
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// The lines as they stand in the log; on a terminal with its control characters made visible.
    #[arg(long)]
    pub raw: bool,
}

/// Show one task.
#[derive(Debug, Args)]
pub struct Show {
    /// The task: its id or a prefix that fits no other.
    pub task: String,
    /// Its last errors instead, each with its place; those in plain logs with the lines around.
    #[arg(long)]
    pub errors: bool,
    /// With --errors: how many lines before and after.
    #[arg(long, value_name = "N", default_value_t = 5, requires = "errors")]
    pub context: usize,
    /// The state at this instant.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub at: Option<String>,
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t = TextOutput::Text)]
    pub output: TextOutput,
}

/// Text or JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TextOutput {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Say why.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  agentlog explain bg_1a2b                  why this task is in its state
  agentlog explain bg_1a2b --at 14:05       why it was at that time
  agentlog explain metric tool_success_rate   what a number means")]
pub struct Explain {
    /// The task (id or prefix), or the word `metric` followed by a name.
    #[arg(value_name = "TASK", num_args = 1..=2, required = true)]
    pub subject: Vec<String>,
    /// The state at this instant.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub at: Option<String>,
    /// Print the lines of the source files as well.
    #[arg(long)]
    pub source: bool,
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t = TextOutput::Text)]
    pub output: TextOutput,
}

/// The weekly review.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  agentlog report                     this week, into reports/
  agentlog report --week 2026-W47 -o md   one week, to standard output")]
pub struct Report {
    /// The ISO week, such as 2026-W47; the present one by default.
    #[arg(long, value_name = "WEEK")]
    pub week: Option<String>,
    /// Print this form instead of writing files.
    #[arg(short, long, value_enum)]
    pub output: Option<ReportOutput>,
    /// The folder for the files, instead of `reports/` in the project.
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,
}

/// Forms of the review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportOutput {
    /// Markdown.
    Md,
    /// The schema `agentlog schema report`.
    Json,
}

/// SQL over the log.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  agentlog query 'SHOW TABLES'
  agentlog query 'SELECT tool, COUNT(*) AS n FROM tool_calls GROUP BY tool ORDER BY n DESC'
  agentlog query 'SELECT * FROM events' -o parquet > events.parquet")]
pub struct Query {
    /// The statement. Tables: `events`, `tool_calls`, `tasks`, `usage`, `health`.
    pub sql: String,
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t = QueryOutput::Table)]
    pub output: QueryOutput,
}

/// Forms of a query's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum QueryOutput {
    /// For people.
    Table,
    /// Comma-separated, with a header.
    Csv,
    /// One array of objects.
    Json,
    /// One object per line.
    Jsonl,
    /// Apache Parquet, to a file or a pipe.
    Parquet,
}

/// Append one event, or one per line of standard input.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  agentlog emit task.started --task nightly
  agentlog emit progress.reported --task nightly current=2 total=5 step='building'
  agentlog emit tool.failed --task nightly tool=make call=1 error.kind=exit_code error.exit_code=2
  my-job | agentlog emit --stdin --task nightly

With --stdin a line is a JSON object, {\"type\":\"note.logged\",\"text\":\"…\"}, or words as above,
note.logged text='…'. The id of each event is printed once it is written (with --durable: once
it is synced), in the order of the lines. A line that is refused is named on standard error.")]
pub struct Emit {
    /// The event type; `agentlog schema` lists them. With --stdin: that of lines which name none.
    #[arg(value_name = "TYPE", required_unless_present = "stdin")]
    pub event_type: Option<String>,
    /// Fields; a dot reaches into an object. Numbers and true/false are recognised by the field's type.
    #[arg(value_name = "KEY=VALUE", conflicts_with = "stdin")]
    pub fields: Vec<String>,
    /// Read one event per line from standard input, and print its id when it is written.
    #[arg(long)]
    pub stdin: bool,
    /// Make each event survive a power cut before its id is printed.
    #[arg(long, requires = "stdin")]
    pub durable: bool,
    /// The task it is about.
    #[arg(long, env = "AGENTLOG_TASK", hide_env_values = true, value_parser = task)]
    pub task: Option<String>,
    /// Who works.
    #[arg(long, env = "AGENTLOG_AGENT", hide_env_values = true)]
    pub agent: Option<String>,
    /// When it happened; now by default.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "stdin")]
    pub ts: Option<String>,
}

/// Read history once.
#[derive(Debug, Args)]
pub struct Import {
    /// Transcripts, status files, or folders of them; `-` reads what an agent writes, from standard input as it comes.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// Check the log.
#[derive(Debug, Args)]
pub struct Verify {
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t = TextOutput::Text)]
    pub output: TextOutput,
}

/// Take damaged places out of the log.
#[derive(Debug, Args)]
#[command(
    after_help = "The old files are kept in .agents/logs/damaged/. Whole lines inside a damaged one are saved; what is
lost stays countable: `agentlog verify` goes on counting the holes."
)]
pub struct Repair {
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t = TextOutput::Text)]
    pub output: TextOutput,
}

/// Seal and remove.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  agentlog prune --dry-run --older-than 90d   what would go
  agentlog prune --older-than 90d             seal what is due, then remove what is older
  agentlog prune                              as the configuration says ([journal] keep_days, keep_bytes)

Only sealed segments are ever removed. How far each source was read, and tasks that still live, are carried over.")]
pub struct Prune {
    /// Change nothing; say what would be done.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Remove sealed segments that grew last longer ago than this, such as 90d.
    #[arg(long, value_name = "TIME", value_parser = age)]
    pub older_than: Option<Duration>,
    /// Remove the oldest sealed segments while together they are bigger than this, such as 10GiB.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_bytes: Option<u64>,
    /// Seal closed segments that have not grown for so long [default: as configured, 48h].
    #[arg(long, value_name = "TIME", value_parser = age)]
    pub seal_after: Option<Duration>,
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t = TextOutput::Text)]
    pub output: TextOutput,
}

/// Remove secrets.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  agentlog scrub --dry-run              how many lines the present rules would change
  agentlog scrub 'ACME-[0-9]{8}'        also everything that matches a regular expression
  pass show acme | agentlog scrub --stdin   also these exact texts, one per line, not seen by `ps`

Every segment with a finding is written anew, with a log.scrubbed event. Rotate the secret all the same.")]
pub struct Scrub {
    /// Regular expressions whose matches are removed, beside what the rules of agentlog find.
    #[arg(value_name = "PATTERN")]
    pub patterns: Vec<String>,
    /// Read exact texts to remove from standard input, one per line.
    #[arg(long)]
    pub stdin: bool,
    /// Change nothing; say how many lines would change.
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t = TextOutput::Text)]
    pub output: TextOutput,
}

/// How far each source file was read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  agentlog positions                      how far every file was read
  agentlog positions get ~/.claude/projects/-home-me-app   of the files in a folder
  agentlog positions remove SESSION.jsonl   read this file again from its start
  agentlog positions clear                read all files again

Removing a position loses and doubles nothing: reading starts from byte 0, and what the log
holds already is filtered out.")]
pub struct Positions {
    /// What to do; the list when nothing is said.
    #[command(subcommand)]
    pub action: Option<PositionsAction>,
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t = TextOutput::Text, global = true)]
    pub output: TextOutput,
}

/// What can be done with positions.
#[derive(Debug, Subcommand)]
pub enum PositionsAction {
    /// Show all.
    List,
    /// Show that of a file, or those of the files in a folder.
    Get {
        /// A source file, or a folder of them.
        path: PathBuf,
    },
    /// Forget that of a file, or those of the files in a folder, so that they are read again from their start.
    Remove {
        /// A source file, or a folder of them.
        path: PathBuf,
    },
    /// Forget all.
    Clear,
}

/// Check the set-up.
#[derive(Debug, Args)]
pub struct Doctor {
    /// The form of the output.
    #[arg(short, long, value_enum, default_value_t = TextOutput::Text)]
    pub output: TextOutput,
}

/// Print a schema.
#[derive(Debug, Args)]
pub struct Schema {
    /// An event type, `event`, `status`, `report` or `config`; without one, the list of names.
    #[arg(value_name = "TYPE")]
    pub name: Option<String>,
}

/// Play the samples.
#[derive(Debug, Args)]
pub struct Demo {
    /// Play in this directory and leave it there, instead of a scratch directory.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}
