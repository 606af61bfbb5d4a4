//! Summaries of what an instance does, which Madrox has a model write: how well that fits its task. They are written whether
//! or not it works, so they are no sign of life.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::field::Text;
use crate::source::Env;
use crate::source::documents::{Misfit, Reader, Sheet};
use crate::source::finder::{Format, Found, Head, Home, lies_in, marks};
use crate::source::madrox::SOURCE;
use crate::source::madrox::place::{OfInstance, found, home, time};
use crate::source::scribe::Scribe;
use crate::source::text::captured;
use serde_json::Value;
use std::io;
use std::path::Path;

const MARKS: [&str; 8] = [
    "\"instance_id\"",
    "\"on_track_status\"",
    "\"current_activity\"",
    "\"confidence_score\"",
    "\"alignment_keywords\"",
    "\"drift_reasons\"",
    "\"generation_time_ms\"",
    "\"poll_interval\"",
];
const MARKS_MIN: usize = 3;
const WORDS: [&str; 5] = ["on_track", "drifting", "off_track", "blocked", "unknown"];

/// The latest summary of each instance.
#[derive(Debug, Default)]
pub(super) struct SummaryFiles;

impl Format for SummaryFiles {
    const SOURCE: &'static str = SOURCE;
    const NAME: &'static str = "madrox-summary";
    type Context = OfInstance;

    fn homes(env: &Env) -> Vec<Home> {
        home(env, "summaries", 2)
    }

    fn is_candidate(path: &Path) -> bool {
        // Those that this program writes are made from its log: read again they would tell it its own opinion.
        let is_own = path.components().any(|part| part.as_os_str() == ".agents");
        !is_own && path.file_name().is_some_and(|name| name == "latest_summary.json" || name == "latest.json")
    }

    fn is_at_home(path: &Path) -> bool {
        lies_in(path, &["madrox_logs", "summaries"]) && Self::is_candidate(path)
    }

    fn recognises(head: &[u8]) -> bool {
        marks(head, &MARKS) >= MARKS_MIN
    }

    fn look(path: &Path, _: &Head, env: &Env) -> io::Result<Option<Found<OfInstance>>> {
        Ok(found(path, env))
    }
}

/// Reads a summary.
#[derive(Debug, Default)]
pub(super) struct Summaries;

impl Reader for Summaries {
    type Context = OfInstance;
    const FORMAT: &'static str = "summary of a Madrox instance";

    fn read(
        &mut self,
        context: &OfInstance,
        bytes: &[u8],
        modified: Timestamp,
        out: &mut Sheet<'_>,
    ) -> Result<(), Misfit> {
        let document: Value =
            serde_json::from_slice(bytes).map_err(|error| Misfit::Unfinished(error.to_string()))?;
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        // The model's answer stands inside the document, or is the document.
        let summary = document.get("summary").filter(|summary| summary.is_object()).unwrap_or(&document);
        if document.get("summary").is_none() && text(summary, "on_track_status").is_none() {
            return Err(Misfit::Drifted("it has neither `on_track_status` nor `summary`".to_owned()));
        }
        for name in ["instance_id", "timestamp"] {
            if text(&document, name).is_none() {
                out.drifted(&format!("it has no `{name}`"));
            }
        }
        let instance = text(&document, "instance_id").unwrap_or_else(|| context.instance.clone());
        let ts = text(&document, "timestamp").and_then(|text| time(&text)).unwrap_or(modified);
        let agent = text(summary, "role").unwrap_or_else(|| SOURCE.to_owned());
        let key = format!("{instance} {}", ts.micros());
        out.record(&key);
        let mut scribe = Scribe::new(out, SOURCE, (&instance, &agent), ts, &["summary", &key]);
        let Some(status) = text(summary, "on_track_status") else {
            scribe.say(Body::SummaryWritten { path: Text::Borrowed(&context.path) });
            return Ok(());
        };
        let word = status.rsplit('.').next().unwrap_or_default().to_lowercase();
        let is_known = WORDS.contains(&word.as_str());
        scribe.say(Body::AlignmentAssessed {
            alignment: Text::Owned(if is_known { word } else { "unknown".to_owned() }),
            confidence: summary.get("confidence_score").and_then(Value::as_f64),
            reasons: lines(summary, "drift_reasons"),
            keywords: lines(summary, "alignment_keywords"),
            recommended_action: text(summary, "recommended_action")
                .as_deref()
                .and_then(captured)
                .map(Text::Owned),
        });
        if !is_known {
            out.drifted(&format!("`on_track_status` is {}", captured(&status).unwrap_or_default()));
        }
        Ok(())
    }
}

fn lines(summary: &Value, name: &str) -> Option<Vec<Text<'static>>> {
    let all = summary.get(name)?.as_array()?;
    Some(all.iter().filter_map(|line| captured(line.as_str()?).map(Text::Owned)).collect())
}
