//! `watch` and `tail -f` as real processes beside a transcript that grows.

use crate::support::sandbox::{Background, Sandbox};
use crate::support::transcript::Transcript;
use crate::support::wait::await_condition;
use std::io::{BufRead as _, BufReader};
use std::time::{Duration, Instant};

/// How often each call was recorded as failed, in the order of the calls.
fn failures(sandbox: &Sandbox) -> Vec<String> {
    let sql = "SELECT call, COUNT(*) AS n FROM events WHERE type = 'tool.failed' GROUP BY call ORDER BY call";
    sandbox.run(&["query", sql, "-o", "csv"]).stdout.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_struggling_agent_is_shown_within_a_second() {
    let sandbox = Sandbox::new().with_file("project/.agents/agentlog.toml", "");
    let mut transcript = Transcript::begin(&sandbox);
    let watch = sandbox.spawn(&["watch", "--interval", "1h"]);
    watch.await_line("healthy task", |line| line.contains("Healthy"));
    for call in 0..3 {
        transcript.failing_call(call);
    }
    let start = Instant::now();
    watch.await_line("struggling task", |line| line.contains("⚠ Struggling - 3 tool failures detected"));
    assert!(start.elapsed() < Duration::from_secs(2), "took {:?}", start.elapsed());
    assert_eq!(failures(&sandbox), ["toolu_0,1", "toolu_1,1", "toolu_2,1"]);
}

#[test]
fn a_watcher_killed_and_started_again_loses_and_repeats_nothing() {
    let sandbox = Sandbox::new().with_file("project/.agents/agentlog.toml", "");
    let mut transcript = Transcript::begin(&sandbox);
    for round in 0..5 {
        let watch = sandbox.spawn(&["watch", "--interval", "1h"]);
        watch.await_line("task", |line| line.contains("Fix the build"));
        transcript.failing_call(round);
        if round % 2 == 0 {
            await_condition("event of the round", || failures(&sandbox).len() > round as usize);
        }
        drop(watch);
    }
    let last = sandbox.run(&["watch", "--once"]);
    assert_eq!(last.status, Some(0), "{}", last.stderr);
    assert_eq!(failures(&sandbox), ["toolu_0,1", "toolu_1,1", "toolu_2,1", "toolu_3,1", "toolu_4,1"]);
    let verify = sandbox.run(&["verify"]);
    assert!(matches!(verify.status, Some(0 | 30)), "{}", verify.stdout);
}

#[test]
fn a_watcher_on_a_full_disk_goes_on_when_there_is_space() {
    let sandbox = Sandbox::new().with_file("project/.agents/agentlog.toml", "");
    let mut transcript = Transcript::begin(&sandbox);
    // A pipe, because files have a limit below.
    let (talk, end) = std::io::pipe().unwrap();
    let mut talk = BufReader::new(talk).lines().map(Result::unwrap);
    let watch = Background::spawn(sandbox.command(&["watch", "--interval", "1h"]).stderr(end));
    watch.await_line("task", |line| line.contains("Fix the build"));
    transcript.failing_call(0);
    await_condition("call before", || failures(&sandbox).len() == 1);
    let size_limit = |bytes| {
        let limit = rustix::process::Rlimit { current: bytes, maximum: None };
        let pid = i32::try_from(watch.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::prlimit(pid, rustix::process::Resource::Fsize, limit).unwrap()
    };
    size_limit(Some(1));
    let log = sandbox.project().join(".agents/logs/tool_calls.jsonl");
    let size = std::fs::metadata(&log).unwrap().len();
    transcript.failing_call(1);
    let warning = talk.next().unwrap();
    assert!(warning.starts_with("warning: cannot append to "), "{warning}");
    assert_eq!(std::fs::metadata(&log).unwrap().len(), size, "nothing could be written");
    size_limit(None);
    await_condition("call of the time without space", || failures(&sandbox).len() == 2);
    interrupt(&watch);
    assert_eq!(watch.await_end().0, Some(130));
    assert_eq!(failures(&sandbox), ["toolu_0,1", "toolu_1,1"]);
    let told: Vec<String> = talk.collect();
    assert_eq!(told.first().map(String::as_str), Some("recording goes on"), "{told:?}");
    assert_eq!(told.len(), 2, "{told:?}");
    let verify = sandbox.run(&["verify"]);
    assert_eq!(verify.status, Some(0), "{}", verify.stdout);
}

#[test]
fn a_second_watcher_says_that_there_is_one() {
    let sandbox = Sandbox::new().with_file("project/.agents/agentlog.toml", "");
    let _transcript = Transcript::begin(&sandbox);
    let watch = sandbox.spawn(&["watch"]);
    watch.await_line("task", |line| line.contains("Fix the build"));
    let second = sandbox.run(&["watch"]);
    assert_eq!(second.status, Some(5));
    assert!(second.stderr.contains("another agentlog watches"), "{}", second.stderr);
}

#[test]
fn tail_follows_every_line_once_and_ends_with_ctrl_c() {
    let sandbox = Sandbox::new().with_file("project/.agents/agentlog.toml", "");
    let first = sandbox.run(&["emit", "note.logged", "--task", "t", "text=before"]);
    assert_eq!(first.status, Some(0), "{}", first.stderr);
    let tail = sandbox.spawn(&["tail", "-f", "--raw", "--type", "note.logged"]);
    tail.await_line("line from before", |line| line.contains("before"));
    for number in 0..20 {
        let emitted = sandbox.run(&["emit", "note.logged", "--task", "t", &format!("text=note {number:02}")]);
        assert_eq!(emitted.status, Some(0), "{}", emitted.stderr);
    }
    tail.await_line("last line", |line| line.contains("note 19"));
    interrupt(&tail);
    let (status, lines) = tail.await_end();
    assert_eq!(status, Some(130));
    let texts: Vec<String> = lines
        .iter()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["text"].as_str().unwrap().to_owned()
        })
        .collect();
    let expected: Vec<String> =
        ["before".to_owned()].into_iter().chain((0..20).map(|number| format!("note {number:02}"))).collect();
    assert_eq!(texts, expected);
}

