//! Sections as users write them, logs as programs write them, whole events out.

use super::*;
use crate::source::fixture::{Log, brief, drain, env, look, write};
use proptest::prelude::*;
use serde_json::{Value, json};

const SECTION: &str = r#"
name = "nightly"
paths = ["logs/*.jsonl"]
task = "job.id"
agent = "worker"
ts = "time"
type = "event"
id = "seq"

[[rule]]
when = "job_started"
emit = "task.created"
title = "job.title"

[[rule]]
when = { "event" = "tool_done", "ok" = true }
emit = "tool.succeeded"
tool = "steps.0.name"
call = "steps.0.id"
duration_s = "took"

[[rule]]
when = { "event" = "tool_done", "ok" = false }
emit = "tool.failed"
tool = "steps.0.name"
call = "steps.0.id"
error = "why"
exit_code = "code"

[[rule]]
when = { "event" = ["tick", "tock"], "done" = "*" }
emit = "progress.reported"
current = "done"
total = "of"
step = "doing"

[[rule]]
when = "spent"
emit = "usage.recorded"
model = "=small"
input_tokens = "in"
output_tokens = "out"
cost_usd = "usd"

[[rule]]
when = { "event" = "job_over", "code" = 0 }
emit = "task.completed"
exit_code = "code"

[[rule]]
when = { "event" = "job_over", "code" = 1 }
emit = "task.failed"
reason = "why"
"#;

fn section(text: &str) -> Result<Section, Invalid> {
    Section::check(&toml::from_str::<Jsonl>(text).unwrap())
}

