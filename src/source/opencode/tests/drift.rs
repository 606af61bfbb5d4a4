//! A format that has changed is loud, and files of others are left alone.

use crate::source::finder::Format as _;
use crate::source::fixture::{Log, write};
use crate::source::opencode::export::Exports;
use crate::source::opencode::tests::{
    BEGIN, OpenCode, Store, answer, call, export, ids, import, request, session, turn,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// A session with every field that is read, so that each can be renamed.
fn whole() -> String {
    let mut child = session();
    (child["parentID"], child["title"]) = (json!("ses_0"), json!("Look around (@explore subagent)"));
    let calls = vec![
        call("prt_2", "bash", 1000, &json!({"metadata": {"exit": 1, "output": "x", "description": "y"}})),
        call(
            "prt_5",
            "todowrite",
            1000,
            &json!({"input": {"todos": [{"content": "look", "status": "completed"}]}}),
        ),
        call("prt_3", "edit", 1000, &json!({"status": "error", "error": "not found"})),
        json!({"id": "prt_4", "type": "step-finish", "reason": "tool-calls", "cost": 0.25, "tokens": {}}),
    ];
    let (mut failed, parts) = answer("msg_4", "msg_3", 3000, "stop", Vec::new());
    failed["error"] = json!({"name": "APIError", "data": {"message": "gone", "statusCode": 500}});
    export(
        &child,
        &[
            request("msg_1", 0, "please"),
            answer("msg_2", "msg_1", 1000, "tool-calls", calls),
            request("msg_3", 2000, "again"),
            (failed, parts),
        ],
    )
}

fn read(text: &str) -> (Log, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.json");
    write(&path, text);
    let mut log = Log::default();
    let problems = import(&mut OpenCode::default(), &path, &mut log);
    (log, problems)
}

#[test]
fn every_field_that_is_needed_is_missed_when_it_was_renamed() {
    let text = whole();
    let (log, problems) = read(&text);
    assert_eq!((problems, log.count(|event| event["type"] == "source.drifted")), (Vec::new(), 0));
    let needed = [
        "info",
        "messages",
        "parts",
        "id",
        "parentID",
        "directory",
        "title",
        "created",
        "completed",
        "role",
        "modelID",
        "cost",
        "tokens",
        "cache",
        "read",
        "write",
        "output",
        "name",
        "type",
        "tool",
        "state",
        "status",
        "time",
        "start",
        "end",
        "exit",
        "text",
        "agent",
        "todos",
        "content",
    ];
    for name in needed {
        let renamed = text.replace(&format!("\"{name}\":"), &format!("\"{name}_2\":"));
        assert_ne!(renamed, text, "{name}");
        assert!(Exports::recognises(renamed.as_bytes()), "{name}");
        let (log, problems) = read(&renamed);
        assert_eq!(log.count(|event| event["type"] == "source.drifted"), 1, "{name} {problems:?}");
        assert_eq!(problems.len(), 1, "{name}");
    }
}

/// Others stand in for these: the part's id for a call's, the step for why an answer stopped. What
/// only words an error or a duration, or tells which of two numbers is meant, is not missed.
#[test]
fn fields_with_a_substitute_lose_nothing() {
    let text = whole();
    let (log, _) = read(&text);
    for name in ["finish", "reason", "mode", "projectID", "sessionID", "updated", "version"] {
        let renamed = text.replace(&format!("\"{name}\":"), &format!("\"{name}_2\":"));
        assert_ne!(renamed, text, "{name}");
        assert!(Exports::recognises(renamed.as_bytes()), "{name}");
        assert_eq!(ids(&read(&renamed).0), ids(&log), "{name}");
    }
    let (without, problems) = read(&text.replace("\"callID\":", "\"callID_2\":"));
    assert_eq!((without.events.len(), problems), (log.events.len(), Vec::new()));
}

/// The tree keeps each record in a file of its own; an answer that does not say it is complete is no reason to miss less.
#[test]
fn every_field_of_the_tree_that_is_needed_is_missed_when_it_was_renamed() {
    let [asked, (mut last, mut parts), _] = <[_; 3]>::try_from(turn()).unwrap();
    last["time"].as_object_mut().unwrap().remove("completed");
    last.as_object_mut().unwrap().remove("finish");
    parts[0]["state"]["metadata"]["output"] = json!("x");
    let messages = [asked, (last, parts)];
    let drifts = |name: &str| {
        let renamed =
            |value: &Value| value.to_string().replace(&format!("\"{name}\":"), &format!("\"{name}_2\":"));
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("session/p/ses_1.json"), &renamed(&session()));
        for (info, parts) in &messages {
            let id = info["id"].as_str().unwrap();
            write(&folder.path().join(format!("message/ses_1/{id}.json")), &renamed(info));
            for part in parts {
                let name = part["id"].as_str().unwrap();
                write(&folder.path().join(format!("part/{id}/{name}.json")), &renamed(part));
            }
        }
        let mut log = Log::default();
        let problems = import(&mut OpenCode::default(), folder.path(), &mut log);
        (log.count(|event| event["type"] == "source.drifted"), problems.len())
    };
    assert_eq!(drifts("nothing"), (0, 0));
    for name in [
        "directory",
        "title",
        "created",
        "role",
        "modelID",
        "tokens",
        "input",
        "output",
        "cache",
        "read",
        "write",
        "type",
        "tool",
        "state",
        "status",
        "exit",
        "text",
    ] {
        assert_eq!(drifts(name), (1, 1), "{name}");
    }
    // Without its id a session cannot be told at all, which is a problem of its file.
    assert_eq!(drifts("id"), (0, 1));
}

