//! `agentlog run` with real commands: they run as without it, and what they did is recorded.

mod bytes;
mod ends;
mod screen;

use crate::support::sandbox::{Output, Sandbox};
use crate::support::wait::await_value;
use serde_json::{Value, json};
use std::process::{Child, ExitStatus};

/// A project that has a log.
fn project() -> Sandbox {
    Sandbox::new().with_file("project/.agents/agentlog.toml", "")
}

/// The events of some streams, in their order, without what differs from run to run.
fn recorded(sandbox: &Sandbox, streams: &[&str]) -> Vec<Value> {
    let mut found = Vec::new();
    for stream in streams {
        let path = sandbox.project().join(format!(".agents/logs/{stream}.jsonl"));
        let text = std::fs::read_to_string(path).unwrap_or_default();
        for line in text.lines() {
            let mut event: Value = serde_json::from_str(line).unwrap();
            let members = event.as_object_mut().unwrap();
            for name in ["v", "id", "ts", "w", "n", "crc", "agent", "source", "duration_ms"] {
                members.remove(name);
            }
            if members["type"] != "segment.opened" {
                found.push(event);
            }
        }
    }
    found
}

/// How tasks ended.
fn results(sandbox: &Sandbox) -> Vec<Value> {
    recorded(sandbox, &["delegation_results"])
}

/// The events of one type that tell of activity.
fn activity(sandbox: &Sandbox, kind: &str) -> Vec<Value> {
    let mut found = recorded(sandbox, &["background_monitoring"]);
    found.retain(|event| event["type"] == kind);
    found
}

/// Runs a shell script as task `t`.
fn script(sandbox: &Sandbox, flags: &[&str], script: &str) -> Output {
    let mut arguments = vec!["run", "--task", "t"];
    arguments.extend(flags);
    arguments.extend(["--", "sh", "-c", script]);
    sandbox.run(&arguments)
}

fn output(stdout: &str, stderr: &str, status: i32) -> Output {
    Output { stdout: stdout.to_owned(), stderr: stderr.to_owned(), status: Some(status) }
}

fn end_of(process: &mut Child) -> ExitStatus {
    await_value("end of the process", || process.try_wait().unwrap())
}

#[test]
fn its_exit_status_is_that_of_the_command_and_it_says_nothing_itself() {
    let sandbox = project();
    assert_eq!(script(&sandbox, &[], "exit 0"), output("", "", 0));
    assert_eq!(script(&sandbox, &[], "echo out; echo err >&2; exit 3"), output("out\n", "err\n", 3));
    assert_eq!(script(&sandbox, &[], "kill -TERM $$"), output("", "", 128 + 15));
    let expected = [
        json!({"type": "task.completed", "task": "t", "attempt": 1, "exit_code": 0}),
        json!({"type": "task.failed", "task": "t", "attempt": 2, "exit_code": 3, "reason": "exit code 3"}),
        json!({"type": "task.failed", "task": "t", "attempt": 3, "exit_code": 143, "reason": "killed by SIGTERM"}),
    ];
    assert_eq!(results(&sandbox), expected);
}

#[test]
fn a_command_that_cannot_be_started_ends_as_in_a_shell() {
    let sandbox = project().with_file("project/plain", "echo $1 >&2; exit 4");
    let missing = sandbox.run(&["run", "--task", "t", "--", "./missing"]);
    assert_eq!(missing, output("", "warning: ./missing: No such file or directory (os error 2)\n", 127));
    let plain = sandbox.run(&["run", "--task", "t", "--", "./plain"]);
    assert_eq!(plain, output("", "warning: ./plain: Permission denied (os error 13)\n", 126));
    let codes: Vec<Value> = results(&sandbox).iter().map(|event| event["exit_code"].clone()).collect();
    assert_eq!(codes, [127, 126]);
}

