//! What answers mean.

use super::*;
use crate::source::ending::Ending;
use crate::source::slurm::row::Exit;
use crate::source::slurm::row::{instant, span_seconds};

#[test]
fn a_job_that_completed_is_told_by_its_account() {
    let text = account("123", "COMPLETED", "0:0", [SUBMIT, START, END], 340);
    let completed = json!({"ts": ENDED, "type": "task.completed", "task": "slurm-123", "agent": "slurm", "attempt": 1, "exit_code": 0, "reason": "completed", "duration_ms": 340_000});
    assert_eq!(said_of("", &text), [created(SUBMITTED), started(STARTED, 1), completed]);
}

#[test]
fn every_end_has_its_kind_its_reason_and_its_status() {
    for (state, exit, kind, reason, code) in [
        ("FAILED", "3:0", "task.failed", "exit code 3", Some(3)),
        ("FAILED", "0:9", "task.failed", "signal 9", Some(137)),
        ("FAILED", "0:0", "task.failed", "failed", None),
        ("NODE_FAIL", "0:0", "task.failed", "node failed", None),
        ("OUT_OF_MEMORY", "0:125", "task.failed", "out of memory", Some(253)),
        ("BOOT_FAIL", "0:0", "task.failed", "node did not boot", None),
        ("TIMEOUT", "0:0", "task.timed_out", "time limit reached after 3600 s", None),
        ("DEADLINE", "0:0", "task.timed_out", "deadline reached after 3600 s", None),
        ("CANCELLED", "0:0", "task.cancelled", "cancelled", None),
        ("CANCELLED+", "0:0", "task.cancelled", "cancelled", None),
        ("CANCELLED by 1000", "0:15", "task.cancelled", "cancelled by user 1000", Some(143)),
        ("PREEMPTED", "0:0", "task.cancelled", "preempted", None),
        ("REVOKED", "0:0", "task.cancelled", "revoked", None),
    ] {
        let said = said_of("", &account("123", state, exit, [SUBMIT, START, END], 340));
        let end = said.last().unwrap();
        assert_eq!((end["type"].as_str(), end["reason"].as_str()), (Some(kind), Some(reason)), "{state}");
        assert_eq!(end.get("exit_code").and_then(Value::as_i64), code, "{state}");
    }
}

#[test]
fn a_job_in_the_queue_is_told_of_but_has_not_begun() {
    // What `squeue` expects of a job that waits is no fact.
    let line =
        queued("123", "PENDING", 0, 0, [SUBMIT, "1800000000", "1800003600"]).replace("None", "Resources");
    let note = json!({"ts": now().to_string(), "type": "note.logged", "task": "slurm-123", "agent": "slurm", "text": "pending: Resources"});
    assert_eq!(said_of(&line, ""), [created(SUBMITTED), note]);
    let line = account("123", "PENDING", "0:0", [SUBMIT, "Unknown", "Unknown"], 0);
    assert_eq!(said_of("", &line)[1]["text"], "pending");
}

#[test]
fn a_job_that_runs_has_started_and_shows_that_it_lives() {
    for word in ["CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED"] {
        let said = said_of(&queued("123", word, 0, 0, [SUBMIT, START, "Unknown"]), "");
        assert_eq!(said[..2], [created(SUBMITTED), started(STARTED, 1)], "{word}");
        assert_eq!(said[2]["text"], format!("{} on node7", word.to_lowercase()));
        assert_eq!(said.len(), 3);
    }
}

#[test]
fn what_was_cancelled_before_it_began_never_started() {
    let line = queued("123", "CANCELLED", 0, 0, [SUBMIT, END, END]).replace("0:04", "0:00");
    let said = said_of(&line, "");
    let kinds: Vec<_> = said.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["task.created", "task.cancelled"]);
}

