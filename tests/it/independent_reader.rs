//! `agentlog verify` against a reader written from the protocol by other means (`tests/reader.py`): every number of every
//! segment is the same, whatever happened to the log.

#![expect(clippy::indexing_slicing, reason = "the lines and bytes are those that this file made")]

use crate::support::repository;
use crate::support::sandbox::{self, Output, Sandbox};
use agentlog::base::frame;
use serde_json::{Value, json};
use std::process::Command;

/// The counts that both give.
const COUNTS: [&str; 8] =
    ["bytes", "ok", "unchecked", "damaged", "blank", "pending_bytes", "holes", "repeats"];

/// As many logs are damaged at random.
const RANDOM_LOGS: u64 = 200;

/// One line of the writer `w`, with its newline.
fn line(writer: &str, number: u64, text: &str) -> Vec<u8> {
    let mut line = format!(
        r#"{{"v":1,"id":"0b8c7a20-976e-8205-a904-{number:012x}","ts":"2026-11-16T09:00:00.120Z","type":"note.logged","task":"T","text":"{text}"}}"#
    )
    .into_bytes();
    frame::seal(&mut line, writer, number);
    line.push(b'\n');
    line
}

/// A header and `count` lines of one writer.
fn clean(writer: &str, count: u64) -> Vec<u8> {
    let mut log = format!(
        r#"{{"v":1,"ts":"2026-11-16T09:00:00.120Z","type":"segment.opened","seg":"seg{writer}","stream":"s"}}"#
    )
    .into_bytes();
    frame::seal(&mut log, writer, 1);
    log.push(b'\n');
    for number in 2..=count {
        log.extend(line(writer, number, "naïve “quotes” and \\\"escapes\\\" \\u001b"));
    }
    log
}

