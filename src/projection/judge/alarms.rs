//! Alarms, false and real: cases that other tools are known to get wrong, as whole stories.
//!
//! A false alarm must not be raised at any instant of its story, so here not single instants are judged but all changes of
//! health from the first event until a month after the last. A real one must be raised at the instant that is documented.
//! The words of the stories are those of `cases.txt`.

use crate::event::envelope::Event;
use crate::projection::edge::edges;
use crate::projection::fixture::{folded, instant};
use crate::projection::health::Health;
use crate::projection::judge::table::happened;
use crate::projection::policy::Policy;

const MINUTE_MS: u64 = 60_000;

/// Every change to stuck or struggling, and the one that ends it, as `+DdHH:MM:SS task health reason`.
fn alarms_under(policy: &Policy, mut events: Vec<Event<'static>>) -> Vec<String> {
    events.sort_by_key(|event| event.ts);
    let last = events.last().unwrap().ts;
    let is_alarm = |health: Health| matches!(health, Health::Stuck | Health::Struggling);
    let told = edges(&events, last.plus_millis(30 * 24 * 60 * 60 * 1000), policy)
        .into_iter()
        .filter(|edge| is_alarm(edge.to_health) || edge.from_health.is_some_and(is_alarm));
    told.map(|edge| {
        let days = edge.ts.millis_since(instant("00:00")).div_euclid(24 * 60 * 60 * 1000);
        let day = if days == 0 { String::new() } else { format!("+{days}d") };
        let reason = edge.reason.map(|reason| format!(" {}", reason.word())).unwrap_or_default();
        let time = edge.ts.to_chrono().format("%H:%M:%S");
        format!("{day}{time} {} {}{reason}", edge.task, edge.to_health.word())
    })
    .collect()
}

fn alarms(text: &'static str) -> Vec<String> {
    alarms_under(&Policy::default(), happened(text))
}

const NONE: [&str; 0] = [];

#[test]
fn a_test_run_of_thirty_minutes_that_prints_is_no_alarm() {
    let printing = "09:00 turn; 09:01 call Bash a; 09:01:30*59/30s output; 09:31 ok Bash a; 09:32 turn-ends";
    assert_eq!(alarms(printing), NONE);
    // Also where it prints rarely: no quarter of an hour is without a line.
    assert_eq!(
        alarms("09:00 turn; 09:01 call Bash a; 09:14 output; 09:28 output; 09:31 ok Bash a; 09:32 turn-ends"),
        NONE
    );
}

#[test]
fn a_test_run_of_thirty_minutes_that_prints_nothing_is_an_alarm_unless_its_budget_is_known() {
    let silent = "09:00 turn; 09:01 call Bash a; 09:31 ok Bash a; 09:32 turn-ends";
    assert_eq!(alarms(silent), ["09:16:00 t stuck tool_over_budget", "09:31:00 t healthy"]);
    let policy = Policy {
        tool_budgets_ms: std::iter::once(("Bash".to_owned(), 40 * MINUTE_MS)).collect(),
        ..Policy::default()
    };
    assert_eq!(alarms_under(&policy, happened(silent)), NONE);
}

#[test]
fn a_parent_that_waits_for_a_sub_agent_of_fifty_minutes_is_no_alarm() {
    // The sub-agent has a transcript of its own.
    assert_eq!(
        alarms(
            "09:00 turn; 09:01 call Task a; 09:01 created task=child parent=t; 09:01 started task=child; \
             09:05*9/300s call Bash b task=child; 09:06*9/300s ok Bash b task=child; 09:51 completed task=child; \
             09:51 ok Task a; 09:52 turn-ends"
        ),
        NONE
    );
    // Nothing is seen of it.
    assert_eq!(alarms("09:00 turn; 09:01 call Task a; 09:51 ok Task a; 09:52 turn-ends"), NONE);
    // The parent says that it waits.
    assert_eq!(
        alarms(
            "09:00 turn; 09:01 wait child; 09:01 created task=child parent=t; 09:01 started task=child; \
             09:05*10/300s output task=child; 09:51 completed task=child; 09:52 message; 09:52 turn-ends"
        ),
        NONE
    );
}

