//! `wait` beside a log that grows.

use crate::support::sandbox::{Background, Sandbox};

fn emit(sandbox: &Sandbox, args: &[&str]) {
    let emitted = sandbox.run(&[&["emit"], args].concat());
    assert_eq!(emitted.status, Some(0), "{}", emitted.stderr);
}

/// A waiting process, and what it said on standard error once it waits.
fn waiting(sandbox: &Sandbox, args: &[&str], first: &str) -> Background {
    let (talk, end) = std::io::pipe().unwrap();
    let wait = Background::spawn(sandbox.command(&[&["wait"], args].concat()).stderr(end));
    let mut talk = std::io::BufReader::new(talk);
    let mut line = String::new();
    std::io::BufRead::read_line(&mut talk, &mut line).unwrap();
    assert_eq!(line, first);
    wait
}

const NO_WATCHER: &str =
    "hint: no watcher records this project: `agentlog watch` does, hooks and `emit` write as well\n";

#[test]
fn a_task_that_does_not_exist_yet_is_waited_for_until_it_has_ended() {
    let sandbox = Sandbox::new().with_file("project/.agents/agentlog.toml", "");
    let wait = waiting(
        &sandbox,
        &["nightly", "--for", "completed"],
        "no task `nightly` yet; waiting for it to appear\n",
    );
    emit(&sandbox, &["task.started", "--task", "nightly"]);
    emit(&sandbox, &["task.completed", "--task", "nightly"]);
    let (status, lines) = wait.await_end();
    assert_eq!((status, lines.len()), (Some(0), 1));
    assert!(lines[0].ends_with("| ✓ Completed") && lines[0].contains("(nightly)"), "{lines:?}");
}

#[test]
fn an_end_that_was_not_waited_for_ends_the_waiting_by_its_state() {
    let sandbox = Sandbox::new().with_file("project/.agents/agentlog.toml", "");
    emit(&sandbox, &["task.started", "--task", "nightly"]);
    let wait = waiting(&sandbox, &["night", "--for", "completed,idle"], NO_WATCHER);
    emit(&sandbox, &["task.failed", "--task", "nightly", "exit_code=3"]);
    assert_eq!(wait.await_end().0, Some(12));
    let again = sandbox.run(&["wait", "nightly", "--for", "completed"]);
    assert_eq!(
        (again.status, again.stderr.as_str()),
        (Some(12), "it ended, and not as waited for (completed)\n")
    );
    assert_eq!(sandbox.run(&["wait", "nightly"]).status, Some(0));
    assert_eq!(sandbox.run(&["wait", "nightly", "--exit-status"]).status, Some(12));
    emit(&sandbox, &["task.completed", "--task", "other"]);
    assert_eq!(sandbox.run(&["wait", "other", "--for", "failed"]).status, Some(4));
}

#[test]
fn the_time_is_up_with_its_own_code() {
    let sandbox = Sandbox::new().with_file("project/.agents/agentlog.toml", "");
    let never = sandbox.run(&["wait", "nightly", "--timeout", "10ms", "--quiet"]);
    assert_eq!((never.status, never.stdout.as_str()), (Some(124), ""));
    emit(&sandbox, &["task.started", "--task", "nightly"]);
    let late = sandbox.run(&["wait", "nightly", "--timeout", "10ms"]);
    assert_eq!(late.status, Some(124));
    assert!(late.stdout.contains("(nightly)"), "{}", late.stdout);
    assert!(
        late.stderr.ends_with("the time is up: waited 0 seconds for `nightly` (ended)\n"),
        "{}",
        late.stderr
    );
}
