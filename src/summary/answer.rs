//! What a model answered, believed only if it is exactly what was asked for: one JSON object of the expected keys, with
//! values of their types and sizes.
//!
//! Everything else is refused with its reason; nothing is searched for in prose, and nothing is filled in.

use crate::base::text::sanitize;
use crate::event::redact::excerpt;
use crate::summary::alignment::{Alignment, Assessment};
use serde::Deserialize;

/// More is no answer to the question.
const TEXT_CHARS_MAX: usize = 600;
const REASONS_MAX: usize = 5;
const KEYWORDS_MAX: usize = 8;

/// An answer that holds what it must.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// What the agent does.
    pub current_activity: String,
    /// How well that fits its task.
    pub assessment: Assessment,
}

/// Why an answer is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It is not one JSON object of the expected keys.
    #[error("its answer is not the JSON object that was asked for: {0}")]
    Form(String),
    /// A value is not what was asked for.
    #[error("`{key}` of its answer is {problem}")]
    Value {
        /// Its key.
        key: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    current_activity: String,
    on_track_status: String,
    confidence_score: f64,
    drift_reasons: Vec<String>,
    alignment_keywords: Vec<String>,
    // Absent is not the same as null: all keys were asked for.
    #[serde(deserialize_with = "Option::deserialize")]
    recommended_action: Option<String>,
}

/// Reads an answer.
///
/// # Errors
/// When it is anything but what was asked for.
pub fn parse(text: &str) -> Result<Answer, AnswerError> {
    if !text.trim_start().starts_with('{') {
        return Err(AnswerError::Form("it does not begin with `{`".to_owned()));
    }
    let wire: Wire =
        serde_json::from_str(text.trim()).map_err(|error| AnswerError::Form(error.to_string()))?;
    let refuse = |key, problem| Err(AnswerError::Value { key, problem });
    let Some(alignment) = Alignment::of_word(&wire.on_track_status) else {
        return refuse("on_track_status", "none of the five words");
    };
    if !(0.0..=1.0).contains(&wire.confidence_score) {
        return refuse("confidence_score", "not between 0 and 1");
    }
    if wire.drift_reasons.len() > REASONS_MAX {
        return refuse("drift_reasons", "too long");
    }
    if wire.alignment_keywords.len() > KEYWORDS_MAX {
        return refuse("alignment_keywords", "too long");
    }
    if wire.current_activity.trim().is_empty() {
        return refuse("current_activity", "empty");
    }
    let texts = [
        ("current_activity", std::slice::from_ref(&wire.current_activity)),
        ("drift_reasons", &wire.drift_reasons),
    ];
    let rest = [
        ("alignment_keywords", wire.alignment_keywords.as_slice()),
        ("recommended_action", wire.recommended_action.as_slice()),
    ];
    for (key, texts) in texts.into_iter().chain(rest) {
        if texts.iter().any(|text| text.chars().count() > TEXT_CHARS_MAX) {
            return refuse(key, "too long");
        }
    }
    Ok(Answer {
        current_activity: clean(&wire.current_activity),
        assessment: Assessment {
            alignment,
            confidence: (wire.confidence_score * 100.0).round() / 100.0,
            reasons: wire.drift_reasons.iter().map(|text| clean(text)).collect(),
            cause: "model",
            keywords: wire.alignment_keywords.iter().map(|text| clean(text)).collect(),
            recommended_action: wire.recommended_action.as_deref().map(clean),
        },
    })
}

/// The first line without secrets and without what a terminal obeys: what a model says goes where the log goes.
fn clean(text: &str) -> String {
    sanitize(&excerpt(text.trim())).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn good() -> Value {
        json!({
            "current_activity": "Reads the parser.", "on_track_status": "drifting", "confidence_score": 0.456,
            "drift_reasons": ["reads mail\nsecond line"], "alignment_keywords": ["parser"], "recommended_action": null,
        })
    }

    #[test]
    fn the_object_that_was_asked_for_is_taken() {
        let expected = Answer {
            current_activity: "Reads the parser.".to_owned(),
            assessment: Assessment {
                alignment: Alignment::Drifting,
                confidence: 0.46,
                reasons: vec!["reads mail".to_owned()],
                cause: "model",
                keywords: vec!["parser".to_owned()],
                recommended_action: None,
            },
        };
        assert_eq!(parse(&format!("\n {} \n", good())), Ok(expected));
    }

    #[test]
    fn whatever_lacks_a_key_has_another_or_stands_in_prose_is_refused() {
        let text = good().to_string();
        let mut refused = vec![
            String::new(),
            "on_track".to_owned(),
            format!("Here it is: {text}"),
            format!("{text} I hope this helps."),
            format!("```json\n{text}\n```"),
            format!("{text}{text}"),
            format!("[{text}]"),
            text[..text.len() / 2].to_owned(),
            "{}".to_owned(),
        ];
        for key in good().as_object().unwrap().keys() {
            let mut lacking = good();
            lacking.as_object_mut().unwrap().remove(key);
            refused.push(lacking.to_string());
            let mut of_other_type = good();
            of_other_type[key] = json!({"x": 1});
            refused.push(of_other_type.to_string());
        }
        let mut more = good();
        more["more"] = json!(1);
        refused.push(more.to_string());
        for text in refused {
            assert!(matches!(parse(&text), Err(AnswerError::Form(_))), "{text}");
        }
    }

    #[test]
    fn a_value_out_of_its_bounds_is_refused_with_its_key() {
        let long = "x".repeat(601);
        for (key, value, problem) in [
            ("on_track_status", json!("fine"), "none of the five words"),
            ("confidence_score", json!(1.5), "not between 0 and 1"),
            ("confidence_score", json!(-0.1), "not between 0 and 1"),
            ("drift_reasons", json!(["a", "a", "a", "a", "a", "a"]), "too long"),
            ("alignment_keywords", json!(["a", "a", "a", "a", "a", "a", "a", "a", "a"]), "too long"),
            ("current_activity", json!(" "), "empty"),
            ("recommended_action", json!(long), "too long"),
        ] {
            let mut wrong = good();
            wrong[key] = value;
            assert_eq!(parse(&wrong.to_string()), Err(AnswerError::Value { key, problem }));
        }
    }

    #[test]
    fn what_a_model_says_is_made_harmless() {
        let mut told = good();
        told["current_activity"] = json!("red \u{1b}[31m \u{202e}dlo");
        let said = parse(&told.to_string()).unwrap().current_activity;
        assert!(said.starts_with("red ") && !said.chars().any(crate::base::text::is_unsafe), "{said:?}");
    }
}
