//! Several answers after each other: what failed to be told, what ended, what vanished.

use super::*;

fn watching() -> (Slurm, EventLog) {
    let mut slurm = Slurm::new(&SlurmConfig { jobs: vec!["123".to_owned()], ..SlurmConfig::default() }, []);
    slurm.discover(&env(Scope::Global));
    (slurm, EventLog::default())
}

/// What was said of a task, by type and reason.
fn story(log: &EventLog, task: &str) -> Vec<String> {
    let of_task = log.events.iter().filter(|event| event["task"] == task);
    of_task
        .filter(|event| event["type"] != "note.logged" && event["type"] != "task.created")
        .map(|event| {
            let reason = event["reason"].as_str().unwrap_or_default();
            format!("{} {reason}", event["type"].as_str().unwrap()).trim_end().to_owned()
        })
        .collect()
}

#[test]
fn an_array_does_not_end_while_the_queue_does_not_answer() {
    let (mut slurm, mut log) = watching();
    let one = queued("123_1", "COMPLETED", 0, 0, [SUBMIT, START, END]);
    let rest = queued("123_[2-9%1]", "PENDING", 0, 0, [SUBMIT, "N/A", "N/A"]);
    slurm.say(answer(&format!("{one}{rest}"), ""), now(), &mut log);
    slurm.say(Answer { is_whole: false, has_queue: false, ..answer("", "") }, now(), &mut log);
    let accounts = account("123_1", "COMPLETED", "0:0", [SUBMIT, START, END], 340);
    slurm.say(Answer { has_queue: false, ..answer("", &accounts) }, now(), &mut log);
    assert_eq!(story(&log, "slurm-123"), ["task.started"]);
    slurm.say(answer(&one, ""), now(), &mut log);
    assert_eq!(story(&log, "slurm-123"), ["task.started", "task.completed all 1 tasks completed"]);
}

#[test]
fn a_job_that_vanishes_ends_once_and_a_later_account_of_it_counts() {
    let (mut slurm, mut log) = watching();
    let live = queued("123", "RUNNING", 0, 0, [SUBMIT, START, "N/A"]);
    slurm.say(answer(&live, ""), now(), &mut log);
    let later = now().plus_millis(3_600_000);
    slurm.say(Answer { has_queue: false, ..answer("", "") }, later, &mut log);
    assert_eq!(story(&log, "slurm-123"), ["task.started"], "nobody was asked");
    let expected = ["task.started", "task.cancelled no longer known"];
    for _ in 0..2 {
        slurm.say(answer("", ""), later, &mut log);
        assert_eq!(story(&log, "slurm-123"), expected);
    }
    assert_eq!(log.events.last().unwrap()["ts"], now().to_string(), "when it was told of last");
    let messages: Vec<_> = slurm.problems.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages, ["Slurm does not know job 123 any more: how it ended is unknown"]);
    let end = (now().millis() / 1000 + 60).to_string();
    let accounts = account("123", "COMPLETED", "0:0", [SUBMIT, START, &end], 340);
    slurm.say(Answer { has_accounts: true, ..answer("", &accounts) }, later, &mut log);
    assert_eq!(story(&log, "slurm-123")[2..], ["task.completed completed"]);
    assert!(log.events.last().unwrap()["ts"].as_str() > Some(now().to_string().as_str()));
}

#[test]
fn where_accounts_are_kept_no_job_is_given_up_without_them() {
    let (mut slurm, mut log) = watching();
    let live = queued("123", "RUNNING", 0, 0, [SUBMIT, START, "N/A"]);
    slurm.say(Answer { has_accounts: true, ..answer(&live, "") }, now(), &mut log);
    slurm.say(answer("", ""), now(), &mut log);
    assert_eq!(story(&log, "slurm-123"), ["task.started"]);
    slurm.say(Answer { has_accounts: true, ..answer("", "") }, now(), &mut log);
    assert_eq!(story(&log, "slurm-123"), ["task.started", "task.cancelled no longer known"]);
}

#[test]
fn a_task_that_waits_among_the_others_of_its_array_has_not_vanished() {
    let (mut slurm, mut log) = watching();
    let rest = |tasks: &str| queued(&format!("123_[{tasks}]"), "PENDING", 0, 0, [SUBMIT, "N/A", "N/A"]);
    let two = queued("123_2", "PENDING", 0, 1, [SUBMIT, "N/A", "N/A"]);
    slurm.say(answer(&format!("{two}{}", rest("3-9")), ""), now(), &mut log);
    slurm.say(answer(&rest("2-9"), ""), now(), &mut log);
    assert_eq!(story(&log, "slurm-123_2"), [""; 0]);
}
