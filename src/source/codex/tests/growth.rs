//! Reading in steps, with and without memory, gives what reading as a whole gives; and nothing that is read breaks anything.

use super::*;
use proptest::prelude::*;
use std::io::Write;

/// A rollout in which everything that is remembered matters.
fn rollout() -> Vec<Value> {
    let poll = |second, id: &str| call(second, id, "write_stdin", json!({"session_id": 7}));
    let plan = call(9, "p", "update_plan", json!({"plan": [{"step": "a", "status": "in_progress"}]}));
    vec![
        meta(json!({"source": "exec", "forked_from_id": "0-0"})),
        meta(json!({"id": "0-0"})),
        prompt(0, "of the parent"),
        tokens(0, [5, 0, 1], [5, 0, 1]),
        turn_started(1),
        turn_context(1),
        said(1, "user", "<environment_context>"),
        said(1, "user", "go"),
        prompt(1, "go"),
        shell(2, "a", "rg foo"),
        answer(3, "a", &running(7)),
        poll(4, "b"),
        answer(5, "b", &running(7)),
        poll(6, "c"),
        answer(7, "c", &exited(1, "")),
        tokens(8, [105, 40, 11], [100, 40, 10]),
        tokens(8, [105, 40, 11], [100, 40, 10]),
        plan.clone(),
        answer(9, "p", "Plan updated"),
        plan,
        event(10, "web_search_end", json!({"call_id": "w"})),
        response(10, "web_search_call", json!({"status": "completed"})),
        line(11, "compacted", json!({"message": "x"})),
        event(11, "context_compacted", json!({})),
        event(
            12,
            "token_count",
            json!({"info": null, "rate_limits": {"primary": {"used_percent": 100.0, "resets_at": 1_794_823_200}}}),
        ),
        event(13, "agent_message", json!({"message": "done"})),
        said(13, "assistant", "done"),
        event(14, "error", json!({"message": "x"})),
        turn_complete(1, json!({})),
        turn_started(20),
        prompt(20, "more"),
        event(21, "turn_aborted", json!({"reason": "interrupted"})),
    ]
}

fn stream() -> Vec<Value> {
    let item = |kind: &str, status: &str| json!({"type": kind, "item": {"id": "item_1", "type": "command_execution", "command": "make", "aggregated_output": "", "exit_code": 0, "status": status}});
    vec![
        json!({"type": "thread.started", "thread_id": "t1"}),
        json!({"type": "turn.started"}),
        item("item.started", "in_progress"),
        item("item.completed", "completed"),
        json!({"type": "turn.completed", "usage": {"input_tokens": 9, "cached_input_tokens": 4, "output_tokens": 1}}),
        json!({"type": "thread.started", "thread_id": "t1"}),
        json!({"type": "turn.started"}),
        item("item.completed", "completed"),
        json!({"type": "turn.failed", "error": {"message": "x"}}),
    ]
}

fn lines_of(values: &[Value]) -> Vec<String> {
    let mut lines: Vec<_> = values.iter().map(|value| format!("{value}\n")).collect();
    lines.insert(5, "garbage\n".to_owned());
    lines.insert(6, "\n".to_owned());
    let two = lines.remove(2);
    lines[2].insert_str(0, two.trim_end());
    lines
}

fn append(path: &Path, text: &str) {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

/// The lines without where the file lay, which differs from run to run.
fn comparable(log: &Log) -> Vec<String> {
    let strip = |event: &Value| {
        let mut event = event.clone();
        for key in ["path", "inode", "device", "head_bytes", "head_hash"] {
            event.as_object_mut().unwrap().remove(key);
        }
        event.to_string()
    };
    log.events.iter().map(strip).collect()
}

fn whole(lines: &[String]) -> Vec<String> {
    in_steps(&[lines.concat()], |source, _| source)
}

/// Reads a file piece by piece, each time by `next(source)`.
fn in_steps(pieces: &[String], mut next: impl FnMut(Codex, &mut Log) -> Codex) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("rollout-2026-11-16T09-00-00-{THREAD}.jsonl"));
    let (mut source, mut log) = (Codex::default(), Log::default());
    for piece in pieces {
        append(&path, piece);
        source = next(source, &mut log);
        source.discover(&env(Scope::Paths(vec![path.clone()])));
        drain(&mut source, &mut log);
    }
    comparable(&log)
}

#[test]
fn growth_in_any_steps_gives_what_the_whole_gives() {
    for values in [rollout(), stream()] {
        let lines = lines_of(&values);
        let expected = whole(&lines);
        assert!(expected.len() > 10);
        assert_eq!(in_steps(&lines, |source, _| source), expected);
        // Whose stream it is stands in its first line only.
        let text = lines[1..].concat();
        let chunks = text.as_bytes().chunks(97).map(|chunk| String::from_utf8(chunk.to_vec()).unwrap());
        let pieces: Vec<_> = lines.iter().take(1).cloned().chain(chunks).collect();
        assert_eq!(in_steps(&pieces, |source, _| source), expected);
    }
}

