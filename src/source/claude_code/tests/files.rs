//! Which files are read, what they are, and what happens to them.

use super::*;

fn problems(paths: &[&Path]) -> Vec<String> {
    import(paths, &mut Log::default()).into_iter().map(|problem| problem.message).collect()
}

fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| line.to_string() + "\n").collect()
}

#[test]
fn what_cannot_be_read_is_said_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        write(&path, text);
        path
    };
    let good = prompt(0, "x").to_string();
    let length = good.len() + 1;
    for (path, expected) in [
        (folder.path().join("missing.jsonl"), "there is no such file or folder".to_owned()),
        (
            file("bad.jsonl", &format!("{good}\nx\n{{\"type\":\n")),
            format!("2 damaged lines, the first at byte {length}; what could be read of it was"),
        ),
        (
            file("torn.jsonl", &format!("{good}\n{{\"type\":")),
            format!("the last line, at byte {length}, has no newline and was not read (8 bytes)"),
        ),
    ] {
        assert_eq!(problems(&[&path]), [expected], "{}", path.display());
    }
}

#[test]
fn a_file_of_another_format_is_left_to_others() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("e.jsonl", ""),
        ("other.jsonl", "{\"type\":\"session_meta\"}\n"),
        ("text.jsonl", "hello\nworld\n"),
        ("qwen.jsonl", "{\"uuid\":\"u\",\"parentUuid\":null,\"sessionId\":\"s\",\"systemPayload\":{}}\n"),
    ] {
        let path = folder.path().join(name);
        write(&path, text);
        let mut source = ClaudeCode::default();
        let found = source.discover(&env(Scope::Paths(vec![path])));
        assert_eq!((found.inputs, found.problems), (vec![], vec![]), "{name}");
    }
}

#[test]
fn a_transcript_whose_fields_were_renamed_is_a_changed_format() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("{SESSION}.jsonl"));
    let lines: Vec<Value> = (0..6).map(|second| prompt(second, "x")).collect();
    write(&path, &text(&lines).replace("\"type\"", "\"kind\""));
    let mut log = Log::default();
    import(&[&path], &mut log);
    assert_eq!(log.count(|event| event["type"] == "source.drifted"), 1);
}

/// A session with every field that is read. What every version writes stands on many lines; the rest once among so many
/// that no share of them tells anything.
fn with_every_field() -> Vec<Value> {
    let usage = json!({"input_tokens": 3, "output_tokens": 5, "cache_read_input_tokens": 7, "cache_creation_input_tokens": 9});
    let told = |mut line: Value| {
        line["message"]["usage"] = usage.clone();
        line
    };
    let mut lines = vec![prompt(0, "go")];
    for step in 0..30_u32 {
        let id = format!("toolu_{step}");
        lines.push(told(call(2 * step + 1, &id, "Bash", json!({"command": "make"}))));
        lines.push(answer(2 * step + 2, &id, json!("Exit code 1"), true, json!("Error: Exit code 1")));
    }
    lines.push(told(assistant(100, json!([{"type": "text", "text": "I look."}]))));
    let item = json!({"content": "look", "status": "in_progress", "activeForm": "looking"});
    let task = json!({"task": {"id": "7", "subject": "look"}});
    let shell = json!({"command": "serve", "description": "Serve it", "run_in_background": true});
    let delegation = json!({"description": "look", "prompt": "Look around", "subagent_type": "Explore"});
    let found = json!({"agentId": "a1", "status": "completed", "totalDurationMs": 900, "totalTokens": 3});
    let rest = [
        ("TodoWrite", json!({"todos": [item]}), json!({"newTodos": [item]})),
        ("Task", delegation, found),
        ("TaskCreate", json!({"subject": "look", "description": "Look around"}), task),
        ("TaskUpdate", json!({"taskId": "7", "status": "completed"}), json!({"success": true})),
        ("Bash", shell, json!({"stdout": "", "backgroundTaskId": "b1"})),
    ];
    for (second, (tool, input, result)) in (101_u32..).step_by(2).zip(rest) {
        let id = format!("toolu_{second}");
        lines.push(told(call(second, &id, tool, input)));
        lines.push(answer(second + 1, &id, json!("ok"), false, result));
    }
    lines.extend((200..203).map(|second| system(second, "turn_duration", json!({"durationMs": 5}))));
    lines
}

