//! `key=value` conditions on the fields of an event.
//!
//! A key is the dotted path of a field as it stands in the line (`tool`, `duration_ms`, `error.kind`). A condition on a
//! field that the event does not have never holds, whatever its operator: an event without a duration is neither shorter
//! nor longer than another. The frame (`w`, `n`, `crc`) is not part of what an event says and cannot be asked for.

use crate::base::clock::Timestamp;
use crate::event::field::{read_array, read_object};
use crate::event::scan::{self, Entry, Raw, RawKind};
use regex::Regex;
use std::borrow::Cow;
use std::cmp::Ordering;

/// One condition.
#[derive(Clone, Debug)]
pub struct Expression {
    path: Vec<String>,
    condition: Condition,
    text: String,
}

/// A text that is no condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// There is nothing that compares.
    #[error("`{text}` compares nothing: expected KEY=VALUE, or one of != ~= > < >= <= in place of =")]
    Operator {
        /// The text as given.
        text: String,
    },
    /// What stands before the operator is no field name.
    #[error("`{key}` is no field name in `{text}`: expected letters, digits, `_`, and dots between names")]
    Key {
        /// What stands there.
        key: String,
        /// The text as given.
        text: String,
    },
    /// What stands after `~=` is no regular expression.
    #[error("bad regular expression in `{text}`: {message}")]
    Pattern {
        /// The text as given.
        text: String,
        /// What the parser says.
        message: String,
    },
}

#[derive(Clone, Debug)]
enum Condition {
    Equal(String),
    Different(String),
    Like(Regex),
    /// Holds for the orderings in the list.
    Ordered(&'static [Ordering], String),
}

impl Expression {
    /// Reads `KEY OP VALUE`: `=` (also written `==`) and `!=` compare texts, numbers and flags; `~=` searches a regular
    /// expression; `>`, `<`, `>=`, `<=` compare numbers as numbers, instants as instants, and anything else as text. Spaces
    /// around the key and the value do not count.
    ///
    /// # Errors
    /// [`ExpressionError`] says what is missing.
    pub fn parse(text: &str) -> Result<Self, ExpressionError> {
        const AT_LEAST: &[Ordering] = &[Ordering::Greater, Ordering::Equal];
        const AT_MOST: &[Ordering] = &[Ordering::Less, Ordering::Equal];
        let missing = || ExpressionError::Operator { text: text.to_owned() };
        let place = text.find(['=', '!', '~', '>', '<']).ok_or_else(missing)?;
        let (key, rest) = text.split_at(place);
        let operators = ["!=", "~=", ">=", "<=", "==", "=", ">", "<"];
        let operator =
            operators.into_iter().find(|operator| rest.starts_with(operator)).ok_or_else(missing)?;
        let value = rest.strip_prefix(operator).unwrap_or_default().trim().to_owned();
        let condition = match operator {
            "!=" => Condition::Different(value),
            "~=" => Condition::Like(Regex::new(&value).map_err(|error| ExpressionError::Pattern {
                text: text.to_owned(),
                message: error.to_string().lines().last().unwrap_or_default().to_owned(),
            })?),
            ">=" => Condition::Ordered(AT_LEAST, value),
            "<=" => Condition::Ordered(AT_MOST, value),
            ">" => Condition::Ordered(&[Ordering::Greater], value),
            "<" => Condition::Ordered(&[Ordering::Less], value),
            _ => Condition::Equal(value),
        };
        Ok(Self { path: path(key.trim(), text)?, condition, text: text.to_owned() })
    }

    /// The dotted path of the field, for a check against the dictionary.
    #[must_use]
    pub fn key(&self) -> String {
        self.path.join(".")
    }

