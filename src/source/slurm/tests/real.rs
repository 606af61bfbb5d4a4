//! Against a real cluster of one node, where `AGENTLOG_SLURM` is set: `SLURM_CONF` names its configuration, and jobs may
//! be submitted to it.

use super::*;
use crate::base::clock::{Clock as _, SystemClock};
use std::process::Command;

fn submit(folder: &Path, arguments: &[&str], script: &str) -> String {
    let path = folder.join("job.sh");
    write(&path, &format!("#!/bin/sh\n{script}\n"));
    let output = Command::new("sbatch")
        .arg("--parsable")
        .args(arguments)
        .arg(path)
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What the log says of a task: types, with reasons and percentages.
fn story(log: &EventLog, id: &str) -> Vec<String> {
    let task = format!("slurm-{id}");
    let of_task =
        log.events.iter().filter(|event| event["task"] == task.as_str() && event["type"] != "note.logged");
    let mut story: Vec<_> = of_task
        .filter(|event| event["type"] != "output.grew")
        .map(|event| {
            let percent = event["percent"].as_f64().map(|percent| percent.to_string());
            let detail = percent.or_else(|| event["reason"].as_str().map(str::to_owned)).unwrap_or_default();
            format!("{} {detail}", event["type"].as_str().unwrap()).trim_end().to_owned()
        })
        .collect();
    story.sort();
    story
}

#[test]
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
fn real_jobs_are_followed_to_their_ends() {
    if std::env::var_os("AGENTLOG_SLURM").is_none() {
        println!("skipped: AGENTLOG_SLURM is not set");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let batches = "echo with 2 batches; echo 'Generating particles for (1 of 2 batches)'; sleep 1; echo 'Generating particles for (2 of 2 batches)'";
    let good = submit(folder.path(), &["-J", "good"], batches);
    let bad = submit(folder.path(), &["-J", "bad"], "echo FATAL ERROR: no; exit 3");
    let array = submit(folder.path(), &["-J", "many", "--array=1-2"], "exit 0");
    let held = submit(folder.path(), &["-J", "held", "--hold"], "exit 0");
    let config =
        format!("jobs = [{good}, {bad}, {array}, {held}]\ninterval_seconds = 1.0\npatterns.preset = \"mqi\"");
    let mut slurm = Slurm::new(&toml::from_str(&config).unwrap(), []);
    slurm.discover(&env(Scope::Global));
    let (mut log, deadline) = (EventLog::default(), Instant::now() + Duration::from_mins(1));
    let mut is_cancelled = false;
    loop {
        let (_, problems) = slurm.poll(SystemClock.now(), &mut log);
        assert_eq!(problems, []);
        let ended = log.count(|event| {
            ["task.completed", "task.failed", "task.cancelled"].contains(&event["type"].as_str().unwrap())
        });
        if ended >= 3 && !is_cancelled {
            is_cancelled = Command::new("scancel").arg(&held).status().unwrap().success();
        }
        let is_read = log.count(|event| event["percent"] == 100.0) == 1;
        if ended == 6 && is_read {
            break;
        }
        assert!(Instant::now() < deadline, "{:#?}", log.events.iter().map(brief).collect::<Vec<_>>());
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let progress = ["progress.reported 100", "progress.reported 50"];
    let whole = ["task.completed completed", "task.created", "task.started"];
    assert_eq!(story(&log, &good), [&progress[..], &whole[..]].concat());
    let failed = ["error.matched", "task.created", "task.failed exit code 3", "task.started"];
    assert_eq!(story(&log, &bad), failed);
    assert_eq!(story(&log, &array), ["task.completed all 2 tasks completed", "task.created", "task.started"]);
    assert_eq!(story(&log, &format!("{array}_2")), whole);
    assert_eq!(story(&log, &held), ["task.cancelled cancelled", "task.created"]);
}
