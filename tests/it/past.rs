//! `diff`, `replay`, `rules test`, `inbox` and `ack` as the real program does them, on a log that the tests write.

use crate::support::sandbox::{Background, Output, Sandbox, run};
use serde_json::{Value, json};

/// A log of one morning: one task ends, one fails three calls and then fails, one falls silent.
fn morning() -> Sandbox {
    let sandbox = Sandbox::new().with_file("project/.agents/agentlog.toml", "");
    let mut lines = Vec::new();
    let mut add = |ts: &str, event_type: &str, task: &str, fields: Value| {
        let mut event = json!({"ts": format!("2026-11-20T{ts}Z"), "type": event_type, "task": task});
        event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        lines.push(event.to_string());
    };
    add("09:00:00", "task.created", "bg_build", json!({"title": "Build it", "steps_total": 2}));
    add("09:00:00", "task.started", "bg_build", json!({}));
    add("09:05:00", "progress.reported", "bg_build", json!({"current": 1, "step": "compiling"}));
    add("09:08:00", "progress.reported", "bg_build", json!({"current": 2, "step": "testing"}));
    add("09:10:00", "task.completed", "bg_build", json!({}));
    add("09:01:00", "task.created", "bg_fix", json!({"title": "Fix it"}));
    add("09:01:00", "task.started", "bg_fix", json!({}));
    for (minute, call) in [(2, "a"), (3, "b"), (4, "c")] {
        let (start, end) = (format!("09:0{minute}:00"), format!("09:0{minute}:20"));
        add(&start, "tool.started", "bg_fix", json!({"tool": "Bash", "call": call}));
        let error = json!({"kind": "exit_code", "exit_code": 2});
        add(&end, "tool.failed", "bg_fix", json!({"tool": "Bash", "call": call, "error": error}));
    }
    add("09:14:20", "task.failed", "bg_fix", json!({"exit_code": 1}));
    add("09:06:00", "task.created", "bg_quiet", json!({"title": "Think"}));
    add("09:06:00", "task.started", "bg_quiet", json!({}));
    sandbox.write("lines", &(lines.join("\n") + "\n"));
    let file = std::fs::File::open(sandbox.project().join("../lines")).unwrap();
    let emitted = run(sandbox.command(&["emit", "--stdin"]).stdin(file));
    assert_eq!((emitted.status, emitted.stderr.as_str()), (Some(0), ""));
    sandbox
}

fn at(sandbox: &Sandbox, now: &str, args: &[&str]) -> Output {
    run(sandbox.command(args).env("__AGENTLOG_NOW", format!("2026-11-20T{now}Z")).env("COLUMNS", "100"))
}