#[test]
fn a_job_that_starts_again_is_another_attempt() {
    let first = account("123", "REQUEUED", "0:0", [SUBMIT, START, END], 340);
    let second = account("123", "COMPLETED", "0:0", ["1777630000", "1777630010", "1777630020"], 10);
    let said = said_of("", &format!("{first}{second}"));
    let attempts: Vec<_> =
        said.iter().map(|event| (event["type"].as_str().unwrap(), event["attempt"].as_u64())).collect();
    let expected = [
        ("task.created", None),
        ("task.started", Some(1)),
        ("task.started", Some(2)),
        ("task.completed", Some(2)),
    ];
    assert_eq!(attempts, expected);
    let live = queued("123", "RUNNING", 0, 1, ["1777630000", "1777630010", "N/A"]);
    let said = said_of(&live, &first);
    let attempts: Vec<_> = said.iter().filter_map(|event| event["attempt"].as_u64()).collect();
    assert_eq!(attempts, [1, 2], "the queue is ahead of the accounts");
    let failed = account("123", "NODE_FAIL", "0:0", [SUBMIT, START, END], 340);
    let said = said_of(&live, &failed);
    let attempts: Vec<_> = said.iter().filter_map(|event| event["attempt"].as_u64()).collect();
    assert_eq!(attempts, [1, 1, 2], "the first attempt failed, the second one runs");
}

#[test]
fn the_queue_and_the_accounts_tell_the_same_job_once() {
    let queue = queued("123", "FAILED", 768, 0, [SUBMIT, START, END]);
    let accounts = account("123", "FAILED", "3:0", [SUBMIT, START, END], 340);
    let only_queue = said_of(&queue, "");
    assert_eq!(only_queue[2]["exit_code"], 3);
    let mut log = EventLog::default();
    for (queue, accounts) in [(&*queue, ""), (&*queue, &*accounts), ("", &*accounts), (&*queue, "")] {
        say_into(&mut log, queue, accounts);
    }
    assert_eq!(log.events.len(), 4, "opened, created, started and failed: each once");
}

#[test]
fn the_tasks_of_an_array_are_children_and_end_it_together() {
    let one = queued("123_1", "COMPLETED", 0, 0, [SUBMIT, START, END]);
    let two = queued("123_2", "RUNNING", 0, 0, [SUBMIT, START, "N/A"]);
    let rest = queued("123_[3-9%2]", "PENDING", 0, 0, [SUBMIT, "N/A", "N/A"]);
    let said = said_of(&format!("{rest}{two}{one}"), "");
    let of = |task: &str| said.iter().filter(|event| event["task"] == task).collect::<Vec<_>>();
    assert_eq!((of("slurm-123_1")[0]["parent"].as_str(), of("slurm-123_1").len()), (Some("slurm-123"), 3));
    assert_eq!(of("slurm-123_2").len(), 3);
    assert_eq!(of("slurm-123"), [&created(SUBMITTED), &started(STARTED, 1)]);
    let two = queued("123_2", "FAILED", 256, 0, [SUBMIT, START, END]);
    let said = said_of(&format!("{two}{one}"), "");
    let end = said.iter().rfind(|event| event["task"] == "slurm-123").unwrap();
    assert_eq!(
        (end["type"].as_str(), end["reason"].as_str()),
        (Some("task.failed"), Some("1 of 2 tasks did not complete"))
    );
    assert_eq!(end["duration_ms"], 340_000);
}

#[test]
fn steps_are_no_jobs_and_a_name_may_hold_the_separator() {
    let step = account("123.batch", "COMPLETED", "0:0", [SUBMIT, START, END], 340);
    assert_eq!(said_of("", &step), Vec::<Value>::new());
    let line = account("123", "COMPLETED", "0:0", [SUBMIT, START, END], 340).replace("dreams", "a|b");
    assert_eq!(said_of("", &line)[0]["title"], "a|b");
    let line = queued("123", "RUNNING", 0, 0, [SUBMIT, START, "N/A"]).replace("dreams", "a|b");
    assert_eq!(said_of(&line, "")[0]["title"], "a|b");
}

#[test]
fn what_is_not_understood_is_loud() {
    for (queue, accounts) in [
        ("123 RUNNING\n", ""),
        ("", "JobID|State\n"),
        (&*queued("123", "MEDITATING", 0, 0, [SUBMIT, START, END]), ""),
        ("", &*account("123", "MEDITATING", "0:0", [SUBMIT, START, END], 1)),
    ] {
        let mut log = EventLog::default();
        let problems = say_into(&mut log, queue, accounts);
        assert_eq!(log.count(|event| event["type"] == "source.drifted"), 1, "{queue}{accounts}");
        assert!(!problems.is_empty());
    }
}

