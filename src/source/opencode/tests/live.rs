//! Stores that are written to while they are read.

use crate::base::clock::Timestamp;
use crate::source::fixture::{Log, env, now, write};
use crate::source::opencode::database::SCAN_MS;
use crate::source::opencode::tests::{
    BEGIN, OpenCode, SESSION, Store, answer, call, drain, exported, ids, import, look, of_types, plant,
    request, session, turn,
};
use crate::source::{Env, Scope, Source as _};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn at_home(folder: &Path, scope: Scope) -> Env {
    let variables = BTreeMap::from([("XDG_DATA_HOME".to_owned(), folder.to_owned())]);
    Env { variables, ..env(scope) }
}

/// The files in a folder, with their bytes. The index of a log is shared with a writer in our own process, and only then
/// written to by its readers.
fn files_but_index(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let is_index = |path: &Path| path.extension().is_some_and(|extension| extension == "db-shm");
    files(folder)
        .into_iter()
        .map(|(path, bytes)| if is_index(&path) { (path, Vec::new()) } else { (path, bytes) })
        .collect()
}

/// The files in a folder, with their bytes.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.is_file()).map(|path| (path.clone(), std::fs::read(&path).unwrap())).collect()
}

fn sum(log: &Log, name: &str) -> u64 {
    log.events.iter().filter_map(|event| event[name].as_u64()).sum()
}

/// An answer that is being written: without its end.
fn unfinished(mut info: Value, output: u64) -> Value {
    info.as_object_mut().unwrap().remove("finish");
    info["time"].as_object_mut().unwrap().remove("completed");
    info["tokens"]["output"] = json!(output);
    info
}

type Step = Box<dyn Fn(&Store)>;

/// What OpenCode writes in the course of a turn, step by step.
fn steps() -> Vec<Step> {
    let [(asked, asked_parts), (tools, tool_parts), (last, last_parts)] = <[_; 3]>::try_from(turn()).unwrap();
    let with = |state: Value| call("prt_2", "bash", 1000, &state);
    let pending = json!({"id": "prt_2", "type": "tool", "callID": "call_prt_2", "tool": "bash",
        "state": {"status": "pending", "input": {}, "raw": ""}});
    let mut running = with(json!({"status": "running"}));
    running["state"]["time"] = json!({"start": BEGIN + 1100});
    let (begun, grown) = (unfinished(tools.clone(), 0), unfinished(tools.clone(), 4));
    let done = tool_parts[0].clone();
    let nothing = unfinished(last.clone(), 0);
    vec![
        Box::new(|store| store.session(&session())),
        Box::new(move |store| {
            store.message(&asked, 1);
            store.part("msg_1", &asked_parts[0], 1);
        }),
        Box::new(move |store| store.message(&begun, 1000)),
        Box::new(move |store| store.part("msg_2", &pending, 1001)),
        Box::new(move |store| store.part("msg_2", &running, 1100)),
        Box::new(move |store| store.part("msg_2", &done, 1300)),
        Box::new(move |store| store.message(&grown, 1400)),
        Box::new(move |store| store.message(&tools, 1500)),
        Box::new(move |store| store.message(&nothing, 2000)),
        Box::new(move |store| store.part("msg_3", &last_parts[0], 2400)),
        Box::new(move |store| store.message(&last, 2500)),
    ]
}

