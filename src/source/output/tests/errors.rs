//! Errors are found, told apart, and bounded.

use super::*;
use crate::source::output::errors::BURST;

fn matched(pattern: &str, category: &str, message: &str) -> Value {
    json!({"type": "error.matched", "pattern": pattern, "category": category, "message": message})
}

#[test]
fn the_words_of_the_seed_are_found_as_they_are_written() {
    for word in ["ERROR", "FAILED", "Exception", "Traceback", "CRITICAL", "Fatal"] {
        let line = format!("x {word} y");
        assert_eq!(read("", &[&line]).0, [matched(word, "unknown_error", &line)]);
        assert_eq!(read("", &[&line.to_lowercase()]).0, Vec::<Value>::new());
    }
}

#[test]
fn errors_have_the_classes_of_the_seed() {
    for (message, category) in [
        ("ERROR FileNotFoundError", "file_not_found"),
        ("ERROR No such file", "file_not_found"),
        ("ERROR PermissionError", "permission_error"),
        ("ERROR Permission denied", "permission_error"),
        ("ERROR TimeoutError", "timeout"),
        ("ERROR Timeout", "timeout"),
        ("ERROR ConnectionError", "network_error"),
        ("ERROR Network", "network_error"),
        ("ERROR MemoryError", "out_of_memory"),
        ("ERROR Out of memory", "out_of_memory"),
        ("ERROR FileNotFoundError after Timeout: Out of memory", "file_not_found"),
        ("ERROR else", "unknown_error"),
    ] {
        assert_eq!(read("", &[message]).0, [matched("ERROR", category, message)]);
    }
}

#[test]
fn a_traceback_is_classed_by_its_last_line() {
    let lines = [
        "Traceback (most recent call last):",
        "  File \"x.py\", line 1",
        "FileNotFoundError: [Errno 2] x",
        "y",
    ];
    let expected =
        [matched("Traceback", "unknown_error", lines[0]), matched("Traceback", "file_not_found", lines[2])];
    assert_eq!(read("", &lines).0, expected);
}

#[test]
fn a_million_errors_are_not_a_million_events() {
    let mut job = Job::new("");
    for idx in 0..100_000 {
        job.line(&format!("2026-11-20T10:00:00Z ERROR number {idx}"));
    }
    assert_eq!(job.said().len(), 1);
    job.line("2026-11-20T10:01:00Z ERROR number 1");
    let note = "99999 more lines matched a pattern of errors and were not recorded one by one";
    assert_eq!(job.said()[1], json!({"type": "note.logged", "text": note}));
    assert_eq!(job.said().len(), 3);
}

#[test]
fn a_million_different_errors_are_not_a_million_events() {
    let mut job = Job::new("");
    let letters = |mut idx: u32| {
        let mut word = String::new();
        while idx > 0 {
            word.push(char::from(b'a' + u8::try_from(idx % 26).unwrap()));
            idx /= 26;
        }
        word
    };
    for idx in 0..10_000 {
        let second = idx / 1000;
        job.line(&format!("2026-11-20T10:00:{second:02}Z ERROR {}", letters(idx)));
    }
    let burst = job.said().len();
    assert_eq!(burst, usize::try_from(BURST).unwrap());
    for minute in 1..=5 {
        job.line(&format!("2026-11-20T10:{minute:02}:00Z ERROR again {}", letters(minute)));
        job.line(&format!("2026-11-20T10:{minute:02}:01Z ERROR and again {}", letters(minute)));
    }
    let errors = job.said().iter().filter(|said| said["type"] == "error.matched").count();
    assert_eq!(errors, burst + 5, "then one in a minute");
    let size = serde_json::to_string(&job.output).unwrap().len();
    assert!(size < 8 * 1024, "{size} bytes are remembered");
}

#[test]
fn own_patterns_go_in_place_of_the_usual_ones() {
    let config = "errors = 'kaputt'";
    assert_eq!(read(config, &["ERROR"]).0, Vec::<Value>::new());
    assert_eq!(read(config, &["kaputt"]).0, [matched("kaputt", "unknown_error", "kaputt")]);
}