#[test]
fn a_sub_agent_that_works_for_three_hours_is_no_alarm() {
    assert_eq!(
        alarms(
            "09:00 turn; 09:01 call Task a; 09:01 created task=child parent=t; 09:01 started task=child; \
             09:05*36/300s output task=child; 12:01 completed task=child; 12:01 ok Task a; 12:02 turn-ends"
        ),
        NONE
    );
}

#[test]
fn a_polling_loop_with_changing_results_is_no_alarm() {
    let numbers: Vec<String> = (0..60).map(|number| format!("{number}%")).collect();
    let polling = format!("09:01*60/30s ok Bash a in=status out={}", numbers.join("/"));
    let text = format!("09:00 turn; {polling}; 09:31 turn-ends").leak();
    assert_eq!(alarms(text), NONE);
    // A tool that is there to poll may see the same for as long as it likes.
    assert_eq!(alarms("09:00 turn; 09:01*60/30s ok BashOutput a in=i out=o; 09:31 turn-ends"), NONE);
}

#[test]
fn a_user_who_asks_for_the_same_in_every_turn_is_no_alarm() {
    assert_eq!(
        alarms("09:00*20 turn; 09:00:10*20 ok Bash a in=test out=passed; 09:00:20*20 turn-ends"),
        NONE
    );
}

#[test]
fn a_young_call_below_an_old_one_is_no_alarm() {
    assert_eq!(
        alarms(
            "09:00 turn; 09:01 call Task a; 09:05 call Bash b thread=side; 09:15 ok Bash b thread=side; \
             09:40 call Bash c thread=side; 09:50 ok Bash c thread=side; 09:55 ok Task a; 09:56 turn-ends"
        ),
        NONE
    );
}

#[test]
fn a_retry_that_sleeps_until_a_known_end_is_no_alarm() {
    assert_eq!(
        alarms("09:00 turn; 09:01 wait rate_limit until=14:00; 14:00:05 message; 14:01 turn-ends"),
        NONE
    );
    // Nor with a command or a sub-agent underway, which waits as well.
    assert_eq!(
        alarms(
            "09:00 turn; 09:01 call Bash a; 09:01 call Task b; 09:02 wait rate_limit until=14:00; 14:05 ok Bash a; \
             14:50 ok Task b; 14:51 turn-ends"
        ),
        NONE
    );
}

#[test]
fn a_user_who_rejects_five_calls_in_a_row_is_no_alarm() {
    assert_eq!(
        alarms(
            "09:00 turn; 09:01*2 fail; 09:03*5/10s fail Bash a kind=user_rejected; 09:05 ok; 09:06 turn-ends; \
             10:00 turn; 10:01*5/10s fail Bash a kind=user_rejected; 10:02 turn-ends"
        ),
        NONE
    );
}

#[test]
fn nine_cancelled_siblings_are_no_alarm() {
    assert_eq!(
        alarms(
            "09:00 turn; 09:01 call Bash a; 09:01*9/1s call Bash b; 09:02 fail Bash a; \
             09:02*9/1s fail Bash b kind=sibling_cancelled; 09:03 ok; 09:04 turn-ends"
        ),
        NONE
    );
}

#[test]
fn a_laptop_that_sleeps_eight_hours_in_a_turn_is_no_alarm() {
    assert_eq!(
        alarms(
            "22:00 turn; 22:01 call Bash a; 22:02 process running; +1d06:05 slept from=22:05; \
             +1d06:10 ok Bash a; +1d06:15 message; +1d06:16 turn-ends"
        ),
        NONE
    );
    // Nor with a process that it caught reading the disk.
    assert_eq!(
        alarms(
            "22:00 started; 22:04:50 process uninterruptible; +1d06:05 slept from=22:05; \
             +1d06:05:10 process uninterruptible; +1d06:05:20 process running; +1d06:06 completed"
        ),
        NONE
    );
}

#[test]
fn a_session_whose_user_went_home_is_no_alarm() {
    assert_eq!(
        alarms(
            "16:00 turn; 16:10*5/600s ok; 16:59 message; 17:00 turn-ends; 17:00:05 process running; 19:00 process gone"
        ),
        NONE
    );
}