#[test]
fn rows_that_change_under_our_eyes_are_told_once_and_nothing_is_lost() {
    for restarts in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("opencode")).unwrap();
        let store = Store::new(&folder.path().join("opencode"), "opencode-dev.db");
        let env = at_home(folder.path(), Scope::Global);
        let (mut source, mut log) = (OpenCode::default(), Log::default());
        for step in steps() {
            step(&store);
            if restarts {
                source = OpenCode::default();
                log.restart();
            }
            assert_eq!(look(&mut source, &env, &mut log), []);
            assert_eq!(look(&mut source, &env, &mut log), []);
        }
        let whole = exported(&session(), &turn());
        let facts = |log: &Log| {
            let types = [
                "task.created",
                "task.started",
                "turn.started",
                "turn.ended",
                "tool.started",
                "tool.succeeded",
            ];
            let mut facts = of_types(log, &types);
            facts.extend(of_types(log, &["message.recorded", "tool.failed"]));
            facts
        };
        assert_eq!(facts(&log), facts(&whole), "restarts: {restarts}");
        let names = ["input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"];
        assert_eq!(names.map(|name| sum(&log, name)), names.map(|name| sum(&whole, name)));
        let cost: f64 = log.events.iter().filter_map(|event| event["cost_usd"].as_f64()).sum();
        assert!((cost - 0.5).abs() < 1e-9, "{cost}");
        assert_eq!(of_types(&log, &["usage.recorded"]).len(), 5);
        drop(store);
        assert_eq!(look(&mut OpenCode::default(), &env, &mut log), []);
        assert_eq!(of_types(&log, &["usage.recorded"]).len(), 5);
    }
}

#[test]
fn nothing_is_written_beside_a_database() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path(), "opencode.db");
    store.fill(&session(), &turn());
    let before = files_but_index(folder.path());
    assert_eq!(before.len(), 3, "a database, its log, its index");
    let mut log = Log::default();
    assert_eq!(import(&mut OpenCode::default(), folder.path(), &mut log), Vec::<String>::new());
    assert_eq!((ids(&log).len(), files_but_index(folder.path()) == before), (11, true));
    drop(store);
    let before = files(folder.path());
    assert_eq!(before.len(), 1, "the last writer removed the others");
    let mut log = Log::default();
    assert_eq!(import(&mut OpenCode::default(), folder.path(), &mut log), Vec::<String>::new());
    assert_eq!((ids(&log).len(), files(folder.path()) == before), (11, true));
}

#[test]
fn a_log_left_behind_by_a_crash_is_read_with_its_index_and_reported_without() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = Store::new(folder.path(), "opencode.db");
    store.fill(&session(), &turn());
    for (path, bytes) in files(folder.path()) {
        let name = path.file_name().unwrap();
        crate::base::fs::replace(&copy.path().join(name), &bytes).unwrap();
    }
    let before = files(copy.path());
    let mut log = Log::default();
    assert_eq!(import(&mut OpenCode::default(), copy.path(), &mut log), Vec::<String>::new());
    assert_eq!((ids(&log).len(), files(copy.path()) == before), (11, true));
    std::fs::remove_file(copy.path().join("opencode.db-shm")).unwrap();
    let mut log = Log::default();
    let problems = import(&mut OpenCode::default(), copy.path(), &mut log);
    assert_eq!((problems.len(), log.events.len()), (1, 0));
    assert!(problems[0].contains("-wal"), "{problems:?}");
    assert_eq!(files(copy.path()).len(), 2);
}

#[test]
fn a_message_that_was_never_finished_is_noticed_when_the_next_is_written() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("opencode")).unwrap();
    let store = Store::new(&folder.path().join("opencode"), "opencode.db");
    let tree = folder.path().join("opencode/storage");
    let running = call("prt_2", "bash", 1000, &json!({"status": "running", "time": {"start": BEGIN + 1100}}));
    let (info, parts) = answer("msg_2", "msg_1", 1000, "x", vec![running]);
    let begun = vec![(unfinished(info, 0), parts)];
    let later = [request("msg_5", 4000, "again"), answer("msg_6", "msg_5", 5000, "stop", Vec::new())];
    for is_tree in [false, true] {
        let add = |messages: &[(Value, Vec<Value>)]| {
            if is_tree {
                plant(&tree, &session(), messages);
            } else {
                store.fill(&session(), messages);
            }
        };
        let path = if is_tree { tree.clone() } else { store.path.clone() };
        let (mut source, mut log) = (OpenCode::default(), Log::default());
        add(&begun);
        let env = env(Scope::Paths(vec![path]));
        assert_eq!(look(&mut source, &env, &mut log), []);
        for message in &later {
            assert_eq!(of_types(&log, &["tool.failed"]).len(), 0);
            add(std::slice::from_ref(message));
            assert_eq!(look(&mut source, &env, &mut log), []);
        }
        assert_eq!(of_types(&log, &["tool.failed"]).len(), 1, "tree: {is_tree}");
    }
}

