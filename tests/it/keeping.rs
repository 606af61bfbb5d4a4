//! Segments that are closed, sealed, removed, repaired and scrubbed, by the real program.

#![expect(clippy::indexing_slicing, reason = "a panic is how a test says no")]

use crate::support::sandbox::{Output, Sandbox};
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

const LOGS: &str = "project/.agents/logs";
const NOTES: &str = "project/.agents/logs/background_monitoring.jsonl";

/// A project whose segments are small, with so many notes of as many tasks.
fn stage(notes: usize) -> Sandbox {
    let sandbox =
        Sandbox::new().with_file("project/.agents/agentlog.toml", "[journal]\nsegment_bytes = 20000\n");
    emit_portions(&sandbox, (0..notes).map(|n| format!("note.logged task=t{n} text='note {n}'\n")));
    sandbox
}

/// A process for every hundred lines, so that segments of all sizes come about.
fn emit_portions(sandbox: &Sandbox, lines: impl Iterator<Item = String>) {
    for portion in lines.collect::<Vec<_>>().chunks(100) {
        emit(sandbox, &portion.concat());
    }
}

fn emit(sandbox: &Sandbox, lines: &str) {
    sandbox.write("home/lines", lines);
    let input = fs::File::open(sandbox.home().join("lines")).unwrap();
    let mut command = sandbox.command(&["emit", "--stdin"]);
    let output = crate::support::sandbox::run(command.stdin(input));
    assert_eq!((output.status, output.stderr.as_str()), (Some(0), ""));
}

fn good(output: Output) -> String {
    assert_eq!(output.status, Some(0), "{}{}", output.stdout, output.stderr);
    output.stdout
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap()
}

/// The sum of a number over all segments, as `verify` says it.
fn sum(verified: &Value, key: &str) -> u64 {
    verified["segments"].as_array().unwrap().iter().map(|segment| segment[key].as_u64().unwrap()).sum()
}

fn closed(sandbox: &Sandbox, suffix: &str) -> Vec<PathBuf> {
    let folder = sandbox.home().parent().unwrap().join(LOGS).join("closed");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .filter(|path| !path.to_string_lossy().contains("MANIFEST"))
        .collect();
    paths.sort();
    paths
}