#[test]
fn a_script_that_names_no_interpreter_is_read_by_the_shell() {
    use std::os::unix::fs::PermissionsExt as _;
    let sandbox = project().with_file("project/bin/plain", "echo \"$1\"; exit 4");
    let path = sandbox.project().join("bin/plain");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(sandbox.run(&["run", "--", "bin/plain", "a b"]), output("a b\n", "", 4));
    let found = std::env::join_paths(
        std::iter::once(sandbox.project().join("bin"))
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let mut command = sandbox.command(&["run", "--", "plain", "c"]);
    let found = crate::support::sandbox::run(command.env("PATH", found.unwrap()));
    assert_eq!(found, output("c\n", "", 4));
}

#[test]
fn a_task_is_created_once_and_started_at_every_attempt() {
    let sandbox = project();
    for _ in 0..2 {
        let ran = sandbox.run(&["run", "--task", "t", "--title", "Nightly", "--parent", "p", "--", "true"]);
        assert_eq!(ran, output("", "", 0));
    }
    let mut told = recorded(&sandbox, &["delegation_requests"]);
    let created = told.remove(0);
    let named = ["type", "task", "title", "parent", "project"].map(|name| created[name].clone());
    assert_eq!(named, ["task.created", "t", "Nightly", "p", "project"]);
    assert_eq!(created["cwd"], json!(sandbox.project().canonicalize().unwrap()));
    let started = |attempt: u64| json!({"type": "task.started", "task": "t", "attempt": attempt});
    assert_eq!(told, [started(1), started(2)]);
}

#[test]
fn a_task_without_a_name_is_called_after_its_program() {
    let sandbox = project();
    assert_eq!(
        sandbox.run(&["run", "--", "/bin/echo", "word", "--password=x"]).stdout,
        "word --password=x\n"
    );
    let created = recorded(&sandbox, &["delegation_requests"]).remove(0);
    assert_eq!(created["title"], "echo word");
    let task = created["task"].as_str().unwrap();
    assert_eq!((task.len(), task.get(..5)), (13, Some("echo-")), "{task}");
}

#[test]
fn what_runs_inside_speaks_of_the_same_task() {
    let sandbox = project();
    let program = env!("CARGO_BIN_EXE_agentlog");
    let inside = format!("'{program}' emit note.logged text=hello && '{program}' run --task inner -- true");
    let ran = script(&sandbox, &[], &inside);
    assert_eq!((ran.status, ran.stderr.as_str()), (Some(0), ""));
    let notes = activity(&sandbox, "note.logged");
    assert_eq!(notes, [json!({"type": "note.logged", "task": "t", "text": "hello"})]);
    let inner =
        recorded(&sandbox, &["delegation_requests"]).into_iter().find(|event| event["task"] == "inner");
    assert_eq!(inner.unwrap()["parent"], "t");
}

#[test]
fn progress_and_markers_are_read_from_the_output() {
    let sandbox = project();
    let ran = script(
        &sandbox,
        &["--progress", r"step (?<current>\d+)/(?<total>\d+)", "--marker", "FINISHED"],
        "echo step 1/4; printf 'step 4/4\\r\\n' >&2; echo FINISHED",
    );
    assert_eq!(ran, output("step 1/4\nFINISHED\n", "step 4/4\r\n", 0));
    let reached: Vec<(Value, Value)> = activity(&sandbox, "progress.reported")
        .iter()
        .map(|event| (event["current"].clone(), event["total"].clone()))
        .collect();
    assert!(
        reached.contains(&(json!(1), json!(4))) && reached.contains(&(json!(4), json!(4))),
        "{reached:?}"
    );
    assert_eq!(activity(&sandbox, "marker.seen").len(), 1);
    let preset = project();
    assert_eq!(script(&preset, &["--preset", "percent"], "echo Progress: 45%").status, Some(0));
    let percents: Vec<Value> =
        activity(&preset, "progress.reported").iter().map(|event| event["percent"].clone()).collect();
    assert_eq!(percents, [json!(45.0)]);
}

#[test]
fn output_that_tells_of_failure_counts_more_than_exit_status_0() {
    let sandbox = project();
    assert_eq!(script(&sandbox, &["--failure", "diverged"], "echo model diverged at 7").status, Some(0));
    let [result] = results(&sandbox).try_into().unwrap();
    assert_eq!((&result["type"], &result["exit_code"]), (&json!("task.failed"), &json!(0)));
    assert!(result["reason"].as_str().unwrap().contains("diverged"), "{result}");
}

#[test]
fn required_files_are_checked_at_the_end() {
    let sandbox = project();
    let flags = ["--require", "a.csv", "--require", "out/*.csv"];
    assert_eq!(script(&sandbox, &flags, "mkdir out; echo > out/b.csv").status, Some(0));
    assert_eq!(script(&sandbox, &flags, "echo > a.csv").status, Some(0));
    let checked = |attempt: u64, files: Value| {
        let criteria =
            [json!({"name": "exit code", "ok": true}), files, json!({"name": "error patterns", "ok": true})];
        json!({"type": "completion.checked", "task": "t", "attempt": attempt, "criteria": criteria})
    };
    let completed = |attempt: u64, reason: &str| json!({"type": "task.completed", "task": "t", "attempt": attempt, "exit_code": 0, "reason": reason});
    let missing = "Missing required file: a.csv";
    let expected = [
        checked(1, json!({"name": "required files", "ok": false, "message": missing})),
        completed(1, missing),
        checked(2, json!({"name": "required files", "ok": true})),
        completed(2, "All criteria met"),
    ];
    assert_eq!(results(&sandbox), expected);
}

#[test]
fn the_configuration_of_a_job_of_that_name_is_used() {
    let config = "[[job]]\nname = \"t\"\ntitle = \"Dose\"\nlog = \"none.log\"\nrequired_files = [\"dose.raw\"]\n\
                  [job.patterns]\nprogress = 'beam (?<current>\\d+) of (?<total>\\d+)'\n";
    let sandbox = Sandbox::new().with_file("project/.agents/agentlog.toml", config);
    assert_eq!(script(&sandbox, &[], "echo beam 2 of 3"), output("beam 2 of 3\n", "", 0));
    assert_eq!(recorded(&sandbox, &["delegation_requests"])[0]["title"], "Dose");
    let [progress] = activity(&sandbox, "progress.reported").try_into().unwrap();
    assert_eq!((&progress["current"], &progress["total"]), (&json!(2), &json!(3)));
    assert_eq!(results(&sandbox)[1]["reason"], "Missing required file: dose.raw");
}

#[test]
fn a_broken_configuration_does_not_keep_a_command_from_running() {
    let sandbox = Sandbox::new().with_file("project/.agents/agentlog.toml", "[health\n");
    let ran = script(&sandbox, &[], "echo out; exit 3");
    assert_eq!((ran.stdout.as_str(), ran.status), ("out\n", Some(3)));
    assert!(ran.stderr.starts_with("warning: ") && ran.stderr.contains("agentlog.toml"), "{}", ran.stderr);
    assert_eq!(results(&sandbox).len(), 1);
}

#[test]
fn patterns_that_cannot_be_used_are_refused_before_the_command_runs() {
    let sandbox = project();
    let ran = script(&sandbox, &["--failure", "("], "echo ran");
    assert_eq!((ran.stdout.as_str(), ran.status), ("", Some(2)));
}
