//! Which step follows from what is known: beginnings, ends by every witness, time that is up, another attempt.

use super::*;
use crate::source::process::{ProcessId, State};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn log(modified: i64) -> LogFacts {
    LogFacts {
        file: "0123456789abcdef".into(),
        line_count: 1,
        modified_at: Some(at(modified)),
        begun_at: Some(at(0)),
        ..LogFacts::default()
    }
}

fn claiming(is_well: bool, offset: u64, seconds: i64) -> LogFacts {
    let reason = if is_well { "marker DONE" } else { "ERROR: no beam" }.to_owned();
    LogFacts {
        claim: Some(Claim { is_well, reason, at: at(seconds), offset, line: offset }),
        line_count: offset,
        ..log(seconds)
    }
}

fn with_log(log: LogFacts) -> Evidence {
    Evidence { logs: vec![log], ..Evidence::default() }
}

fn code(value: i64, seconds: i64) -> Dated<i64> {
    Dated { value, at: at(seconds) }
}

fn status(word: &str, seconds: i64) -> Dated<Document> {
    let value = crate::source::batch::files::status(word, at(seconds)).unwrap();
    Dated { value, at: at(seconds) }
}

/// All steps that follow at an instant, in few words; the memory takes them.
fn steps(rules: &Rules, memory: &mut Memory, evidence: &Evidence, now: i64) -> Vec<String> {
    let mut said = Vec::new();
    while let Some(step) = next(rules, memory, evidence, at(now)) {
        assert!(said.len() < 8, "a circle: {said:?}");
        match step {
            Step::Started { attempt, at } => {
                memory.started = Some((attempt, at));
                said.push(format!("start {attempt} @{}", at.millis() / 1000));
            }
            Step::Ended { recorded, stated, .. } => {
                // What the next process knows of it is its key.
                assert_eq!(Recorded::parse(&recorded.to_string()), Some(recorded.clone()));
                let reason = stated.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                let at = recorded.at.millis() / 1000;
                said.push(format!("{} {} @{at}{reason}", recorded.ending.word(), recorded.attempt));
                memory.result = Some(recorded);
            }
        }
    }
    said
}

fn first(rules: &Rules, evidence: &Evidence, now: i64) -> Vec<String> {
    steps(rules, &mut Memory::default(), evidence, now)
}

#[test]
fn without_evidence_there_is_no_job_and_with_some_it_has_begun() {
    let rules = Rules::default();
    assert_eq!(first(&rules, &Evidence::default(), 100), [""; 0]);
    assert_eq!(first(&rules, &with_log(log(50)), 100), ["start 1 @0"]);
    assert_eq!(
        first(&rules, &Evidence { status: Some(status("RUNNING", 30)), ..Evidence::default() }, 100),
        ["start 1 @30"]
    );
    let id = ProcessId { pid: 7, started_at: at(20) };
    let process = Some(Sample { state: State::Running, ..Sample::gone(id) });
    assert_eq!(first(&rules, &Evidence { process, ..with_log(log(50)) }, 100), ["start 1 @20"]);
}

#[test]
fn an_exit_code_is_believed_before_a_status_and_that_before_the_log() {
    let rules = Rules::default();
    let mut evidence = with_log(claiming(true, 10, 40));
    assert_eq!(first(&rules, &evidence, 41), ["start 1 @0", "completed 1 @40: marker DONE"]);
    evidence.status = Some(status("FAILED: disk full", 50));
    assert_eq!(first(&rules, &evidence, 51), ["start 1 @0", "failed 1 @50: disk full"]);
    evidence.exit_code = Some(code(0, 51));
    assert_eq!(first(&rules, &evidence, 51), ["start 1 @0", "completed 1 @51"]);
    evidence.exit_code = Some(code(3, 51));
    assert_eq!(first(&rules, &evidence, 51), ["start 1 @0", "failed 1 @51"]);
}

