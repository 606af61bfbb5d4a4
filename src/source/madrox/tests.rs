//! A hand-written folder of Madrox, whole events out.

use super::*;
use crate::source::finder::Format as _;
use crate::source::fixture::{Log, brief, drain, env, look, write};
use crate::source::{Env, Problem, Scope};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const ID: &str = "11111111-2222-4333-8444-555555555555";

fn instances(state: &str) -> Value {
    json!({ID: {
        "id": ID, "name": "Sir-Fix-a-Lot", "role": "debugger", "model": "m", "state": state, "workspace_dir": "/home/u/app",
        "bypass_isolation": true, "instance_type": "claude", "initial_prompt": "Find it\nnow", "created_at": "2026-11-16T09:00:00+00:00",
        "last_activity": "2026-11-16T09:05:00+00:00", "request_count": 1, "total_tokens_used": 12, "parent_instance_id": "boss",
        "error_message": if state == "error" { json!("tmux went away\nx") } else { Value::Null }, "retry_count": 0,
    }})
}

fn messages() -> String {
    let line = |second: u32, kind: &str, text: &str, more: &str| {
        format!(
            "{{\"timestamp\": \"2026-11-16T09:01:{second:02}.000000Z\", \"event_type\": \"{kind}\", \"message\": \"{text}\"{more}}}\n"
        )
    };
    [
        line(0, "unknown", "Instance created with role: debugger", ""),
        line(
            1,
            "message_sent",
            "Sending message (wait=True): go...",
            ", \"message_id\": \"m1\", \"direction\": \"outbound\", \"content\": \"go on\"",
        ),
        line(
            9,
            "message_received",
            "Received response (4 chars)",
            ", \"message_id\": \"m1\", \"direction\": \"inbound\", \"content\": \"done\", \"cost\": 0.5",
        ),
        line(
            10,
            "message_sent",
            "Sending message (wait=False): x...",
            ", \"message_id\": \"m2\", \"direction\": \"outbound\", \"content\": \"x\"",
        ),
    ]
    .concat()
}

fn audit() -> String {
    let line = |kind: &str, details: Value| {
        let line = json!({"timestamp": "2026-11-16T09:00:00Z", "level": "INFO", "event": kind, "logger": "audit.orchestrator", "event_type": kind, "instance_id": ID, "details": details});
        format!("{}\n", line.to_string().replace("\":", "\": "))
    };
    [
        line("instance_spawn", json!({"instance_name": "Sir-Fix-a-Lot", "role": "debugger", "model": "m"})),
        line("instance_interrupt", json!({})),
        line("instance_terminate", json!({"reason": "done with it"})),
    ]
    .concat()
}

fn summary() -> Value {
    json!({
        "instance_id": ID, "instance_name": "Sir-Fix-a-Lot", "timestamp": "2026-11-16T09:02:00Z", "current_activity": "Reading logs",
        "on_track_status": "drifting", "confidence_score": 0.75, "role": "debugger", "drift_reasons": ["reads mail"],
        "alignment_keywords": ["logs"], "recommended_action": "ask",
    })
}

/// A folder of Madrox with all kinds of files.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(&root.join("state/instances.json"), &instances("idle").to_string());
    write(&root.join("instances").join(ID).join("communication.jsonl"), &messages());
    let log = "2026-11-16 09:00:00 - INFO - Instance created with role: debugger, type: claude\nmore of it\n2026-11-16 09:00:05 - ERROR - Initialization failed: no tmux\n";
    write(&root.join("instances").join(ID).join("instance.log"), log);
    let line = "=".repeat(80);
    write(
        &root.join("instances").join(ID).join("tmux_output.log"),
        &format!("\n{line}\n[2026-11-16T09:03:00.000001]\n{line}\n$ ls\na b\n"),
    );
    write(&root.join("audit/audit_20261116.jsonl"), &audit());
    write(&root.join("summaries/session_1").join(ID).join("latest_summary.json"), &summary().to_string());
    folder
}

