//! Madrox, which runs Claude and Codex instances in tmux: what it writes under `/tmp/madrox_logs`.
//!
//! | what | where | becomes |
//! |---|---|---|
//! | instances | `state/instances.json` | tasks, agent is their role; `terminated` completes one, `error` fails one |
//! | messages | `instances/<id>/communication.jsonl` | turns and messages of that task |
//! | lifecycle | `instances/<id>/instance.log` | activity; lines of level ERROR and CRITICAL are errors |
//! | panes | `instances/<id>/tmux_output.log` | growth of its output |
//! | audit | `audit/audit_*.jsonl` | tasks, their ends, actions; with `--global` and `import` only |
//! | summaries | `summaries/**/latest_summary.json`, `latest.json` | how well the work fits the assigned task |
//!
//! The folder is `MADROX_LOG_DIR`, else `LOG_DIR` if it holds such folders, else `/tmp/madrox_logs`. It is shared by all
//! projects and users: files of other users are left alone, and an instance belongs to the project in which its workspace lies. Times without a zone are those of this
//! machine. Its token counts are words, so they are not recorded. `orchestrator.log` is not read: its lines only look like JSON.

mod instances;
mod logs;
mod messages;
mod place;
mod summaries;
#[cfg(test)]
mod tests;

use crate::source::Source;
use crate::source::documents::Documents;
use crate::source::madrox::instances::{InstanceFiles, Instances};
use crate::source::madrox::logs::{LogFiles, LogLines};
use crate::source::madrox::messages::{Audit, AuditFiles, Communication, CommunicationFiles};
use crate::source::madrox::summaries::{Summaries, SummaryFiles};
use crate::source::transcripts::Transcripts;

/// The name in `source` fields.
const SOURCE: &str = "madrox";

/// The monitors of all that Madrox writes.
#[must_use]
pub fn sources() -> Vec<Box<dyn Source>> {
    vec![
        Box::new(Documents::<InstanceFiles, Instances>::default()),
        Box::new(Transcripts::<CommunicationFiles, Communication>::default()),
        Box::new(Transcripts::<LogFiles, LogLines>::default()),
        Box::new(Transcripts::<AuditFiles, Audit>::default()),
        Box::new(Documents::<SummaryFiles, Summaries>::default()),
    ]
}
