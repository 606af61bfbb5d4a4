//! What is wrong with a configuration text, each thing with its place and what may stand there instead. Finds all of them,
//! not the first only. What a type checks by itself (that a pattern is a regular expression) is not found here.

use crate::app::config::shape::{Shape, nearest};
use crate::base::text;
use std::fmt::{self, Write as _};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// Line and column, from 1.
    pub place: Option<(usize, usize)>,
    /// What, in a fragment.
    pub message: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(out, "{line}:{column}: {}", self.message),
            None => out.write_str(&self.message),
        }
    }
}

/// Everything that does not fit the shape of a document.
#[must_use]
pub fn complaints(text: &str, shape: &Shape<'_>) -> Vec<Complaint> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut inspector = Inspector { text, found: Vec::new() };
    for error in errors {
        inspector.complain(error.span().map(|span| span.start), error.message().to_owned());
    }
    if inspector.found.is_empty() {
        inspector.table(document.get_ref(), shape, &[]);
    }
    inspector.found.sort_by_key(|complaint| complaint.place);
    inspector.found
}

/// Line and column of a byte, from 1.
#[must_use]
pub fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before.get(line_start..).map_or(0, |line| line.chars().count());
    (before.matches('\n').count() + 1, column + 1)
}

struct Inspector<'t> {
    text: &'t str,
    found: Vec<Complaint>,
}

impl Inspector<'_> {
    fn complain(&mut self, offset: Option<usize>, message: String) {
        self.found.push(Complaint { place: offset.map(|offset| place(self.text, offset)), message });
    }

    fn table(&mut self, table: &DeTable<'_>, shape: &Shape<'_>, path: &[String]) {
        for (name, value) in table {
            let known = shape.member(name.get_ref());
            let inner: Vec<String> = path.iter().cloned().chain([name.get_ref().to_string()]).collect();
            match known {
                Some(shape) => self.value(value, &shape, &inner),
                None if shape.is_closed() => {
                    self.complain(
                        Some(name.span().start),
                        unknown(name.get_ref(), value.get_ref(), shape, path),
                    );
                }
                None => {}
            }
        }
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, shape: &Shape<'_>, path: &[String]) {
        let offset = Some(value.span().start);
        let is_wanted = match value.get_ref() {
            DeValue::String(_) => shape.accepts("string"),
            DeValue::Integer(_) => shape.accepts("integer"),
            DeValue::Float(_) => shape.accepts("number"),
            DeValue::Boolean(_) => shape.accepts("boolean"),
            DeValue::Array(_) => shape.accepts("array"),
            DeValue::Table(_) => shape.accepts("object"),
            DeValue::Datetime(_) => false,
        };
        if !is_wanted {
            let message = format!(
                "{} is {}, but must be {}",
                path.join("."),
                kind(value.get_ref()),
                with_article(shape)
            );
            return self.complain(offset, message);
        }
        match value.get_ref() {
            DeValue::Table(table) if shape.is_one_table() => {
                self.table(table, shape, path);
                self.missing(table, shape, value.span().start, path);
            }
            DeValue::Array(array) => {
                let Some(items) = shape.items() else { return };
                for (idx, item) in array.iter().enumerate() {
                    self.value(item, &items, &indexed(path, idx));
                }
            }
            DeValue::String(word) => self.word(word, shape, offset, path),
            DeValue::Integer(integer) => self.number(&integer.to_string(), shape, offset, path),
            DeValue::Float(float) => self.number(float.as_str(), shape, offset, path),
            _ => {}
        }
    }

    /// Keys that must be there. Only elements of arrays: another table may be completed by another file.
    fn missing(&mut self, table: &DeTable<'_>, shape: &Shape<'_>, offset: usize, path: &[String]) {
        if !path.last().is_some_and(|name| name.ends_with(']')) {
            return;
        }
        for name in shape.required() {
            if !table.keys().any(|key| key.get_ref() == name) {
                self.complain(Some(offset), format!("{} lacks the key `{name}`", path.join(".")));
            }
        }
    }

    fn word(&mut self, word: &str, shape: &Shape<'_>, offset: Option<usize>, path: &[String]) {
        let words = shape.words();
        if words.is_empty() || words.contains(&word) {
            return;
        }
        let near = nearest(word, &words).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        let word = text::sanitize(word);
        self.complain(offset, format!("{} is `{word}`, but must be {}{near}", path.join("."), shape.kind()));
    }

    fn number(&mut self, number: &str, shape: &Shape<'_>, offset: Option<usize>, path: &[String]) {
        let value = number.replace('_', "").parse::<f64>().ok();
        if value.zip(shape.minimum()).is_some_and(|(value, minimum)| value < minimum) {
            let message = format!("{} is {number}, but must be {}", path.join("."), with_article(shape));
            self.complain(offset, message);
        }
    }
}