#[test]
fn a_failure_in_the_log_counts_when_the_log_has_come_to_rest() {
    let rules = Rules::default();
    let failing = with_log(claiming(false, 10, 40));
    let mut memory = Memory::default();
    assert_eq!(steps(&rules, &mut memory, &failing, 42), ["start 1 @0"]);
    assert_eq!(steps(&rules, &mut memory, &failing, 45), ["failed 1 @40: ERROR: no beam"]);
    let gone = Some(Sample::gone(ProcessId { pid: 7, started_at: at(0) }));
    let gone = Evidence { process: gone, ..failing };
    assert_eq!(first(&rules, &gone, 41), ["start 1 @0", "failed 1 @40: ERROR: no beam"]);
    assert_eq!(
        steps(&rules, &mut memory, &with_log(claiming(true, 90, 60)), 60),
        ["completed 1 @60: marker DONE"]
    );
}

#[test]
fn better_witnesses_are_waited_for_and_a_running_status_contradicts_the_log() {
    let rules = Rules { declares_exit_code: true, declares_status: true, ..Rules::default() };
    let mut evidence = with_log(claiming(true, 10, 40));
    assert_eq!(first(&rules, &evidence, 44), ["start 1 @0"]);
    assert_eq!(first(&rules, &evidence, 45), ["start 1 @0", "completed 1 @40: marker DONE"]);
    evidence.status = Some(status("RUNNING", 41));
    assert_eq!(first(&rules, &evidence, 90), ["start 1 @0"]);
    evidence.status = Some(status("RUNNING", 39));
    assert_eq!(first(&rules, &evidence, 90), ["start 1 @0", "completed 1 @40: marker DONE"]);
}

#[test]
fn an_exit_code_that_comes_late_corrects_the_result_of_its_attempt() {
    let rules = Rules::default();
    let mut memory = Memory::default();
    let mut evidence = with_log(claiming(true, 10, 40));
    steps(&rules, &mut memory, &evidence, 40);
    evidence.exit_code = Some(code(3, 41));
    assert_eq!(steps(&rules, &mut memory, &evidence, 42), ["failed 1 @41"]);
    assert_eq!(steps(&rules, &mut memory, &evidence, 99), [""; 0]);
}

#[test]
fn what_an_earlier_run_left_behind_is_no_end_of_this_one() {
    let rules = Rules::default();
    let begun = LogFacts { begun_at: Some(at(100)), ..log(105) };
    let left = |seconds| Evidence { exit_code: Some(code(0, seconds)), ..with_log(begun.clone()) };
    assert_eq!(first(&rules, &left(50), 106), ["start 1 @100"]);
    assert_eq!(first(&rules, &left(99), 106), ["start 1 @100", "completed 1 @99"]);
    let status = Evidence { status: Some(status("COMPLETED", 50)), ..with_log(begun) };
    assert_eq!(first(&rules, &status, 106), ["start 1 @100"]);
}

#[test]
fn time_is_up_after_the_maximum_or_without_progress() {
    let run = Rules { max_run_seconds: Some(1800.0), ..Rules::default() };
    assert_eq!(first(&run, &with_log(log(1790)), 1800), ["start 1 @0"]);
    let expected = ["start 1 @0", "timed_out 1 @1800: max run time 1800 s"];
    assert_eq!(first(&run, &with_log(log(1790)), 1801), expected);

    let idle = Rules { idle_seconds: Some(300.0), ..Rules::default() };
    assert_eq!(first(&idle, &with_log(log(100)), 400), ["start 1 @0"]);
    let expected = ["start 1 @0", "timed_out 1 @400: idle for 300 s without progress"];
    assert_eq!(first(&idle, &with_log(log(100)), 401), expected);
    // Where progress is known, words alone are none.
    let chatty = LogFacts { has_progress: true, progressed_at: Some(at(50)), ..log(390) };
    let expected = ["start 1 @0", "timed_out 1 @350: idle for 300 s without progress"];
    assert_eq!(first(&idle, &with_log(chatty), 391), expected);
    // Whichever comes first; and an end goes before both.
    let both = Rules { max_run_seconds: Some(200.0), ..idle };
    let expected = ["start 1 @0", "timed_out 1 @200: max run time 200 s"];
    assert_eq!(first(&both, &with_log(log(100)), 900), expected);
    let expected = ["start 1 @0", "completed 1 @700: marker DONE"];
    assert_eq!(first(&both, &with_log(claiming(true, 10, 700)), 900), expected);
}