#[test]
fn a_field_that_every_record_has_is_missed_when_it_was_renamed() {
    let folder = tempfile::tempdir().unwrap();
    let lines = with_every_field();
    let drifts = |name: &str| {
        let path = folder.path().join(name).join(format!("{SESSION}.jsonl"));
        write(&path, &text(&lines).replace(&format!("\"{name}\":"), "\"renamed\":"));
        let mut log = Log::default();
        import(&[&path], &mut log);
        log.count(|event| event["type"] == "source.drifted")
    };
    assert_eq!(drifts("nothing"), 0);
    for name in [
        "type",
        "timestamp",
        "message",
        "content",
        "id",
        "name",
        "tool_use_id",
        "is_error",
        "model",
        "usage",
        "input_tokens",
        "output_tokens",
        "subtype",
        "durationMs",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
        "cwd",
        "sessionId",
        "requestId",
        "input",
        "text",
        "toolUseResult",
        "todos",
        "status",
        "activeForm",
        "agentId",
        "totalDurationMs",
        "description",
        "subagent_type",
        "prompt",
        "subject",
        "taskId",
        "task",
    ] {
        assert_eq!(drifts(name), 1, "{name}");
    }
}

/// What a version leaves out is not missed while nothing stands there instead, nor what a model got wrong.
#[test]
fn what_a_version_leaves_out_is_no_changed_format() {
    let folder = tempfile::tempdir().unwrap();
    let mut lines = with_every_field();
    for line in &mut lines {
        let map = line.as_object_mut().unwrap();
        for name in ["cwd", "sessionId", "requestId"] {
            assert!(map.remove(name).is_some() || name == "requestId");
        }
        map.insert("novelty".to_owned(), json!("new"));
        if let Some(usage) = line["message"].get_mut("usage") {
            *usage =
                json!({"input_tokens": 3, "output_tokens": 5, "speed": "standard", "novelty": {"tokens": 5}});
        }
    }
    let item = json!({"content": "look", "status": "in_progress"});
    lines.push(call(300, "toolu_old", "TodoWrite", json!({"todos": [item]})));
    lines.push(answer(301, "toolu_old", json!("ok"), false, json!({"newTodos": [item], "novelty": [1]})));
    lines.push(call(302, "toolu_wrong", "TodoWrite", json!({"items": [item]})));
    lines.push(answer(
        303,
        "toolu_wrong",
        json!("<tool_use_error>no</tool_use_error>"),
        true,
        json!("Error"),
    ));
    lines.push(call(304, "toolu_task", "Task", json!({"description": "look", "prompt": "Look"})));
    let mut old = answer(305, "toolu_task", json!("ok"), true, json!({"status": "completed", "content": []}));
    old["message"]["content"][0].as_object_mut().unwrap().remove("is_error");
    lines.push(old);
    let path = folder.path().join(format!("{SESSION}.jsonl"));
    write(&path, &text(&lines));
    let mut log = Log::default();
    import(&[&path], &mut log);
    assert_eq!(log.count(|event| event["type"] == "source.drifted"), 0);
    assert_eq!(log.count(|event| event["type"] == "tool.succeeded"), 7);
}

