//! Which step follows from what is known: beginnings, ends by every witness, time that is up, another attempt.

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn process(name: &str, run: u64) -> Incarnation {
    Incarnation { process: name.to_owned(), run }
}

fn living(active: i64) -> Evidence {
    Evidence { incarnation: process("a", 0), began_at: at(10), active_at: at(active), ..Evidence::default() }
}

fn claiming(is_well: bool, seconds: i64, line: u64) -> Claim {
    Claim { is_well, reason: "marker DONE".into(), at: at(seconds), line }
}

fn dead(exit_code: Option<i64>, signal: Option<&str>) -> Death {
    Death { exit_code, signal: signal.map(str::to_owned), at: Some(at(50)) }
}

/// All steps that follow at an instant, in few words; the memory takes them.
fn steps(limits: Limits, memory: &mut Memory, evidence: &Evidence, now: i64) -> Vec<String> {
    let mut said = Vec::new();
    while let Some(step) = next(limits, memory, evidence, at(now)) {
        assert!(said.len() < 8, "a circle: {said:?}");
        match step {
            Step::Started(started) => {
                assert_eq!(Started::parse(&started.to_string()), Some(started.clone()));
                said.push(format!("start {} @{}", started.attempt, started.at.millis() / 1000));
                memory.started = Some(started);
            }
            Step::Ended { recorded, reason, .. } => {
                assert_eq!(Recorded::parse(&recorded.to_string()), Some(recorded.clone()));
                let code = recorded.exit_code.map(|code| format!(" ({code})")).unwrap_or_default();
                let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
                let (word, seconds) = (recorded.ending.word(), recorded.at.millis() / 1000);
                said.push(format!("{word} {}{code} @{seconds}{reason}", recorded.attempt));
                memory.result = Some(recorded);
            }
        }
    }
    said
}

fn first(evidence: &Evidence, now: i64) -> Vec<String> {
    steps(Limits::default(), &mut Memory::default(), evidence, now)
}

#[test]
fn a_pane_that_lives_has_begun() {
    assert_eq!(first(&living(20), 30), ["start 1 @10"]);
}

#[test]
fn the_status_of_a_dead_process_is_believed_before_the_output() {
    let claimed = |death| Evidence { death: Some(death), claim: Some(claiming(true, 40, 3)), ..living(40) };
    assert_eq!(first(&claimed(dead(Some(3), None)), 60), ["start 1 @10", "failed 1 (3) @50"]);
    assert_eq!(first(&claimed(dead(Some(0), None)), 60), ["start 1 @10", "completed 1 (0) @50"]);
    assert_eq!(first(&claimed(dead(None, Some("9"))), 60), ["start 1 @10", "failed 1 @50: signal 9"]);
    let expected = ["start 1 @10", "completed 1 @40: marker DONE"];
    assert_eq!(first(&claimed(dead(None, None)), 60), expected);
    let silent = Evidence { death: Some(dead(None, None)), ..living(40) };
    assert_eq!(first(&silent, 44), ["start 1 @10"]);
    let mut memory = Memory::default();
    let expected = ["start 1 @10", "cancelled 1 @50: ended without a status"];
    assert_eq!(steps(Limits::default(), &mut memory, &silent, 60), expected);
    let late = Evidence { death: Some(dead(Some(3), None)), ..silent };
    assert_eq!(steps(Limits::default(), &mut memory, &late, 70), ["failed 1 (3) @50"]);
}

#[test]
fn a_claimed_failure_counts_at_rest_and_a_claimed_end_at_once() {
    let failing = Evidence { claim: Some(claiming(false, 40, 3)), ..living(42) };
    assert_eq!(first(&failing, 46), ["start 1 @10"]);
    assert_eq!(first(&failing, 47), ["start 1 @10", "failed 1 @40: marker DONE"]);
    let well = Evidence { claim: Some(claiming(true, 40, 3)), ..living(42) };
    assert_eq!(first(&well, 42), ["start 1 @10", "completed 1 @40: marker DONE"]);
}

#[test]
fn a_pane_that_is_gone_without_a_word_was_closed() {
    let gone = |with_session| Evidence { gone: Some(Gone { at: at(60), with_session }), ..living(40) };
    assert_eq!(first(&gone(true), 60), ["start 1 @10", "cancelled 1 @60: session closed"]);
    assert_eq!(first(&gone(false), 60), ["start 1 @10", "cancelled 1 @60: pane closed"]);
    let done = Evidence { claim: Some(claiming(true, 40, 3)), ..gone(true) };
    let mut memory = Memory::default();
    let expected = ["start 1 @10", "completed 1 @40: marker DONE"];
    assert_eq!(steps(Limits::default(), &mut memory, &done, 61), expected);
    assert_eq!(steps(Limits::default(), &mut memory, &done, 99), [""; 0]);
}

