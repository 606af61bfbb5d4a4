//! What is found in the output of jobs.

use super::*;
use crate::source::fixture::now;
use crate::source::scribe::{Fact, TakeFact};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

mod errors;
mod literal;
mod presets;
mod structured;

/// What an output said, without ids and times.
#[derive(Default)]
struct Said(Vec<Value>);

impl TakeFact for Said {
    fn take(&mut self, fact: Fact<'_>) {
        let mut said = json!({"type": fact.body.type_name()});
        let map = said.as_object_mut().unwrap();
        match fact.body {
            Body::ProgressReported { current, total, percent, step } => {
                map.extend(current.map(|current| ("current".to_owned(), json!(current))));
                map.extend(total.map(|total| ("total".to_owned(), json!(total))));
                map.extend(percent.map(|percent| ("percent".to_owned(), json!(percent))));
                map.extend(step.map(|step| ("step".to_owned(), json!(step))));
            }
            Body::MarkerSeen { marker } => map.extend([("marker".to_owned(), json!(marker))]),
            Body::ErrorMatched { pattern, error } => map.extend([
                ("pattern".to_owned(), json!(pattern)),
                ("category".to_owned(), json!(error.category)),
                ("message".to_owned(), json!(error.message)),
            ]),
            Body::OutputGrew { output_bytes } => map.extend([("bytes".to_owned(), json!(output_bytes))]),
            Body::NoteLogged { text } => map.extend([("text".to_owned(), json!(text))]),
            other => panic!("an output does not say {}", other.type_name()),
        }
        self.0.push(said);
    }

    fn file(&self) -> &'static str {
        "f"
    }

    fn now(&self) -> Timestamp {
        now()
    }
}

/// One output, read as its owner reads it.
#[derive(Default)]
struct Job {
    patterns: Option<Patterns>,
    output: Output,
    said: Said,
    offset: usize,
    ts: Timestamp,
}

impl Job {
    fn new(config: &str) -> Self {
        let config: PatternsConfig = toml::from_str(config).unwrap();
        Self { patterns: Some(Patterns::compile(&config).unwrap()), ts: now(), ..Self::default() }
    }

    fn line(&mut self, line: &str) -> Option<Ended> {
        let patterns = self.patterns.as_ref().unwrap();
        let ts = patterns.time(line).unwrap_or(self.ts);
        let offset = self.offset.to_string();
        let mut scribe = Scribe::new(&mut self.said, "job", ("nightly", "job"), ts, &["f", &offset]);
        self.offset += line.len() + 1;
        self.output.line(patterns, line, &mut scribe)
    }

    fn lines(&mut self, lines: &[&str]) -> Vec<Ended> {
        lines.iter().filter_map(|line| self.line(line)).collect()
    }

    /// What was said but for growth.
    fn said(&self) -> Vec<Value> {
        self.said.0.iter().filter(|said| said["type"] != "output.grew").cloned().collect()
    }
}

/// What is said of these lines but for growth, and the ends they claim.
fn read(config: &str, lines: &[&str]) -> (Vec<Value>, Vec<Ended>) {
    let mut job = Job::new(config);
    let ended = job.lines(lines);
    (job.said(), ended)
}

fn progress(current: u64, total: u64, percent: f64) -> Value {
    json!({"type": "progress.reported", "current": current, "total": total, "percent": percent})
}

fn completed(reason: &str) -> Vec<Ended> {
    vec![Ended::Completed(reason.to_owned())]
}

fn failed(reason: &str) -> Vec<Ended> {
    vec![Ended::Failed(reason.to_owned())]
}

const SEED: &str = r#"
total_batches = "with (\\d+) batches"
current_batch = "Generating particles for \\((\\d+) of \\d+ batches\\)"
"#;