fn tasks(sandbox: &Sandbox) -> Vec<String> {
    let status = json(&sandbox.run(&["status", "--all", "-o", "json"]));
    let mut tasks: Vec<String> = status["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["task"].as_str().unwrap().to_owned())
        .collect();
    tasks.sort();
    tasks
}

#[test]
fn closed_and_sealed_segments_are_one_stream_with_the_active_one() {
    let sandbox = stage(600);
    let before = tasks(&sandbox);
    assert_eq!(before.len(), 600);
    let closed_count = closed(&sandbox, ".jsonl").len();
    assert!(closed_count > 3);
    let dry = good(sandbox.run(&["prune", "--dry-run", "--seal-after", "0s"]));
    assert!(dry.starts_with(&format!("would seal {closed_count} segments")), "{dry}");
    assert_eq!(closed(&sandbox, ".jsonl").len(), closed_count);
    good(sandbox.run(&["prune", "--seal-after", "0s"]));
    assert_eq!((closed(&sandbox, ".jsonl").len(), closed(&sandbox, ".zst").len()), (0, closed_count));
    let state = sandbox.home().parent().unwrap().join("project/.agents/state");
    if state.exists() {
        fs::remove_dir_all(state).unwrap();
    }
    assert_eq!(tasks(&sandbox), before);
    let verified = sandbox.run(&["verify", "-o", "json"]);
    assert_eq!(verified.status, Some(0));
    let verified = json(&verified);
    assert_eq!(sum(&verified, "ok"), 600 + closed_count as u64 + 1);
    assert_eq!((sum(&verified, "holes"), sum(&verified, "repeats")), (0, 0));
    assert_eq!(verified["checkpoint"], "absent");
    assert!(good(sandbox.run(&["tail", "-n", "1", "--type", "note.logged"])).contains("note 599"));
    assert!(
        good(sandbox.run(&[
            "query",
            "select count(*) as n from events where type = 'note.logged'",
            "-o",
            "csv"
        ]))
        .contains("600")
    );
}

#[test]
fn only_what_is_sealed_goes_and_a_live_task_keeps_its_beginning() {
    let sandbox =
        Sandbox::new().with_file("project/.agents/agentlog.toml", "[journal]\nsegment_bytes = 5000\n");
    let created = "task.created task=long title='the long one'\ntask.started task=long\ntask.created task=short title='ended'\n";
    emit(&sandbox, created);
    emit(&sandbox, "task.completed task=short\n");
    for portion in 0..5 {
        let lines = (0..25).map(|n| format!("task.created task=t{} title='filler'\n", 25 * portion + n));
        emit(&sandbox, &lines.collect::<String>());
    }
    emit(&sandbox, "note.logged task=long text='still here'\n");
    let unsealed = sandbox.run(&["prune", "--older-than", "0s"]);
    assert!(good(unsealed).contains("removed 0 segments"));
    good(sandbox.run(&["prune", "--seal-after", "0s"]));
    let pruned = good(sandbox.run(&["prune", "--older-than", "0s", "-o", "json"]));
    let pruned: Value = serde_json::from_str(&pruned).unwrap();
    assert!(pruned["removed"].as_array().unwrap().len() > 3, "{pruned}");
    assert!(closed(&sandbox, ".zst").is_empty());
    let shown = good(sandbox.run(&["show", "long"]));
    assert!(shown.contains("the long one"), "{shown}");
    assert!(
        !tasks(&sandbox).contains(&"t0".to_owned()) || good(sandbox.run(&["show", "t0"])).contains("filler")
    );
    assert_eq!(sandbox.run(&["verify"]).status, Some(0));
    assert!(good(sandbox.run(&["prune"])).contains("removed 0 segments"));
}

#[test]
fn a_sealed_segment_that_is_gone_or_damaged_is_missed() {
    let sandbox = stage(300);
    good(sandbox.run(&["prune", "--seal-after", "0s"]));
    let sealed = closed(&sandbox, ".zst");
    let file = fs::OpenOptions::new().read(true).write(true).open(&sealed[0]).unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[byte[0] ^ 1], middle).unwrap();
    let damaged = sandbox.run(&["verify"]);
    assert_eq!(damaged.status, Some(31));
    assert!(damaged.stdout.contains("cannot be decompressed"), "{}", damaged.stdout);
    let status = sandbox.run(&["status"]);
    assert_eq!(status.status, Some(0));
    assert!(status.stderr.contains("passed over"), "{}", status.stderr);
    fs::remove_file(&sealed[0]).unwrap();
    let missing = sandbox.run(&["verify"]);
    assert_eq!(missing.status, Some(31));
    assert!(missing.stderr.contains("is missing"), "{}", missing.stderr);
}

#[test]
fn repair_takes_damage_out_keeps_it_and_saves_whole_lines() {
    let sandbox = stage(20);
    let text = sandbox.read(NOTES);
    let lines: Vec<&str> = text.lines().collect();
    // Two lines glued together, one flipped, one written by hand, and garbage.
    let mut damaged =
        [lines[..5].join("\n"), "\n".into(), lines[5].into(), lines[6..10].join("\n"), "\n".into()].concat();
    damaged.push_str(&lines[10].replace("note 9", "note X"));
    damaged
        .push_str("\n{\"type\":\"note.logged\",\"task\":\"hand\",\"text\":\"by hand\"}\n\u{0}\u{0}garbage\n");
    damaged.push_str(&lines[11..].join("\n"));
    damaged.push('\n');
    sandbox.write(NOTES, &damaged);
    let verified = sandbox.run(&["verify", "-o", "json"]);
    assert_eq!(verified.status, Some(30));
    assert_eq!(sum(&json(&verified), "damaged"), 3);
    let status = sandbox.run(&["status"]);
    assert_eq!(status.stderr.matches("note:").count(), 1, "{}", status.stderr);
    assert!(status.stderr.contains("3 damaged lines passed over"), "{}", status.stderr);
    let quarantined = sandbox.read("project/.agents/state/quarantine.jsonl");
    assert_eq!(quarantined.lines().count(), 3, "{quarantined}");

    let repaired = good(sandbox.run(&["repair"]));
    assert!(
        repaired.starts_with("took 3 damaged places out of 1 segment, saved 2 whole lines"),
        "{repaired}"
    );
    let verified = json(&sandbox.run(&["verify", "-o", "json"]));
    // One line is really gone, and stays counted.
    assert_eq!((sum(&verified, "damaged"), sum(&verified, "holes"), sum(&verified, "unchecked")), (0, 1, 1));
    let kept = fs::read_dir(sandbox.home().parent().unwrap().join(LOGS).join("damaged")).unwrap();
    let kept: Vec<_> = kept.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(kept.len(), 1);
    assert_eq!(fs::read_to_string(&kept[0]).unwrap(), damaged);
    assert!(sandbox.read(NOTES).contains("log.repaired"));
    assert!(good(sandbox.run(&["repair"])).contains("nothing to repair"));
}

