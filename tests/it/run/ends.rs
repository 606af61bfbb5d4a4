//! How a command is ended: by signals to us or to it, by its time, with us gone.

use crate::run::{activity, output, project, recorded, results, script};
use crate::support::sandbox::{self, Background, Sandbox};
use crate::support::wait::await_condition;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::os::unix::process::CommandExt as _;

/// A script as task `t`, in a process group of its own, so that no keyboard is thought to speak to it.
fn start(sandbox: &Sandbox, script: &str) -> Background {
    let mut command = sandbox.command(&["run", "--task", "t", "--", "sh", "-c", script]);
    let process = Background::spawn(command.process_group(0));
    process.await_line("start", |line| line == "ready");
    process
}

fn send(process: &Background, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap(), signal).unwrap();
}

fn cancelled(exit_code: u8, reason: &str) -> Value {
    json!({"type": "task.cancelled", "task": "t", "attempt": 1, "exit_code": exit_code, "reason": reason})
}

#[test]
fn a_signal_to_us_reaches_the_command_and_cancels_the_task() {
    let signals = [
        (Signal::INT, "SIGINT", 130),
        (Signal::TERM, "SIGTERM", 143),
        (Signal::HUP, "SIGHUP", 129),
        (Signal::QUIT, "SIGQUIT", 131),
    ];
    for (signal, name, code) in signals {
        let sandbox = project();
        let process = start(&sandbox, "ulimit -c 0; echo ready; exec sleep 100");
        send(&process, signal);
        assert_eq!(process.await_end(), (Some(i32::from(code)), vec!["ready".to_owned()]));
        assert_eq!(results(&sandbox), [cancelled(code, name)]);
    }
}

#[test]
fn a_command_may_answer_a_signal_in_its_own_way() {
    let sandbox = project();
    let waits = "echo ready; while :; do sleep 0.02; done";
    let process = start(&sandbox, &format!("trap 'echo bye; exit 7' TERM; {waits}"));
    send(&process, Signal::TERM);
    assert_eq!(process.await_end(), (Some(7), vec!["ready".to_owned(), "bye".to_owned()]));
    assert_eq!(results(&sandbox), [cancelled(7, "SIGTERM")]);
    let other = project();
    let process = start(&other, &format!("trap 'echo reloaded' HUP; trap 'exit 0' USR1; {waits}"));
    send(&process, Signal::HUP);
    process.await_line("answer", |line| line == "reloaded");
    send(&process, Signal::USR1);
    assert_eq!(process.await_end().0, Some(0));
    assert_eq!(
        results(&other),
        [json!({"type": "task.completed", "task": "t", "attempt": 1, "exit_code": 0})]
    );
}

#[test]
fn a_signal_that_was_ignored_before_us_is_ignored_by_the_command() {
    let sandbox = project();
    let inside = "kill -HUP $$; kill -HUP $PPID; echo alive";
    let outside = format!("trap '' HUP; exec \"$0\" run -- sh -c '{inside}'");
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &outside, env!("CARGO_BIN_EXE_agentlog")]);
    command.current_dir(sandbox.project()).env("HOME", sandbox.home());
    assert_eq!(sandbox::run(&mut command), output("alive\n", "", 0));
}

#[test]
fn a_stopped_recorder_stops_its_command_and_goes_on_with_it() {
    let sandbox = project();
    let process = start(&sandbox, "echo $$ > pid; echo ready; while [ ! -e go ]; do :; done; echo end");
    let pid = sandbox.read("project/pid");
    let state = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap();
        stat.rsplit(") ").next().unwrap().chars().next()
    };
    send(&process, Signal::TSTP);
    await_condition("stop", || state() == Some('T'));
    send(&process, Signal::CONT);
    await_condition("going on", || state() != Some('T'));
    sandbox.write("project/go", "");
    assert_eq!(process.await_end(), (Some(0), vec!["ready".to_owned(), "end".to_owned()]));
}

#[test]
fn a_command_whose_time_is_up_is_reported_and_left_alone() {
    let waits = "while [ ! -e go ]; do sleep 0.02; done";
    let cases = [("--timeout", "max run time 1 s"), ("--idle-timeout", "idle for 1 s without output")];
    for (flag, reason) in cases {
        let sandbox = project();
        let process = sandbox.spawn(&["run", "--task", "t", flag, "1s", "--", "sh", "-c", waits]);
        await_condition("timeout", || !results(&sandbox).is_empty());
        sandbox.write("project/go", "");
        assert_eq!(process.await_end().0, Some(0));
        let expected = [
            json!({"type": "task.timed_out", "task": "t", "attempt": 1, "reason": reason}),
            json!({"type": "task.completed", "task": "t", "attempt": 1, "exit_code": 0}),
        ];
        assert_eq!(results(&sandbox), expected);
    }
}

#[test]
fn a_command_whose_time_is_up_is_killed_where_that_is_asked_for() {
    let expected =
        [json!({"type": "task.timed_out", "task": "t", "attempt": 1, "reason": "max run time 1 s"})];
    let polite = project();
    let flags = ["--timeout", "1s", "--kill"];
    assert_eq!(script(&polite, &flags, "echo out; sleep 100; echo no"), output("out\n", "", 124));
    assert_eq!(results(&polite), expected);
    let stubborn = project();
    let flags = ["--timeout", "1s", "--kill", "--kill-after", "1s"];
    let ran = script(&stubborn, &flags, "trap '' TERM; while :; do sleep 0.02; done");
    assert_eq!(ran, output("", "", 124));
    assert_eq!(results(&stubborn), expected);
}

#[test]
fn a_command_outlives_a_killed_recorder_and_its_task_goes_on_with_the_next_attempt() {
    let sandbox = project();
    let process = start(&sandbox, "echo ready; while [ ! -e go ]; do sleep 0.02; done; echo > whole");
    await_condition("start in the log", || recorded(&sandbox, &["delegation_requests"]).len() == 2);
    send(&process, Signal::KILL);
    assert_eq!(process.await_end().0, None);
    sandbox.write("project/go", "");
    await_condition("end of the command", || sandbox.project().join("whole").exists());
    assert_eq!(results(&sandbox), [] as [Value; 0]);
    assert_eq!(script(&sandbox, &[], "true").status, Some(0));
    assert_eq!(results(&sandbox)[0]["attempt"], 2);
}

#[test]
fn the_process_is_measured() {
    let sandbox = project();
    let process = start(&sandbox, "echo ready; while [ ! -e go ]; do sleep 0.02; done");
    await_condition("sample", || !activity(&sandbox, "process.sampled").is_empty());
    sandbox.write("project/go", "");
    assert_eq!(process.await_end().0, Some(0));
    let [sample] = activity(&sandbox, "process.sampled").try_into().unwrap();
    assert_eq!(sample["task"], "t");
    assert!(sample["pid"].as_u64().unwrap() > 0 && sample["memory_bytes"].as_u64().unwrap() > 0, "{sample}");
}
