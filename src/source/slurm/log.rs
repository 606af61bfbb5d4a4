//! The output of a job: lines like those of any other. An end that a line claims counts for nothing here, since Slurm
//! states the real one.

use crate::base::clock::Timestamp;
use crate::event::envelope::Stream;
use crate::source::batch::growth::{self, Growth};
use crate::source::follower::{Adapter, Follower, Recognition, Sink};
use crate::source::output::{Output, Patterns};
use crate::source::scribe::{Scribe, TakeFact as _};
use crate::source::slurm::{AGENT, NAME};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Whose output it is, and what is looked for in it.
#[derive(Clone, Debug)]
pub(super) struct LogContext {
    pub(super) task: String,
    pub(super) patterns: Arc<Patterns>,
}

/// The memory of one output.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Log(Output);

impl Adapter for Log {
    type Context = LogContext;
    const FORMAT: &'static str = "output of a Slurm job";
    const RETURNS_END_LINES: bool = true;

    fn line(&mut self, context: &LogContext, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        let line = String::from_utf8_lossy(bytes);
        let own = context.patterns.time(&line);
        let ts = own.unwrap_or_else(|| out.written_at());
        let told = growth::told(out.last_key(Stream::BackgroundMonitoring).as_deref());
        let end = out.at().saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX)).saturating_add(1);
        let (file, place) = (out.file().to_owned(), out.at().to_string());
        let mut scribe = Scribe::new(out, NAME, (&context.task, AGENT), ts, &[&file, &place]);
        self.0.line_of_log(&context.patterns, &line, &mut scribe);
        if own.is_some() || self.0.line_count() == 1 {
            self.0.grew_to(end, told.map_or(0, |(to, _)| to), &mut scribe);
        }
        Recognition::Known
    }
}

impl Log {
    /// By how much an output has grown.
    pub(super) fn growth(follower: &Follower<Self>) -> Growth {
        let (said_to, said_at) = follower.adapter().0.grown();
        let modified = std::fs::metadata(follower.path()).and_then(|metadata| metadata.modified()).ok();
        Growth {
            file: follower.file().to_owned(),
            path: follower.path().to_owned(),
            read_to: follower.offset(),
            said_to,
            said_at,
            written_at: None,
            modified_at: modified.map(Timestamp::from_system),
        }
    }
}
