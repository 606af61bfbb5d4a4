//! Reading in steps, with and without memory, gives what reading as a whole gives.

use super::*;
use std::io::Write;

/// A transcript in which everything that is remembered matters.
fn transcript() -> Vec<String> {
    let side = |mut line: Value, uuid: &str, parent: Value| {
        line["uuid"] = json!(uuid);
        line["parentUuid"] = parent;
        line["isSidechain"] = json!(true);
        line
    };
    let mut usage = assistant(3, json!([{"type": "text", "text": "hm"}]));
    usage["message"]["usage"] = json!({"input_tokens": 3, "output_tokens": 1});
    let mut more_usage =
        call(4, "t1", "TodoWrite", json!({"todos": [{"content": "one", "status": "in_progress"}]}));
    more_usage["message"]["id"] = usage["message"]["id"].clone();
    more_usage["requestId"] = usage["requestId"].clone();
    more_usage["message"]["usage"] = json!({"input_tokens": 3, "output_tokens": 50});
    let lines = [
        json!({"type": "summary", "summary": "x", "leafUuid": "y"}),
        prompt(1, "<command-name>/init</command-name>"),
        prompt(2, "do it"),
        usage,
        more_usage,
        answer(5, "t1", json!("ok"), false, json!({"newTodos": [{"content": "one", "status": "completed"}]})),
        call(6, "t2", "Task", json!({"description": "look", "subagent_type": "Explore"})),
        side(prompt(7, "side"), "aaaaaaaa-1", Value::Null),
        side(call(8, "t3", "Read", json!({})), "bbbbbbbb-2", json!("aaaaaaaa-1")),
        side(answer(9, "t3", json!("Exit code 1\nx"), true, json!("x")), "cccccccc-3", json!("bbbbbbbb-2")),
        answer(10, "t2", json!("x"), false, json!({"status": "async_launched", "agentId": "a1"})),
        with(line("progress", 45), json!({"data": {}})),
        prompt(
            46,
            "<task-notification><task-id>a1</task-id><status>completed</status><summary>Agent \"look\" done</summary></task-notification>",
        ),
        call(47, "t4", "AskUserQuestion", json!({})),
        answer(48, "t4", json!("x"), false, json!({})),
        system(49, "stop_hook_summary", json!({})),
        system(50, "turn_duration", json!({"durationMs": 48_000})),
        prompt(51, "[Request interrupted by user]"),
    ];
    let mut lines: Vec<_> = lines.iter().map(Value::to_string).collect();
    lines.insert(4, "garbage".to_owned());
    lines.insert(7, String::new());
    let two = lines.remove(2);
    lines[2].insert_str(0, &two);
    lines
}

fn append(path: &Path, text: &str) {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

fn whole() -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("{SESSION}.jsonl"));
    write(&path, &(transcript().join("\n") + "\n"));
    let mut log = Log::default();
    import(&[&path], &mut log);
    comparable(&log)
}

/// The lines without where the file lay, which differs from run to run.
fn comparable(log: &Log) -> Vec<String> {
    let strip = |event: &Value| {
        let mut event = event.clone();
        for key in ["path", "inode", "device"] {
            event.as_object_mut().unwrap().remove(key);
        }
        event.to_string()
    };
    log.events.iter().map(strip).collect()
}

/// Reads the transcript line by line, each time by `next(source)`.
fn in_steps(pieces: &[String], mut next: impl FnMut(ClaudeCode, &mut Log) -> ClaudeCode) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("{SESSION}.jsonl"));
    let (mut source, mut log) = (ClaudeCode::default(), Log::default());
    for piece in pieces {
        append(&path, piece);
        source = next(source, &mut log);
        source.discover(&env(Scope::Paths(vec![path.clone()])));
        drain(&mut source, &mut log);
    }
    comparable(&log)
}

fn lines() -> Vec<String> {
    transcript().iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn growth_line_by_line_gives_what_the_whole_gives() {
    assert!(whole().len() > 30);
    assert_eq!(in_steps(&lines(), |source, _| source), whole());
}

#[test]
fn growth_byte_by_byte_gives_what_the_whole_gives() {
    let text = lines().concat();
    let pieces: Vec<_> =
        text.as_bytes().chunks(97).map(|chunk| String::from_utf8(chunk.to_vec()).unwrap()).collect();
    assert_eq!(in_steps(&pieces, |source, _| source), whole());
}

#[test]
fn a_restart_at_every_line_with_saved_positions_gives_what_the_whole_gives() {
    let restart = |source: ClaudeCode, log: &mut Log| {
        log.restart();
        log.advance(source.advances());
        let saved = serde_json::to_string(&source.positions()).unwrap();
        let mut next = ClaudeCode::default();
        next.resume(serde_json::from_str(&saved).unwrap());
        next
    };
    assert_eq!(in_steps(&lines(), restart), whole());
}

#[test]
fn a_restart_at_every_line_without_positions_gives_what_the_whole_gives() {
    let restart = |_: ClaudeCode, log: &mut Log| {
        log.restart();
        ClaudeCode::default()
    };
    assert_eq!(in_steps(&lines(), restart), whole());
}

#[test]
fn a_saved_position_really_saves_reading() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("{SESSION}.jsonl"));
    write(&path, &lines().concat());
    let (mut source, mut log) = (ClaudeCode::default(), Log::default());
    source.discover(&env(Scope::Paths(vec![path.clone()])));
    drain(&mut source, &mut log);
    let positions = source.positions();
    assert_eq!(positions[0].offset_bytes, std::fs::metadata(&path).unwrap().len());
    let mut next = ClaudeCode::default();
    next.resume(positions.clone());
    assert_eq!(next.positions(), positions, "what was not found yet is kept");
    next.discover(&env(Scope::Paths(vec![path])));
    assert_eq!(next.positions(), positions);
}

#[test]
fn what_is_remembered_stays_small() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("{SESSION}.jsonl"));
    for second in 0..2000 {
        let id = format!("t{second}");
        append(&path, &format!("{}\n", call(second, &id, "Read", json!({"file": "x"}))));
        append(
            &path,
            &format!(
                "{}\n",
                with(
                    answer(second, &id, json!("x"), false, json!({})),
                    json!({"uuid": format!("r{second}")})
                )
            ),
        );
    }
    let (mut source, mut log) = (ClaudeCode::default(), Log::default());
    source.discover(&env(Scope::Paths(vec![path])));
    drain(&mut source, &mut log);
    assert_eq!(log.count(|event| event["type"] == "tool.succeeded"), 2000);
    let size = serde_json::to_string(&source.positions()).unwrap().len();
    assert!(size < 32 * 1024, "{size} bytes");
}

#[test]
fn a_transcript_that_is_still_written_is_no_damaged_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("{SESSION}.jsonl"));
    let env = Env { is_live: true, ..env(Scope::Paths(vec![path.clone()])) };
    let (mut source, mut log) = (ClaudeCode::default(), Log::default());
    let pieces = lines();
    let text = pieces.concat();
    let cut = pieces[0].len() + 40;
    for piece in ["", &text[..9], &text[9..cut]] {
        append(&path, piece);
        assert_eq!(fixture::look(&mut source, &env, &mut log), [], "{piece}");
    }
    append(&path, &text[cut..]);
    let problems = fixture::look(&mut source, &env, &mut log);
    assert!(matches!(&problems[..], [one] if one.message.starts_with("1 damaged line")), "{problems:?}");
    assert_eq!(log.count(|event| event["type"] == "source.drifted"), 0);
    assert_eq!(comparable(&log), whole());
}