#[expect(clippy::needless_pass_by_value, reason = "records are composed of values written in place")]
fn record(seq: u32, event: &str, more: Value) -> Value {
    let mut record =
        json!({"seq": seq, "event": event, "time": 1_795_000_000 + seq, "worker": "w1", "job": {"id": "j1"}});
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

fn records() -> Vec<Value> {
    let step = |name: &str, id: &str| json!([{"name": name, "id": id}]);
    vec![
        record(1, "job_started", json!({"job": {"id": "j1", "title": "Build the docs"}})),
        record(2, "tool_done", json!({"ok": true, "steps": step("render", "c1"), "took": 1.5})),
        record(
            3,
            "tool_done",
            json!({"ok": false, "steps": step("publish", "c2"), "why": "no route\nat all", "code": 3}),
        ),
        record(4, "tick", json!({"done": 2, "of": 5, "doing": "indexing"})),
        record(5, "tick", json!({})),
        record(6, "spent", json!({"in": 10, "out": "20", "usd": 0.25})),
        record(7, "job_over", json!({"code": 1, "why": "gave up"})),
    ]
}

fn text(records: &[Value]) -> String {
    records.iter().map(|record| record.to_string() + "\n").collect()
}

/// A project with these logs, read as `watch` does.
fn read(section_text: &str, logs: &[(&str, &str)]) -> Log {
    let project = tempfile::tempdir().unwrap();
    for (name, text) in logs {
        write(&project.path().join("logs").join(name), text);
    }
    let mut log = Log::default();
    let mut source = GenericJsonl::new(section(section_text).unwrap());
    let env = Env { base: project.path().to_owned(), ..env(Scope::Project(vec![project.path().to_owned()])) };
    assert_eq!(look(&mut source, &env, &mut log), []);
    assert_eq!(look(&mut source, &env, &mut log), [], "looking again");
    log
}

#[test]
fn records_become_the_events_that_the_rules_say() {
    let log = read(SECTION, &[("a.jsonl", &text(&records())), ("a.txt", "not named\n")]);
    let with = |seconds: u32, name: &str, more: Value| {
        let mut event = json!({"ts": format!("2026-11-18T11:06:{:02}.000Z", 40 + seconds), "type": name, "task": "j1", "agent": "w1"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    assert_eq!(
        log.events.iter().skip(1).map(brief).collect::<Vec<_>>(),
        [
            with(1, "task.created", json!({"title": "Build the docs", "host": "box"})),
            with(1, "task.started", json!({"attempt": 1})),
            with(2, "tool.started", json!({"tool": "render", "call": "c1", "thread": "main"})),
            with(
                2,
                "tool.succeeded",
                json!({"tool": "render", "call": "c1", "thread": "main", "duration_ms": 1500})
            ),
            with(3, "tool.started", json!({"tool": "publish", "call": "c2", "thread": "main"})),
            with(
                3,
                "tool.failed",
                json!({
                    "tool": "publish", "call": "c2", "thread": "main", "duration_ms": 0,
                    "error": {"kind": "exit_code", "category": "unknown_error", "message": "Exit code 3: no route", "exit_code": 3},
                })
            ),
            with(
                4,
                "progress.reported",
                json!({"current": 2, "total": 5, "percent": 40.0, "step": "indexing"})
            ),
            with(
                6,
                "usage.recorded",
                json!({
                    "model": "small", "input_tokens": 10, "output_tokens": 20, "cost_usd": 0.25, "quality": "measured",
                })
            ),
            with(7, "task.failed", json!({"reason": "gave up"})),
        ]
    );
    assert_eq!(log.events[1]["source"], "nightly");
}

#[test]
fn without_a_task_the_file_is_the_task_and_the_section_works() {
    let plain = "name = \"plain\"\npaths = [\"logs/*.jsonl\"]\n[[rule]]\nwhen = { level = \"info\" }\nemit = \"note.logged\"\ntext = \"msg\"\n";
    let log = read(plain, &[("import.jsonl", "{\"level\":\"info\",\"msg\":\"hello\\nworld\"}\n")]);
    let note = brief(log.events.last().unwrap());
    assert_eq!(
        (&note["task"], &note["agent"], &note["text"]),
        (&json!("import"), &json!("plain"), &json!("hello"))
    );
}

#[test]
fn a_section_that_cannot_be_done_is_refused_with_the_name_of_its_key() {
    let rule = |rule: &str| format!("name = \"n\"\npaths = [\"x\"]\ntask = \"t\"\n[[rule]]\n{rule}");
    for (text, message) in [
        ("paths = [\"x\"]".to_owned(), "jsonl ``: name: must be 1 to 40 small letters, digits and hyphens"),
        ("name = \"N\"".to_owned(), "jsonl `N`: name: must be 1 to 40 small letters, digits and hyphens"),
        ("name = \"n\"".to_owned(), "jsonl `n`: paths: names no files"),
        ("name = \"n\"\npaths = [\"a\"]".to_owned(), "jsonl `n`: rule: there is no rule"),
        (
            "name = \"n\"\npaths = [\"a\"]\ncolour = \"c\"\n[[rule]]\nemit = \"x\"".to_owned(),
            "jsonl `n`: colour: is no key; those that name members are: task, agent",
        ),
        (
            rule("when = { a = 1 }\nemit = \"tool.exploded\""),
            "jsonl `n`: rule 1: emit: \"tool.exploded\" is no event that a rule gives; these are: task.created",
        ),
        (
            rule("when = { a = 1 }\nemit = \"tool.started\"\ntool = \"x\""),
            "jsonl `n`: rule 1: call: is needed for tool.started",
        ),
        (rule("when = { a = 1 }\nemit = \"task.started\"\ntol = \"x\""), "jsonl `n`: rule 1: tol: is no key"),
        (
            rule("when = { a = 1 }\nemit = \"task.started\"\ntitle = \"a..b\""),
            "jsonl `n`: rule 1: title: \"a..b\" is no path",
        ),
        (rule("emit = \"task.started\""), "jsonl `n`: rule 1: when: is empty"),
        (
            rule("when = \"go\"\nemit = \"task.started\""),
            "jsonl `n`: rule 1: when: \"go\" is a value of `type`",
        ),
        ("name = \"n\"\npaths = [\"a***\"]\n".to_owned(), "jsonl `n`: paths: \"a***\""),
    ] {
        let error = section(&text).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

/// The records so often that each rule has met more than twenty; of ticks all have a count.
fn many() -> Vec<Value> {
    let over = record(8, "job_over", json!({"code": 0, "why": "", "took": 1}));
    let each = records().into_iter().filter(|record| record["seq"] != 5).chain([over]);
    std::iter::repeat_n(each.collect::<Vec<_>>(), 24).flatten().collect()
}

fn has_drifted(section: &str, text: &str) -> bool {
    read(section, &[("a.jsonl", text)]).count(|event| event["type"] == "source.drifted") > 0
}

#[test]
fn a_log_in_which_any_member_of_the_rules_has_another_name_has_drifted() {
    assert!(!has_drifted(SECTION, &text(&many())));
    for name in [
        "event", "job", "id", "time", "seq", "worker", "title", "ok", "steps", "name", "took", "why", "code",
        "done", "of", "doing", "in", "out", "usd",
    ] {
        let renamed = text(&many()).replace(&format!("\"{name}\":"), &format!("\"{name}2\":"));
        assert!(has_drifted(SECTION, &renamed), "{name}");
    }
}

#[test]
fn a_member_that_only_some_records_have_or_that_is_marked_is_optional() {
    let section = |step: &str| {
        format!(
            "name = \"n\"\npaths = [\"logs/*.jsonl\"]\n[[rule]]\nwhen = {{ a = 1 }}\nemit = \"progress.reported\"\nstep = \"{step}\"\n"
        )
    };
    let lines = |pattern: &str| -> String {
        let line = |kind| match kind {
            'h' => "{\"a\":1,\"b\":\"x\"}\n",
            'n' => "{\"a\":1,\"b\":null}\n",
            _ => "{\"a\":1}\n",
        };
        pattern.chars().map(line).collect()
    };
    let long = |kind: char, count: usize| kind.to_string().repeat(count);
    for (pattern, is_strange) in [
        (long('-', 19), false),
        (long('-', 20), true),
        (long('-', 10) + "h" + &long('-', 50), false),
        (long('h', 50) + &long('-', 22), true),
        (long('n', 50), false),
    ] {
        assert_eq!(has_drifted(&section("b"), &lines(&pattern)), is_strange, "{pattern}");
        assert!(!has_drifted(&section("b?"), &lines(&pattern)), "{pattern}");
    }
    let log = read(&section("b?"), &[("a.jsonl", &lines("h"))]);
    assert_eq!(log.events.last().unwrap()["step"], "x");
}

#[test]
fn records_that_no_rule_is_about_are_no_change_of_the_log() {
    let rule = |more: &str, when: &str| {
        format!(
            "name = \"n\"\npaths = [\"logs/*.jsonl\"]\n{more}[[rule]]\nwhen = {{ {when} = \"over\" }}\nemit = \"task.completed\"\n"
        )
    };
    let line =
        r#"{"event":"debug","time":1795000000,"msg":"a line of a busy log that is about something else"}"#;
    let many = format!("{line}\n").repeat(2000);
    for (section, is_strange) in [
        (rule("type = \"event\"\n", "event"), false),
        (rule("type = \"kind\"\nts = \"time\"\n", "kind"), true),
        (rule("ts = \"time\"\n", "kind"), false),
        (rule("", "event"), false),
        (rule("", "kind"), true),
    ] {
        let log = read(&section, &[("a.jsonl", &many)]);
        assert_eq!(log.count(|event| event["type"] == "source.drifted") > 0, is_strange, "{section}");
    }
}

#[test]
fn a_task_that_begins_again_after_its_end_is_at_its_next_attempt() {
    let begun = |seq| record(seq, "job_started", json!({}));
    let over = |seq, code: u32| record(seq, "job_over", json!({ "code": code }));
    let records = [begun(1), begun(2), over(3, 1), begun(4), begun(5), over(6, 1), begun(7), over(8, 0)];
    let log = read(SECTION, &[("a.jsonl", &text(&records))]);
    let told: Vec<_> = log
        .events
        .iter()
        .filter(|event| event["type"] != "task.created" && event["type"] != "source.opened")
        .map(|event| (event["type"].as_str().unwrap(), event["attempt"].as_u64()))
        .collect();
    assert_eq!(
        told,
        [
            ("task.started", Some(1)),
            ("task.failed", None),
            ("task.started", Some(2)),
            ("task.failed", Some(2)),
            ("task.started", Some(3)),
            ("task.completed", Some(3)),
        ]
    );
}

#[test]
fn growth_with_and_without_memory_gives_what_the_whole_gives() {
    let whole: Vec<Value> =
        read(SECTION, &[("a.jsonl", &text(&records()))]).events.iter().map(brief).collect();
    for keeps in [None, Some(true), Some(false)] {
        let project = tempfile::tempdir().unwrap();
        let env = Env { base: project.path().to_owned(), ..env(Scope::Global) };
        let fresh = || GenericJsonl::new(section(SECTION).unwrap());
        let (mut source, mut log) = (fresh(), Log::default());
        for count in 1..=records().len() {
            write(&project.path().join("logs/a.jsonl"), &text(&records()[..count]));
            if let Some(keeps) = keeps {
                log.restart();
                log.advance(source.advances());
                let saved = serde_json::to_string(&source.positions()).unwrap();
                source = fresh();
                if keeps {
                    source.resume(serde_json::from_str(&saved).unwrap());
                }
            }
            assert_eq!(look(&mut source, &env, &mut log), []);
        }
        assert_eq!(whole[1..], log.events.iter().map(brief).collect::<Vec<_>>()[1..], "{keeps:?}");
    }
}

#[test]
fn import_takes_the_named_files_that_a_section_is_about() {
    let project = tempfile::tempdir().unwrap();
    let root = std::fs::canonicalize(project.path()).unwrap();
    for name in ["logs/a.jsonl", "logs/b.jsonl", "c.jsonl"] {
        write(&root.join(name), &text(&records()));
    }
    for (named, expected) in [("logs/a.jsonl", 1), ("logs", 2), ("c.jsonl", 0)] {
        let mut source = GenericJsonl::new(section(SECTION).unwrap());
        let env = Env { base: root.clone(), ..env(Scope::Paths(vec![root.join(named)])) };
        let found = source.discover(&env);
        assert_eq!(found.inputs.len(), expected, "{named}");
        drain(&mut source, &mut Log::default());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_it_panic(cut in any::<prop::sample::Index>(), flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..127), 0..8)) {
        let mut bytes = text(&records()).into_bytes();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len()).max(1));
        let project = tempfile::tempdir().unwrap();
        write(&project.path().join("logs/a.jsonl"), &String::from_utf8_lossy(&bytes));
        let mut source = GenericJsonl::new(section(SECTION).unwrap());
        look(&mut source, &Env { base: project.path().to_owned(), ..env(Scope::Global) }, &mut Log::default());
    }
}