#[test]
fn scrub_removes_a_secret_everywhere_and_leaves_no_copy() {
    let sandbox = stage(300);
    emit(&sandbox, "note.logged task=leak text='the key is blue-horse-7'\n");
    emit_portions(&sandbox, (0..200).map(|n| format!("note.logged task=u{n} text='more {n}'\n")));
    good(sandbox.run(&["prune", "--seal-after", "0s"]));
    emit(&sandbox, "note.logged task=again text='blue-horse-7 once more'\n");
    let mut file =
        fs::OpenOptions::new().append(true).open(sandbox.home().parent().unwrap().join(NOTES)).unwrap();
    file.write_all(b"garbage with blue-horse-7 in it\n").unwrap();
    assert_eq!(sandbox.run(&["verify"]).status, Some(30));
    let dry = good(sandbox.run(&["scrub", "--dry-run", "blue-horse-[0-9]"]));
    assert!(dry.starts_with("would change 3 lines in 2 segments"), "{dry}");
    good(sandbox.run(&["scrub", "blue-horse-[0-9]"]));
    good(sandbox.run(&["repair"]));
    let mut pending = vec![sandbox.home().parent().unwrap().join("project/.agents")];
    let mut count = 0;
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let bytes = match path.extension() {
            Some(extension) if extension == "zst" => decompressed(&path),
            _ => fs::read(&path).unwrap(),
        };
        count += 1;
        assert!(!String::from_utf8_lossy(&bytes).contains("blue-horse"), "{}", path.display());
    }
    assert!(count > 5);
    let verified = json(&sandbox.run(&["verify", "-o", "json"]));
    assert_eq!((sum(&verified, "damaged"), sum(&verified, "holes")), (0, 0));
    let shown = good(sandbox.run(&["tail", "-n", "all", "--task", "leak"]));
    assert!(shown.contains("the key is [redacted:scrub]"), "{shown}");
    assert_eq!(sandbox.run(&["scrub", "("]).status, Some(2));
    assert_eq!(sandbox.run(&["scrub", "x*"]).status, Some(2));
}

/// What the program itself reads out of a sealed segment.
fn decompressed(path: &std::path::Path) -> Vec<u8> {
    use agentlog::journal::content::{Content, Window};
    use std::io::Read as _;
    let mut bytes = Vec::new();
    Window::new(Content::open(path).unwrap(), 0..u64::MAX).read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn two_processes_do_not_maintain_one_log_at_once() {
    let sandbox = stage(10);
    let logs = sandbox.home().parent().unwrap().join(LOGS);
    let right = agentlog::journal::manifest::Maintenance::begin(&logs).unwrap().unwrap();
    for command in [&["prune"][..], &["repair"], &["scrub"]] {
        let refused = sandbox.run(command);
        assert_eq!(refused.status, Some(5));
        assert!(refused.stderr.contains("another process"), "{}", refused.stderr);
    }
    drop(right);
    good(sandbox.run(&["prune"]));
}
