//! What a tool answered: Codex writes the exit status of a command into the text for the model, in one of these forms.
//!
//! | since | form |
//! |---|---|
//! | 0.40 | a JSON text `{"output":"…","metadata":{"exit_code":0,"duration_seconds":0.1}}` |
//! | 0.5x | `Exit code: 0`, `Wall time: 0.1 seconds`, `Output:`, and then the output |
//! | 0.7x | `Process exited with code 0` or `Process running with session ID 7` before `Output:` |
//! | local shell | a JSON text `{"stdout":"…","stderr":"…","exit_code":0}` |
//! | 0.13x | `Script completed`, `Script failed` or `Script running with cell ID 7` (code mode) |

use crate::event::scan::{Raw, RawKind};
use crate::source::codex::record::{Fields, is_text, whole};
use crate::source::text::{beginning, elements, members};
use std::time::Duration;

/// The header of an output has at most so many lines.
const HEADER_LINES_MAX: usize = 12;
/// How the header may begin; anything else is no header.
const HEADER: [&str; 7] = [
    "Chunk ID:",
    "Wall time",
    "Exit code:",
    "Process ",
    "Script ",
    "Total output lines:",
    "Original token count:",
];

/// An answer, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) exit_code: Option<i64>,
    /// The process goes on under this session.
    pub(super) running: Option<String>,
    /// The beginning of what the tool itself said.
    pub(super) body: String,
    /// What of the answer is the same when the same is done again.
    pub(super) essence: String,
    pub(super) duration_ms: Option<u64>,
    /// The script of code mode did not come to its end.
    pub(super) has_script_failed: bool,
}

impl Output {
    /// Takes the `output` of a result apart; `None` if it has none of the shapes an output can have.
    pub(super) fn of(raw: Raw<'_>) -> Option<Self> {
        match raw.kind {
            RawKind::Text { .. } => Some(Self::of_text(raw)),
            RawKind::Array => {
                let parts = elements(raw);
                let texts = parts.iter().filter_map(|part| Fields::of(*part).get("text"));
                let texts: Vec<_> = texts.filter(|raw| is_text(*raw)).map(beginning).collect();
                Some(Self::of_decoded(&texts.join("\n"), raw.text))
            }
            RawKind::Object => {
                let fields = Fields::of(raw);
                let content = fields.get("content").or_else(|| fields.get("output"))?;
                is_text(content).then(|| Self::of_text(content))
            }
            _ => None,
        }
    }

    fn of_text(raw: Raw<'_>) -> Self {
        let start = beginning(raw);
        if start.starts_with('{')
            && let Some(output) = Self::of_json(&whole(raw))
        {
            return output;
        }
        let marked = raw.text.split_once("Output:\\n").map_or(raw.text, |(_, body)| body);
        Self::of_decoded(&start, marked)
    }

    fn of_json(text: &str) -> Option<Self> {
        let fields = Fields::of(Raw { text, kind: RawKind::Object });
        let metadata = fields.object("metadata");
        let texts = ["output", "stderr", "stdout"].into_iter().filter_map(|name| fields.get(name));
        let texts: Vec<_> = texts.filter(|raw| is_text(*raw)).collect();
        let output = *texts.iter().find(|raw| !raw.text.is_empty()).or_else(|| texts.first())?;
        let exit_code = metadata.integer("exit_code").or_else(|| fields.integer("exit_code"))?;
        Some(Self {
            exit_code: Some(exit_code),
            body: beginning(output),
            essence: format!("{exit_code} {}", output.text),
            duration_ms: metadata.get("duration_seconds").and_then(|raw| millis(raw.text)),
            ..Self::default()
        })
    }

    fn of_decoded(text: &str, essence: &str) -> Self {
        let mut output = Self { body: text.to_owned(), essence: essence.to_owned(), ..Self::default() };
        if !HEADER.iter().any(|beginning| text.starts_with(beginning)) {
            return output;
        }
        let mut rest = text;
        for _ in 0..HEADER_LINES_MAX {
            let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
            rest = after;
            if line == "Output:" || line == "Final output:" {
                after.clone_into(&mut output.body);
                break;
            }
            output.header(line.trim_end());
        }
        if let Some(code) = output.exit_code {
            output.essence = format!("{code} {essence}");
        } else if output.running.is_some() {
            // That nothing came yet is no result, however often it is so.
            output.essence.clear();
        }
        output
    }

