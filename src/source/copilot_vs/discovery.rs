//! Where traces lie: in the folder for temporary files, as Visual Studio leaves them there.

use crate::source::Env;
use crate::source::copilot_vs::SOURCE;
use crate::source::finder::{Format, Found, Head, Home, marks};
use crate::source::work::Work;
use std::io;
use std::path::Path;

/// Names that stand in every trace, of which a renamed one is not missed.
const MARKS: [&str; 7] = [
    "\"resourceSpans\"",
    "\"scopeSpans\"",
    "\"traceId\"",
    "\"spanId\"",
    "\"startTimeUnixNano\"",
    "\"endTimeUnixNano\"",
    "\"attributes\"",
];
const MARKS_MIN: usize = 4;
/// Traces of programs that do not use models say nothing of these.
const MODEL_MARKS: [&str; 2] = ["\"gen_ai.", "copilot"];

/// The traces of GitHub Copilot in Visual Studio.
#[derive(Debug, Default)]
pub struct Files;

impl Format for Files {
    const SOURCE: &'static str = SOURCE;
    type Context = Work;

    fn homes(env: &Env) -> Vec<Home> {
        let temporary = env.variables.get("TEMP").cloned();
        let temporary = temporary.unwrap_or_else(|| env.home.join("AppData").join("Local").join("Temp"));
        vec![Home { folder: temporary.join("VSGitHubCopilotLogs"), depth: 2 }]
    }

    fn is_candidate(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "jsonl")
    }

    fn is_at_home(path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.ends_with("VSGitHubCopilot_traces.jsonl")
    }

    fn recognises(head: &[u8]) -> bool {
        marks(head, &MARKS) >= MARKS_MIN && marks(head, &MODEL_MARKS) > 0
    }

    fn look(path: &Path, _: &Head, env: &Env) -> io::Result<Option<Found<Work>>> {
        let mut found = Work::found(SOURCE, None, None, path, env);
        // A file holds any number of conversations.
        found.identity.session = None;
        Ok(Some(found))
    }
}