#[test]
fn a_job_that_goes_on_after_its_time_is_in_its_next_attempt() {
    let rules = Rules { idle_seconds: Some(300.0), ..Rules::default() };
    let mut memory = Memory::default();
    let progress =
        |seconds| LogFacts { has_progress: true, progressed_at: Some(at(seconds)), ..log(seconds) };
    steps(&rules, &mut memory, &with_log(progress(100)), 500);
    let talking = LogFacts { modified_at: Some(at(600)), ..progress(100) };
    assert_eq!(steps(&rules, &mut memory, &with_log(talking), 600), [""; 0]);
    assert_eq!(steps(&rules, &mut memory, &with_log(progress(700)), 700), ["start 2 @700"]);
    let done = Evidence { exit_code: Some(code(0, 750)), ..with_log(progress(740)) };
    assert_eq!(steps(&rules, &mut memory, &done, 750), ["completed 2 @750"]);
}

#[test]
fn whatever_begins_after_a_result_is_another_attempt() {
    let rules = Rules::default();
    let ended = || {
        let mut memory = Memory::default();
        let evidence = Evidence { exit_code: Some(code(0, 100)), ..with_log(claiming(true, 10, 99)) };
        assert_eq!(steps(&rules, &mut memory, &evidence, 101), ["start 1 @0", "completed 1 @100"]);
        (memory, evidence)
    };
    let (mut memory, evidence) = ended();
    let trailing = Evidence {
        logs: vec![LogFacts { modified_at: Some(at(103)), ..claiming(true, 10, 99) }],
        ..evidence
    };
    assert_eq!(steps(&rules, &mut memory, &trailing, 110), [""; 0]);

    let (mut memory, mut evidence) = ended();
    evidence.status = Some(status("RUNNING", 200));
    assert_eq!(steps(&rules, &mut memory, &evidence, 201), ["start 2 @200"]);
    evidence.exit_code = Some(code(1, 300));
    assert_eq!(steps(&rules, &mut memory, &evidence, 301), ["failed 2 @300"]);

    let (mut memory, mut evidence) = ended();
    evidence.exit_code = Some(code(0, 300));
    assert_eq!(steps(&rules, &mut memory, &evidence, 301), ["start 2 @300", "completed 2 @300"]);

    let (mut memory, mut evidence) = ended();
    evidence.logs = vec![LogFacts { file: "fedcba9876543210".into(), begun_at: Some(at(400)), ..log(410) }];
    assert_eq!(steps(&rules, &mut memory, &evidence, 411), ["start 2 @400"]);

    let (mut memory, mut evidence) = ended();
    evidence.logs = vec![LogFacts { run: 1, begun_at: None, ..log(410) }];
    assert_eq!(steps(&rules, &mut memory, &evidence, 411), ["start 2 @410"]);
    evidence.logs = vec![LogFacts { run: 1, begun_at: None, ..claiming(true, 90, 420) }];
    assert_eq!(steps(&rules, &mut memory, &evidence, 421), ["completed 2 @420: marker DONE"]);

    let (mut memory, mut evidence) = ended();
    let id = ProcessId { pid: 7, started_at: at(500) };
    evidence.process = Some(Sample { state: State::Running, ..Sample::gone(id) });
    assert_eq!(steps(&rules, &mut memory, &evidence, 501), ["start 2 @500"]);
}

