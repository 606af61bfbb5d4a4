//! `emit --stdin` as a process: what it acknowledged stands in the log, whatever happens to it.

use crate::support::sandbox::Sandbox;
use crate::support::wait::{DEADLINE, await_condition, await_value};
use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A running `emit --stdin`.
struct Emitter {
    child: Child,
    input: Option<ChildStdin>,
    ids: Receiver<String>,
    talk: JoinHandle<String>,
}

/// What it left.
#[derive(Debug)]
struct Ended {
    status: Option<i32>,
    ids: Vec<String>,
    stderr: String,
}

impl Emitter {
    fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (send, ids) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let mut stderr = child.stderr.take().unwrap();
        let talk = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).unwrap();
            text
        });
        let input = child.stdin.take();
        Self { child, input, ids, talk }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    fn next_id(&self) -> String {
        self.ids.recv_timeout(DEADLINE).unwrap()
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Ends its input and waits for its end.
    fn end(mut self) -> Ended {
        drop(self.input.take());
        self.ended()
    }

    fn ended(mut self) -> Ended {
        let status = await_value("end of the process", || self.child.try_wait().unwrap());
        let ids = self.ids.iter().collect();
        Ended { status: status.code(), ids, stderr: self.talk.join().unwrap() }
    }
}

fn sandbox() -> Sandbox {
    Sandbox::new().with_file("project/.agents/agentlog.toml", "")
}

fn emitter(sandbox: &Sandbox, args: &[&str]) -> Emitter {
    Emitter::start(&mut sandbox.command(&[&["emit", "--stdin"], args].concat()))
}

/// The same, started by a shell script that sets a limit first.
fn limited(sandbox: &Sandbox, script: &str) -> Emitter {
    let program = sandbox.command(&[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(program.get_program()).args(["emit", "--stdin"]);
    shell.env_clear().envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Emitter::start(shell.current_dir(sandbox.project()))
}

/// The good lines of a stream. What is no JSON is a fragment of a write that was cut short.
fn lines(sandbox: &Sandbox, stream: &str) -> Vec<Value> {
    let path = sandbox.project().join(format!(".agents/logs/{stream}.jsonl"));
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}

fn text<'a>(line: &'a Value, key: &str) -> &'a str {
    line[key].as_str().unwrap_or_default()
}

/// The notes of the log: id and text, in the order of the lines.
fn notes(sandbox: &Sandbox) -> Vec<(String, String)> {
    let lines = lines(sandbox, "background_monitoring");
    let notes = lines.iter().filter(|line| text(line, "type") == "note.logged");
    notes.map(|line| (text(line, "id").to_owned(), text(line, "text").to_owned())).collect()
}

fn ids(notes: &[(String, String)]) -> Vec<String> {
    notes.iter().map(|(id, _)| id.clone()).collect()
}