#[test]
fn a_restart_at_every_line_gives_what_the_whole_gives() {
    let forgetful = |_: Codex, log: &mut Log| {
        log.restart();
        Codex::default()
    };
    let remembering = |source: Codex, log: &mut Log| {
        log.restart();
        log.advance(source.advances());
        let saved = serde_json::to_string(&source.positions()).unwrap();
        let mut next = Codex::default();
        next.resume(serde_json::from_str(&saved).unwrap());
        next
    };
    for values in [rollout(), stream()] {
        let lines = lines_of(&values);
        assert_eq!(in_steps(&lines, forgetful), whole(&lines));
        assert_eq!(in_steps(&lines, remembering), whole(&lines));
    }
}

#[test]
fn importing_twice_adds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a.jsonl"), &lines_of(&rollout()).concat());
    write(&folder.path().join("b.jsonl"), &lines_of(&stream()).concat());
    let mut log = Log::default();
    import(&[folder.path()], &mut log);
    let count = log.events.len();
    log.restart();
    import(&[folder.path()], &mut log);
    assert_eq!(log.events.len(), count);
}

#[test]
fn no_two_events_of_a_rollout_have_the_same_id() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a.jsonl"), &text(&rollout()));
    write(&folder.path().join("b.jsonl"), &text(&stream()));
    let mut log = Log::default();
    import(&[folder.path()], &mut log);
    let ids: std::collections::HashSet<_> = log.events.iter().map(|event| event["id"].to_string()).collect();
    assert_eq!(ids.len(), log.events.len());
}

#[test]
fn what_is_remembered_stays_small() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    let mut lines = vec![meta(json!({})), turn_started(1)];
    for idx in 0..2000 {
        let id = format!("call_{idx}");
        lines.extend([shell(2, &id, "rg x"), answer(3, &id, &running(idx))]);
    }
    write(&path, &text(&lines));
    let (mut source, mut log) = (Codex::default(), Log::default());
    source.discover(&env(Scope::Paths(vec![path])));
    drain(&mut source, &mut log);
    assert_eq!(log.count(|event| event["type"] == "tool.started"), 2000);
    let size = serde_json::to_string(&source.positions()).unwrap().len();
    // Most of it are the calls that are really open, of which 512 are kept.
    assert!(size < 200 * 1024, "{size} bytes");
}

/// Reads bytes as a finished file.
fn survives(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
    import(&[&path], &mut Log::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn nothing_that_is_read_breaks_the_reader(is_rollout: bool, cut in 0_usize..6000, flips in prop::collection::vec((0_usize..6000, any::<u8>()), 0..8)) {
        let values = if is_rollout { rollout() } else { stream() };
        let mut bytes = lines_of(&values).concat().into_bytes();
        for (at, byte) in flips {
            let length = bytes.len();
            bytes[at % length] = byte;
        }
        bytes.truncate(bytes.len().saturating_sub(cut % 3000));
        survives(&bytes);
    }
}

#[test]
fn values_of_any_other_kind_break_nothing() {
    let strange = [
        json!(null),
        json!(-1),
        json!(1e300),
        json!([]),
        json!({"a": []}),
        json!(""),
        json!(true),
        json!([[{}]]),
    ];
    for values in [rollout(), stream()] {
        for (idx, value) in values.iter().enumerate() {
            for path in paths_of(value) {
                for other in &strange {
                    let mut changed = values.clone();
                    *changed[idx].pointer_mut(&path).unwrap() = other.clone();
                    let lines: Vec<_> = changed.iter().map(|value| format!("{value}\n")).collect();
                    let folder = Path::new("/nonexistent");
                    feed_lines(folder, &lines);
                }
            }
        }
    }
}

/// Hands lines to the adapters without a file in between.
fn feed_lines(name: &Path, lines: &[String]) {
    use crate::source::codex::exec::Streams;
    use crate::source::codex::{Exec, discovery::Files, rollout::Rollout};
    use crate::source::finder::{Format, Head};
    use crate::source::follower::Feed;
    let head = Head { bytes: lines.concat().into_bytes(), is_whole: true };
    let env = env(Scope::Paths(Vec::new()));
    let found = Files::look(name, &head, &env).unwrap().unwrap();
    let mut rollout = Feed::<Rollout>::new(found.identity, name.to_owned(), found.context);
    let found = Streams::look(name, &head, &env).unwrap().unwrap();
    let mut stream = Feed::<Exec>::new(found.identity, name.to_owned(), found.context);
    rollout.push(&head.bytes, fixture::now(), &mut Log::default());
    stream.push(&head.bytes, fixture::now(), &mut Log::default());
}

/// Pointers to all values inside a value.
fn paths_of(value: &Value) -> Vec<String> {
    let inside = |name: &str, value: &Value| {
        let mut paths: Vec<_> = paths_of(value).iter().map(|path| format!("/{name}{path}")).collect();
        paths.push(format!("/{name}"));
        paths
    };
    match value {
        Value::Object(map) => map.iter().flat_map(|(name, value)| inside(name, value)).collect(),
        Value::Array(all) => {
            all.iter().enumerate().flat_map(|(idx, value)| inside(&idx.to_string(), value)).collect()
        }
        _ => Vec::new(),
    }
}