#[test]
fn the_simulation_of_the_seed_is_followed_by_its_own_keys() {
    let lines = [
        "Uploading particles with batch.. : Particle count --> 10000000 with 18 batches",
        "Generating particles for (5 of 18 batches) in CPU ..",
        "Generating particles for (18 of 18 batches) in CPU ..",
    ];
    let expected = vec![progress(5, 18, 5.0 * 100.0 / 18.0), progress(18, 18, 100.0)];
    assert_eq!(read(SEED, &lines), (expected.clone(), Vec::new()));
    let literal = r"progress = ['with (\d+) batches', 'Generating particles for \((\d+) of (\d+) batches\)']";
    assert_eq!(read(literal, &lines), (expected, Vec::new()));
}

#[test]
fn a_current_line_without_a_total_before_it_carries_its_own() {
    let config = r#"current_batch = "Generating particles for \\((\\d+) of (\\d+) batches\\)""#;
    let (said, _) = read(config, &["Generating particles for (9 of 18 batches) in CPU .."]);
    assert_eq!(said, [progress(9, 18, 50.0)]);
    let (said, _) = read(SEED, &["Generating particles for (9 of 18 batches) in CPU .."]);
    assert_eq!(
        said,
        [json!({"type": "progress.reported", "current": 9})],
        "without a total: the count alone"
    );
}

#[test]
fn the_first_total_stays_and_a_contradiction_is_mentioned_once() {
    let lines = [
        "with 18 batches",
        "Generating particles for (9 of 20 batches)",
        "with 30 batches",
        "Generating particles for (27 of 20 batches)",
    ];
    let (said, _) = read("preset = \"tps_env\"", &lines);
    let note = json!({"type": "note.logged", "text": "the output counts to 20 now, to 18 before: 18 stays"});
    assert_eq!(said, [note, progress(9, 18, 50.0), progress(27, 18, 100.0)]);
}

#[test]
fn progress_is_said_when_it_changed_by_one_percent_and_always_at_the_end() {
    let config = r#"progress = "(?P<current>\\d+)/(?P<total>\\d+)""#;
    let lines: Vec<_> = (0..=10_000).map(|idx| format!("{idx}/10000")).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let (said, _) = read(config, &lines);
    assert_eq!(said.len(), 101);
    assert_eq!(said.last(), Some(&progress(10_000, 10_000, 100.0)));
    let (said, _) = read(&format!("{config}\nupdate_throttle_percent = 30.0"), &lines);
    let expected =
        [0, 3000, 6000, 9000, 10_000].map(|idx: u32| progress(idx.into(), 10_000, f64::from(idx) / 100.0));
    assert_eq!(said, expected);
}

#[test]
fn a_change_of_the_step_is_said_at_once_but_not_without_end() {
    let config = r#"progress = "^step (?P<message>.*)""#;
    let (said, _) = read(config, &["step one", "step one", "step two"]);
    let step = |step: &str| json!({"type": "progress.reported", "step": step});
    assert_eq!(said, [step("one"), step("two")]);
    let lines: Vec<_> = (0..5000).map(|idx| format!("step {idx}")).collect();
    let (said, _) = read(config, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(said.len(), 101);
}

#[test]
fn the_named_groups_say_all_there_is_to_say() {
    let config = r"progress = [
        'at (?P<percent>[\d.]+)% of (?P<message>\w+)',
        '(?P<success>all fine)|(?P<failure>it broke)',
    ]";
    let (said, ended) = read(config, &["at 12.5% of upload", "at 250% of upload", "all fine", "it broke"]);
    let at = |percent: f64| json!({"type": "progress.reported", "percent": percent, "step": "upload"});
    assert_eq!(said, [at(12.5), at(100.0)]);
    assert_eq!(ended, [completed("all fine"), failed("it broke")].concat());
}

