//! Lifting lines of older versions to today's, on JSON and before typing.
//!
//! Each change of the line format that is not a mere addition adds one [`Upcaster`]; a line of version `v` passes through
//! all of them from `v` on (a left fold), so each knows two neighbouring versions only. Nothing is written back: the log
//! stays as it was. A line that no chain of upcasters leads from is refused, never guessed at.

use crate::event::envelope::VERSION;
use serde_json::{Map, Value};

/// One step: from one version to the next.
#[derive(Clone, Copy, Debug)]
pub struct Upcaster {
    /// The version it takes; it gives `from + 1`.
    pub from: u64,
    /// Rewrites the fields of a line. It need not touch `v`.
    pub lift: fn(&mut Map<String, Value>),
}

/// All steps that exist. Version 1 is the first, so there is none.
pub const UPCASTERS: &[Upcaster] = &[];

/// The JSON text of a line, lifted from version `from` to [`VERSION`] through `steps`; `None` if it is no JSON object or
/// if the steps do not lead there.
#[must_use]
pub fn lift(text: &str, from: u64, steps: &[Upcaster]) -> Option<String> {
    let mut fields: Map<String, Value> = serde_json::from_str(text).ok()?;
    lift_fields(&mut fields, from, VERSION, steps)?;
    Some(Value::Object(fields).to_string())
}

/// Lifts the fields of a line from version `from` to version `to`, and sets `v`; `None` where a step is missing.
fn lift_fields(fields: &mut Map<String, Value>, from: u64, to: u64, steps: &[Upcaster]) -> Option<()> {
    for version in from..to {
        let step = steps.iter().find(|step| step.from == version)?;
        (step.lift)(fields);
    }
    fields.insert("v".to_owned(), Value::from(to));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn rename(fields: &mut Map<String, Value>, from: &str, to: &str) {
        if let Some(value) = fields.remove(from) {
            fields.insert(to.to_owned(), value);
        }
    }

    const SAMPLE: &[Upcaster] = &[
        Upcaster { from: 4, lift: |fields| rename(fields, "b", "c") },
        Upcaster { from: 3, lift: |fields| rename(fields, "a", "b") },
        Upcaster {
            from: 5,
            lift: |fields| {
                let doubled = fields.get("c").and_then(Value::as_u64).map(|value| value * 2);
                fields.insert("c".to_owned(), Value::from(doubled));
            },
        },
    ];

    fn lifted(line: &Value, from: u64, to: u64) -> Option<Value> {
        let mut fields = line.as_object().unwrap().clone();
        lift_fields(&mut fields, from, to, SAMPLE).map(|()| Value::Object(fields))
    }

    #[test]
    fn a_line_passes_through_every_step_from_its_version_on() {
        assert_eq!(lifted(&json!({"v": 3, "a": 21}), 3, 6), Some(json!({"v": 6, "c": 42})));
        assert_eq!(lifted(&json!({"v": 4, "b": 21}), 4, 6), Some(json!({"v": 6, "c": 42})));
        assert_eq!(
            lifted(&json!({"v": 3, "a": 21, "x": [null]}), 3, 5),
            Some(json!({"v": 5, "c": 21, "x": [null]}))
        );
    }

    #[test]
    fn a_missing_step_refuses_the_line() {
        assert_eq!(lifted(&json!({"v": 2, "a": 21}), 2, 6), None);
        assert_eq!(lifted(&json!({"v": 3, "a": 21}), 3, 7), None);
    }

    #[test]
    fn text_that_is_no_object_is_refused() {
        assert_eq!(lift("[1]", 0, &[Upcaster { from: 0, lift: |_| () }]), None);
        assert_eq!(lift("{\"v\":0}", 0, &[Upcaster { from: 0, lift: |_| () }]).as_deref(), Some("{\"v\":1}"));
    }

    #[test]
    fn every_version_since_the_first_has_exactly_one_step() {
        let versions: Vec<u64> = UPCASTERS.iter().map(|step| step.from).collect();
        assert_eq!(versions, (1..VERSION).collect::<Vec<_>>());
    }
}
