//! What error messages have in common: the message with its particulars masked.
//!
//! URLs, quoted text, paths, hashes and numbers become `<url>`, `<text>`, `<path>`, `<hash>` and `<n>`, so that messages
//! that differ in those alone are one pattern. Digits inside a word (`utf8`, `E0308`) belong to the word and stay.

use regex::{Captures, Regex};
use std::sync::LazyLock;

static PARTICULARS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?x)
        (?P<url> \b[a-z][a-z0-9+.-]*://[^\s"'<>]+ )
        | (?P<uuid> \b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b )
        | (?P<ratio> \b\d+/\d+\b )
        | (?P<text> "[^"]*" | `[^`]*` | \B'[^']*'\B )
        | (?P<path> (?: \b[A-Za-z]: | ~ | \.{1,2} )? (?: [/\\][\w.@+%-]*[\w] )+ /? | \b[\w.@+-]+(?:[/\\][\w.@+-]*\w)+ )
        | (?P<hash> \b(?:0x)?[0-9A-Fa-f]{7,}\b )
        | (?P<number> \b\d+(?:[.,:]\d+)* )
        "#,
    )
    .unwrap_or_else(|error| unreachable!("the pattern is fixed: {error}"))
});

/// The pattern of a message. Runs of white space become one space.
#[must_use]
pub fn of(message: &str) -> String {
    let joined = message.split_whitespace().collect::<Vec<_>>().join(" ");
    PARTICULARS.replace_all(&joined, mask).into_owned()
}

fn mask(found: &Captures<'_>) -> String {
    let is = |name: &str| found.name(name).is_some();
    let text = found.get(0).map_or("", |whole| whole.as_str());
    let masked = if is("url") {
        "<url>"
    } else if is("ratio") {
        "<n>/<n>"
    } else if is("text") {
        "<text>"
    } else if is("path") {
        "<path>"
    } else if is("number") || text.bytes().all(|byte| byte.is_ascii_digit()) {
        "<n>"
    } else if is("uuid") || text.bytes().any(|byte| byte.is_ascii_digit()) {
        "<hash>"
    } else {
        // A word of the letters a to f alone, such as `defaced`.
        text
    };
    masked.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn particulars_are_masked_and_words_stay() {
        for (message, template) in [
            ("cat: /etc/hosts.d/a-1: No such file or directory", "cat: <path>: No such file or directory"),
            ("ENOENT: no such file, open './src/a.rs'", "ENOENT: no such file, open <text>"),
            (
                "error[E0308]: mismatched types at src/main.rs:10:5",
                "error[E0308]: mismatched types at <path>:<n>",
            ),
            ("Command timed out after 2m 0.5s", "Command timed out after <n>m <n>s"),
            ("can't find `foo`, and didn't try \"bar baz\"", "can't find <text>, and didn't try <text>"),
            ("GET https://api.example.org/v1?x=1 gave status code 503", "GET <url> gave status code <n>"),
            (
                "commit 3f2c9a1d is not in 0193aa00-1111-7222-8333-444455556666",
                "commit <hash> is not in <hash>",
            ),
            ("3/10 tests failed,\n  12345678 ms", "<n>/<n> tests failed, <n> ms"),
            ("the defaced utf8 text in C:\\Users\\me\\a.txt", "the defaced utf8 text in <path>"),
            ("~/notes and ../x", "<path> and <path>"),
            ("", ""),
        ] {
            assert_eq!(of(message), template, "{message}");
        }
    }

    #[test]
    fn messages_that_differ_in_particulars_alone_are_one_pattern() {
        assert_eq!(of("exit 1 in /a/b"), of("exit 22 in /c"));
        assert_ne!(of("exit 1 in /a/b"), of("exit 1 at /a/b"));
    }
}