#[test]
fn blocks_and_subtypes_that_nobody_knows_are_not_taken_for_known_ones() {
    let folder = tempfile::tempdir().unwrap();
    let filler = "x".repeat(5000);
    let drifts = |name: &str, line: Value| {
        let path = folder.path().join(name).join(format!("{SESSION}.jsonl"));
        let lines = [vec![prompt(0, "go")], vec![line; 20]].concat();
        write(&path, &text(&lines));
        let mut log = Log::default();
        import(&[&path], &mut log);
        log.count(|event| event["type"] == "source.drifted")
    };
    let block = |kind: &str| {
        let mut line = call(1, "toolu_1", "Bash", json!({"command": &filler}));
        line["message"]["content"][0]["type"] = json!(kind);
        line["message"]["usage"] = json!({"input_tokens": 3, "output_tokens": 5});
        line
    };
    assert_eq!(drifts("known", block("web_search_tool_result")), 0);
    assert_eq!(drifts("strange", block("tool_use_new")), 1);
    let said = |subtype: &str| system(1, subtype, json!({"durationMs": 5, "content": &filler}));
    assert_eq!(drifts("said", said("informational")), 0);
    assert_eq!(drifts("novelty", said("turn_duration_new")), 1);
}

#[test]
fn bytes_that_are_no_text_cost_themselves_and_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.jsonl");
    let mut bytes = text(&[prompt(0, "x")]).into_bytes();
    bytes.extend(b"{\"type\":\"user\",\"x\":\"\xff\"}\n");
    let second = text(&[prompt(1, "why?")]).replace('?', "\u{1}");
    bytes.extend(second.bytes().map(|byte| if byte == 1 { 0xff } else { byte }));
    std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), &bytes).unwrap();
    let mut log = Log::default();
    assert_eq!(import(&[&path], &mut log).len(), 1);
    assert_eq!(log.count(|event| event["type"] == "turn.started"), 2);
}

#[test]
fn a_folder_is_searched_and_its_sessions_keep_their_own_identity() {
    let folder = tempfile::tempdir().unwrap();
    let named = folder.path().join("a").join(format!("{SESSION}.jsonl"));
    write(&named, &text(&[with(prompt(0, "x"), json!({"sessionId": "other"}))]));
    write(
        &folder.path().join("b.jsonl"),
        &text(&[with(prompt(0, "y"), json!({"sessionId": "native", "uuid": "y"}))]),
    );
    let mut log = Log::default();
    assert_eq!(import(&[folder.path()], &mut log), []);
    let created: Vec<_> = log
        .events
        .iter()
        .filter(|event| event["type"] == "task.created")
        .map(|event| event["task"].clone())
        .collect();
    assert_eq!(created, [json!(SESSION), json!("native")]);
}

#[test]
fn a_sub_agents_file_is_a_task_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let agents = folder.path().join(SESSION).join("subagents");
    let side = |line: Value| with(line, json!({"isSidechain": true, "agentId": "a1"}));
    let lines = [side(prompt(1, "look around")), side(call(2, "t1", "Read", json!({})))];
    write(&agents.join("agent-a1.jsonl"), &text(&lines));
    write(&agents.join("agent-a1.meta.json"), "{\"agentType\":\"Explore\",\"parentAgentId\":\"a0\"}");
    let other = with(lines[0].clone(), json!({"uuid": "other"}));
    write(&agents.join("workflows/run/agent-a2.jsonl"), &text(&[other]));
    let mut log = Log::default();
    assert_eq!(import(&[folder.path()], &mut log), []);
    let tasks: Vec<_> = log
        .events
        .iter()
        .filter(|event| event["type"] == "task.created")
        .map(|event| json!([event["task"], event["agent"], event["parent"], event["title"]]))
        .collect();
    assert_eq!(
        tasks,
        [
            json!(["agent-a1", "explore", "agent-a0", "look around"]),
            json!(["agent-a2", "claude-code-subagent", SESSION, "look around"]),
        ]
    );
    assert!(log.events.iter().all(|event| event["thread"].is_null() || event["thread"] == "main"));
    assert_eq!(log.count(|event| event["type"] == "turn.started"), 2);
}