/// A line of so many bytes.
fn note(text: &str, bytes: usize) -> String {
    let line = format!(r#"{{"type":"note.logged","text":"{text}","padding":""#);
    let padding = "x".repeat(bytes.saturating_sub(line.len() + 2));
    format!("{line}{padding}\"}}")
}

fn is_whole(sandbox: &Sandbox) {
    let verify = sandbox.run(&["verify"]);
    assert_eq!(verify.status, Some(0), "{}{}", verify.stdout, verify.stderr);
}

#[test]
fn every_line_is_acknowledged_in_order_by_the_id_it_has_in_the_log() {
    let sandbox = sandbox();
    let given = "01234567-89ab-7fff-bfff-ffffffffffff";
    let mut command = sandbox.command(&["emit", "--stdin", "--durable", "--task", "T", "note.logged"]);
    let mut emitter = Emitter::start(command.env("__AGENTLOG_NOW", "2026-11-16T09:00:00Z"));
    emitter.say("text=one");
    emitter.say(&format!(r#"{{"text":"two","id":"{given}"}}"#));
    emitter.say("task.completed task=other");
    emitter.say("");
    write!(emitter.input.as_mut().unwrap(), "note.logged text='the last has no newline'").unwrap();
    let ended = emitter.end();
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
    let results = lines(&sandbox, "delegation_results");
    let notes = notes(&sandbox);
    let of_notes = ids(&notes);
    assert_eq!(ended.ids, [&*of_notes[0], given, text(&results[1], "id"), &*of_notes[2]]);
    let texts: Vec<&str> = notes.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["one", "two", "the last has no newline"]);
    assert_eq!(text(&results[1], "task"), "other");
    let made = [&ended.ids[0], &ended.ids[2], &ended.ids[3]];
    assert!(made.is_sorted_by(|one, next| one < next), "ids grow though the clock stands: {made:?}");
    is_whole(&sandbox);
}

#[test]
fn a_single_line_is_acknowledged_before_the_next_one_comes() {
    let sandbox = sandbox();
    let mut emitter = emitter(&sandbox, &[]);
    for number in 0..3 {
        emitter.say(&format!("note.logged text={number}"));
        let id = emitter.next_id();
        assert_eq!(notes(&sandbox).last().unwrap(), &(id, number.to_string()));
    }
    assert_eq!(emitter.end().status, Some(0));
}

#[test]
fn a_refused_line_is_named_and_costs_only_itself() {
    let sandbox = sandbox();
    let mut emitter = emitter(&sandbox, &[]);
    emitter.say("note.logged text=good");
    emitter.say("note.logged txt=bad");
    emitter.say(r#"{"type":"segment.opened","seg":"s","stream":"t"}"#);
    emitter.say(&note("long", 300_000));
    emitter.input.as_mut().unwrap().write_all(b"note.logged text=\xff\n").unwrap();
    emitter.say("note.logged text=good");
    let ended = emitter.end();
    assert_eq!(ended.status, Some(2));
    assert_eq!(ended.ids, ids(&notes(&sandbox)));
    assert_eq!(ended.ids.len(), 2);
    let warnings: Vec<&str> = ended.stderr.lines().filter(|line| !line.starts_with("hint: ")).collect();
    assert_eq!(
        warnings,
        [
            "warning: line 2: note.logged has no field `txt`",
            "warning: line 3: segment.opened is written by agentlog itself only",
            "warning: line 4: longer than a line may be (262144 bytes)",
            "warning: line 5: invalid UTF-8 at byte 17",
            "agentlog: 4 lines refused",
        ]
    );
}

#[test]
fn unknown_fields_stand_in_the_log_without_their_secrets() {
    let sandbox = sandbox();
    let mut emitter = emitter(&sandbox, &[]);
    let secret = format!("ghp_{}", "0123456789abcdefghijABCDEFGHIJ012345");
    emitter.say(&format!(
        r#"{{"type":"note.logged","text":"x","build":{{"number":7,"log":["used {secret}"]}},"api_key":"hunter2 hunter3"}}"#
    ));
    assert_eq!(emitter.end().status, Some(0));
    let line = lines(&sandbox, "background_monitoring").pop().unwrap();
    let expected = serde_json::json!({"number": 7, "log": ["used [redacted:github_token]"]});
    assert_eq!(line["build"], expected);
    assert_eq!(text(&line, "api_key"), "[redacted:named_value]");
    is_whole(&sandbox);
}

#[test]
fn ctrl_c_ends_it_after_what_it_took_is_acknowledged() {
    let sandbox = sandbox();
    let mut emitter = emitter(&sandbox, &[]);
    emitter.say("note.logged text=one");
    let first = emitter.next_id();
    kill_process(emitter.pid(), Signal::INT).unwrap();
    let ended = emitter.ended();
    assert_eq!((ended.status, ended.stderr.as_str()), (Some(130), ""));
    assert_eq!(ids(&notes(&sandbox)), [first]);
}

#[test]
fn when_nobody_reads_the_ids_any_more_it_ends_quietly() {
    let sandbox = sandbox();
    let mut command = sandbox.command(&["emit", "--stdin", "note.logged"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    writeln!(child.stdin.as_mut().unwrap(), "text=one").unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

/// Feeds lines of this size to three writers, kills each again and again, and gives what they acknowledged.
fn storm(sandbox: &Sandbox, bytes: usize, kills_each: usize) -> Vec<String> {
    std::thread::scope(|scope| {
        let slots: Vec<_> = (0..3)
            .map(|slot| {
                scope.spawn(move || {
                    let mut acknowledged = Vec::new();
                    for kill in 0..kills_each {
                        let mut emitter = emitter(sandbox, &[]);
                        let mut input = emitter.input.take().unwrap();
                        let feeder = std::thread::spawn(move || {
                            let line = note(&format!("{slot}-{kill}"), bytes);
                            while writeln!(input, "{line}").is_ok() {}
                        });
                        // Each time at another place, and always in the middle of the work.
                        for _ in 0..=(7 * kill + 3 * slot) % 11 {
                            acknowledged.push(emitter.next_id());
                        }
                        emitter.child.kill().unwrap();
                        let ended = emitter.ended();
                        acknowledged.extend(ended.ids.into_iter().filter(|id| id.len() == 36));
                        feeder.join().unwrap();
                    }
                    acknowledged
                })
            })
            .collect();
        slots.into_iter().flat_map(|slot| slot.join().unwrap()).collect()
    })
}

#[test]
fn what_a_killed_writer_acknowledged_stands_in_the_log_once() {
    for bytes in [200, 4096, 64 * 1024] {
        let sandbox = sandbox();
        let acknowledged = storm(&sandbox, bytes, 7);
        let mut counts = BTreeMap::new();
        for (id, _) in notes(&sandbox) {
            *counts.entry(id).or_insert(0) += 1;
        }
        let wrong: Vec<&String> = acknowledged.iter().filter(|id| counts.get(*id) != Some(&1)).collect();
        assert_eq!(wrong, Vec::<&String>::new(), "{bytes} bytes, {} acknowledged", acknowledged.len());
        assert!(acknowledged.len() >= 21);
    }
}

#[test]
fn eight_writers_at_once_are_told_apart_and_tear_no_line() {
    const LINES: usize = 2000;
    let sandbox = sandbox();
    let acknowledged: Vec<Vec<String>> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|writer| {
                let sandbox = &sandbox;
                scope.spawn(move || {
                    let mut emitter = emitter(sandbox, &[]);
                    for line in 0..LINES {
                        let bytes = if line % 100 == 50 { 64 * 1024 } else { 200 };
                        emitter.say(&note(&format!("{writer}-{line}"), bytes));
                    }
                    let ended = emitter.end();
                    assert_eq!((ended.status, ended.stderr.as_str()), (Some(0), ""));
                    ended.ids
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let lines = lines(&sandbox, "background_monitoring");
    let mut of_writer: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for line in &lines {
        of_writer.entry(text(line, "w")).or_default().push(line);
    }
    assert_eq!(of_writer.len(), 8);
    let mut written = BTreeSet::new();
    for lines in of_writer.values() {
        let numbers: Vec<u64> = lines.iter().map(|line| line["n"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (1..=lines.len() as u64).collect::<Vec<_>>());
        let notes = lines.iter().filter(|line| text(line, "type") == "note.logged");
        written.insert(notes.map(|line| text(line, "id").to_owned()).collect::<Vec<_>>());
    }
    assert_eq!(written, acknowledged.into_iter().collect());
    assert!(written.iter().all(|ids| ids.len() == LINES));
    is_whole(&sandbox);
}

#[test]
fn on_a_full_disk_it_lives_and_says_how_many_were_not_written() {
    let sandbox = sandbox();
    let mut emitter = limited(&sandbox, r#"ulimit -f 8; exec "$0" "$@""#);
    for number in 0..100 {
        emitter.say(&note(&number.to_string(), 200));
    }
    let ended = emitter.end();
    let notes = notes(&sandbox);
    assert_eq!(ended.ids, ids(&notes));
    assert!((1..100).contains(&ended.ids.len()), "{} acknowledged", ended.ids.len());
    assert_eq!(ended.status, Some(5), "{}", ended.stderr);
    let lost = format!("agentlog: {} events could not be written", 100 - ended.ids.len());
    assert!(ended.stderr.lines().any(|line| line == lost), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("warning: ").count(), 1, "{}", ended.stderr);
}

#[test]
fn when_space_returns_the_gap_comes_first_and_then_what_waited() {
    const LINES: usize = 30_000;
    let sandbox = sandbox();
    let mut emitter = limited(&sandbox, r#"ulimit -S -f 8; exec "$0" "$@""#);
    // More than is kept in memory; who pipes is not blocked.
    let line = note("n", 300);
    for _ in 0..LINES {
        emitter.say(&line);
    }
    let in_time = notes(&sandbox).len();
    let unlimited = Rlimit { current: None, maximum: None };
    let _before = prlimit(Some(emitter.pid()), Resource::Fsize, unlimited).unwrap();
    await_condition("gap", || {
        lines(&sandbox, "background_monitoring").iter().any(|line| text(line, "type") == "log.gap")
    });
    let ended = emitter.end();
    assert_eq!(ended.status, Some(5), "dropped events are an error: {}", ended.stderr);
    assert_eq!(ended.ids, ids(&notes(&sandbox)));
    let lines = lines(&sandbox, "background_monitoring");
    let types: Vec<&str> = lines.iter().map(|line| text(line, "type")).collect();
    let gaps: Vec<usize> = (0..types.len()).filter(|place| types[*place] == "log.gap").collect();
    assert_eq!(gaps, [1 + in_time], "the gap stands behind the header and what was written in time");
    let gap = &lines[gaps[0]];
    assert_eq!((text(gap, "stream"), text(gap, "reason")), ("background_monitoring", "no space"));
    assert_eq!(gap["dropped_count"].as_u64().unwrap(), (LINES - ended.ids.len()) as u64);
    assert_eq!(ended.stderr.matches("warning: ").count(), 1, "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("can be written again").count(), 1, "{}", ended.stderr);
}

/// A log with one line, and the file it stands in.
fn with_one_line(sandbox: &Sandbox) -> std::path::PathBuf {
    assert_eq!(sandbox.run(&["emit", "note.logged", "text=first"]).status, Some(0));
    sandbox.project().join(".agents/logs/background_monitoring.jsonl")
}

fn blank_line_count(path: &std::path::Path) -> usize {
    std::fs::read_to_string(path).unwrap().lines().filter(|line| line.is_empty()).count()
}

#[test]
fn a_lock_that_is_never_freed_is_waited_for_with_a_bound() {
    let sandbox = sandbox();
    let path = with_one_line(&sandbox);
    let mut emitter = emitter(&sandbox, &[]);
    let file = std::fs::File::open(&path).unwrap();
    flock(&file, FlockOperation::LockExclusive).unwrap();
    let start = Instant::now();
    emitter.say("note.logged text=second");
    let id = emitter.next_id();
    let waited = start.elapsed();
    // 250 ms by design; the rest is for a machine under load.
    assert!((Duration::from_millis(200)..Duration::from_millis(1500)).contains(&waited), "{waited:?}");
    assert_eq!(notes(&sandbox).last().unwrap(), &(id, "second".to_owned()));
    assert_eq!(blank_line_count(&path), 1, "without the lock a line begins with a newline of its own");
    assert_eq!(emitter.end().status, Some(0));
}

#[test]
fn the_lock_of_a_killed_holder_is_free() {
    let sandbox = sandbox();
    let path = with_one_line(&sandbox);
    let mut holder = Command::new("sh");
    holder.args(["-c", r#"exec 9>>"$0"; flock 9 && echo held && exec sleep 60"#]).arg(&path);
    let mut holder = holder.stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut said).unwrap();
    holder.kill().unwrap();
    holder.wait().unwrap();
    if said != "held\n" {
        eprintln!("skipped: there is no `flock` to hold the lock");
        return;
    }
    let mut emitter = emitter(&sandbox, &[]);
    emitter.say("note.logged text=second");
    emitter.next_id();
    assert_eq!(blank_line_count(&path), 0, "the lock was had, so no newline was needed");
    assert_eq!(emitter.end().status, Some(0));
}

#[test]
fn a_directory_that_must_not_be_written_costs_an_exit_code_and_no_hang() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may write everywhere");
        return;
    }
    let sandbox = sandbox();
    let logs = sandbox.project().join(".agents/logs");
    std::fs::create_dir(&logs).unwrap();
    let mode = |bits| std::os::unix::fs::PermissionsExt::from_mode(bits);
    std::fs::set_permissions(&logs, mode(0o500)).unwrap();
    let mut emitter = emitter(&sandbox, &[]);
    emitter.say("note.logged text=one");
    let ended = emitter.end();
    std::fs::set_permissions(&logs, mode(0o700)).unwrap();
    assert_eq!((ended.status, ended.ids.len()), (Some(5), 0), "{}", ended.stderr);
}