fn at(folder: &Path, scope: Scope) -> Env {
    let mut env = env(scope);
    env.variables.insert("MADROX_LOG_DIR".to_owned(), folder.to_owned());
    env
}

/// Reads all as `watch` does, twice.
fn read(env: &Env) -> Log {
    let mut log = Log::default();
    for _ in 0..2 {
        log.restart();
        for mut source in sources() {
            assert_eq!(look(&mut *source, env, &mut log), []);
        }
    }
    log
}

fn of_type(log: &Log, name: &str) -> Vec<Value> {
    log.events.iter().filter(|event| event["type"] == name).map(brief).collect()
}

#[test]
fn an_instance_is_a_task_in_the_state_that_the_list_says() {
    for (state, ended) in [
        ("idle", None),
        ("busy", None),
        ("terminated", Some(("task.completed", Value::Null))),
        ("error", Some(("task.failed", json!("tmux went away")))),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("state/instances.json"), &instances(state).to_string());
        let log = read(&at(folder.path(), Scope::Global));
        assert_eq!(
            of_type(&log, "task.created"),
            [json!({
                "ts": "2026-11-16T09:00:00.000Z", "type": "task.created", "task": ID, "agent": "debugger", "title": "Sir-Fix-a-Lot",
                "assigned_task": "Find it", "parent": "boss", "model": "m", "host": "box", "project": "app", "cwd": "/home/u/app",
            })]
        );
        let results: Vec<Value> =
            ["task.completed", "task.failed"].iter().flat_map(|name| of_type(&log, name)).collect();
        let results: Vec<_> =
            results.iter().map(|event| (event["type"].as_str().unwrap(), event["reason"].clone())).collect();
        assert_eq!(results, ended.into_iter().collect::<Vec<_>>(), "{state}");
    }
}

#[test]
fn everything_that_is_written_of_an_instance_is_told() {
    let folder = folder();
    let log = read(&at(folder.path(), Scope::Global));
    let count = |name: &str| of_type(&log, name).len();
    let names = [
        "source.opened",
        "turn.started",
        "turn.ended",
        "message.recorded",
        "usage.recorded",
        "error.matched",
        "output.grew",
        "action.logged",
        "task.completed",
        "alignment.assessed",
        "source.drifted",
    ];
    assert_eq!(names.map(count), [6, 1, 1, 3, 1, 1, 3, 1, 1, 1, 0]);
    assert!(log.events.iter().all(|event| event["type"] == "source.opened" || event["task"] == ID));
    assert_eq!(
        of_type(&log, "alignment.assessed"),
        [json!({
            "ts": "2026-11-16T09:02:00.000Z", "type": "alignment.assessed", "task": ID, "agent": "debugger", "alignment": "drifting",
            "confidence": 0.75, "reasons": ["reads mail"], "keywords": ["logs"], "recommended_action": "ask",
        })]
    );
    assert_eq!(of_type(&log, "error.matched")[0]["error"]["message"], "Initialization failed: no tmux");
    assert_eq!(of_type(&log, "task.completed")[0]["reason"], "done with it");
}

#[test]
fn a_project_has_the_instances_that_work_in_it() {
    let folder = folder();
    let project = |root: &str| read(&at(folder.path(), Scope::Project(vec![PathBuf::from(root)])));
    let ours = project("/home/u");
    // The audit trail says of no instance where it works.
    assert_eq!((of_type(&ours, "source.opened").len(), of_type(&ours, "action.logged").len()), (5, 0));
    assert_eq!(project("/home/other").lines, Vec::<String>::new());
}