#[test]
fn parts_of_kinds_that_nobody_knows_are_counted() {
    let drifts = |kind: &str| {
        let mut parts = vec![json!({"id": "prt_3", "type": "text", "text": "done"})];
        parts.extend((4..12).map(|number| json!({"id": format!("prt_{number}"), "type": kind})));
        let messages = [request("msg_1", 0, "please"), answer("msg_3", "msg_1", 2000, "stop", parts)];
        read(&export(&session(), &messages)).0.count(|event| event["type"] == "source.drifted")
    };
    assert_eq!((drifts("patch"), drifts("patch_new")), (0, 1));
}

#[test]
fn a_database_without_a_needed_column_has_drifted() {
    for (table, column) in [
        ("session", "id"),
        ("session", "parent_id"),
        ("session", "directory"),
        ("session", "title"),
        ("session", "time_created"),
        ("session", "time_updated"),
        ("message", "id"),
        ("message", "session_id"),
        ("message", "time_created"),
        ("message", "time_updated"),
        ("message", "data"),
        ("part", "id"),
        ("part", "message_id"),
        ("part", "time_updated"),
        ("part", "data"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path(), "x.db");
        store.fill(&session(), &turn());
        store.writer.execute(&format!("ALTER TABLE {table} RENAME COLUMN {column} TO renamed"), []).unwrap();
        let mut log = Log::default();
        let problems = import(&mut OpenCode::default(), &store.path, &mut log);
        assert!(problems.len() == 1 && problems[0].contains(&format!("{table}.{column}")), "{problems:?}");
        assert_eq!(log.count(|event| event["type"] == "source.drifted"), 1, "{table}.{column}");
    }
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path(), "x.db");
    store.writer.execute_batch("ALTER TABLE part RENAME TO parts; ALTER TABLE todo RENAME TO todos").unwrap();
    let mut log = Log::default();
    assert_eq!(import(&mut OpenCode::default(), &store.path, &mut log).len(), 1);
    assert_eq!(log.count(|event| event["type"] == "source.drifted"), 1);
}

#[test]
fn versions_with_more_or_fewer_other_columns_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(folder.path(), "x.db");
    store.fill(&session(), &turn());
    store
        .writer
        .execute_batch(
            "ALTER TABLE session ADD COLUMN goal text; ALTER TABLE session DROP COLUMN agent; DROP TABLE todo;\
             ALTER TABLE part DROP COLUMN session_id; CREATE TABLE event(id text)",
        )
        .unwrap();
    let mut log = Log::default();
    assert_eq!(import(&mut OpenCode::default(), &store.path, &mut log), Vec::<String>::new());
    assert_eq!(ids(&log).len(), 11);
}