#[test]
fn all_of_the_progress_is_an_end_where_nothing_else_tells_one() {
    let rules = Rules { ends_by_progress: true, ..Rules::default() };
    let through = |seconds, is_through| Evidence {
        progressed_at: Some(at(seconds)),
        is_through,
        ..Evidence::default()
    };
    assert_eq!(first(&Rules::default(), &through(40, true), 90), ["start 1 @40"]);
    let mut memory = Memory::default();
    assert_eq!(steps(&rules, &mut memory, &through(10, false), 20), ["start 1 @10"]);
    assert_eq!(steps(&rules, &mut memory, &through(40, true), 41), ["completed 1 @40: progress 100 %"]);
    assert_eq!(steps(&rules, &mut memory, &through(60, true), 61), [""; 0], "written again, and still all");
    assert_eq!(steps(&rules, &mut memory, &through(80, false), 81), ["start 2 @80"]);
    assert_eq!(steps(&rules, &mut memory, &through(99, true), 99), ["completed 2 @99: progress 100 %"]);
    // A failure that the log tells goes before, and progress after an end that a log told is no new beginning.
    let failing = Evidence { logs: vec![claiming(false, 10, 40)], ..through(50, true) };
    assert_eq!(first(&rules, &failing, 60), ["start 1 @0", "failed 1 @40: ERROR: no beam"]);
    let mut memory = Memory::default();
    steps(&rules, &mut memory, &with_log(claiming(true, 10, 40)), 60);
    let late = Evidence { logs: vec![claiming(true, 10, 40)], ..through(70, false) };
    assert_eq!(steps(&rules, &mut memory, &late, 71), [""; 0]);
}

#[test]
fn a_key_that_is_none_of_ours_is_no_result() {
    for key in
        ["", "completed", "completed:1", "completed:x:1:-:-:", "running:1:1:-:-:", "completed:1:1:-:-:a"]
    {
        assert_eq!(Recorded::parse(key), None, "{key}");
    }
    let key = "failed:2:5:3:4:01234567.0.99.7.40,89abcdef.1.-.0.3";
    assert_eq!(Recorded::parse(key).map(|recorded| recorded.to_string()), Some(key.to_owned()));
}

#[test]
fn a_job_that_runs_longer_than_it_may_times_out_once_and_its_end_counts() {
    let rules = Rules { max_run_seconds: Some(1800.0), ..Rules::default() };
    let mut memory = Memory::default();
    let expected = ["start 1 @0", "timed_out 1 @1800: max run time 1800 s"];
    assert_eq!(steps(&rules, &mut memory, &with_log(log(1801)), 1802), expected);
    let mut evidence = Evidence::default();
    for hours in 1..10 {
        let seconds = hours * 3600;
        let progress = LogFacts { has_progress: true, progressed_at: Some(at(seconds)), ..log(seconds) };
        evidence = Evidence { status: Some(status("RUNNING", seconds)), ..with_log(progress) };
        assert_eq!(steps(&rules, &mut memory, &evidence, seconds + 1), [""; 0]);
    }
    let id = ProcessId { pid: 7, started_at: at(40_000) };
    let again = Some(Sample { state: State::Running, ..Sample::gone(id) });
    let again = Evidence { process: again, ..evidence.clone() };
    let expected = ["start 2 @40000"];
    assert_eq!(steps(&rules, &mut memory.clone(), &again, 40_001), expected);
    evidence.exit_code = Some(code(0, 36_000));
    assert_eq!(steps(&rules, &mut memory, &evidence, 36_001), ["completed 1 @36000"]);
    assert_eq!(steps(&rules, &mut memory, &evidence, 36_002), [""; 0]);
    evidence.status = Some(status("RUNNING", 50_000));
    assert_eq!(steps(&rules, &mut memory, &evidence, 50_001), ["start 2 @50000"]);
}
