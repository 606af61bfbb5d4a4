//! History that a fork or a sub-agent repeats is its parent's, whichever file is read first.

use super::*;

const CHILD: &str = "01a1e396-98e0-7000-8000-000000000002"; // 2026-11-16T09:01:00Z
const LONG: &str = "call_AAAAAAAAAAAAAAAAAAAAAAAA";

/// What the parent did before the child was made of it.
fn history() -> Vec<Value> {
    vec![
        turn_started(1),
        turn_context(1),
        said(1, "user", "fix it"),
        prompt(1, "fix it"),
        shell(2, LONG, "make"),
        answer(3, LONG, &exited(2, "bad")),
        tokens(4, [100, 40, 10], [100, 40, 10]),
        said(5, "assistant", "done"),
        turn_complete(1, json!({})),
    ]
}

/// The same lines, written at another time.
fn copied(second: u32) -> Vec<Value> {
    history().into_iter().map(|line| with(line, json!({"timestamp": at(second)}))).collect()
}

fn parent() -> Vec<Value> {
    let own = [
        turn_started(70),
        prompt(70, "and more"),
        tokens(72, [180, 40, 20], [80, 0, 10]),
        turn_complete(70, json!({})),
    ];
    [vec![meta(json!({}))], history(), own.to_vec()].concat()
}

fn first_line(more: Value) -> Value {
    let meta = meta(with(json!({"id": CHILD, "timestamp": at(60)}), more));
    with(meta, json!({"timestamp": at(60)}))
}

fn own(second: u32) -> Vec<Value> {
    vec![
        turn_started(second),
        turn_context(second),
        prompt(second, "try another way"),
        shell(second, "call_BBBBBBBBBBBBBBBBBBBBBBBB", "make"),
        answer(second, "call_BBBBBBBBBBBBBBBBBBBBBBBB", &exited(0, "")),
        tokens(second, [150, 60, 12], [50, 20, 2]),
        turn_complete(second, json!({})),
    ]
}

fn fork() -> Vec<Value> {
    [vec![first_line(json!({"forked_from_id": THREAD})), meta(json!({}))], copied(60), own(61)].concat()
}

fn spawned(more: Value) -> Value {
    let spawn = json!({"parent_thread_id": THREAD, "depth": 1, "agent_path": "/thread/looker", "agent_role": "Explorer"});
    first_line(with(
        json!({"source": {"subagent": {"thread_spawn": spawn}}, "thread_source": "subagent"}),
        more,
    ))
}

/// Reads files in this order and gives the events without their provenance, sorted.
fn read(files: &[&[Value]]) -> Vec<Value> {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::default();
    for (idx, lines) in files.iter().enumerate() {
        let path = folder.path().join(format!("{idx}.jsonl"));
        write(&path, &text(lines));
        assert_eq!(import(&[&path], &mut log), []);
        log.restart();
    }
    let mut events: Vec<_> = log
        .events
        .iter()
        .filter(|event| event["type"] != "source.opened")
        .map(|event| {
            let mut event = event.clone();
            event.as_object_mut().unwrap().remove("from");
            event
        })
        .collect();
    events.sort_by_key(ToString::to_string);
    events
}

fn of_task<'e>(events: &'e [Value], task: &str, kind: &str) -> Vec<&'e Value> {
    events.iter().filter(|event| event["task"] == task && event["type"] == kind).collect()
}

fn sum(events: &[Value], name: &str) -> u64 {
    events.iter().filter_map(|event| event[name].as_u64()).sum()
}

#[test]
fn a_fork_has_only_what_it_did_itself_in_any_order() {
    let events = read(&[&parent(), &fork()]);
    assert_eq!(read(&[&fork(), &parent()]), events);
    assert_eq!(of_task(&events, CHILD, "tool.started").len(), 1);
    assert_eq!(of_task(&events, CHILD, "turn.started").len(), 1);
    assert_eq!(of_task(&events, CHILD, "task.created")[0]["title"], "try another way");
    assert_eq!(of_task(&events, CHILD, "task.created")[0]["parent"], Value::Null);
    assert_eq!(of_task(&events, THREAD, "tool.failed").len(), 1);
    assert_eq!(sum(&events, "output_tokens"), 20 + 2);
    assert_eq!(sum(&events, "cache_read_tokens"), 40 + 20);
    assert_eq!(read(&[&fork()]).len(), events.iter().filter(|event| event["task"] == CHILD).count());
}

