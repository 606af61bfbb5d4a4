//! Hand-written histories and logs in, whole events out; and real ones against counts of an independent program.

use crate::base::zone::Zone;
use crate::source::aider::Aider;
use crate::source::fixture::{Log, drain, env, write};
use crate::source::trial::{Trial, briefs, cost_micros, count, events, import, real, sum};
use crate::source::{Env, Scope, Source};
use serde_json::{Value, json};

const FILE: &str = ".aider.chat.history.md";
const HISTORY: &str = "
# aider chat started at 2026-01-01 10:00:00

> Aider v0.86.0  
> Model: gpt-x with diff edit format  

#### mend it  
#### and more  

I will do so.
#### Plan
This.

> Tokens: 2.1k sent, 1k cache hit, 300 received. Cost: $0.02 message, $0.05 session.  
> Applied edit to src/a.rs  
> Creating empty file b.rs  
> Did not apply edit to c.rs (--dry-run)  

#### again  

Half an ans
> ^C KeyboardInterrupt  

#### once more  
> litellm.RateLimitError: slow down  

# aider chat started at 2026-01-01 12:30:00

#### and now  
It is done.
> Tokens: 12k sent, 1.5k received.  
";

fn source() -> Box<dyn Source> {
    Box::new(Aider::default())
}

fn line(second: u32, event: &str, properties: &Value) -> String {
    json!({"event": event, "properties": properties, "user_id": "u", "time": 1_767_225_600 + second})
        .to_string()
        + "\n"
}

fn analytics() -> String {
    let usage = json!({"main_model": "m", "edit_format": "diff", "prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110, "cost": 0.25, "total_cost": 0.5});
    [
        line(0, "launched", &json!({})),
        line(0, "exit", &json!({"reason": "Listed models"})),
        line(1, "launched", &json!({})),
        line(2, "cli session", &json!({"main_model": "m", "edit_format": "diff"})),
        line(3, "message_send_starting", &json!({})),
        line(9, "message_send", &usage),
        line(10, "command_add", &json!({})),
        line(11, "exit", &json!({"reason": "/exit"})),
        line(12, "launched", &json!({})),
        line(13, "message_send_starting", &json!({})),
        line(14, "exit", &json!({"reason": "Control-C"})),
        line(15, "message_send_starting", &json!({})),
        line(16, "exit", &json!({"reason": "Unknown edit format"})),
    ]
    .concat()
}

#[test]
fn a_chat_is_a_task_with_turns_edits_and_usage() {
    let events = events(source, FILE, HISTORY);
    let (first, second) = ("2026-01-01T10:00:00.000Z", "2026-01-01T12:30:00.000Z");
    let titles: Vec<_> = briefs(&events, &["task.created"])
        .iter()
        .map(|event| (event["title"].clone(), event["ts"].clone(), event["model"].clone()))
        .collect();
    assert_eq!(
        titles,
        [(json!("mend it"), json!(first), json!("gpt-x")), (json!("and now"), json!(second), Value::Null)]
    );
    let task = events[1]["task"].as_str().unwrap();
    assert!(task.starts_with("aider-") && task.ends_with("-20260101100000"), "{task}");
    let reasons: Vec<_> =
        briefs(&events, &["turn.ended"]).iter().map(|event| event["reason"].clone()).collect();
    assert_eq!(reasons, ["done", "interrupted", "error", "done"]);
    assert_eq!(
        briefs(&events, &["file.changed", "usage.recorded"]),
        [
            json!({"type": "usage.recorded", "ts": first, "model": "gpt-x", "input_tokens": 1100, "output_tokens": 300, "cache_read_tokens": 1000, "cost_usd": 0.02, "quality": "estimated"}),
            json!({"type": "file.changed", "ts": first, "path": "src/a.rs", "change": "modified"}),
            json!({"type": "file.changed", "ts": first, "path": "b.rs", "change": "created"}),
            json!({"type": "usage.recorded", "ts": second, "input_tokens": 12_000, "output_tokens": 1500, "quality": "estimated"}),
        ]
    );
    assert_eq!(briefs(&events, &["model.failed"])[0]["error"]["kind"], "rate_limited");
    let sizes: Vec<_> = briefs(&events, &["message.recorded"])
        .iter()
        .take(2)
        .map(|event| event["text_bytes"].clone())
        .collect();
    assert_eq!(sizes, [15, 14 + 10 + 6]);
}

#[test]
fn the_time_of_a_chat_is_read_in_the_zone_of_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    write(&path, HISTORY);
    let zone = Zone::parse("Europe/Berlin").unwrap();
    let (mut source, mut log) = (source(), Log::default());
    source.discover(&Env { zone, ..env(Scope::Paths(vec![path])) });
    drain(&mut *source, &mut log);
    assert_eq!(briefs(&log.events, &["task.created"])[0]["ts"], "2026-01-01T09:00:00.000Z");
}

#[test]
fn a_history_belongs_to_the_project_it_lies_in_and_other_files_there_to_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let root = std::fs::canonicalize(folder.path()).unwrap();
    write(&root.join(FILE), HISTORY);
    write(&root.join("data.jsonl"), "{\"a\":1}\n");
    let inputs = source().discover(&env(Scope::Project(vec![root.clone()]))).inputs;
    assert_eq!(inputs, [root.join(FILE)]);
}