#[test]
fn a_status_that_comes_later_corrects_what_the_output_claimed() {
    let mut memory = Memory::default();
    let claimed = Evidence { claim: Some(claiming(true, 40, 3)), ..living(40) };
    steps(Limits::default(), &mut memory, &claimed, 41);
    let failed = Evidence { death: Some(dead(Some(3), None)), ..claimed };
    assert_eq!(steps(Limits::default(), &mut memory, &failed, 51), ["failed 1 (3) @50"]);
    assert_eq!(steps(Limits::default(), &mut memory, &failed, 99), [""; 0]);
}

#[test]
fn another_process_or_another_run_is_another_attempt() {
    let mut memory = Memory::default();
    let died = Evidence { death: Some(dead(Some(3), None)), ..living(40) };
    steps(Limits::default(), &mut memory, &died, 51);
    let again = Evidence { incarnation: process("b", 0), began_at: at(70), ..living(71) };
    assert_eq!(steps(Limits::default(), &mut memory, &again, 72), ["start 2 @70"]);
    let run = Evidence { incarnation: process("b", 1), began_at: at(70), ..living(90) };
    assert_eq!(steps(Limits::default(), &mut memory, &run, 91), ["start 3 @90"]);
}

#[test]
fn what_ended_one_process_does_not_end_the_next_one_in_its_pane() {
    let mut memory = Memory::default();
    let done =
        Evidence { incarnation: process("1.%0.7", 0), claim: Some(claiming(true, 40, 3)), ..living(40) };
    steps(Limits::default(), &mut memory, &done, 41);
    let respawned = Evidence { incarnation: process("1.%0.8", 0), began_at: at(50), ..done.clone() };
    assert_eq!(steps(Limits::default(), &mut memory.clone(), &respawned, 60), ["start 2 @50"]);
    let elsewhere = Evidence { incarnation: process("2.%0.8", 0), ..respawned.clone() };
    let expected = ["start 2 @50", "completed 2 @40: marker DONE"];
    assert_eq!(steps(Limits::default(), &mut memory.clone(), &elsewhere, 60), expected);
    let again = Evidence { claim: Some(claiming(true, 55, 9)), ..respawned };
    let expected = ["start 2 @50", "completed 2 @55: marker DONE"];
    assert_eq!(steps(Limits::default(), &mut memory, &again, 60), expected);
}

#[test]
fn time_is_up_after_the_maximum_or_without_progress() {
    let run = Limits { max_run_ms: Some(100_000), idle_ms: None };
    let up = |limits, evidence: &Evidence, now| steps(limits, &mut Memory::default(), evidence, now);
    assert_eq!(up(run, &living(90), 110), ["start 1 @10"]);
    assert_eq!(up(run, &living(90), 111), ["start 1 @10", "timed_out 1 @110: max run time 100 s"]);
    let idle = Limits { idle_ms: Some(30_000), ..run };
    let expected = ["start 1 @10", "timed_out 1 @70: idle for 30 s without progress"];
    assert_eq!(up(idle, &living(40), 71), expected);
    // Where progress is known, words alone are none.
    let chatty = Evidence { progressed_at: Some(at(30)), ..living(70) };
    let expected = ["start 1 @10", "timed_out 1 @60: idle for 30 s without progress"];
    assert_eq!(up(idle, &chatty, 71), expected);
    // And a session that is then closed, by whomever, has still timed out.
    let mut memory = Memory::default();
    steps(idle, &mut memory, &living(40), 71);
    let gone = Evidence { gone: Some(Gone { at: at(72), with_session: true }), ..living(40) };
    assert_eq!(steps(idle, &mut memory, &gone, 73), [""; 0]);
}

#[test]
fn a_key_that_is_none_of_ours_is_no_result() {
    for key in ["", "completed", "completed:1", "completed:x:1:-:-:a", "running:1:1:-:-:a"] {
        assert_eq!(Recorded::parse(key), None, "{key}");
    }
    assert_eq!(Started::parse("start:1:x:a:0"), None);
}
