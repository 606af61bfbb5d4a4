//! The weekly review as a JSON document, described by `schemas/report.v1.json`.
//!
//! Additive only: keys are never renamed, removed or given another meaning while `schema_version` stays. Characters that a
//! terminal obeys are escaped, so that `cat report.json` is harmless.

use crate::base::clock::Timestamp;
use crate::base::text::escape_json;
use crate::report::weekly::WeeklyReview;
use schemars::JsonSchema;
use serde::Serialize;

/// The version of the document's form.
pub const SCHEMA_VERSION: u32 = 1;

/// When and by what a document was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Made<'a> {
    /// When.
    pub at: Timestamp,
    /// The version of this program.
    pub tool_version: &'a str,
}

/// The document. Its schema is `schemars::schema_for!(ReportDocument)`.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "agentlog weekly review")]
pub struct ReportDocument<'a> {
    /// The version of this form.
    schema_version: u32,
    /// When the document was made.
    #[schemars(with = "String")]
    generated_at: Timestamp,
    /// The version of the program that made it.
    tool_version: &'a str,
    #[serde(flatten)]
    review: &'a WeeklyReview,
}

/// The JSON Schema of the document (2020-12).
#[must_use]
pub fn schema() -> serde_json::Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
    let mut schema = settings.into_generator().into_root_schema_for::<ReportDocument<'_>>();
    schema.insert("$id".to_owned(), crate::event::schema::id("report").into());
    schema.to_value()
}

/// The review as indented JSON with a line feed at the end; the same review gives the same bytes.
///
/// # Errors
/// serde's, if a value has no JSON; an error of this program.
pub fn render(review: &WeeklyReview, made: Made<'_>) -> Result<String, serde_json::Error> {
    let document = ReportDocument {
        schema_version: SCHEMA_VERSION,
        generated_at: made.at,
        tool_version: made.tool_version,
        review,
    };
    let mut json = serde_json::to_string_pretty(&document)?;
    json.push('\n');
    Ok(escape_json(&json).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::report_markdown::tests::{made, sample};

    #[test]
    fn the_document_fits_its_own_schema() {
        let schema = serde_json::to_value(schemars::schema_for!(ReportDocument<'static>)).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let document: serde_json::Value = serde_json::from_str(&render(&sample(), made()).unwrap()).unwrap();
        let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new());
        let mut broken = document;
        broken["total"]["tools"]["counted"] = "many".into();
        assert!(!validator.is_valid(&broken));
    }

    #[test]
    fn the_document_says_what_it_is_and_keeps_the_numbers() {
        let text = render(&sample(), made()).unwrap();
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        for (pointer, expected) in [
            ("/schema_version", serde_json::json!(1)),
            ("/generated_at", serde_json::json!("2026-11-23T06:00:00.000Z")),
            ("/tool_version", serde_json::json!("0.1.0")),
            ("/week", serde_json::json!("2026-W47")),
            ("/from", serde_json::json!("2026-11-15T23:00:00.000Z")),
            ("/total/tools/succeeded", serde_json::json!(412)),
            ("/total/tools/excluded/neutral", serde_json::json!(12)),
            ("/by_agent/0/tools/before/verdict", serde_json::json!("worse")),
            ("/attention/0/reasons/0", serde_json::json!("stuck")),
        ] {
            assert_eq!(document.pointer(pointer), Some(&expected), "{pointer}");
        }
    }

    #[test]
    fn hostile_text_cannot_steer_a_terminal() {
        let mut review = sample();
        review.by_agent[0].name = Some("a\u{202e}\u{9b}2J".to_owned());
        let text = render(&review, made()).unwrap();
        assert!(text.contains("\"a\\u202e\\u009b2J\"") && !text.contains('\u{202e}'));
    }
}