fn follow(source: &mut ClaudeCode, env: &Env, log: &mut Log) -> usize {
    let inputs = source.discover(env).inputs.len();
    drain(source, log);
    inputs
}

#[test]
fn a_project_takes_the_work_done_in_its_folders() {
    let home = tempfile::tempdir().unwrap();
    let projects = home.path().join(".claude/projects");
    let scope = Scope::Project(vec![PathBuf::from("/home/u/app")]);
    let env = Env { home: home.path().to_owned(), ..env(scope) };
    let (mut source, mut log) = (ClaudeCode::default(), Log::default());
    assert_eq!(follow(&mut source, &env, &mut log), 0, "there is nothing yet, and nothing is said");
    let elsewhere = with(prompt(0, "x"), json!({"cwd": "/home/u/application", "uuid": "1"}));
    write(&projects.join("-a").join("00000000-0000-4000-8000-000000000001.jsonl"), &text(&[elsewhere]));
    let inside = with(prompt(0, "x"), json!({"cwd": "/home/u/app/src", "uuid": "2"}));
    write(&projects.join("-b").join("00000000-0000-4000-8000-000000000002.jsonl"), &text(&[inside]));
    let unripe = projects.join("-c").join("00000000-0000-4000-8000-000000000003.jsonl");
    let summary = json!({"type": "summary", "summary": "\"cwd\":\"/home/u/application\""});
    write(&unripe, &text(std::slice::from_ref(&summary)));
    assert_eq!(follow(&mut source, &env, &mut log), 1);
    write(&unripe, &text(&[summary, with(prompt(0, "x"), json!({"uuid": "3"}))]));
    assert_eq!(follow(&mut source, &env, &mut log), 2);
    assert_eq!(log.count(|event| event["type"] == "task.created"), 2);
}

#[test]
fn old_files_are_left_to_import_and_the_configured_folder_is_used() {
    let config = tempfile::tempdir().unwrap();
    write(&config.path().join("projects/-a").join(format!("{SESSION}.jsonl")), &text(&[prompt(0, "x")]));
    let mut env = Env {
        variables: [("CLAUDE_CONFIG_DIR".to_owned(), config.path().to_owned())].into(),
        ..env(Scope::Global)
    };
    env.modified_since = Timestamp::parse("2100-01-01T00:00:00Z");
    assert_eq!(ClaudeCode::default().discover(&env).inputs.len(), 0);
    env.modified_since = Timestamp::parse("2000-01-01T00:00:00Z");
    assert_eq!(ClaudeCode::default().discover(&env).inputs.len(), 1);
}

#[test]
fn a_fork_does_not_repeat_its_parent() {
    let folder = tempfile::tempdir().unwrap();
    let fork = "22222222-2222-4333-8444-555555555555";
    let common =
        [prompt(0, "x"), call(1, "t1", "Read", json!({})), answer(2, "t1", json!("x"), false, json!({}))];
    let parent = folder.path().join(format!("{SESSION}.jsonl"));
    let mut lines = common.to_vec();
    lines.push(prompt(3, "in the parent"));
    write(&parent, &text(&lines));
    let mut lines = common.to_vec();
    lines.push(prompt(4, "in the fork"));
    let lines: Vec<_> = lines.into_iter().map(|line| with(line, json!({"sessionId": fork}))).collect();
    let child = folder.path().join(format!("{fork}.jsonl"));
    write(&child, &text(&lines));
    let mut log = Log::default();
    import(&[&parent], &mut log);
    log.restart();
    import(&[&child], &mut log);
    assert_eq!(log.count(|event| event["type"] == "tool.started"), 1);
    assert_eq!(log.count(|event| event["type"] == "turn.started"), 3);
    let of_fork: Vec<_> =
        log.events.iter().filter(|event| event["task"] == fork).map(|event| event["type"].clone()).collect();
    assert_eq!(of_fork, ["task.created", "task.started", "turn.started", "message.recorded"]);
    let opened: Vec<_> = log
        .events
        .iter()
        .filter(|event| event["type"] == "source.opened")
        .map(|event| event["forked_from"].clone())
        .collect();
    assert_eq!(opened, [Value::Null, json!(SESSION)]);
}