#[test]
fn a_fork_of_a_fork_has_only_its_own_too() {
    let grandchild = "01a1e397-8340-7000-8000-000000000003"; // 2026-11-16T09:02:00Z
    let first = with(
        meta(json!({"id": grandchild, "timestamp": at(120), "forked_from_id": CHILD})),
        json!({"timestamp": at(120)}),
    );
    let mut again: Vec<_> = [fork(), vec![]].concat();
    for line in &mut again {
        line["timestamp"] = json!(at(120));
    }
    let last = [
        turn_started(130),
        prompt(130, "third"),
        tokens(131, [151, 60, 13], [1, 0, 1]),
        turn_complete(130, json!({})),
    ];
    let lines = [vec![first], again, last.to_vec()].concat();
    let events = read(&[&lines]);
    assert!(events.iter().all(|event| event["task"] == grandchild));
    assert_eq!(of_task(&events, grandchild, "turn.started").len(), 1);
    assert_eq!((sum(&events, "input_tokens"), sum(&events, "output_tokens")), (1, 1));
}

#[test]
fn a_sub_agent_is_a_task_with_a_parent_and_its_own_work() {
    // The parent's turn is at work when it makes the sub-agent, and goes on.
    let open: Vec<_> = copied(60).into_iter().take(7).collect();
    for first in [spawned(json!({})), spawned(json!({"forked_from_id": THREAD, "parent_thread_id": THREAD}))]
    {
        let lines = [vec![first, meta(json!({}))], open.clone(), own(61)].concat();
        let events = read(&[&lines]);
        let created = of_task(&events, CHILD, "task.created");
        assert_eq!(
            (created.len(), &created[0]["agent"], &created[0]["parent"], &created[0]["title"]),
            (1, &json!("explorer"), &json!(THREAD), &json!("try another way"))
        );
        assert_eq!(of_task(&events, CHILD, "tool.started").len(), 1);
        assert_eq!(of_task(&events, CHILD, "task.completed").len(), 1);
        assert_eq!((sum(&events, "input_tokens"), sum(&events, "cache_read_tokens")), (30, 20));
        assert!(events.iter().all(|event| event["task"] == CHILD));
    }
}

#[test]
fn a_sub_agent_that_was_only_told_what_to_do_loses_nothing() {
    let lines =
        [vec![spawned(json!({})), shell(60, "call_1", "ls"), answer(60, "call_1", &exited(0, "x"))], own(61)]
            .concat();
    let events = read(&[&lines]);
    assert_eq!(of_task(&events, CHILD, "tool.started").len(), 2);
    assert_eq!(
        of_task(&events, CHILD, "task.created")[0]["title"],
        "/thread/looker",
        "until it is told something in clear"
    );
    // Its counters began with what its parent had used.
    assert_eq!((sum(&events, "input_tokens"), sum(&events, "output_tokens")), (30, 2));
}

#[test]
fn the_ordinal_of_the_first_own_line_decides_where_it_is_stated() {
    let number = |lines: Vec<Value>| -> Vec<Value> {
        lines.into_iter().enumerate().map(|(idx, line)| with(line, json!({"ordinal": idx}))).collect()
    };
    let own_lines = [shell(60, "call_1", "ls"), answer(60, "call_1", &exited(0, "x"))];
    let mut lines =
        [vec![spawned(json!({"subagent_history_start_ordinal": 11})), meta(json!({}))], copied(60)].concat();
    assert_eq!(lines.len(), 11);
    lines.extend(own_lines);
    for lines in [number(lines.clone()), lines] {
        let events = read(&[&lines]);
        assert_eq!(members(&events, "tool.succeeded", &["task", "call"]), [json!([CHILD, "call_1"])]);
        assert_eq!(sum(&events, "output_tokens"), 0);
    }
}

