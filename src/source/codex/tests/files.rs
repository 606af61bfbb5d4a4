//! Which files are read, whose they are, and what happens to them.

use super::*;
use crate::base::clock::Timestamp;
use crate::source::codex::discovery::Files;
use crate::source::codex::exec::Streams;
use crate::source::finder::Format;

/// Heads of what other agents write.
const OTHERS: [(&str, &str); 12] = [
    (
        "claude code",
        r#"{"parentUuid":null,"isSidechain":false,"userType":"external","cwd":"/x","sessionId":"s","type":"user","message":{"role":"user","content":"\"session_meta\" \"payload\""},"uuid":"u"}"#,
    ),
    (
        "claude stream",
        r#"{"type":"system","subtype":"init","cwd":"/x","session_id":"s","tools":[],"model":"m"}"#,
    ),
    (
        "gemini",
        r#"{"sessionId":"s","projectHash":"h","startTime":"t","messages":[{"id":"1","type":"user","content":"x"}]}"#,
    ),
    ("gemini stream", r#"{"type":"init","timestamp":"t","session_id":"s","model":"m"}"#),
    (
        "qwen",
        r#"{"uuid":"u","parentUuid":null,"sessionId":"s","type":"user","message":{"role":"user","parts":[]},"usageMetadata":{}}"#,
    ),
    ("pi", r#"{"type":"session","version":3,"id":"i","timestamp":"t","cwd":"/x"}"#),
    (
        "opencode",
        r#"{"info":{"id":"ses_1","directory":"/x"},"messages":[{"info":{"role":"user"},"parts":[]}]}"#,
    ),
    (
        "copilot",
        r#"{"type":"session.start","data":{"sessionId":"s","producer":"copilot-agent"},"id":"i","timestamp":"t"}"#,
    ),
    (
        "swe-agent",
        r#"{"trajectory":[{"action":"ls","observation":"x","thought":"t"}],"info":{"exit_status":"submitted"},"history":[]}"#,
    ),
    (
        "openhands",
        r#"{"instance_id":"i","history":[{"id":0,"source":"user","action":"message","args":{}}],"metrics":{}}"#,
    ),
    ("our own log", r#"{"v":1,"id":"i","ts":"t","type":"turn.started","task":"t","source":"codex"}"#),
    ("text", "thread.started\n"),
];

/// Whether the head of a file is of a format.
type Recognises = fn(&[u8]) -> bool;

fn names_in(line: &Value) -> Vec<String> {
    match line {
        Value::Object(map) => map
            .iter()
            .flat_map(|(name, value)| {
                let mut names = names_in(value);
                names.push(format!("\"{name}\""));
                names
            })
            .collect(),
        Value::Array(all) => all.iter().flat_map(names_in).collect(),
        Value::String(text) => vec![format!("\"{text}\"")],
        _ => Vec::new(),
    }
}

#[test]
fn a_file_is_recognised_also_where_one_name_was_changed() {
    let rollout = [meta(json!({})), turn_started(1), turn_context(1), prompt(1, "x")];
    let stream = [
        json!({"type": "thread.started", "thread_id": "t"}),
        json!({"type": "turn.started"}),
        json!({"type": "item.completed", "item": {"id": "i"}}),
    ];
    let recognised: [(&[Value], Recognises, Recognises); 2] = [
        (&rollout, Files::recognises, Streams::recognises),
        (&stream, Streams::recognises, Files::recognises),
    ];
    for (lines, is_it, is_the_other) in recognised {
        let whole = text(lines);
        assert!(is_it(whole.as_bytes()));
        assert!(!is_the_other(whole.as_bytes()));
        for name in lines.iter().flat_map(names_in) {
            assert!(is_it(whole.replace(&name, "\"novelty\"").as_bytes()), "{name}");
        }
    }
    assert!(Streams::recognises(text(&stream[..1]).as_bytes()), "the first line is enough");
    assert!(Files::recognises(text(&rollout[..1]).as_bytes()), "the first line is enough");
}

#[test]
fn the_files_of_others_are_left_to_them() {
    let folder = tempfile::tempdir().unwrap();
    for (name, head) in OTHERS {
        assert!(!Files::recognises(head.as_bytes()) && !Streams::recognises(head.as_bytes()), "{name}");
        let path = folder.path().join(format!("{name}.jsonl"));
        write(&path, head);
        let found = Codex::default().discover(&env(Scope::Paths(vec![path])));
        assert_eq!((found.inputs, found.problems), (vec![], vec![]), "{name}");
    }
}

#[test]
fn a_folder_of_both_formats_is_read_as_both() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("a/rollout.jsonl"), &text(&[meta(json!({})), prompt(1, "x")]));
    write(&folder.path().join("b/run.log"), &text(&[json!({"type": "thread.started", "thread_id": "t"})]));
    write(&folder.path().join("c/cold.jsonl.zst"), "whatever");
    let mut log = Log::default();
    assert_eq!(import(&[folder.path()], &mut log), []);
    assert_eq!(members(&log.events, "task.created", &["task"]), [json!([THREAD]), json!(["t"])]);
    let mut source = Codex::default();
    source.discover(&env(Scope::Paths(vec![folder.path().to_owned()])));
    drain(&mut source, &mut Log::default());
    let positions = source.positions();
    assert_eq!(positions.len(), 2);
    let mut next = Codex::default();
    next.resume(positions.clone());
    next.discover(&env(Scope::Paths(vec![folder.path().to_owned()])));
    assert_eq!(next.positions(), positions, "each of the two takes its own again");
}

fn follow(source: &mut Codex, env: &Env, log: &mut Log) -> usize {
    let found = source.discover(env);
    assert_eq!(found.problems, []);
    drain(source, log);
    found.inputs.len()
}

fn thread(number: u32) -> String {
    format!("01a1e395-ae80-7000-8000-{number:012}")
}

fn rollout_in(home: &Path, folder: &str, number: u32, lines: &[Value]) -> PathBuf {
    let path = home.join(folder).join(format!("rollout-2026-11-16T09-00-00-{}.jsonl", thread(number)));
    write(&path, &text(lines));
    path
}

#[test]
fn a_project_takes_the_work_done_in_its_folders() {
    let home = tempfile::tempdir().unwrap();
    let env = Env { home: home.path().to_owned(), ..env(Scope::Project(vec![PathBuf::from("/home/u/app")])) };
    let (mut source, mut log) = (Codex::default(), Log::default());
    assert_eq!(follow(&mut source, &env, &mut log), 0, "there is nothing yet, and nothing is said");
    let day = ".codex/sessions/2026/11/16";
    let of = |number: u32, cwd: &str| meta(json!({"id": thread(number), "cwd": cwd}));
    rollout_in(home.path(), day, 1, &[of(1, "/home/u/application"), prompt(1, "x")]);
    rollout_in(home.path(), day, 2, &[of(2, "/home/u/app/src"), prompt(1, "y")]);
    rollout_in(home.path(), ".codex/archived_sessions", 3, &[of(3, "/home/u/app"), prompt(1, "z")]);
    assert_eq!(follow(&mut source, &env, &mut log), 2);
    // The instructions in the first line may be longer than what is looked at first.
    let long =
        meta(json!({"id": thread(4), "cwd": null, "base_instructions": {"text": "x".repeat(200_000)}}));
    let context = line(1, "turn_context", json!({"cwd": "/home/u/app", "model": "m"}));
    rollout_in(home.path(), day, 4, &[long, context, prompt(1, "w")]);
    assert_eq!(follow(&mut source, &env, &mut log), 3);
    let titles = members(&log.events, "task.created", &["task", "title"]);
    assert_eq!(titles, [json!([thread(3), "z"]), json!([thread(2), "y"]), json!([thread(4), "w"])]);
}

#[test]
fn old_files_are_left_to_import_and_the_configured_folder_is_used() {
    let home = tempfile::tempdir().unwrap();
    rollout_in(home.path(), "sessions", 1, &[meta(json!({"id": thread(1)})), prompt(1, "x")]);
    let variables = [("CODEX_HOME".to_owned(), home.path().to_owned())].into();
    let mut env = Env { variables, ..env(Scope::Global) };
    for (since, expected) in [("2100-01-01T00:00:00Z", 0), ("2000-01-01T00:00:00Z", 1)] {
        env.modified_since = Timestamp::parse(since);
        assert_eq!(Codex::default().discover(&env).inputs.len(), expected, "{since}");
    }
}

#[test]
fn a_thread_that_is_archived_is_the_same() {
    let home = tempfile::tempdir().unwrap();
    let env = Env { home: home.path().to_owned(), ..env(Scope::Global) };
    let old = rollout_in(
        home.path(),
        ".codex/sessions/2026/11/16",
        1,
        &[meta(json!({"id": thread(1)})), prompt(1, "x")],
    );
    let (mut source, mut log) = (Codex::default(), Log::default());
    follow(&mut source, &env, &mut log);
    let count = log.events.len();
    let new = home.path().join(".codex/archived_sessions").join(old.file_name().unwrap());
    std::fs::create_dir_all(new.parent().unwrap()).unwrap();
    std::fs::rename(&old, &new).unwrap();
    follow(&mut source, &env, &mut log);
    follow(&mut source, &env, &mut log);
    let more: Vec<_> = types(&log.events[count..]);
    assert_eq!(more, ["source.opened"], "it lies elsewhere, and that is all");
}

#[test]
fn what_has_lost_its_first_line_is_read_as_what_its_name_says() {
    let home = tempfile::tempdir().unwrap();
    let path = rollout_in(
        home.path(),
        "x",
        7,
        &[turn_started(1), turn_context(1), prompt(1, "x"), shell(2, "a", "ls")],
    );
    let mut log = Log::default();
    assert_eq!(import(&[&path], &mut log), []);
    assert_eq!(
        members(&log.events, "task.created", &["task", "agent", "title"]),
        [json!([thread(7), "codex", "x"])]
    );
    assert_eq!(members(&log.events, "tool.started", &["call"]), [json!(["a"])]);
}