#[test]
fn an_instance_that_failed_is_not_completed_by_its_clean_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state/instances.json");
    let state = |state: &str, message: Value, retries: u32| {
        let mut all = instances(state);
        all[ID]["error_message"] = message;
        all[ID]["retry_count"] = json!(retries);
        write(&path, &all.to_string());
    };
    let (mut source, mut log) = (sources().swap_remove(0), Log::default());
    let env = at(folder.path(), Scope::Global);
    for (now, retries) in [("error", 0), ("terminated", 0), ("busy", 1), ("terminated", 1)] {
        state(now, Value::Null, retries);
        assert_eq!(look(&mut *source, &env, &mut log), []);
    }
    let ends = |log: &Log| {
        let ends = log
            .events
            .iter()
            .filter(|event| event["type"] == "task.failed" || event["type"] == "task.completed");
        ends.map(|event| (event["type"].to_string(), event["attempt"].as_u64().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(ends(&log), [("\"task.failed\"".to_owned(), 1), ("\"task.completed\"".to_owned(), 2)]);
    // Whoever sees only what was left of it still reads why it failed.
    state("terminated", json!("tmux went away"), 0);
    assert_eq!(ends(&read(&env)), [("\"task.failed\"".to_owned(), 1)]);
}

#[test]
fn the_list_and_the_audit_trail_tell_of_one_start_and_one_end() {
    for audit_is_first in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("state/instances.json"), &instances("terminated").to_string());
        write(&folder.path().join("audit/audit_20261116.jsonl"), &audit());
        let (mut log, mut all) = (Log::default(), sources());
        if audit_is_first {
            all.reverse();
        }
        for source in &mut all {
            assert_eq!(look(&mut **source, &at(folder.path(), Scope::Global), &mut log), []);
        }
        let counts = ["task.created", "task.started", "task.completed"].map(|name| of_type(&log, name).len());
        assert_eq!(counts, [1, 1, 1], "the audit trail is first: {audit_is_first}");
    }
}

#[test]
fn what_another_user_put_into_the_shared_folder_is_left_alone() {
    // Only root can give files away.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let folder = folder();
    let of_instance = folder.path().join("instances").join(ID);
    let all = [
        folder.path().join("state/instances.json"),
        folder.path().join("audit/audit_20261116.jsonl"),
        folder.path().join("summaries/session_1").join(ID).join("latest_summary.json"),
        of_instance.join("communication.jsonl"),
        of_instance.join("instance.log"),
        of_instance.join("tmux_output.log"),
    ];
    for path in &all {
        std::os::unix::fs::chown(path, Some(12_345), None).unwrap();
    }
    for scope in [Scope::Global, Scope::Project(vec![PathBuf::from("/home/u")])] {
        assert_eq!(read(&at(folder.path(), scope)).lines, Vec::<String>::new());
    }
    std::os::unix::fs::chown(of_instance.join("instance.log"), Some(0), None).unwrap();
    let ours = read(&at(folder.path(), Scope::Project(vec![PathBuf::from("/home/u")])));
    assert_eq!(ours.lines, Vec::<String>::new(), "a list of a stranger says nothing of our instances");
    // The pane alone is recognised by its place only.
    let named = read(&at(folder.path(), Scope::Paths(all.to_vec())));
    assert_eq!(of_type(&named, "source.opened").len(), 5, "people may name what they want");
}

#[test]
fn a_renamed_field_is_noticed() {
    let list = instances("error").to_string();
    let summary = summary().to_string();
    let cases: [(&str, &str, &[&str], &[&str]); 4] = [
        (
            "state/instances.json",
            &list,
            &["state", "created_at", "last_activity", "workspace_dir", "name", "role"],
            &["model", "parent_instance_id", "initial_prompt", "error_message", "retry_count"],
        ),
        (
            "instances/i/communication.jsonl",
            &messages(),
            &["timestamp", "event_type", "message", "message_id", "content"],
            &["direction", "cost"],
        ),
        (
            "audit/audit_1.jsonl",
            &audit(),
            &["timestamp", "event_type", "logger", "instance_id"],
            &["details", "level", "event"],
        ),
        (
            "summaries/s/i/latest_summary.json",
            &summary,
            &["instance_id", "timestamp", "on_track_status"],
            &["confidence_score", "drift_reasons", "role"],
        ),
    ];
    for (name, text, needed, optional) in cases {
        for field in needed.iter().chain(optional) {
            let renamed = text.replace(&format!("\"{field}\":"), &format!("\"{field}2\":"));
            assert_ne!(renamed, text, "{field}");
            assert_eq!(claims(renamed.as_bytes()), 1, "{name}: {field}");
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join(name);
            write(&path, &renamed);
            let mut log = Log::default();
            for mut source in sources() {
                source.discover(&env(Scope::Paths(vec![path.clone()])));
                drain(&mut *source, &mut log);
            }
            let has_drifted = log.count(|event| event["type"] == "source.drifted") > 0;
            assert_eq!(has_drifted, needed.contains(field), "{name}: {field}");
        }
    }
}