#[test]
fn diff_names_what_changed_worst_first() {
    let sandbox = morning();
    let args = ["diff", "--from", "2026-11-20T09:04:10Z", "--to", "2026-11-20T09:30:00Z"];
    let told = at(&sandbox, "10:00:00", &args);
    assert_eq!((told.status, told.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(told.stdout, @r#"
    3 of 3 tasks changed: 1 became stuck, 1 failed, 1 completed

    TASK      CHANGE                 DETAIL                            TITLE
    bg_quiet  new → ◌ Stuck          silent for 24m                    Think
    bg_fix    healthy → ✗ Failed     exit code 1 · +1 call (1 failed)  Fix it
    bg_build  healthy → ✓ Completed  after 10m · 2/2 steps, testing    Build it
    "#);
    let json = at(&sandbox, "10:00:00", &[&args[..], &["-o", "json"]].concat());
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    let changes = document["changes"].as_array().unwrap().iter();
    let changes: Vec<(&str, &str)> = changes
        .map(|change| (change["task"].as_str().unwrap(), change["change"].as_str().unwrap()))
        .collect();
    assert_eq!(changes, [("bg_quiet", "became_stuck"), ("bg_fix", "failed"), ("bg_build", "completed")]);
    assert_eq!((&document["schema_version"], &document["task_count"]), (&json!(1), &json!(3)));
    let wrong = at(&sandbox, "10:00:00", &["diff", "--from", "now", "--to", "1h"]);
    assert_eq!((wrong.status, wrong.stdout.as_str()), (Some(2), ""));
}

#[test]
fn replay_prints_the_lines_of_the_watcher_in_the_time_of_the_log() {
    let sandbox = morning();
    let all = at(&sandbox, "10:00:00", &["replay", "--speed", "max"]);
    assert_eq!((all.status, all.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(all.stdout, @r#"
    2026-11-20
    [09:00] Build it (bg_build): no tool call yet | ✓ Healthy
    [09:01] Fix it (bg_fix): no tool call yet | ✓ Healthy
    [09:02] Fix it (bg_fix): 1 tool call | ✓ Healthy
    [09:03] Fix it (bg_fix): 2 tool calls | ✓ Healthy
    [09:04] Fix it (bg_fix): ⚠ Struggling - 3 tool failures detected
    [09:05] Build it (bg_build): 1/2 steps, compiling | ✓ Healthy
    [09:06] Think (bg_quiet): no tool call yet | ✓ Healthy
    [09:08] Build it (bg_build): 2/2 steps, testing | ✓ Healthy
    [09:10] Build it (bg_build): 2/2 steps, testing | ✓ Completed
    [09:14] Fix it (bg_fix): ✗ Failed - exit code 1
    [09:21] Think (bg_quiet): ◌ Stuck - silent for 15m
    "#);
    let args = ["replay", "bg_fix", "--from", "2026-11-20T09:05:00Z", "--speed", "max"];
    let one = at(&sandbox, "10:00:00", &args);
    insta::assert_snapshot!(one.stdout, @r#"
    2026-11-20
    [09:05] Fix it (bg_fix): ⚠ Struggling - 3 tool failures detected
    [09:14] Fix it (bg_fix): ✗ Failed - exit code 1
    "#);
    let fast = at(&sandbox, "10:00:00", &["replay", "--speed", "100000x"]);
    assert_eq!(fast.stdout, all.stdout);
    let before = at(&sandbox, "10:00:00", &["replay", "--until", "2026-11-20T08:00:00Z", "--speed", "max"]);
    assert_eq!((before.status, before.stdout.as_str()), (Some(4), ""));
}

#[test]
fn thresholds_are_tried_and_compared_with_the_present_ones() {
    let sandbox = morning();
    let present = at(&sandbox, "10:00:00", &["rules", "test"]);
    assert_eq!((present.status, present.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(present.stdout, @r#"
    2 tasks flagged since 2026-10-21; of 1 with a known end 1 ended badly

    RULE                  TIMES  TASKS  EARLY, P90    PRECISION       RECALL
    consecutive failures      1      1    10m, 10m  1/1 too few  1/1 too few
    silent                    1      1               none known  0/1 too few
    any of them               2      2    10m, 10m  1/1 too few  1/1 too few

    known ends: 1 bad (failed, timed out, unverified), 1 good
    left out: 0 cancelled, 1 open or unknown
    "#);
    sandbox.write("project/other.toml", "[health]\nfailure_streak = 2\nstuck_after_ms = 7200000\n");
    let other = at(&sandbox, "10:00:00", &["rules", "test", "other.toml"]);
    insta::assert_snapshot!(other.stdout, @r#"
    other.toml: 1 task flagged instead of 2 since 2026-10-21; of 1 with a known end 1 ended badly

    RULE                   TIMES   TASKS  EARLY, P90    PRECISION       RECALL
    consecutive failures       1       1    11m, 11m  1/1 too few  1/1 too few
    silent                0 (-1)  0 (-1)               none known  0/1 too few
    any of them           1 (-1)  1 (-1)    11m, 11m  1/1 too few  1/1 too few

    known ends: 1 bad (failed, timed out, unverified), 1 good
    left out: 0 cancelled, 1 open or unknown
    "#);
    let json = at(&sandbox, "10:00:00", &["rules", "test", "other.toml", "-o", "json"]);
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(
        document["tested"]["rules"][0]["early"],
        json!({"count": 1, "median_ms": 660_000, "p90_ms": 660_000})
    );
    assert_eq!(
        (&document["tested"]["any"]["episode_count"], &document["present"]["any"]["episode_count"]),
        (&json!(1), &json!(2))
    );
    sandbox.write("project/wrong.toml", "[health]\nfailure_steak = 2\n");
    let wrong = at(&sandbox, "10:00:00", &["rules", "test", "wrong.toml"]);
    assert_eq!(wrong.status, Some(3));
    assert!(wrong.stderr.contains("wrong.toml:2"), "{}", wrong.stderr);
}

#[test]
fn what_was_acknowledged_leaves_the_inbox() {
    let sandbox = morning();
    let full = at(&sandbox, "10:00:00", &["inbox"]);
    assert_eq!(full.status, Some(0));
    insta::assert_snapshot!(full.stdout, @r#"
    2 ended (1 failed), 1 stuck; nothing was acknowledged yet

    WHEN              TASK      HEALTH       DETAIL          TITLE
    2026-11-20 09:10  bg_build  ✓ Completed  after 10m       Build it
    2026-11-20 09:14  bg_fix    ✗ Failed     exit code 1     Fix it
    2026-11-20 09:21  bg_quiet  ◌ Stuck      silent for 54m  Think
    "#);
    let one = at(&sandbox, "10:01:00", &["ack", "bg_b", "--text", "saw it"]);
    assert_eq!((one.status, one.stderr.as_str()), (Some(0), "1 task acknowledged\n"));
    let left = at(&sandbox, "10:02:00", &["inbox"]);
    assert_eq!(left.stdout.lines().next(), Some("1 ended (1 failed), 1 stuck since 2026-11-20 10:01"));
    assert_eq!(at(&sandbox, "10:03:00", &["ack", "--all"]).stderr, "2 tasks acknowledged\n");
    let empty = at(&sandbox, "10:04:00", &["inbox"]);
    assert_eq!((empty.status, empty.stdout.as_str()), (Some(0), "nothing new since 2026-11-20 10:03\n"));
    let json = at(&sandbox, "10:04:00", &["inbox", "--all", "-o", "json"]);
    let document: Value = serde_json::from_str(&json.stdout).unwrap();
    let seen = document["items"].as_array().unwrap().iter();
    let seen: Vec<(&str, bool)> = seen
        .map(|item| (item["task"].as_str().unwrap(), item["is_acknowledged"].as_bool().unwrap()))
        .collect();
    assert_eq!(seen, [("bg_build", true), ("bg_fix", true), ("bg_quiet", true)]);
    assert_eq!(at(&sandbox, "10:04:00", &["ack", "bg_none"]).status, Some(4));
    assert_eq!(at(&sandbox, "10:04:00", &["ack"]).status, Some(2));
}

#[test]
fn a_replay_that_waits_ends_with_ctrl_c_and_says_once_that_pauses_are_cut() {
    let sandbox = morning();
    let (talk, end) = std::io::pipe().unwrap();
    let replay = Background::spawn(sandbox.command(&["replay", "--speed", "0.001x"]).stderr(end));
    replay.await_line("first line", |line| line.contains("Build it"));
    let pid = i32::try_from(replay.id()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(replay.await_end().0, Some(130));
    let said = std::io::read_to_string(talk).unwrap();
    assert!(said.starts_with("nothing changed for 1 minute: pauses of more than a minute"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