/// A year of daily sessions, read long afterwards; of those in `broken` the end was never written.
fn year(broken: &[i64]) -> Vec<Event<'static>> {
    let mut all = Vec::new();
    for day in 0..365 {
        let mut session = happened(
            "09:00 created; 09:00 turn; 09:01 call Bash a; 09:02 ok Bash a; 09:03*2 fail; 09:06 ok; 09:10 wait permission; \
             09:50 ok; 09:55 message; 09:56 turn-ends; 15:00 turn; 15:01 call Edit a; 15:01:30 ok Edit a; 15:02 turn-ends",
        );
        if broken.contains(&day) {
            session.pop();
        }
        for mut event in session {
            event.ts = event.ts.plus_millis(day * 24 * 60 * 60 * 1000);
            event.observed_at = Some(instant("+400d09:00"));
            event.task = Some(format!("session{day}").into());
            all.push(event);
        }
    }
    all
}

#[test]
fn a_year_of_imported_history_is_no_alarm() {
    assert_eq!(alarms_under(&Policy::default(), year(&[])), NONE);
    // What broke off a year ago was stuck then, and nobody is told of it now.
    let events = year(&[7, 300]);
    let projection = folded(&events);
    for now in ["+400d09:00", "+400d12:00", "+500d09:00"] {
        let judged = projection.tasks(instant(now), &Policy::default());
        let alarming = judged.iter().filter(|status| status.verdict.health != Health::Unknown);
        assert_eq!((judged.len(), alarming.count()), (365, 0), "{now}");
    }
    assert_eq!(
        alarms_under(&Policy::default(), events),
        [
            "+7d15:16:30 session7 stuck silent",
            "+8d15:01:30 session7 unknown stale",
            "+300d15:16:30 session300 stuck silent",
            "+301d15:01:30 session300 unknown stale",
        ]
    );
}

#[test]
fn ten_identical_successful_calls_are_an_alarm_at_the_tenth() {
    assert_eq!(
        alarms("09:00 turn; 09:01*12/10s ok Bash a in=i out=o; 09:03 turn-ends"),
        ["09:02:30 t stuck looping", "09:03:00 t idle turn_ended"]
    );
}

#[test]
fn a_silent_death_inside_a_turn_is_an_alarm_after_fifteen_minutes() {
    assert_eq!(
        alarms("09:00 turn; 09:01 call Bash a; 09:02 ok Bash a"),
        ["09:17:00 t stuck silent", "+1d09:02:00 t unknown stale"]
    );
}

#[test]
fn a_death_with_an_open_call_is_an_alarm_when_its_budget_is_over() {
    assert_eq!(
        alarms("09:00 turn; 09:01 call Bash a; 09:05 output"),
        ["09:20:00 t stuck tool_over_budget", "+1d09:05:00 t unknown stale"]
    );
}

#[test]
fn a_zombie_is_an_alarm_at_the_first_sample_that_shows_it() {
    assert_eq!(
        alarms(
            "09:00 started; 09:01 process running; 09:02 process zombie; 09:03 process zombie; 09:10 failed exit=137"
        ),
        ["09:02:00 t stuck process_gone", "09:10:00 t failed"]
    );
}

#[test]
fn a_killed_writer_of_a_transcript_is_an_alarm_at_the_first_sample_without_it() {
    assert_eq!(
        alarms("09:00 turn; 09:01 call Bash a; 09:01:10 process running; 09:01:20 process gone"),
        ["09:01:20 t stuck process_gone", "+1d09:01:00 t unknown stale"]
    );
}

#[test]
fn a_streak_in_a_thread_of_the_file_is_an_alarm_at_its_third_failure_and_ends_with_a_success_there() {
    assert_eq!(
        alarms(
            "09:00 turn; 09:01*2 fail Bash a thread=side; 09:02:30 ok; 09:03 fail Bash a thread=side; 09:04 ok; \
             09:05 ok Bash a thread=side; 09:06 turn-ends"
        ),
        ["09:03:00 t struggling consecutive_failures", "09:05:00 t healthy"]
    );
}