/// The lines of a log, each with its newline.
fn lines(log: &[u8]) -> Vec<Vec<u8>> {
    log.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// A log of ten lines, changed in the middle.
fn changed(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    let mut lines = lines(&clean("w1", 10));
    change(&mut lines);
    lines.concat()
}

/// The same, one line without its newline.
fn without_newline(index: usize) -> Vec<u8> {
    changed(|lines| {
        lines[index].pop();
    })
}

/// A line of exactly so many bytes, without frame.
fn long(bytes: usize) -> Vec<u8> {
    let (head, tail) = (r#"{"type":"note.logged","ts":"2026-11-16T09:00:00Z","text":""#, "\"}");
    let mut line = head.as_bytes().to_vec();
    line.resize(bytes - tail.len(), b'x');
    [line.as_slice(), tail.as_bytes(), b"\n"].concat()
}

/// A line whose value is nested so deep.
fn deep(levels: usize) -> Vec<u8> {
    let (open, close) = ("[".repeat(levels), "]".repeat(levels));
    format!("{{\"type\":\"odd.event\",\"ts\":\"2026-11-16T09:00:00Z\",\"x\":{open}{close}}}\n").into_bytes()
}

/// Everything that happens to logs, each under the name of its stream, below `.agents/logs`.
fn damaged_logs() -> Vec<(&'static str, Vec<u8>)> {
    let by_hand = b"{\"type\":\"note.logged\",\"text\":\"by hand\"}\n".to_vec();
    vec![
        ("clean.jsonl", clean("w1", 10)),
        ("empty.jsonl", Vec::new()),
        ("torn.jsonl", changed(|lines| lines[9].truncate(40))),
        ("torn_before_newline.jsonl", without_newline(9)),
        ("healed.jsonl", changed(|lines| lines[4].splice(40.., [b'\n']).for_each(drop))),
        ("flipped.jsonl", changed(|lines| lines[4][60] ^= 1)),
        ("flipped_newline.jsonl", changed(|lines| lines[4].splice(150.., *b"\x0b").for_each(drop))),
        ("glued.jsonl", without_newline(4)),
        ("nul.jsonl", changed(|lines| lines.insert(5, vec![0; 4096]))),
        ("nul_line.jsonl", changed(|lines| lines.insert(5, [&[0; 4096][..], b"\n"].concat()))),
        ("no_utf8.jsonl", changed(|lines| lines[4][120] = 0xff)),
        ("no_utf8_by_hand.jsonl", b"{\"type\":\"a\xff\"}\n{\"type\":\"odd\"}\n".to_vec()),
        ("longest.jsonl", [long(262_144), long(262_145), by_hand.clone()].concat()),
        ("longest_pending.jsonl", changed(|lines| lines.push(vec![b'x'; 600_000]))),
        ("deep.jsonl", [deep(63), deep(64), deep(65), deep(1000)].concat()),
        (
            "carriage_returns.jsonl",
            changed(|lines| lines.iter_mut().for_each(|line| line.insert(line.len() - 1, b'\r'))),
        ),
        ("carriage_returns_by_hand.jsonl", b"{\"type\":\"note.logged\",\"text\":\"x\"}\r\n\r\n".to_vec()),
        (
            "blank.jsonl",
            changed(|lines| {
                lines.splice(3..3, [b"\n".to_vec(), b" \t\r\n".to_vec(), b"\x0c\n".to_vec()]).for_each(drop);
            }),
        ),
        ("duplicated.jsonl", changed(|lines| lines.extend_from_within(3..7))),
        ("missing.jsonl", changed(|lines| drop(lines.drain(3..6)))),
        ("swapped.jsonl", changed(|lines| lines.swap(3, 6))),
        (
            "by_hand.jsonl",
            [&by_hand[..], b"{\"type\":\"odd.event\",\"w\":1}\n", b"{\"type\":5}\n", b"[]\n", b"{}\n"]
                .concat(),
        ),
        (
            "foreign.jsonl",
            [
                &by_hand[..],
                b"{\"task_id\":\"bg_1\",\"agent\":\"explore\",\"prompt\":\"look\",\"timestamp\":\"2026-11-16T09:00:00Z\"}\n",
                b"{\"task_id\":7,\"status\":\"completed\",\"duration\":3}\n{\"event\":\"tick\",\"time\":1763283600}\n",
                b"{\"task_id\":\"bg_1\",\"colour\":1}\n{\"v\":1,\"task_id\":\"bg_1\"}\n{\"status\":\"done\"}\n{\"type\":5,\"task_id\":\"x\"}\n",
            ]
            .concat(),
        ),
        (
            "half_a_frame.jsonl",
            changed(|lines| {
                let cut = lines[4].len() - 20;
                lines[4].splice(cut.., *b"}\n").for_each(drop);
            }),
        ),
        (
            "two_writers.jsonl",
            [clean("w1", 6), line("w2", 5, "a"), line("w2", 8, "b"), line("w1", 9, "c")].concat(),
        ),
        (
            "constants.jsonl",
            b"{\"type\":\"a\",\"x\":NaN}\n{\"type\":\"a\",\"x\":1e999}\n{\"type\":\"a\",\"x\":01}\n".to_vec(),
        ),
        (
            "numbers.jsonl",
            b"{\"type\":\"a\",\"x\":123456789012345678901234567890}\n{\"type\":\"a\",\"x\":\"\\ud800\"}\n"
                .to_vec(),
        ),
        ("byte_order_mark.jsonl", [b"\xef\xbb\xbf".to_vec(), clean("w1", 3)].concat()),
        ("closed/parts.20261115.002.jsonl", [line("w1", 6, "e"), line("w1", 7, "f")].concat()),
        ("closed/parts.20261115.001.jsonl", clean("w1", 3)),
        ("closed/parts.20261114.010.jsonl", line("w3", 3, "first of another writer")),
        ("parts.jsonl", [line("w1", 9, "g"), line("w1", 2, "again"), line("w3", 5, "h")].concat()),
        ("closed/only_closed.20261115.001.jsonl", clean("w1", 3)),
        ("closed/nobody.2026.001.jsonl", clean("w1", 3)),
    ]
}

/// A sequence of numbers that is the same in every run: splitmix64, public domain, by Sebastiano Vigna.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(below).unwrap()).unwrap()
    }
}

/// A log of two writers, changed in a few places.
fn mutated(seed: u64) -> Vec<u8> {
    let mut numbers = Numbers(seed);
    let mut all = lines(&clean("w1", 12));
    all.extend((1..8).map(|number| line("w2", number, "b")));
    let mut log = all.concat();
    for _ in 0..=numbers.next(4) {
        let at = numbers.next(log.len());
        let end = (at + numbers.next(300)).min(log.len());
        match numbers.next(7) {
            0 => log[at] ^= 1 << numbers.next(8),
            1 => drop(log.drain(at..end)),
            2 => log.extend_from_within(at..end),
            3 => log.truncate(at.max(1)),
            4 => log.insert(at, b'\n'),
            5 => log[at..end].fill(0),
            _ => {
                let copied = log[at..end].to_vec();
                let to = numbers.next(log.len());
                log.splice(to..to, copied).for_each(drop);
            }
        }
    }
    log
}

fn reader(sandbox: &Sandbox) -> Output {
    let mut command = Command::new("python3");
    sandbox::run(command.arg(repository::root().join("tests/reader.py")).arg(sandbox.project()))
}