#[test]
fn a_copy_adds_nothing_and_a_copy_that_went_on_adds_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let lines = [prompt(0, "x"), prompt(1, "y"), prompt(2, "z")];
    write(&path("a.jsonl"), &text(&lines));
    write(&path("b.jsonl"), &text(&lines[..2]));
    write(&path("c.jsonl"), &text(&[lines[0].clone(), prompt(7, "another way")]));
    let mut log = Log::default();
    assert_eq!(import(&[&path("a.jsonl")], &mut log), []);
    let before = log.events.len();
    assert_eq!(import(&[&path("b.jsonl")], &mut log), []);
    assert_eq!(log.events.len(), before);
    import(&[&path("c.jsonl")], &mut log);
    let types: Vec<_> = log.events[before..].iter().map(|event| event["type"].clone()).collect();
    assert_eq!(types, ["source.opened", "turn.started", "message.recorded"]);
}

#[test]
fn a_rewritten_file_is_a_new_generation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("{SESSION}.jsonl"));
    let scope = env(Scope::Paths(vec![path.clone()]));
    write(&path, &text(&[prompt(0, "x"), prompt(1, "y")]));
    let (mut source, mut log) = (ClaudeCode::default(), Log::default());
    follow(&mut source, &scope, &mut log);
    let before = log.events.len();
    write(&path, &text(&[prompt(0, "x")]));
    follow(&mut source, &scope, &mut log);
    let rest: Vec<_> =
        log.events[before..].iter().map(|event| json!([event["type"], event["generation"]])).collect();
    assert_eq!(
        rest,
        [json!(["source.truncated", null]), json!(["source.opened", 1])],
        "what stood there before is known"
    );
    std::fs::remove_file(&path).unwrap();
    drain(&mut source, &mut log);
    write(&path, &text(&[prompt(0, "x"), prompt(9, "new")]));
    follow(&mut source, &scope, &mut log);
    assert_eq!(log.count(|event| event["type"] == "turn.started"), 3);
    let now = log.events.len();
    log.restart();
    follow(&mut ClaudeCode::default(), &scope, &mut log);
    assert_eq!(log.events.len(), now, "a restart finds the same generation");
}

#[test]
fn growth_without_a_known_line_is_loud_once() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(".claude/projects/-a").join(format!("{SESSION}.jsonl"));
    let strange = format!("{{\"type\":\"novelty\",\"text\":\"{}\"}}\n", "x".repeat(4000));
    let scope = Env { home: home.path().to_owned(), ..env(Scope::Global) };
    // So many that the strange ones are a small share.
    let known = text(&vec![prompt(0, "x"); 200]);
    for (count, expected) in [(16, 0), (19, 0), (20, 1), (60, 1)] {
        write(&path, &(known.clone() + &strange.repeat(count)));
        let (mut source, mut log) = (ClaudeCode::default(), Log::default());
        follow(&mut source, &scope, &mut log);
        assert_eq!(log.count(|event| event["type"] == "source.drifted"), expected, "{count}");
    }
}

#[test]
fn an_unterminated_line_waits_for_its_newline() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(".claude/projects/-a").join(format!("{SESSION}.jsonl"));
    let scope = Env { home: home.path().to_owned(), ..env(Scope::Global) };
    let line = prompt(0, "x").to_string();
    let (mut source, mut log) = (ClaudeCode::default(), Log::default());
    write(&path, &line);
    assert_eq!(source.discover(&scope).problems, []);
    assert_eq!(drain(&mut source, &mut log), []);
    assert_eq!(log.events.len(), 0);
    write(&path, &(line + "\n"));
    drain(&mut source, &mut log);
    assert_eq!(log.count(|event| event["type"] == "turn.started"), 1);
}
