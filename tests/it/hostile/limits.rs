//! Lines at and beyond the limits of the format: what each is read as, and that none stops the program.

use crate::support::sandbox::{Output, Sandbox};
use agentlog::base::limits::LINE_BYTES_MAX;
use agentlog::event::codec::{Decoded, Decoder, encode};
use serde_json::Value;
use std::fmt::Write as _;

const TS: &str = r#""ts":"2026-11-20T16:59:00Z""#;
const FRAMED: &str = r#"{"v":1,"ts":"2026-11-20T16:59:00Z","type":"note.logged","text":"x","w":"f7q2m5xk3ta6vb2d","n":1,"crc":"XXXXXXXX"}"#;

/// What a line is read as: `known` and how many of its fields are not, `unknown`, or why it is no event.
fn state(line: &[u8]) -> String {
    match Decoder::new("seg").decode(line, 0) {
        Decoded::Known(line) if line.unknown_field_count > 0 => {
            format!("known +{}", line.unknown_field_count)
        }
        Decoded::Known(_) => "known".to_owned(),
        Decoded::Unknown(_) => "unknown".to_owned(),
        Decoded::Malformed(malformed) => malformed.reason().to_owned(),
    }
}

fn note(rest: &str) -> String {
    format!(r#"{{{TS},"type":"note.logged","text":"x"{rest}}}"#)
}

fn framed(text: &str) -> Vec<u8> {
    let mut line = format!(r#"{{{TS},"type":"note.logged","text":"{text}"}}"#).into_bytes();
    agentlog::base::frame::seal(&mut line, "f7q2m5xk3ta6vb2d", 1);
    line
}

fn nested(depth: usize) -> String {
    format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
}

fn keys(count: usize) -> String {
    let members: Vec<String> = (0..count).map(|idx| format!("\"k{idx}\":{idx}")).collect();
    members.join(",")
}

#[expect(clippy::too_many_lines, reason = "one row per strange line")]
#[test]
fn every_strange_line_is_read_as_the_table_says() {
    let with = |name: &str, value: &str| note(&format!(r#","{name}":{value}"#)).into_bytes();
    let progress = |fields: &str| format!(r#"{{{TS},"type":"progress.reported",{fields}}}"#).into_bytes();
    let table: Vec<(&str, Vec<u8>, &str)> = vec![
        ("plain", note("").into_bytes(), "known"),
        ("of an unknown type", format!(r#"{{{TS},"type":"moon.landed"}}"#).into_bytes(), "unknown"),
        ("depth 64 below the line", with("x", &nested(64)), "known +1"),
        ("depth 65 below the line", with("x", &nested(65)), "json"),
        ("depth 100,000", with("x", &nested(100_000)), "json"),
        ("depth 100,000 without end", with("x", &"[{\"a\":".repeat(100_000)), "json"),
        ("depth 100,000 in a known field", progress(&format!("\"current\":{}", nested(100_000))), "json"),
        (
            "256 keys",
            format!(r#"{{{TS},"type":"note.logged","text":"x",{}}}"#, keys(253)).into_bytes(),
            "known +253",
        ),
        (
            "257 keys",
            format!(r#"{{{TS},"type":"note.logged","text":"x",{}}}"#, keys(254)).into_bytes(),
            "json",
        ),
        ("256 keys inside", with("x", &format!("{{{}}}", keys(256))), "known +1"),
        ("257 keys inside", with("x", &format!("{{{}}}", keys(257))), "json"),
        ("100,000 keys", with("x", &format!("{{{}}}", keys(100_000))), "json"),
        ("1e999 in a known number", progress("\"percent\":1e999"), "field"),
        ("1e999 in an unknown field", with("x", "1e999"), "known +1"),
        ("1e308", progress("\"percent\":1e308"), "known"),
        ("greatest count", progress("\"current\":18446744073709551615"), "known"),
        ("count beyond 64 bits", progress("\"current\":18446744073709551616"), "field"),
        ("a negative count", progress("\"current\":-1"), "field"),
        ("a count with a fraction", progress("\"current\":1.0"), "field"),
        ("a count with an exponent", progress("\"current\":1e3"), "field"),
        ("a version beyond 64 bits", note(r#","v":99999999999999999999"#).into_bytes(), "field"),
        ("a later version", note(r#","v":2"#).into_bytes(), "known"),
        ("version 0, of which there is none", note(r#","v":0"#).into_bytes(), "field"),
        ("a number of ten thousand digits", with("x", &"9".repeat(10_000)), "known +1"),
        ("NaN", progress("\"percent\":NaN"), "json"),
        ("Infinity", progress("\"percent\":-Infinity"), "json"),
        ("hexadecimal", progress("\"current\":0x10"), "json"),
        ("a leading zero", progress("\"current\":01"), "json"),
        ("a key twice: the first counts", note(r#","text":"y""#).into_bytes(), "known +1"),
        ("the type twice: the first counts", note(r#","type":"moon.landed""#).into_bytes(), "known +1"),
        (
            "a lone surrogate in a known field",
            format!(r#"{{{TS},"type":"note.logged","text":"\ud800"}}"#).into_bytes(),
            "field",
        ),
        (
            "surrogates the wrong way round",
            format!(r#"{{{TS},"type":"note.logged","text":"\udc00\ud800"}}"#).into_bytes(),
            "field",
        ),
        ("a lone surrogate in an unknown field", with("x", r#""\ud800""#), "known +1"),
        ("a lone surrogate in a key", note(r#","\ud800":1"#).into_bytes(), "known +1"),
        (
            "a pair of surrogates",
            format!(r#"{{{TS},"type":"note.logged","text":"\ud83d\ude00"}}"#).into_bytes(),
            "known",
        ),
        (
            "a NUL by escape",
            format!(r#"{{{TS},"type":"note.logged","text":"\u0000"}}"#).into_bytes(),
            "known",
        ),
        ("a NUL", format!("{{{TS},\"type\":\"note.logged\",\"text\":\"\0\"}}").into_bytes(), "json"),
        (
            "a tab inside a string",
            format!("{{{TS},\"type\":\"note.logged\",\"text\":\"a\tb\"}}").into_bytes(),
            "json",
        ),
        ("invalid UTF-8", [note("").as_bytes(), b"\xff"].concat(), "utf8"),
        ("overlong UTF-8", [&br#"{"type":"note.logged","text":""#[..], b"\xc0\xaf\"}"].concat(), "utf8"),
        (
            "a surrogate in UTF-8",
            [&br#"{"type":"note.logged","text":""#[..], b"\xed\xa0\x80\"}"].concat(),
            "utf8",
        ),
        ("a byte order mark", ["\u{feff}".as_bytes(), note("").as_bytes()].concat(), "known"),
        ("a byte order mark and a frame", ["\u{feff}".as_bytes(), &framed("x")].concat(), "known"),
        ("two byte order marks", ["\u{feff}\u{feff}".as_bytes(), note("").as_bytes()].concat(), "json"),
        ("UTF-16", note("").encode_utf16().flat_map(u16::to_le_bytes).collect(), "json"),
        ("CRLF", format!("{}\r", note("")).into_bytes(), "known"),
        ("CRLF behind a frame", [&framed("x")[..], b"\r"].concat(), "known"),
        ("a frame and something behind it", [&framed("x")[..], b" "].concat(), "crc_missing"),
        (
            "a frame with a wrong checksum",
            FRAMED.replace("XXXXXXXX", "00000000").into_bytes(),
            "crc_mismatch",
        ),
        (
            "a frame without a checksum",
            FRAMED.replace(r#","crc":"XXXXXXXX""#, "").into_bytes(),
            "crc_missing",
        ),
        ("white space around", format!(" \t{} ", note("")).into_bytes(), "known"),
        ("two objects", [note(""), note("")].concat().into_bytes(), "json"),
        ("an array", b"[1]".to_vec(), "json"),
        ("a text", br#""type""#.to_vec(), "json"),
        ("nothing at all", Vec::new(), "json"),
        ("a comment", format!("{} // x", note("")).into_bytes(), "json"),
        ("a comma too many", note(",").into_bytes(), "json"),
        ("a type of another JSON type", format!(r#"{{{TS},"type":["note.logged"]}}"#).into_bytes(), "field"),
        ("no type", format!("{{{TS}}}").into_bytes(), "field"),
        ("a year beyond all", br#"{"ts":"99999-01-01T00:00:00Z","type":"turn.ended"}"#.to_vec(), "field"),
        ("an instant before all", br#"{"ts":"-0001-01-01T00:00:00Z","type":"turn.ended"}"#.to_vec(), "field"),
    ];
    let wrong: Vec<String> = table
        .iter()
        .filter(|(_, line, expected)| state(line) != *expected)
        .map(|(name, line, expected)| format!("{name}: {} instead of {expected}", state(line)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_first_of_two_equal_keys_counts() {
    let line = note(r#","text":"y""#);
    let Decoded::Known(line) = Decoder::new("seg").decode(line.as_bytes(), 0) else { panic!("{line}") };
    let mut out = Vec::new();
    encode(&line.event, &mut out);
    assert_eq!(serde_json::from_slice::<Value>(&out).unwrap()["text"], "x");
}

fn verified(bytes: &[u8]) -> (Output, Value, Sandbox) {
    let sandbox = Sandbox::new();
    sandbox.write_bytes("project/.agents/logs/background_monitoring.jsonl", bytes);
    let output = sandbox.run(&["verify", "-o", "json"]);
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    (output, document["segments"][0].clone(), sandbox)
}

#[test]
fn the_longest_line_is_read_and_one_byte_more_is_damage() {
    for (length, good) in [(LINE_BYTES_MAX - 1, true), (LINE_BYTES_MAX, true), (LINE_BYTES_MAX + 1, false)] {
        let text = "x".repeat(length - note("").len() + 1);
        let line = note("").replace(r#""text":"x""#, &format!(r#""text":"{text}""#));
        assert_eq!(line.len(), length);
        let bytes = format!("{line}\n{}\n", note(""));
        let (output, segment, sandbox) = verified(bytes.as_bytes());
        assert_eq!(output.status, Some(if good { 0 } else { 30 }), "{length}");
        assert_eq!(
            (segment["ok"].as_u64(), segment["damaged"].as_u64()),
            if good { (Some(2), Some(0)) } else { (Some(1), Some(1)) }
        );
        let lines = sandbox.run(&["tail", "-n", "all"]).stdout.lines().count();
        assert_eq!(lines, if good { 2 } else { 1 }, "{length}");
    }
}

#[test]
fn marks_line_ends_blanks_and_a_torn_end_cost_nothing() {
    let framed = String::from_utf8(framed("framed")).unwrap();
    let text = format!("\u{feff}{}\r\n{framed}\r\n\r\n  \t\n\n{}\n{{\"type\":\"no", note(""), note(""));
    let (output, segment, sandbox) = verified(text.as_bytes());
    assert_eq!(output.status, Some(0), "{}", output.stdout);
    let counts = ["ok", "unchecked", "damaged", "blank", "pending_bytes", "holes"]
        .map(|name| segment[name].as_u64().unwrap());
    assert_eq!(counts, [3, 2, 0, 3, 11, 0]);
    assert_eq!(sandbox.run(&["tail", "-n", "all"]).stdout.lines().count(), 3);
}

#[test]
fn a_log_of_nothing_but_strange_lines_is_survived_by_every_command() {
    let mut text = String::new();
    for line in [nested(100_000), format!("{{\"type\":{}", "{\"a\":".repeat(40_000)), note(r#","x":1e999"#)] {
        let _ = writeln!(text, "{line}");
    }
    let (output, segment, sandbox) = verified(text.as_bytes());
    assert_eq!((output.status, segment["damaged"].as_u64()), (Some(30), Some(2)), "{}", output.stdout);
    for args in
        [&["status"][..], &["tail"], &["doctor"], &["report", "-o", "md"], &["query", "SELECT * FROM events"]]
    {
        let output = sandbox.run(args);
        assert!(
            output.status.is_some() && !output.stderr.contains("panicked"),
            "{args:?}: {}",
            output.stderr
        );
    }
}

/// Foreign files are read by other readers than the log: they must not run out of stack either.
#[test]
fn deep_nesting_in_foreign_files_is_refused_and_not_fatal() {
    let deep = nested(100_000);
    let sandbox = Sandbox::new()
        .with_file("project/.worktrees/deep/status.json", &format!("{{\"status\":\"running\",\"x\":{deep}}}"))
        .with_file("home/deep.jsonl", &format!("{{\"type\":\"user\",\"message\":{{\"content\":{deep}}}}}\n"))
        .with_file("project/.agents/state/positions.json", &format!("{{\"layout\":1,\"sources\":{deep}}}"));
    let path = sandbox.home().join("deep.jsonl");
    for args in [&["import", path.to_str().unwrap()][..], &["watch", "--once"], &["doctor"], &["status"]] {
        let output = sandbox.run(args);
        assert!(
            output.status.is_some() && !output.stderr.contains("panicked"),
            "{args:?}: {}",
            output.stderr
        );
    }
    sandbox.write("project/.agents/agentlog.toml", &format!("x = {deep}\n"));
    assert_eq!(sandbox.run(&["status"]).status, Some(3));
    let sandbox = Sandbox::new();
    let sql = format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000));
    assert_eq!(sandbox.run(&["query", &sql]).status, Some(2));
    let pattern = format!("text~={}a{}", "(".repeat(20_000), ")".repeat(20_000));
    assert_eq!(sandbox.run(&["tail", &pattern]).status, Some(2));
}
