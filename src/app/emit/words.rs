//! A line of words, split as a shell would: at white space, with `'…'` and `"…"` around what belongs together. Pure.
//!
//! Nothing is expanded, and a backslash means itself, except before `"` and `\` between double quotes.

/// The words of a line; an error if a quote is never closed.
pub(super) fn split(line: &str) -> Result<Vec<String>, &'static str> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        None => return Err("a quote is not closed"),
                        Some(end) if end == c => break,
                        Some('\\') if c == '"' => match chars.next_if(|next| matches!(next, '"' | '\\')) {
                            Some(escaped) => word.push(escaped),
                            None => word.push('\\'),
                        },
                        Some(other) => word.push(other),
                    }
                }
            }
            space if space.is_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_end_at_white_space_unless_quotes_hold_them_together() {
        let words = split("  note.logged\ttext='two words' \"a\"'b'c=\"\\\"\\\\ \\n\" '' ").unwrap();
        assert_eq!(words, ["note.logged", "text=two words", "abc=\"\\ \\n", ""]);
        assert_eq!(split(" \t").unwrap(), Vec::<String>::new());
        assert_eq!(split("back\\slash").unwrap(), ["back\\slash"]);
    }

    #[test]
    fn a_quote_that_is_not_closed_is_refused() {
        for line in ["text='one", "text=\"one", "text=\"one\\\""] {
            assert_eq!(split(line), Err("a quote is not closed"), "{line}");
        }
    }
}