fn interrupt(process: &Background) {
    signal(process, rustix::process::Signal::INT);
}

fn signal(process: &Background, signal: rustix::process::Signal) {
    let pid = i32::try_from(process.id()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

#[test]
fn whoever_asks_by_a_signal_is_told_how_all_are() {
    let sandbox = Sandbox::new().with_file("project/.agents/agentlog.toml", "");
    let _transcript = Transcript::begin(&sandbox);
    let watch = sandbox.spawn(&["watch", "--interval", "1h"]);
    let counts =
        || watch.lines().iter().filter(|line| line.ends_with("nothing needs attention, 1 healthy")).count();
    await_condition("first print", || counts() == 1);
    signal(&watch, rustix::process::Signal::USR1);
    await_condition("print that was asked for", || counts() == 2);
    interrupt(&watch);
    assert_eq!(watch.await_end().0, Some(130));
}

#[test]
fn while_nothing_is_at_work_and_nothing_changes_nothing_is_printed() {
    let sandbox = Sandbox::new().with_file("project/.agents/agentlog.toml", "");
    let mut transcript = Transcript::begin(&sandbox);
    transcript.answer();
    let watch = sandbox.spawn(&["watch", "--interval", "0s"]);
    let counts = |word: &str| watch.lines().iter().filter(|line| line.ends_with(word)).count();
    await_condition("first print", || counts("1 idle") == 1);
    // A second task begins: now something is at work, and it is printed at every look.
    let _second = Transcript::begin_as(&sandbox, "33333333-3333-4333-8333-333333333333");
    await_condition("prints of the second", || counts("1 healthy, 1 idle") > 2);
    assert_eq!(counts("nothing needs attention, 1 idle"), 1, "{:?}", watch.lines());
}