/// How many formats of Madrox take a file for theirs.
fn claims(head: &[u8]) -> usize {
    let all = [
        InstanceFiles::recognises,
        CommunicationFiles::recognises,
        LogFiles::recognises,
        AuditFiles::recognises,
        SummaryFiles::recognises,
    ];
    all.iter().filter(|recognises| recognises(head)).count()
}

#[test]
fn files_of_others_are_left_to_them() {
    for head in [
        r#"{"type":"user","uuid":"u","parentUuid":null,"sessionId":"s","isSidechain":false,"message":{"role":"user","content":"x"}}"#,
        r#"{"type":"system","subtype":"init","session_id":"s","cwd":"/w","mcp_servers":[]}"#,
        r#"{"timestamp":"2026-01-01T00:00:00Z","type":"session_meta","payload":{"id":"s","cwd":"/w"}}"#,
        r#"{"sessionId":"s","projectHash":"h","messages":[{"id":"m","type":"gemini"}]}"#,
        r#"{"type":"session","id":"s","version":3,"cwd":"/w"}"#,
        r#"{"info":{"id":"ses_1"},"messages":[]}"#,
        r#"{"trajectory":[{"action":"ls"}],"info":{}}"#,
        r#"{"id": 0, "timestamp": "2026-01-01T00:00:00", "source": "agent", "message": "x", "action": "message"}"#,
    ] {
        assert_eq!(claims(head.as_bytes()), 0, "{head}");
    }
}

#[test]
fn messages_read_in_steps_give_what_the_whole_gives() {
    let events = |log: &Log| log.events.iter().map(brief).skip(1).collect::<Vec<_>>();
    let whole = {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("instances").join(ID).join("communication.jsonl"), &messages());
        events(&read(&at(folder.path(), Scope::Global)))
    };
    for keeps in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("instances").join(ID).join("communication.jsonl");
        let (mut log, mut saved) = (Log::default(), String::from("[]"));
        for end in 1..=messages().len() {
            if messages().as_bytes()[end - 1] != b'\n' && end % 50 != 0 {
                continue;
            }
            write(&path, &messages()[..end]);
            log.restart();
            let mut source = Transcripts::<CommunicationFiles, Communication>::default();
            if keeps {
                source.resume(serde_json::from_str(&saved).unwrap());
            }
            assert_eq!(look(&mut source, &at(folder.path(), Scope::Global), &mut log), Vec::<Problem>::new());
            log.advance(source.advances());
            saved = serde_json::to_string(&source.positions()).unwrap();
        }
        assert_eq!(events(&log), whole, "keeps {keeps}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_bytes_make_it_panic(which in 0_usize..4, cut in any::<prop::sample::Index>(), flips in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..127), 0..8)) {
        let texts = [instances("error").to_string(), messages(), audit(), summary().to_string()];
        let names = ["state/instances.json", "instances/i/communication.jsonl", "audit/audit_1.jsonl", "summaries/s/i/latest_summary.json"];
        let mut bytes = texts[which].clone().into_bytes();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(cut.index(bytes.len()).max(1));
        let folder = tempfile::tempdir().unwrap();
        for name in ["instances/i/instance.log", "instances/i/tmux_output.log", names[which]] {
            write(&folder.path().join(name), &String::from_utf8_lossy(&bytes));
        }
        for mut source in sources() {
            look(&mut *source, &at(folder.path(), Scope::Global), &mut Log::default());
        }
    }
}
