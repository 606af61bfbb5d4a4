//! Which claims are checked, how often, and what comes of it.

use super::*;
use crate::base::fs;
use crate::event::body::Criterion;
use crate::projection::health::Verdict;
use crate::projection::state::Projection;
use std::time::{Duration, Instant};

const SINCE: Timestamp = Timestamp::from_millis(1_000_000);

/// A task that claimed its completion a second after the watcher began, in this folder.
fn claimed(id: &str, folder: &Path) -> TaskStatus {
    let line = format!(
        r#"{{"v":1,"ts":"1970-01-01T00:16:41Z","type":"task.completed","task":"{id}","exit_code":0}}"#
    );
    let mut decoder = crate::event::codec::Decoder::new("s");
    let crate::event::codec::Decoded::Known(known) = decoder.decode(line.as_bytes(), 0) else {
        panic!("no event: {line}")
    };
    let mut projection = Projection::default();
    projection.apply(&known.event);
    let task = projection.task(id, SINCE, &crate::projection::policy::Policy::default()).unwrap();
    TaskStatus { cwd: Some(folder.to_string_lossy().into_owned()), ..task }
}

fn completions(text: &str) -> Completions {
    let sections: VerifyConfig = toml::from_str(text).unwrap();
    Completions::new(&[sections], SINCE, "here", Path::new("/"))
}

/// Looks until nothing is being checked any more.
fn all(completions: &mut Completions, tasks: &[TaskStatus]) -> Vec<(String, Body<'static>)> {
    let began = Instant::now();
    completions.wake();
    let mut found = completions.look(|| tasks.to_vec());
    while completions.running.is_some() {
        assert!(began.elapsed() < Duration::from_secs(10), "a check does not end");
        std::thread::yield_now();
        found.extend(completions.look(|| tasks.to_vec()));
    }
    found
}

fn file_checked(task: &str, missing: Option<&str>) -> (String, Body<'static>) {
    let criterion = Criterion {
        name: "required files".into(),
        ok: missing.is_none(),
        message: missing.map(|name| format!("Missing required file: {name}").into()),
    };
    (task.to_owned(), Body::CompletionChecked { attempt: Some(1), criteria: vec![criterion] })
}

#[test]
fn a_claim_is_checked_once_where_its_task_works() {
    let (good, bad) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::replace(&good.path().join("app.js"), b"").unwrap();
    let tasks = [claimed("a", good.path()), claimed("b", bad.path())];
    let mut completions = completions("files = [\"app.js\"]");
    assert_eq!(all(&mut completions, &tasks), [file_checked("a", None), file_checked("b", Some("app.js"))]);
    assert_eq!(all(&mut completions, &tasks), []);
}

#[test]
fn another_attempt_is_another_claim() {
    let folder = tempfile::tempdir().unwrap();
    let mut completions = completions("files = [\"app.js\"]");
    let first = claimed("a", folder.path());
    assert_eq!(all(&mut completions, std::slice::from_ref(&first)).len(), 1);
    let second = TaskStatus { attempt: 2, ..first };
    assert_eq!(all(&mut completions, &[second]).len(), 1);
}

#[test]
fn only_fresh_claims_of_this_machine_that_nobody_verified_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let task = claimed("a", folder.path());
    let verified = Some(crate::projection::status::Verified { met: 1, total: 1 });
    let failed = Verdict { health: Health::Failed, ..task.verdict.clone() };
    let tasks = [
        TaskStatus { ended_at: Some(SINCE.plus_millis(-1)), ..task.clone() },
        TaskStatus { verified, ..task.clone() },
        TaskStatus { host: Some("elsewhere".to_owned()), ..task.clone() },
        TaskStatus { claimed: Some(Health::Failed), verdict: failed, ..task.clone() },
        TaskStatus { task: "bg_1".to_owned(), ..task.clone() },
        TaskStatus { task: OWN_NAME.to_owned(), ..task.clone() },
        TaskStatus { agent: Some("explore".to_owned()), ..task },
    ];
    let mut completions = completions("task = \"a*\"\nagent = \"cod*\"\nfiles = [\"app.js\"]");
    assert_eq!(all(&mut completions, &tasks), []);
}

#[test]
fn nobody_waits_for_a_command_and_it_ends_with_the_watcher() {
    let folder = tempfile::tempdir().unwrap();
    let began = Instant::now();
    let mut completions = completions("command = \"sleep 600\"");
    assert_eq!(completions.look(|| vec![claimed("a", folder.path())]), []);
    drop(completions);
    assert!(began.elapsed() < Duration::from_secs(10), "the command was waited for");
}

#[test]
fn a_command_is_run_where_the_task_works() {
    let folder = tempfile::tempdir().unwrap();
    fs::replace(&folder.path().join("app.js"), b"").unwrap();
    let mut completions = completions("command = \"test -f app.js\"");
    let found = all(&mut completions, &[claimed("a", folder.path())]);
    let criteria = vec![Criterion { name: "command".into(), ok: true, message: None }];
    assert_eq!(found, [("a".to_owned(), Body::CompletionChecked { attempt: Some(1), criteria })]);
}

#[test]
fn tasks_are_looked_at_only_when_something_was_recorded() {
    let mut completions = completions("files = [\"app.js\"]");
    assert_eq!(completions.look(Vec::new), []);
    assert_eq!(completions.look(|| panic!("nothing was recorded")), []);
    completions.wake();
    let mut is_asked = false;
    completions.look(|| {
        is_asked = true;
        Vec::new()
    });
    assert!(is_asked);
}
