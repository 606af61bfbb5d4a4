//! Reading the JSON that OpenCode stores: whole small values, tolerantly.
//!
//! A text that was cut inside a surrogate pair is mended, because JavaScript writes such halves and a strict parser would
//! lose the whole record for it. Nothing is interpreted here.

use crate::base::clock::Timestamp;
use serde_json::Value;

/// Parses a record.
///
/// # Errors
/// What is wrong with it, and where.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, String> {
    match serde_json::from_slice(bytes) {
        Ok(value) => Ok(value),
        Err(error) if error.is_data() || error.is_syntax() => {
            let mended = mend(&String::from_utf8_lossy(bytes));
            serde_json::from_str(&mended).map_err(|_| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// A member that is a string and not empty.
pub(super) fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The first of these members that is a string and not empty.
pub(super) fn any_text<'v>(value: &'v Value, names: &[&str]) -> Option<&'v str> {
    names.iter().find_map(|name| text(value, name))
}

/// A member that is a number ≥ 0; fractions are cut.
pub(super) fn count(value: &Value, name: &str) -> Option<u64> {
    whole(value.get(name)?)?.parse().ok()
}

/// A member that is an instant in milliseconds since the epoch.
pub(super) fn instant(value: &Value, name: &str) -> Option<Timestamp> {
    whole(value.get(name)?)?.parse().ok().map(Timestamp::from_millis)
}

/// A member of a member; null where there is none.
pub(super) fn inner<'v>(value: &'v Value, name: &str) -> &'v Value {
    value.get(name).unwrap_or(&Value::Null)
}

/// The elements of a member that is an array; none otherwise.
pub(super) fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Whether a member has a name that is none of these and a value that looks so: one that is called otherwise now.
pub(super) fn has_other(value: &Value, known: &[&str], looks_so: impl Fn(&Value) -> bool) -> bool {
    value.as_object().is_some_and(|members| {
        members.iter().any(|(name, member)| looks_so(member) && !known.contains(&name.as_str()))
    })
}

/// The digits of a number before its point.
fn whole(value: &Value) -> Option<String> {
    let digits = value.as_number()?.to_string();
    Some(digits.split_once('.').map_or(digits.as_str(), |(whole, _)| whole).to_owned())
}

/// Replaces escapes of half a surrogate pair by that of U+FFFD.
fn mend(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, escape)) = rest.find('\\').and_then(|at| rest.split_at_checked(at)) {
        out.push_str(plain);
        let unit = unit(escape);
        let pair = escape.get(6..).and_then(self::unit);
        let length = match (unit, pair) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 12,
            (Some(0xD800..=0xDFFF), _) => {
                out.push_str("\\ufffd");
                rest = escape.get(6..).unwrap_or_default();
                continue;
            }
            (Some(_), _) => 6,
            (None, _) => 2,
        };
        let (kept, after) = escape.split_at_checked(length).unwrap_or((escape, ""));
        out.push_str(kept);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// The code unit of the `\uXXXX` at the start.
fn unit(text: &str) -> Option<u32> {
    u32::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn half_a_surrogate_pair_does_not_cost_the_record() {
        let text = r#"{"a":"x\ud83d","b":"\\ud83d \ud83d\ude00 \u00e9","c":"\udc00y"}"#;
        let read = parse(text.as_bytes()).unwrap();
        assert_eq!(read, json!({"a": "x\u{fffd}", "b": "\\ud83d \u{1f600} é", "c": "\u{fffd}y"}));
    }

    #[test]
    fn bytes_that_are_no_text_do_not_cost_the_record() {
        assert_eq!(parse(b"{\"a\":\"x\xff\"}"), Ok(json!({"a": "x\u{fffd}"})));
        assert!(parse(b"{\"a\":").is_err());
    }

    #[test]
    fn instants_may_have_a_fraction() {
        let value = json!({"a": 1_768_172_351_896_u64, "b": 1.5, "c": "1", "d": -3});
        let read = ["a", "b", "c"].map(|name| instant(&value, name).map(Timestamp::millis));
        assert_eq!(read, [Some(1_768_172_351_896), Some(1), None]);
        assert_eq!(count(&value, "d"), None);
    }
}
