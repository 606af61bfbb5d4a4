//! The output of a job: lines like those of any other. An end that a line claims counts for nothing here, since Slurm
//! states the real one.

use crate::source::follower::{Adapter, Recognition, Sink};
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
        let ts = context.patterns.time(&line).unwrap_or_else(|| out.written_at());
        let (file, place) = (out.file().to_owned(), out.at().to_string());
        let mut scribe = Scribe::new(out, NAME, (&context.task, AGENT), ts, &[&file, &place]);
        self.0.line(&context.patterns, &line, &mut scribe);
        Recognition::Known
    }
}