#[test]
fn a_fork_whose_history_stands_elsewhere_has_no_copy_of_it() {
    let base = json!({"thread_id": THREAD, "end_ordinal_exclusive": 10, "end_byte_offset": 4000});
    let first =
        first_line(json!({"forked_from_id": THREAD, "history_mode": "paginated", "history_base": base}));
    let events = read(&[&[vec![first], own(60)].concat()]);
    assert_eq!(of_task(&events, CHILD, "tool.started").len(), 1);
    assert_eq!((sum(&events, "input_tokens"), sum(&events, "output_tokens")), (30, 2));
}

/// Lines of a version whose turns have no ids, or ids without a time.
fn undated(lines: &[Value], started_at: bool) -> Vec<Value> {
    let strip = |line: &Value| {
        let mut line = line.clone();
        let payload = line["payload"].as_object_mut().unwrap();
        if let Some(id) = payload.get("turn_id").and_then(Value::as_str) {
            let second: u64 = id.rsplit('-').next().unwrap().parse().unwrap();
            payload.insert("turn_id".to_owned(), json!(format!("turn-{second}")));
            if started_at {
                payload.insert("started_at".to_owned(), json!(1_794_819_600 + second));
            }
        }
        line
    };
    lines.iter().map(strip).collect()
}

#[test]
fn without_times_in_ids_the_start_of_a_turn_or_a_pause_tells_where_the_copy_ends() {
    // With the start of turns a copy may even be written slowly.
    let mut slow = copied(60);
    for (idx, line) in slow.iter_mut().enumerate() {
        line["timestamp"] = json!(at(60 + u32::try_from(idx).unwrap()));
    }
    let first = vec![first_line(json!({"forked_from_id": THREAD})), meta(json!({}))];
    let dated = undated(&[first.clone(), slow, own(80)].concat(), true);
    let by_pause = undated(&[first, copied(60), own(80)].concat(), false);
    for lines in [dated, by_pause] {
        let events = read(&[&lines]);
        assert_eq!(members(&events, "tool.started", &["call"]), [json!(["call_BBBBBBBBBBBBBBBBBBBBBBBB"])]);
        assert_eq!((sum(&events, "input_tokens"), sum(&events, "output_tokens")), (30, 2));
    }
    // A fork of nothing begins at once.
    let fresh = undated(&[vec![first_line(json!({"forked_from_id": THREAD}))], own(60)].concat(), true);
    assert_eq!(members(&read(&[&fresh]), "tool.started", &["call"]).len(), 1);
}

#[test]
fn an_unmarked_fork_repeats_neither_calls_nor_usage() {
    let strip = |lines: Vec<Value>| -> Vec<Value> {
        let is_kept = |line: &Value| {
            !["task_started", "task_complete"].contains(&line["payload"]["type"].as_str().unwrap_or_default())
        };
        undated(&lines.into_iter().filter(is_kept).collect::<Vec<_>>(), false)
    };
    let parent = strip(parent());
    let fork = strip([vec![first_line(json!({}))], copied(60), own(61)].concat());
    for files in [[&*parent, &*fork], [&*fork, &*parent]] {
        let events = read(&files);
        assert_eq!(members(&events, "tool.failed", &["call"]).len(), 1);
        assert_eq!(members(&events, "tool.started", &["call"]).len(), 2);
        assert_eq!(sum(&events, "output_tokens"), 10 + 10 + 2);
    }
}

#[test]
fn a_thread_that_was_set_back_goes_on_in_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let name =
        |revision: &str| folder.path().join(format!("rollout-2026-11-16T09-00-00-{THREAD}{revision}.jsonl"));
    write(&name(""), &text(&parent()));
    let base = json!({"thread_id": THREAD, "end_ordinal_exclusive": 10, "end_byte_offset": 4000});
    let revision = [vec![meta(json!({"history_mode": "paginated", "history_base": base}))], own(61)].concat();
    write(&name("_01a1e397-8340-7000-8000-000000000003"), &text(&revision));
    let mut log = Log::default();
    assert_eq!(import(&[folder.path()], &mut log), []);
    assert_eq!(members(&log.events, "tool.started", &["task"]), [json!([THREAD]), json!([THREAD])]);
    let titles = members(&log.events, "task.created", &["id", "title"]);
    assert_eq!(
        titles,
        [json!([titles[0][0], "fix it"]), json!([titles[0][0], null])],
        "the same fact, without a title"
    );
    assert_eq!(sum(&log.events, "output_tokens"), 20 + 2);
}