#[test]
fn files_of_the_tree_that_are_rewritten_are_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("opencode/storage");
    let env = at_home(folder.path(), Scope::Project(vec![PathBuf::from("/home/u/app")]));
    let (mut source, mut log) = (OpenCode::default(), Log::default());
    let [asked, (tools, tool_parts), last] = <[_; 3]>::try_from(turn()).unwrap();
    let mut running = tool_parts[0].clone();
    running["state"]["status"] = json!("running");
    let states = [
        (session(), vec![asked.clone()]),
        (session(), vec![(unfinished(tools.clone(), 2), vec![running])]),
        (session(), vec![(unfinished(tools.clone(), 3), tool_parts.clone())]),
        (session(), vec![(tools, tool_parts)]),
        (session(), vec![last]),
    ];
    for (session, messages) in states {
        plant(&tree, &session, &messages);
        assert_eq!(look(&mut source, &env, &mut log), []);
        assert_eq!(look(&mut OpenCode::default(), &env, &mut log), []);
    }
    write(&tree.join("message/ses_1/msg_9.json"), "{\"id\":");
    let problems = look(&mut source, &env, &mut log);
    assert!(problems.len() == 1 && problems[0].message.contains("half written"), "{problems:?}");
    let names = ["input_tokens", "output_tokens"];
    assert_eq!(names.map(|name| sum(&log, name)), [20, 10]);
    let types =
        ["task.created", "task.started", "turn.started", "tool.started", "tool.succeeded", "turn.ended"];
    assert_eq!(of_types(&log, &types).len(), 6);
}

#[test]
fn only_the_sessions_of_a_project_and_of_the_last_days_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("opencode")).unwrap();
    let store = Store::new(&folder.path().join("opencode"), "opencode.db");
    let mut other = session();
    (other["id"], other["directory"]) = (json!("ses_2"), json!("/home/u/other"));
    let mut old = session();
    (old["id"], old["time"]) =
        (json!("ses_3"), json!({"created": BEGIN - 900_000, "updated": BEGIN - 900_000}));
    for session in [session(), other, old] {
        store.session(&session);
    }
    let scope = Scope::Project(vec![PathBuf::from("/home/u/app")]);
    let modified_since = Some(Timestamp::from_millis(BEGIN - 1000));
    let env = Env { modified_since, ..at_home(folder.path(), scope) };
    let (mut source, mut log) = (OpenCode::default(), Log::default());
    let tasks = |log: &Log| {
        of_types(log, &["task.created"]).into_iter().map(|event| event["task"].clone()).collect::<Vec<_>>()
    };
    look(&mut source, &env, &mut log);
    assert_eq!(tasks(&log), [SESSION]);
    let mut first = request("msg_1", -900_000, "long ago");
    first.0["sessionID"] = json!("ses_3");
    store.message(&first.0, -900_000);
    look(&mut source, &env, &mut log);
    let mut next = request("msg_2", 0, "again");
    next.0["sessionID"] = json!("ses_3");
    store.message(&next.0, 0);
    store.part("msg_2", &next.1[0], 0);
    look(&mut source, &env, &mut log);
    assert_eq!(tasks(&log), [SESSION, "ses_3"]);
    assert_eq!(of_types(&log, &["turn.started"]).len(), 2);
}

#[test]
fn a_long_history_is_read_in_portions() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path(), "opencode.db");
    store.session(&session());
    let text = "x".repeat(1024 * 1024);
    for n in 0..12 {
        let (info, parts) = request(&format!("msg_{n:02}"), n, &text);
        store.message(&info, n);
        store.part(info["id"].as_str().unwrap(), &parts[0], n);
    }
    let (mut source, mut log) = (OpenCode::default(), Log::default());
    source.discover(&env(Scope::Paths(vec![store.path.clone()])));
    source.poll(crate::source::fixture::now(), &mut log);
    assert_eq!(of_types(&log, &["turn.started"]).len(), 4);
    assert_eq!(drain(&mut source, &mut log), []);
    assert_eq!(of_types(&log, &["turn.started"]).len(), 12);
}