#[test]
fn a_run_is_a_task_with_its_end() {
    let events = events(source, "analytics.jsonl", &analytics());
    let at = |second: u32| format!("2026-01-01T00:00:{second:02}.000Z");
    assert_eq!(
        briefs(
            &events,
            &["task.created", "task.completed", "task.cancelled", "task.failed", "usage.recorded"]
        ),
        [
            json!({"type": "task.created", "ts": at(2), "model": "m", "host": "box"}),
            json!({"type": "usage.recorded", "ts": at(9), "model": "m", "input_tokens": 100, "output_tokens": 10, "cost_usd": 0.25, "quality": "measured"}),
            json!({"type": "task.completed", "ts": at(11), "attempt": 1, "reason": "/exit"}),
            json!({"type": "task.created", "ts": at(13), "host": "box"}),
            json!({"type": "task.cancelled", "ts": at(14), "attempt": 1, "reason": "Control-C"}),
            json!({"type": "task.created", "ts": at(15), "host": "box"}),
            json!({"type": "task.failed", "ts": at(16), "attempt": 1, "reason": "Unknown edit format"}),
        ]
    );
    let reasons: Vec<_> =
        briefs(&events, &["turn.ended"]).iter().map(|event| event["reason"].clone()).collect();
    assert_eq!(reasons, ["done", "interrupted", "error"]);
}

#[test]
fn it_holds_what_every_source_must() {
    let log = analytics();
    let trial = Trial { source, file: "analytics.jsonl", text: &log };
    let fields =
        ["event", "properties", "time", "main_model", "prompt_tokens", "completion_tokens", "cost", "reason"];
    trial.survives_damage();
    trial.adds_nothing_twice();
    trial.grows_as_the_whole();
    trial.takes_only_its_own(&fields);
    assert_eq!(trial.unnoticed(&fields), [] as [&str; 0]);
    let trial = Trial { source, file: FILE, text: HISTORY };
    trial.adds_nothing_as("elsewhere/my.aider.chat.history.md");
    trial.survives_damage();
    trial.adds_nothing_twice();
    trial.grows_as_the_whole();
}

fn drifts(text: &str) -> usize {
    briefs(&events(source, FILE, text), &["source.drifted"]).len()
}

#[test]
fn a_history_that_is_written_otherwise_is_noticed() {
    for (old, new) in [
        ("# aider chat started at ", "# aider session of "),
        ("started at 2026-", "started at the year 2026-"),
        ("#### ", "##### "),
        ("> Tokens: ", "> Usage: "),
        ("> Tokens: ", "* Tokens: "),
        (" sent", " in"),
        (" received", " out"),
        ("Cost: ", "Price: "),
    ] {
        assert!(HISTORY.contains(old));
        assert_eq!(drifts(&HISTORY.replace(old, new)), 1, "{old}");
    }
    // What Aider says besides is told in no other place: nobody can know that it is missing.
    for old in ["Applied edit to ", "Creating empty file ", "^C", "litellm.", "Model: ", "Aider v"] {
        let events = events(source, FILE, &HISTORY.replace(old, "Something else "));
        assert_eq!(briefs(&events, &["source.drifted"]), [] as [Value; 0], "{old}");
        assert_eq!(briefs(&events, &["usage.recorded"]).len(), 2, "{old}");
    }
}

#[test]
fn a_long_chat_without_any_line_of_aider_is_noticed() {
    let chat = |report: &str| {
        let reply = "one line more\n".repeat(60);
        format!("# aider chat started at 2026-01-01 10:00:00\n\n{report}\n\n#### hi  \n\n{reply}")
    };
    assert_eq!(["> Aider v0.86.0", "> a quotation", ""].map(|report| drifts(&chat(report))), [0, 1, 1]);
}

#[test]
fn chats_that_begin_otherwise_are_not_taken_for_one() {
    let (folder, mut log) = (tempfile::tempdir().unwrap(), Log::default());
    for (name, text) in [("a", HISTORY.to_owned()), ("b", HISTORY.replace("mend it", "break it"))] {
        let path = folder.path().join(name).join(FILE);
        write(&path, &text);
        import(&mut *source(), &[path], &mut log);
    }
    // The second chat of both is the same; it is known again only in a copy that begins alike.
    assert_eq!(count(&log, "task.created"), 4);
}

/// Counted by `python3` over the raw JSON: runs with a session or a message, `message_send` and sums over its properties,
/// and the reasons of `exit` of those runs (69 done, 1 stopped). Of the history: headers with a prompt behind them, and lines.
#[test]
fn real_files_give_the_independent_counts() {
    let Some(folder) = real("aider") else { return };
    let mut log = Log::default();
    assert_eq!(import(&mut *source(), &[folder.join("sample-analytics.jsonl")], &mut log), []);
    let counts = [
        "task.created",
        "task.completed",
        "task.cancelled",
        "task.failed",
        "usage.recorded",
        "source.drifted",
    ]
    .map(|name| count(&log, name));
    assert_eq!(counts, [84, 69, 1, 0, 107, 0]);
    assert_eq!(
        (sum(&log, "input_tokens"), sum(&log, "output_tokens"), cost_micros(&log)),
        (2_484_349, 45_772, "5305332".to_owned())
    );
    let mut log = Log::default();
    assert_eq!(import(&mut *source(), &[folder.join("aider.chat.history.md")], &mut log), []);
    let counts =
        ["task.created", "turn.ended", "file.changed", "source.drifted"].map(|name| count(&log, name));
    assert_eq!(counts, [2, 2, 4, 0]);
}

#[test]
fn counts_that_are_too_great_do_not_end_the_program() {
    let text = HISTORY.replace("1k cache hit", &format!("{0} cache write, {0} cache hit", u64::MAX));
    let used = &briefs(&events(source, FILE, &text), &["usage.recorded"])[0];
    assert_eq!((&used["input_tokens"], &used["cache_read_tokens"]), (&json!(0), &json!(u64::MAX)));
}
