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