#[test]
fn a_single_group_is_what_the_words_around_it_say() {
    let only = |pattern: &str, line: &str| read(&format!("progress = '{pattern}'"), &[line]).0;
    let percent = json!({"type": "progress.reported", "percent": 7.0});
    let current = json!({"type": "progress.reported", "current": 7});
    assert_eq!(only(r"(\d+)%", "7%"), [percent]);
    assert_eq!(only(r"batch (\d+)", "batch 7"), [current]);
    assert_eq!(only(r"(?:of|with) total (\d+)", "of total 7"), Vec::<Value>::new());
}

#[test]
fn an_end_of_each_kind_is_claimed_once() {
    let config = "[dummy]";
    assert!(toml::from_str::<PatternsConfig>(config).is_err(), "unknown keys are refused");
    let config = r#"
        success_pattern = "Simulation completed successfully"
        failure_patterns = ["FATAL ERROR", "ERROR:", "Segmentation fault"]
    "#;
    let lines = [
        "FATAL ERROR: x",
        "ERROR: y",
        "Simulation completed successfully",
        "Simulation completed successfully",
    ];
    let (_, ended) = read(config, &lines);
    assert_eq!(ended, [failed("FATAL ERROR: x"), completed("Simulation completed successfully")].concat());
    let mut job = Job::new(config);
    assert_eq!(job.line(lines[1]), failed("ERROR: y").pop());
    job.output.begin_again();
    assert_eq!(job.line(lines[1]), failed("ERROR: y").pop(), "another attempt has its own end");
}

#[test]
fn a_marker_is_a_whole_word_anywhere_in_a_line() {
    let marker = json!({"type": "marker.seen", "marker": "DONE"});
    assert_eq!(read("", &["ABANDONED", "UNDONE", "DONE_2", "done"]), (Vec::new(), Vec::new()));
    assert_eq!(read("", &["all DONE."]), (vec![marker.clone()], completed("marker DONE")));
    assert_eq!(read("", &["DONE", "DONE"]), (vec![marker], completed("marker DONE")));
    let config = r#"markers = ["==END==", "Fertig"]"#;
    let (said, ended) = read(config, &["x==END==y", "Fertig", "DONE"]);
    let seen = |marker: &str| json!({"type": "marker.seen", "marker": marker});
    assert_eq!((said, ended), (vec![seen("==END=="), seen("Fertig")], completed("marker ==END==")));
    assert_eq!(read("preset = \"mqi\"", &["DONE"]), (Vec::new(), Vec::new()), "the preset says how it ends");
}

