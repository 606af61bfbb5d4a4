//! The escapes of JSON strings (RFC 8259 §7), resolved.
//!
//! It trusts [`crate::event::scan`] that the string's grammar is right, and refuses what only meaning can tell: half a
//! surrogate pair.

/// The characters that `raw`, the part between the quotes, stands for; `None` if an escape is wrong.
#[must_use]
pub fn resolve(raw: &str) -> Option<String> {
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((plain, escape)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut chars = escape.chars();
        let (character, after) = match chars.next()? {
            'u' => code_point(chars.as_str())?,
            same @ ('"' | '\\' | '/') => (same, chars.as_str()),
            'n' => ('\n', chars.as_str()),
            't' => ('\t', chars.as_str()),
            'r' => ('\r', chars.as_str()),
            'b' => ('\u{8}', chars.as_str()),
            'f' => ('\u{c}', chars.as_str()),
            _ => return None,
        };
        out.push(character);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// The character of the digits behind `\u`, and what follows it: outside the basic plane it takes a second escape.
fn code_point(text: &str) -> Option<(char, &str)> {
    let (unit, rest) = unit(text)?;
    if !(0xd800..0xdc00).contains(&unit) {
        return Some((char::from_u32(unit)?, rest));
    }
    let (low, rest) = self::unit(rest.strip_prefix("\\u")?)?;
    if !(0xdc00..0xe000).contains(&low) {
        return None;
    }
    Some((char::from_u32(0x10000 + ((unit - 0xd800) << 10 | (low - 0xdc00)))?, rest))
}

fn unit(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at_checked(4)?;
    digits
        .chars()
        .try_fold(0, |value, digit| Some(value << 4 | digit.to_digit(16)?))
        .map(|value| (value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2048))]

        #[test]
        fn escapes_mean_what_a_full_parser_says(
            raw in r#"(\\["\\/bfnrt]|\\u[0-9a-fA-F]{4}|\\ud[89a-f][0-9a-f]{2}|\\ud83d\\ude0[0-9]|[a-z0-9é]){0,8}"#,
        ) {
            prop_assert_eq!(resolve(&raw), serde_json::from_str::<String>(&format!("\"{raw}\"")).ok());
        }

        #[test]
        fn what_is_no_escape_is_refused(raw in r#"[a-z]{0,3}\\([^"\\/bfnrtu]|u[0-9a-f]{0,3}|u[+ -][0-9]{3})"#) {
            prop_assert_eq!(resolve(&raw), None);
        }
    }
}