fn unknown(name: &str, value: &DeValue<'_>, shape: &Shape<'_>, path: &[String]) -> String {
    let near = nearest(name, &shape.names());
    let name = text::sanitize(name);
    if path.is_empty() && matches!(value, DeValue::Table(_)) {
        let near = near.map_or_else(String::new, |near| format!("; did you mean [{near}]?"));
        return format!("unknown section [{name}]{near}");
    }
    let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
    let section = if path.is_empty() { String::new() } else { format!(" in [{}]", path.join(".")) };
    format!("unknown key `{name}`{section}{near}")
}

fn indexed(path: &[String], idx: usize) -> Vec<String> {
    let mut indexed = path.to_vec();
    if let Some(last) = indexed.last_mut() {
        let _ = write!(last, "[{idx}]");
    }
    indexed
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

fn with_article(shape: &Shape<'_>) -> String {
    let kind = shape.kind();
    if kind.starts_with("one of") || kind.starts_with("true or") {
        kind
    } else if kind.starts_with("array") {
        format!("an {kind}")
    } else {
        format!("a {kind}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::config::Config;

    fn told(text: &str) -> Vec<String> {
        let schema = Config::schema("test");
        complaints(text, &Shape::of_document(&schema)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_right_is_not_complained_of() {
        let text =
            "[health]\nfailure_streak = 5\n[health.tool_budgets_ms]\nBash = 1\n[journal]\nkeep_days = 3\n";
        assert_eq!(told(text), Vec::<String>::new());
        assert_eq!(told(""), Vec::<String>::new());
    }

    #[test]
    fn every_unknown_key_is_named_with_its_place_and_what_was_meant() {
        let text = "[helth]\nx = 1\n[health]\n  failure_streek = 2\n[health.budgets]\nread = 1\n[journal]\ndaily=true\nzzz=1\n";
        let expected = [
            "1:2: unknown section [helth]; did you mean [health]?",
            "4:3: unknown key `failure_streek` in [health]; did you mean `failure_streak`?",
            "6:1: unknown key `read` in [health.budgets]; did you mean `read_ms`?",
            "9:1: unknown key `zzz` in [journal]",
        ];
        assert_eq!(told(text), expected);
    }

    #[test]
    fn a_value_of_another_type_is_named_with_its_key() {
        let text = "[health]\nfailure_streak = \"3\"\nstuck_after_ms = -1\nstale_after_ms = 1.5\nbudgets = 3\n\
                    [journal]\ndaily = 1979-05-27\nkeep_days = \"é\" # x\nsegment_bytes = [1]\n";
        let expected = [
            "2:18: health.failure_streak is a text, but must be a whole number ≥ 0",
            "3:18: health.stuck_after_ms is -1, but must be a whole number ≥ 0",
            "4:18: health.stale_after_ms is a fraction, but must be a whole number ≥ 0",
            "5:11: health.budgets is a whole number, but must be a table",
            "7:9: journal.daily is a date, but must be true or false",
            "8:13: journal.keep_days is a text, but must be a number",
            "9:17: journal.segment_bytes is an array, but must be a whole number ≥ 0",
        ];
        assert_eq!(told(text), expected);
    }

    #[test]
    fn what_is_no_toml_is_named_with_its_place() {
        let told = told("[health]\nfailure_streak = = 2\n");
        assert!(told[0].starts_with("2:18: "), "{told:?}");
    }

    #[test]
    fn a_place_is_counted_in_characters() {
        assert_eq!(place("äöü = 1", 7), (1, 5));
        assert_eq!(place("a\nb", 2), (2, 1));
        assert_eq!(place("a", 99), (1, 2));
    }
}