    /// The condition as it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the condition holds for an event with these entries (see [`scan::object`]). On an array it holds if it
    /// holds for one of its elements; `!=` only if it holds for all of them.
    #[must_use]
    pub fn matches(&self, entries: &[Entry<'_>]) -> bool {
        let Some((first, rest)) = self.path.split_first() else { return false };
        entries.iter().find(|entry| entry.key == first).is_some_and(|entry| self.holds(entry.value, rest))
    }

    fn holds(&self, value: Raw<'_>, path: &[String]) -> bool {
        if value.kind == RawKind::Array {
            let Some(elements) = read_array(value, Some) else { return false };
            let mut results = elements.into_iter().map(|element| self.holds(element, path));
            return match self.condition {
                Condition::Different(_) => results.all(|holds| holds),
                _ => results.any(|holds| holds),
            };
        }
        match path.split_first() {
            None => self.holds_for(value),
            Some((name, rest)) => read_object(value)
                .and_then(|entries| entries.iter().find(|entry| entry.key == name).map(|entry| entry.value))
                .is_some_and(|member| self.holds(member, rest)),
        }
    }

    fn holds_for(&self, value: Raw<'_>) -> bool {
        let text = match value.kind {
            RawKind::Text { escaped } => scan::unescape(value.text, escaped),
            RawKind::Number | RawKind::Flag => Some(Cow::Borrowed(value.text)),
            RawKind::Null | RawKind::Object | RawKind::Array => None,
        };
        let Some(text) = text else { return false };
        let is_number = value.kind == RawKind::Number;
        match &self.condition {
            Condition::Equal(wanted) => is_equal(&text, is_number, wanted),
            Condition::Different(wanted) => !is_equal(&text, is_number, wanted),
            Condition::Like(pattern) => pattern.is_match(&text),
            Condition::Ordered(holds, wanted) => {
                compare(&text, is_number, wanted).is_some_and(|ordering| holds.contains(&ordering))
            }
        }
    }
}

fn path(key: &str, text: &str) -> Result<Vec<String>, ExpressionError> {
    let names: Vec<String> = key.split('.').map(ToOwned::to_owned).collect();
    let is_name = |name: &String| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if names.iter().all(is_name) {
        Ok(names)
    } else {
        Err(ExpressionError::Key { key: key.to_owned(), text: text.to_owned() })
    }
}

fn is_equal(text: &str, is_number: bool, wanted: &str) -> bool {
    text == wanted || (is_number && compare(text, true, wanted) == Some(Ordering::Equal))
}

/// How a value stands to the wanted one; `None` if they cannot be compared (a number with a word).
fn compare(text: &str, is_number: bool, wanted: &str) -> Option<Ordering> {
    if is_number {
        // Whole numbers beyond 2^53 would lose digits as floating point.
        if let (Ok(value), Ok(wanted)) = (text.parse::<i128>(), wanted.parse::<i128>()) {
            return Some(value.cmp(&wanted));
        }
        return text.parse::<f64>().ok()?.partial_cmp(&wanted.parse::<f64>().ok()?);
    }
    match (Timestamp::parse(text), Timestamp::parse(wanted)) {
        (Some(value), Some(wanted)) => Some(value.cmp(&wanted)),
        _ => Some(text.cmp(wanted)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINE: &str = concat!(
        r#"{"ts":"2026-11-16T09:00:00.123Z","type":"tool.failed","tool":"Bash","attempt":2,"duration_ms":312,"#,
        r#""error":{"kind":"exit_code","message":"can't \"stat\" a=b","exit_code":-1},"ok":false,"cost_usd":0.25,"gone":null,"#,
        r#""reasons":["slow","loud"],"criteria":[{"name":"a","ok":true},{"name":"b","ok":false}],"inode":9223372036854775809}"#,
    );

    fn holds(text: &str) -> bool {
        let mut entries = Vec::new();
        scan::object(LINE, &mut entries).unwrap();
        Expression::parse(text).unwrap().matches(&entries)
    }

    #[track_caller]
    fn check(hold: &[&str], fail: &[&str]) {
        for text in hold {
            assert!(holds(text), "{text}");
        }
        for text in fail {
            assert!(!holds(text), "{text}");
        }
    }

    #[test]
    fn texts_and_flags_are_compared_as_they_are() {
        check(
            &[
                "tool=Bash",
                "tool == Bash",
                " tool = Bash ",
                "tool!=Read",
                "ok=false",
                "error.kind=exit_code",
                "error.message=can't \"stat\" a=b",
            ],
            &["tool=bash", "tool!=Bash", "ok=true", "error.kind=timeout", "tool=", "tool=Bas"],
        );
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        check(
            &[
                "duration_ms=312",
                "duration_ms=312.0",
                "duration_ms>300",
                "duration_ms>=312",
                "duration_ms<1e3",
                "duration_ms<=312",
                "error.exit_code<0",
                "error.exit_code=-1",
                "cost_usd>.2",
                "attempt!=1",
                "inode=9223372036854775809",
            ],
            &[
                "duration_ms>312",
                "duration_ms<312",
                "duration_ms>long",
                "duration_ms=long",
                "cost_usd=0.3",
                "attempt!=2.0",
                "inode=9223372036854775808",
                "duration_ms>",
            ],
        );
    }

    #[test]
    fn instants_are_compared_as_instants() {
        check(
            &["ts>2026-11-16T09:59:59+01:00", "ts<2026-11-16T09:00:01Z", "ts>=2026-11-16T09:00:00.123Z"],
            &["ts>2026-11-16T10:00:00.123+01:00"],
        );
    }

    #[test]
    fn a_pattern_is_searched() {
        check(
            &[
                "tool~=^B",
                "type~=(failed|started)$",
                "error.message~=stat",
                "duration_ms~=^3",
                "error.message~=(?i)CAN'T",
            ],
            &["tool~=^a", "tool~=^bash$"],
        );
    }

    #[test]
    fn an_array_is_asked_element_by_element() {
        check(
            &["reasons=loud", "reasons!=quiet", "reasons~=^s", "criteria.ok=false", "criteria.name=a"],
            &["reasons=quiet", "reasons!=loud", "criteria.name=c"],
        );
    }

    #[test]
    fn a_field_that_is_not_there_never_matches() {
        for operator in ["=", "!=", "~=", ">", "<", ">=", "<="] {
            for key in
                ["mood", "gone", "error.category", "error.kind.deep", "tool.name", "error", "criteria", "w"]
            {
                check(&[], &[&format!("{key}{operator}x")]);
            }
        }
    }

    #[test]
    fn what_compares_nothing_is_refused() {
        let error = |text: &str| Expression::parse(text).map(|_| ()).unwrap_err();
        assert_eq!(error("tool"), ExpressionError::Operator { text: "tool".to_owned() });
        assert_eq!(error("tool!Bash"), ExpressionError::Operator { text: "tool!Bash".to_owned() });
        for key in ["", "a b", "error.", ".kind", "a-b"] {
            let text = format!("{key}=x");
            assert_eq!(error(&text), ExpressionError::Key { key: key.to_owned(), text });
        }
        assert!(
            matches!(error("tool~=("), ExpressionError::Pattern { message, .. } if message.contains("unclosed group"))
        );
    }

    #[test]
    fn an_expression_tells_its_key_and_its_text() {
        let expression = Expression::parse("error.kind != timeout").unwrap();
        assert_eq!((expression.key().as_str(), expression.text()), ("error.kind", "error.kind != timeout"));
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in ".{0,24}") {
            if let Ok(expression) = Expression::parse(&text) {
                let mut entries = Vec::new();
                scan::object(LINE, &mut entries).unwrap();
                let _ = expression.matches(&entries);
            }
        }

        #[test]
        fn an_order_and_its_opposite_never_both_hold(value in any::<i64>()) {
            prop_assert_ne!(holds(&format!("duration_ms>{value}")), holds(&format!("duration_ms<={value}")));
        }
    }
}