/// The segments of an output: the file below the folder of the streams, and the counts. `seg` only where a line says it.
fn segments(output: &Output, other: Option<&[Value]>) -> Vec<Value> {
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(document["unreadable"], json!([]), "{}", output.stdout);
    let segments = document["segments"].as_array().unwrap().iter().enumerate().map(|(idx, segment)| {
        let file = segment["file"].as_str().unwrap().split_once(".agents/logs/").unwrap().1;
        let mut taken = json!({"file": file, "seg": segment["seg"]});
        if other.is_some_and(|other| other.get(idx).is_some_and(|other| other["seg"].is_null())) {
            taken["seg"] = Value::Null;
        }
        for name in COUNTS {
            taken[name] = segment[name].clone();
        }
        taken
    });
    segments.collect()
}

/// Compares what both say; gives how many segments there are.
fn compare(sandbox: &Sandbox) -> usize {
    let read = reader(sandbox);
    assert_eq!(read.status, Some(0), "{}", read.stderr);
    let mut read = segments(&read, None);
    let mut verified = segments(&sandbox.run(&["verify", "-o", "json"]), Some(&read));
    compare_scraps(&mut verified, &mut read);
    let differences: Vec<String> = verified
        .iter()
        .zip(&read)
        .filter(|(verified, read)| verified != read)
        .map(|(verified, read)| format!("verify {verified}\nreader {read}"))
        .collect();
    assert!(differences.is_empty(), "\n{}", differences.join("\n"));
    assert_eq!(verified.len(), read.len());
    read.len()
}

/// Takes out of both what only the vocabulary decides. The reader does not know it: a scrap of a line that is a JSON object
/// with a known type, and lacks a field of that type, is a good line to him. Only logs damaged at random have such.
fn compare_scraps(verified: &mut [Value], read: &mut [Value]) {
    let is_scrap = |segment: &Value| {
        segment["file"].as_str().is_some_and(|file| file.starts_with("random")) && segment["unchecked"] != 0
    };
    let mut scraps = 0;
    for (verified, read) in verified.iter_mut().zip(read).filter(|(_, read)| is_scrap(read)) {
        scraps += 1;
        for segment in [verified, read] {
            let lines = segment["ok"].as_u64().unwrap() + segment["damaged"].as_u64().unwrap();
            segment["ok"] = json!({"ok or damaged": lines});
            segment["unchecked"] = Value::Null;
            segment["damaged"] = Value::Null;
        }
    }
    assert!(scraps < 10, "{scraps} logs were not compared wholly");
}

#[test]
fn verify_and_the_independent_reader_agree_on_every_kind_of_damage() {
    let sandbox = Sandbox::new();
    let logs = damaged_logs();
    for (name, bytes) in &logs {
        sandbox.write_bytes(&format!("project/.agents/logs/{name}"), bytes);
    }
    // One name that is no segment's.
    assert_eq!(compare(&sandbox), logs.len() - 1);
}

#[test]
fn verify_and_the_independent_reader_agree_on_logs_damaged_at_random() {
    let sandbox = Sandbox::new();
    for seed in 0..RANDOM_LOGS {
        sandbox.write_bytes(&format!("project/.agents/logs/random{seed:03}.jsonl"), &mutated(seed));
    }
    assert_eq!(compare(&sandbox), usize::try_from(RANDOM_LOGS).unwrap());
}

#[test]
fn verify_and_the_independent_reader_agree_on_what_the_program_wrote() {
    let sandbox =
        Sandbox::new().with_file("project/.agents/agentlog.toml", "[journal]\nsegment_bytes = 4096\n");
    for number in 0..30 {
        let text = format!("text={number} {}", "x".repeat(250));
        let emitted = sandbox.run(&["emit", "note.logged", "--task", "T", &text]);
        assert_eq!(emitted.status, Some(0), "{}", emitted.stderr);
    }
    let segments = compare(&sandbox);
    assert!(segments > 2, "{segments}");
    let name = "background_monitoring.jsonl";
    let (active, other) = (
        sandbox.project().join(".agents/logs").join(name),
        "closed/background_monitoring.20991231.999.jsonl",
    );
    std::fs::hard_link(&active, active.with_file_name(other)).unwrap();
    assert_eq!(compare(&sandbox), segments, "a segment with two names counts once");
    std::fs::remove_file(active.with_file_name(other)).unwrap();
    if Command::new("zstd").arg("--version").output().is_err() {
        eprintln!(
            "skipped: zstd, with which the independent reader unpacks sealed segments, is not installed"
        );
        return;
    }
    let pruned = sandbox.run(&["prune", "--seal-after", "0s"]);
    assert_eq!(pruned.status, Some(0), "{}", pruned.stderr);
    assert_eq!(compare(&sandbox), segments);
}