#[test]
fn a_to_do_list_in_its_own_table_is_progress_told_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path(), "opencode.db");
    let todos =
        json!([{"content": "read", "status": "completed"}, {"content": "write", "status": "pending"}]);
    let listed = call("prt_1", "todowrite", 0, &json!({"metadata": {"todos": todos}}));
    store.fill(&session(), &[answer("msg_2", "msg_1", 0, "tool-calls", vec![listed])]);
    let row = "INSERT INTO todo VALUES ('ses_1', ?1, ?2, 'high', ?3, 0, ?4)";
    store.writer.execute(row, rusqlite::params!["read", "completed", 0, BEGIN]).unwrap();
    store.writer.execute(row, rusqlite::params!["write", "pending", 1, BEGIN]).unwrap();
    let (mut source, mut log) = (OpenCode::default(), Log::default());
    assert_eq!(import(&mut source, &store.path, &mut log), Vec::<String>::new());
    assert_eq!(of_types(&log, &["progress.reported"]).len(), 1);
    let update = "UPDATE todo SET status = 'completed', time_updated = ?1";
    store.writer.execute(update, [BEGIN + 60_000]).unwrap();
    drain(&mut source, &mut log);
    let told = of_types(&log, &["progress.reported"]);
    assert_eq!((told.len(), &told[1]["current"]), (2, &json!(2)));
}

/// A session that a source has read, and whose call is still running.
fn running(store: &Store) -> OpenCode {
    let state = json!({"status": "running", "time": {"start": BEGIN + 1100}});
    let (info, parts) = answer("msg_2", "msg_1", 1000, "x", vec![call("prt_2", "bash", 1000, &state)]);
    store.fill(&session(), &[request("msg_1", 0, "please"), (unfinished(info, 0), parts)]);
    let (mut source, mut log) = (OpenCode::default(), Log::default());
    source.discover(&env(Scope::Paths(vec![store.path.clone()])));
    source.poll(now(), &mut log);
    assert_eq!(of_types(&log, &["tool.started", "tool.succeeded"]).len(), 1);
    source
}

/// How many calls a source finds to have ended when it looks so many milliseconds after the first look.
fn ended_count(source: &mut OpenCode, after_ms: i64) -> usize {
    let mut log = Log::default();
    source.poll(Timestamp::from_millis(now().millis() + after_ms), &mut log);
    of_types(&log, &["tool.succeeded"]).len()
}

fn end_call(store: &Store) {
    store.part("msg_2", &call("prt_2", "bash", 1000, &json!({"metadata": {"exit": 0}})), 1300);
}

#[test]
fn a_database_that_changes_is_looked_at_once_a_second() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path(), "opencode.db");
    let mut source = running(&store);
    end_call(&store);
    store.message(&request("msg_3", 2000, "again").0, 2000);
    assert_eq!([0, 500, 999, 1000].map(|after| ended_count(&mut source, after)), [0, 0, 0, 1]);
}

#[test]
fn a_changed_row_is_found_with_a_new_one_or_when_its_session_moved_or_all_is_looked_through() {
    for way in 0..3 {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path(), "opencode.db");
        let mut source = running(&store);
        end_call(&store);
        let mut other = session();
        other["id"] = json!("ses_2");
        store.session(&other);
        assert_eq!(ended_count(&mut source, 2000), 0, "nothing tells that it changed");
        match way {
            0 => store.part("msg_2", &json!({"id": "prt_3", "type": "text", "text": "x"}), 1400),
            1 => {
                let mut moved = session();
                moved["time"]["updated"] = json!(BEGIN + 9500);
                store.session(&moved);
            }
            _ => assert_eq!(ended_count(&mut source, SCAN_MS - 1000), 0),
        }
        let after = if way == 2 { SCAN_MS } else { 4000 };
        assert_eq!(ended_count(&mut source, after), 1, "way {way}");
    }
}

#[test]
fn the_folder_of_the_database_is_watched_without_what_lies_below() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("opencode/snapshot")).unwrap();
    let found = OpenCode::default().discover(&at_home(folder.path(), Scope::Global));
    assert_eq!((found.roots, found.folders), (Vec::new(), vec![folder.path().join("opencode")]));
}