#[test]
fn ignored_lines_say_nothing() {
    let config = "ignore = '^debug'\nsuccess = 'fine'";
    assert_eq!(read(config, &["debug ERROR fine"]), (Vec::new(), Vec::new()));
    assert_eq!(read(config, &[r#"{"level":"error","msg":"x"}"#]).0.len(), 1);
    assert_eq!(read("ignore = 'noise'", &[r#"{"level":"error","msg":"noise"}"#]).0.len(), 0);
}

#[test]
fn escape_sequences_are_not_part_of_what_is_said() {
    let line = "\u{1b}[2K\u{1b}[32mbatch \u{1b}]8;;http://x\u{7}3\u{1b}]8;;\u{1b}\\/4\u{1b}[0m\u{1b}(B";
    let (said, _) = read(r"progress = 'batch (\d+)/(\d+)$'", &[line]);
    assert_eq!(said, [progress(3, 4, 75.0)]);
    assert_eq!(plain::of("a\u{1b}"), "a");
    assert_eq!(plain::of("a\u{1b}[12"), "a");
}

#[test]
fn growth_is_a_sign_of_life_every_half_minute() {
    let mut job = Job::new("");
    for second in 0..60 {
        job.line(&format!("2026-11-20T10:00:{second:02}Z x"));
    }
    let bytes: Vec<_> = job.said.0.iter().map(|said| said["bytes"].as_u64().unwrap()).collect();
    assert_eq!(bytes, [23, 30 * 23]);
    let mut scribe = Scribe::new(&mut job.said, "job", ("nightly", "job"), now(), &["f", "end"]);
    job.output.finish(&mut scribe);
    assert_eq!(job.said.0.last(), Some(&json!({"type": "output.grew", "bytes": 29 * 23})));
}

#[test]
fn a_pattern_that_cannot_be_used_is_named_with_its_place() {
    let error = |config: &str| {
        let config: PatternsConfig = toml::from_str(config).unwrap();
        Patterns::compile(&config).unwrap_err()
    };
    let unclosed = error(r"failure = ['fine', 'x (\d+']");
    assert_eq!((unclosed.key, unclosed.position), ("failure", Some(2)));
    assert_eq!(unclosed.to_string(), r"`failure`: pattern `x (\d+`: unclosed group at character 3");
    let text = |config: &str| error(config).to_string();
    assert_eq!(
        text("progress = 'x'"),
        "`progress`: pattern `x`: no group tells what is meant; name one of current, total, percent, message, success, failure, part"
    );
    assert_eq!(text("success = ''"), "`success`: pattern ``: empty: it would match every line");
    assert_eq!(text("errors = 'x{1000}{1000}'"), "`errors`: pattern `x{1000}{1000}`: too big");
    assert!(text("progress = '(?P<now>1)'").contains("unknown group `now`"));
    assert!(text("total_batches = 'x'").contains("no group for the number"));
    assert!(text("time_zone = 'Mars'").contains("unknown time zone `Mars`"));
}

#[test]
fn what_is_remembered_survives_a_restart() {
    let lines = [
        "with 18 batches",
        "Traceback (most recent call last):",
        "  x",
        "ValueError: no",
        "Generating particles for (9 of 18 batches)",
    ];
    let mut whole = Job::new("preset = \"mqi\"");
    whole.lines(&lines);
    let mut pieces = Job::new("preset = \"mqi\"");
    for line in lines {
        pieces.line(line);
        let saved = serde_json::to_string(&pieces.output).unwrap();
        pieces.output = serde_json::from_str(&saved).unwrap();
    }
    assert_eq!(pieces.said.0, whole.said.0);
    assert_eq!(pieces.said().len(), 3);
}

proptest! {
    #[test]
    fn no_line_is_too_strange(lines in prop::collection::vec(any::<Vec<u8>>(), 0..20)) {
        static PRESETS: LazyLock<Vec<Patterns>> = LazyLock::new(|| {
            let names = ["mqi", "tqdm", "cargo", "pytest", "snakemake", "nextflow", "percent"];
            names.iter().filter_map(|preset| Job::new(&format!("preset = \"{preset}\"")).patterns).collect()
        });
        for patterns in &*PRESETS {
            let mut job = Job { patterns: Some(patterns.clone()), ..Job::default() };
            for line in &lines {
                job.line(&String::from_utf8_lossy(line));
            }
        }
    }

    #[test]
    fn no_damage_of_a_line_that_means_something_is_a_failure(
        which in 0_usize..6, at in any::<prop::sample::Index>(), byte in any::<char>(), cut in any::<prop::sample::Index>(),
    ) {
        let line = [
            r#"{"timestamp":"2025-10-28T14:30:52Z","level":"ERROR","message":"x"}"#,
            "[2025-10-28 14:30:52,123 +0100] ERROR x",
            "Generating particles for (5 of 18 batches) in CPU ..",
            " 45%|████ | 45/100 [00:10<00:12]\r 46%|████ | 46/100",
            "\u{1b}[31mERROR\u{1b}[0m",
            r#"{"event":"progress","current":5,"total":10,"percent":50}"#,
        ][which];
        let mut chars: Vec<char> = line.chars().collect();
        let at = at.index(chars.len());
        chars[at] = byte;
        chars.truncate(cut.index(chars.len()) + 1);
        let mut job = Job::new("preset = \"mqi\"");
        job.line(&chars.into_iter().collect::<String>());
    }
}
