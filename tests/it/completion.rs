//! A completion that is claimed is verified by the watcher, once.

use crate::support::sandbox::{Background, Sandbox};
use crate::support::wait::await_condition;
use serde_json::Value;

const SECTION: &str = "[[verify]]\nagent = \"explore\"\nfiles = [\"app.js\"]\ncommand = \"test -f app.js\"\n";

/// Says that a task has completed in the project.
fn complete(sandbox: &Sandbox, task: &str, agent: &str) {
    let cwd = format!("cwd={}", sandbox.project().display());
    for event in [vec!["task.created", &cwd], vec!["task.started"], vec!["task.completed", "exit_code=0"]] {
        let emitted = sandbox.run(&[&["emit", "--task", task, "--agent", agent], event.as_slice()].concat());
        assert_eq!(emitted.status, Some(0), "{}", emitted.stderr);
    }
}

/// How often the criteria of each task were checked.
fn checks(sandbox: &Sandbox) -> Vec<String> {
    let sql = "SELECT task, COUNT(*) AS n FROM events WHERE type = 'completion.checked' GROUP BY task ORDER BY task";
    sandbox.run(&["query", sql, "-o", "csv"]).stdout.lines().skip(1).map(str::to_owned).collect()
}

fn interrupt(watch: Background) {
    let pid = i32::try_from(watch.id()).ok().and_then(rustix::process::Pid::from_raw).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(watch.await_end().0, Some(130));
}

#[test]
fn what_a_task_claims_is_verified_once_while_it_is_watched() {
    let sandbox = Sandbox::new().with_file("project/.agents/agentlog.toml", SECTION);
    complete(&sandbox, "history", "explore");
    complete(&sandbox, "ready", "explore");
    let watch = sandbox.spawn(&["watch", "--interval", "1h"]);
    await_condition("the watcher", || {
        sandbox.run(&["tail", "--raw", "--type", "monitor.started"]).stdout.lines().count() == 1
    });
    complete(&sandbox, "empty-handed", "explore");
    complete(&sandbox, "other-agent", "librarian");
    watch.await_line("its failure", |line| line.contains("✗ Failed - unverified, 0/2 criteria met"));
    sandbox.write("project/app.js", "");
    complete(&sandbox, "good", "explore");
    await_condition("the check", || checks(&sandbox) == ["empty-handed,1", "good,1"]);
    interrupt(watch);

    let status = sandbox.run(&["status", "empty-handed", "good", "-o", "json"]);
    let document: Value = serde_json::from_str(&status.stdout).unwrap();
    let shown: Vec<Value> = document["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| serde_json::json!([task["health"], task["end"]["claimed"], task["end"]["criteria_met"]]))
        .collect();
    assert_eq!(
        Value::from(shown),
        serde_json::json!([["failed", "completed", 0], ["completed", "completed", 2]])
    );
    let table = sandbox.run(&["status", "good"]).stdout;
    assert!(table.contains("verified 2/2"), "{table}");
    let wanted = "  required files    ✗ not met: Missing required file: app.js\n  \
                  command           ✗ not met: Command failed with exit code 1: test -f app.js\n";
    let described = sandbox.run(&["show", "empty-handed"]).stdout;
    assert!(described.contains(wanted), "{described}");

    let again = sandbox.spawn(&["watch", "--interval", "1h"]);
    complete(&sandbox, "later", "explore");
    await_condition("the check of another watcher", || checks(&sandbox).contains(&"later,1".to_owned()));
    interrupt(again);
    assert_eq!(checks(&sandbox), ["empty-handed,1", "good,1", "later,1"]);
}

#[test]
fn a_section_without_criteria_is_refused() {
    let sandbox = Sandbox::new().with_file("project/.agents/agentlog.toml", "[[verify]]\ntask = \"bg_*\"\n");
    let refused = sandbox.run(&["status"]);
    assert_eq!(refused.status, Some(3), "{}", refused.stderr);
    assert!(refused.stderr.contains("verify: there is no criterion in this section"), "{}", refused.stderr);
}