#[test]
fn files_of_other_agents_are_not_taken() {
    for head in [
        r#"{"type":"user","uuid":"u","parentUuid":null,"sessionId":"s","isSidechain":false,"cwd":"/x","message":{"role":"user","content":"\"info\" \"messages\""}}"#,
        r#"{"timestamp":"2026-01-01T00:00:00Z","type":"session_meta","payload":{"id":"x","cwd":"/x","originator":"codex"}}
{"type":"event_msg","payload":{"type":"token_count","info":{"total_token_usage":{}}}}"#,
        r#"{"sessionId":"s","projectHash":"h","startTime":"t","lastUpdated":"t","messages":[{"id":"1","type":"user","content":[{"text":"x"}],"role":"user","parts":[]}]}"#,
        r#"{"uuid":"u","sessionId":"s","type":"user","message":{"role":"user","parts":[{"text":"x"}]},"cwd":"/x"}"#,
        r#"{"type":"session","id":"s","cwd":"/x","provider":"p","modelId":"m"}
{"type":"message","message":{"role":"user","content":[]}}"#,
        r#"{"trajectory":[{"action":"ls","messages":[{"role":"user"}]}],"history":[{"role":"system","agent":"main"}],"info":{"exit_status":"submitted","model_stats":{}}}"#,
        r#"[{"id":0,"source":"user","action":"message","args":{"content":"x"},"message":"x","timestamp":"t"}]"#,
        r#"{"type":"session.start","data":{"sessionId":"s","context":{"cwd":"/x"},"messages":[]},"id":"1","parentId":null}"#,
        r#"{"id":"prt_1","sessionID":"ses_1","messageID":"msg_1","type":"tool","callID":"c","tool":"bash","state":{}}"#,
        r#"{"id":"msg_1","sessionID":"ses_1","role":"assistant","modelID":"m","providerID":"p","parts":["prt_1"]}"#,
        r#"{"id":"ses_1","projectID":"p","directory":"/x","title":"x","time":{"created":1,"updated":1},"messages":[]}"#,
    ] {
        assert!(!Exports::recognises(head.as_bytes()), "{head}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("CREATE TABLE session(id text)").unwrap();
    let mut log = Log::default();
    assert_eq!(import(&mut OpenCode::default(), folder.path(), &mut log), Vec::<String>::new());
    assert_eq!(log.events, Vec::<Value>::new());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn damaged_exports_never_panic(cut in 0_usize..4000, at in 0_usize..4000, byte: u8, word in "[a-z]{2,9}") {
        let text = whole();
        let mut bytes = text.as_bytes().to_vec();
        let length = bytes.len();
        bytes[at % length] = byte;
        let _ = read(&String::from_utf8_lossy(&bytes));
        bytes.truncate(cut % length);
        let _ = read(&String::from_utf8_lossy(&bytes));
        let _ = read(&text.replace(&format!("\"{word}\":"), "\"x\":"));
    }

    #[test]
    fn rows_of_any_json_never_panic(data in ".{0,40}", at in 0_i64..3, kind in 0_usize..4) {
        let values = [json!(data), json!([BEGIN, data]), json!({"role": "assistant", "time": at}), json!({"type": "tool", "state": [data]})];
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path(), "opencode.db");
        store.fill(&session(), &turn());
        let insert = "INSERT INTO part VALUES ('prt_0', 'msg_2', 's', ?1, ?1, ?2)";
        store.writer.execute(insert, rusqlite::params![at, values[kind].to_string()]).unwrap();
        store.writer.execute("UPDATE message SET data = ?1 WHERE id = 'msg_3'", [&data]).unwrap();
        let mut log = Log::default();
        import(&mut OpenCode::default(), &store.path, &mut log);
        prop_assert!(log.events.len() > 5);
    }
}