    fn header(&mut self, line: &str) {
        let after = |beginning: &str| line.strip_prefix(beginning).map(str::trim);
        if let Some(code) = after("Exit code:").or_else(|| after("Process exited with code")) {
            self.exit_code = code.parse().ok();
        } else if let Some(session) = after("Process running with session ID") {
            self.running = Some(session.to_owned());
        } else if let Some(time) = after("Wall time:").or_else(|| after("Wall time")) {
            self.duration_ms = time.strip_suffix("seconds").and_then(|time| millis(time.trim()));
        } else if line.starts_with("Script failed") {
            self.has_script_failed = true;
        }
    }
}

/// The whole milliseconds of a number of seconds.
fn millis(seconds: &str) -> Option<u64> {
    let duration = Duration::try_from_secs_f64(seconds.parse().ok()?).ok()?;
    u64::try_from(duration.as_millis()).ok()
}

/// The members of the JSON object that a JSON string holds: arguments are written that way.
pub(super) fn arguments(text: &str) -> Fields<'_> {
    let raw = Raw { text, kind: RawKind::Object };
    if members(raw).is_empty() { Fields::default() } else { Fields::of(raw) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &serde_json::Value) -> Output {
        let text = json.to_string();
        let (raw, _) = crate::event::scan::value(&text).unwrap();
        Output::of(raw).unwrap()
    }

    fn brief(json: &serde_json::Value) -> (Option<i64>, Option<String>, String, Option<u64>) {
        let output = of(json);
        (output.exit_code, output.running, output.body, output.duration_ms)
    }

    #[test]
    fn the_exit_status_stands_in_four_forms() {
        let (none, text) = (None, |text: &str| text.to_owned());
        for (output, expected) in [
            (
                serde_json::json!(
                    "{\"output\":\"no\\nway\",\"metadata\":{\"exit_code\":2,\"duration_seconds\":0.25}}"
                ),
                (Some(2), none.clone(), text("no\nway"), Some(250)),
            ),
            (
                serde_json::json!(
                    "Exit code: 0\nWall time: 1.5 seconds\nTotal output lines: 3\nOutput:\na\nb"
                ),
                (Some(0), none.clone(), text("a\nb"), Some(1500)),
            ),
            (
                serde_json::json!(
                    "Chunk ID: a1\nWall time: 0.0510 seconds\nProcess exited with code -1\nOriginal token count: 0\nOutput:\n"
                ),
                (Some(-1), none.clone(), text(""), Some(51)),
            ),
            (
                serde_json::json!("Wall time: 1 seconds\nProcess running with session ID 48230\nOutput:\nx"),
                (None, Some(text("48230")), text("x"), Some(1000)),
            ),
            (serde_json::json!("Plan updated"), (None, none.clone(), text("Plan updated"), None)),
            (serde_json::json!("{\"a\":1}"), (None, none.clone(), text("{\"a\":1}"), None)),
            (
                serde_json::json!([{"type": "input_text", "text": "Exit code: 3\nOutput:\n"}, {"type": "input_text", "text": "oh"}]),
                (Some(3), none.clone(), text("\noh"), None),
            ),
            (
                serde_json::json!({"content": "Exit code: 4\nOutput:\nx", "success": false}),
                (Some(4), none, text("x"), None),
            ),
        ] {
            assert_eq!(brief(&output), expected, "{output}");
        }
        assert!(of(&serde_json::json!("Script failed\nWall time 0.1 seconds\nOutput:\n")).has_script_failed);
    }

    #[test]
    fn the_essence_of_an_answer_does_not_depend_on_when_it_came() {
        let essence = |id: &str, code: i64, body: &str| {
            let header =
                format!("Chunk ID: {id}\nWall time: 0.{id} seconds\nProcess exited with code {code}");
            of(&serde_json::json!(format!("{header}\nOutput:\n{body}"))).essence
        };
        assert_eq!(essence("1", 1, "x"), essence("2", 1, "x"));
        assert_ne!(essence("1", 1, "x"), essence("1", 2, "x"));
        assert_ne!(essence("1", 1, "x"), essence("1", 1, "y"));
    }
}