#[test]
fn a_job_that_nobody_knows_is_mentioned_once() {
    let mut slurm =
        Slurm::new(&SlurmConfig { jobs: vec!["9".to_owned()], ..SlurmConfig::default() }, ["8_1".to_owned()]);
    slurm.discover(&env(Scope::Global));
    let mut log = EventLog::default();
    slurm.say(answer("", ""), now(), &mut log);
    slurm.say(answer("", ""), now(), &mut log);
    let messages: Vec<_> = slurm.problems.iter().map(|problem| problem.message.as_str()).collect();
    let unknown = |id: &str| format!("Slurm knows no job {id}, or does not know it any more");
    assert_eq!(messages, [unknown("8_1"), unknown("9")]);
}

#[test]
fn jobs_are_named_as_numbers_or_texts_and_nothing_else_is_a_job() {
    let config: SlurmConfig = toml::from_str("jobs = [123, \"124_7\", \"--help\", \"1,2\"]").unwrap();
    let slurm = Slurm::new(&config, []);
    assert_eq!(slurm.ids, ["123", "124_7"]);
    let messages: Vec<_> = slurm.problems.iter().map(ToString::to_string).collect();
    assert_eq!(messages, ["slurm.jobs: `--help` is no job id", "slurm.jobs: `1,2` is no job id"]);
}

#[test]
fn times_and_spans_are_read_in_all_their_forms() {
    assert_eq!(instant(SUBMIT).map(|at| at.to_string()).as_deref(), Some(SUBMITTED));
    assert!(instant("2026-05-01T10:00:00").is_some(), "local time, where seconds are not understood");
    for none in ["Unknown", "N/A", "None", "", "0"] {
        assert_eq!(instant(none), None, "{none}");
    }
    for (text, seconds) in [
        ("0:04", Some(4)),
        ("1:00:00", Some(3600)),
        ("2-01:00:05", Some(176_405)),
        ("UNLIMITED", None),
        ("7", Some(7)),
    ] {
        assert_eq!(span_seconds(text), seconds, "{text}");
    }
}

#[test]
fn the_output_of_a_job_is_where_scontrol_says() {
    let text = "JobId=1 JobName=a b UserId=u(0) WorkDir=/scratch/my app StdErr=/scratch/my app/e StdIn=/dev/null StdOut=/scratch/my app/slurm-1.out Power= \nJobId=6 ArrayJobId=3 ArrayTaskId=1 StdOut=/scratch/slurm-3_1.out Power=\nJobId=3 ArrayJobId=3 ArrayTaskId=2-3%1 StdOut=/scratch/slurm-3_4294967294.out Power=\nJobId=7 StdOut=(null)\n";
    let expected = [("1", "/scratch/my app/slurm-1.out"), ("3_1", "/scratch/slurm-3_1.out")];
    assert_eq!(
        scontrol::outputs(text),
        expected.map(|(id, path)| (id.to_owned(), PathBuf::from(path))).into()
    );
}

#[test]
fn rows_hold_what_stood_in_the_line() {
    let (rows, strange) =
        sacct::rows(&account("123_4", "CANCELLED by 1000", "0:15", [SUBMIT, START, END], 340));
    let expected = Row {
        id: "123_4".to_owned(),
        array: Some("123".to_owned()),
        name: "dreams".to_owned(),
        state: State::Ended(Ending::Cancelled, "cancelled"),
        cancelled_by: Some("1000".to_owned()),
        exit: Some(Exit { code: 0, signal: 15 }),
        submitted: Timestamp::parse(SUBMITTED),
        started: Timestamp::parse(STARTED),
        ended: Timestamp::parse(ENDED),
        elapsed_seconds: Some(340),
        limit_seconds: Some(3600),
        nodes: "node7".to_owned(),
        folder: "/scratch/app".to_owned(),
        ..Row::default()
    };
    assert_eq!((rows, strange), (vec![expected], Vec::new()));
}

proptest! {
    #[test]
    fn no_answer_is_too_strange(queue in "(?s).{0,200}", accounts in "(?s).{0,200}", at in any::<prop::sample::Index>(), byte in any::<char>()) {
        say_into(&mut EventLog::default(), &queue, &accounts);
        scontrol::outputs(&queue);
        let line = account("123", "COMPLETED", "0:0", [SUBMIT, START, END], 340);
        let mut chars: Vec<char> = line.chars().collect();
        let at = at.index(chars.len());
        chars[at] = byte;
        say_into(&mut EventLog::default(), &queue, &chars.iter().collect::<String>());
        chars.truncate(at);
        say_into(&mut EventLog::default(), &chars.iter().collect::<String>(), "");
    }
}
