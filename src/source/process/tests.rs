//! Real processes of this machine: alive, stopped, zombies, gone, and numbers that mean another one.

use super::*;
use std::process::{Child, Command};
use std::time::Duration;

fn sleeper() -> Child {
    Command::new("sleep").arg("600").spawn().unwrap()
}

/// Samples until the state is as expected, for at most ten seconds.
fn await_state(sampler: &mut Sampler, pid: u32, expected: State) -> Sample {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let sample = sampler.sample(pid).unwrap();
        if sample.state == expected || Instant::now() > deadline {
            assert_eq!(sample.state, expected);
            return sample;
        }
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn sample(state: State, memory_percent: f64) -> Sample {
    Sample {
        id: ProcessId { pid: 7, started_at: at(100) },
        state,
        cpu_percent: None,
        memory_bytes: Some(1),
        memory_percent: Some(memory_percent),
    }
}

#[test]
fn a_process_is_followed_from_its_life_to_its_end() {
    let mut sampler = Sampler::default();
    let mut child = sleeper();
    let alive = await_state(&mut sampler, child.id(), State::Sleeping);
    assert!(alive.memory_bytes > Some(0) && alive.memory_percent < Some(80.0), "{alive:?}");
    assert!(sampler.memory_total() > alive.memory_bytes.unwrap());
    assert_eq!(sampler.sample_of(alive.id).state, State::Sleeping);

    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::STOP)
        .unwrap();
    await_state(&mut sampler, child.id(), State::Stopped);

    child.kill().unwrap();
    await_state(&mut sampler, child.id(), State::Zombie);
    child.wait().unwrap();
    assert_eq!(sampler.sample(child.id()), None);
    assert_eq!(sampler.sample_of(alive.id), Sample::gone(alive.id));
}

#[test]
fn a_number_that_is_used_again_is_another_process() {
    let mut sampler = Sampler::default();
    let mut child = sleeper();
    let now = sampler.sample(child.id()).unwrap();
    let before = ProcessId { started_at: now.id.started_at.plus_millis(-3_600_000), ..now.id };
    assert_eq!(sampler.sample_of(before), Sample::gone(before));
    let uncertain = ProcessId { started_at: now.id.started_at.plus_millis(1000), ..now.id };
    assert_eq!(sampler.sample_of(uncertain).id, uncertain);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_sample_is_an_event_in_the_words_of_the_rules_of_health() {
    let said = sample(State::Uninterruptible, 5.0).sampled();
    assert_eq!(
        said,
        Body::ProcessSampled {
            pid: 7,
            process_started_at: Some(at(100)),
            process_state: "uninterruptible".into(),
            cpu_percent: None,
            memory_bytes: Some(1),
            memory_percent: Some(5.0),
        }
    );
    let words =
        [State::Running, State::Sleeping, State::Stopped, State::Zombie, State::Gone].map(State::word);
    assert_eq!(words, ["running", "sleeping", "stopped", "zombie", "gone"]);
}

#[test]
fn only_what_changed_or_a_minute_later_is_worth_saying() {
    let last = (at(1000), sample(State::Sleeping, 5.0));
    let is_worth = |seconds, sample| worth_saying(Some(&last), at(seconds), &sample);
    assert!(worth_saying(None, at(1000), &last.1));
    assert!(!is_worth(1059, sample(State::Running, 79.0)));
    assert!(is_worth(1060, sample(State::Sleeping, 5.0)));
    assert!(is_worth(1001, sample(State::Uninterruptible, 5.0)));
    assert!(is_worth(1001, sample(State::Sleeping, 80.5)));
    assert!(is_worth(1001, Sample::gone(last.1.id)));
    let another = ProcessId { started_at: at(500), ..last.1.id };
    assert!(is_worth(1001, Sample { id: another, ..last.1 }));
    let gone = (at(1000), Sample::gone(last.1.id));
    assert!(!worth_saying(Some(&gone), at(9000), &gone.1));
}

#[test]
fn a_shortage_is_said_when_it_begins() {
    let mut shortage = Shortage::default();
    let said = [false, true, true, false, true].map(|is_short| shortage.begins(is_short));
    assert_eq!(said, [false, true, false, false, true]);
    assert_eq!(disk_low_at(1024 * 1024 * 1024), None);
    assert_eq!(
        disk_low_at(5),
        Some(Body::ResourceLow {
            resource: "disk".into(),
            available_bytes: Some(5),
            limit_bytes: Some(1024 * 1024 * 1024)
        })
    );
    assert_eq!(
        memory_low(&sample(State::Running, 90.0), 10),
        Body::ResourceLow { resource: "memory".into(), available_bytes: Some(9), limit_bytes: Some(2) }
    );
    assert_eq!(disk_low(Path::new("/no/such/folder")), None);
}
