//! One test per rule of health, and one per pair of rules that meet.

use super::*;
use crate::event::body::{Body, Criterion};
use crate::event::error::ErrorDetail;
use crate::projection::fixture::*;

fn checked(at: &str, oks: &[bool]) -> crate::event::envelope::Event<'static> {
    let criterion = |ok: &bool| Criterion { name: "tests pass".into(), ok: *ok, message: None };
    event(at, Body::CompletionChecked { attempt: None, criteria: oks.iter().map(criterion).collect() })
}

#[test]
fn a_result_ends_a_task_in_its_own_words() {
    given([started("09:00"), completed("09:05")])
        .at("+30d09:00")
        .expect("completed since 09:05:00 | task.completed@09:05:00");
    given([started("09:00"), failed("09:05", -9)])
        .at("09:10")
        .expect("failed since 09:05:00 | exit_code -9 | task.failed@09:05:00");
    let ended = |body| given([started("09:00"), event("09:05", body)]).at("09:10").status.verdict.health;
    let (attempt, exit_code, reason, duration_ms) = (None, None, None, None);
    assert_eq!(
        [
            ended(Body::TaskTimedOut { attempt, exit_code, reason, duration_ms }),
            ended(Body::TaskCancelled { attempt, exit_code, reason: None, duration_ms }),
        ],
        [Health::TimedOut, Health::Cancelled]
    );
}

#[test]
fn a_claimed_completion_with_open_criteria_is_unverified() {
    let claimed = [started("09:00"), completed("09:05"), checked("09:05:01", &[true, false])];
    given(claimed).at("09:10").expect(
        "failed unverified since 09:05:00 | criteria_met 1/2 | task.completed@09:05:00 | completion.checked@09:05:01",
    );
    given([started("09:00"), completed("09:05"), checked("09:05:01", &[true, true])])
        .at("09:10")
        .expect("completed since 09:05:00 | task.completed@09:05:00");
}

#[test]
fn the_result_of_an_attempt_does_not_end_the_next_one() {
    let retried = given([started("09:00"), failed("09:05", 1), in_attempt(2, started("09:06"))]);
    retried.at("09:05").expect("failed since 09:05:00 | exit_code 1 | task.failed@09:05:00");
    let then = retried.at("09:07").expect("healthy since 09:00:00 | task.started@09:06:00");
    assert_eq!((then.status.attempt, then.status.ended_at), (2, None));
    given([
        started("09:00"),
        in_attempt(2, started("09:06")),
        in_attempt(2, completed("09:08")),
        failed("09:09", 1),
    ])
    .at("09:10")
    .expect("completed since 09:08:00 | task.completed@09:08:00");
}

#[test]
fn a_tool_call_of_a_new_attempt_begins_it() {
    given([started("09:00"), failed("09:05", 1), in_attempt(2, tool("09:06", "Bash", "a"))])
        .at("09:07")
        .expect("healthy since 09:00:00 | tool.started@09:06:00");
}

#[test]
fn failures_of_an_earlier_attempt_are_forgiven() {
    given([fail("09:01"), fail("09:02"), fail("09:03"), in_attempt(2, started("09:04"))])
        .at("09:05")
        .expect("healthy since 09:01:00 | task.started@09:04:00");
}

#[test]
fn of_a_task_that_did_nothing_nothing_is_known() {
    given([sampled("09:00", "running")]).at("09:01").expect("unknown no_evidence");
    given([created("09:00", "Child", Some("parent"))])
        .about("parent")
        .at("+1d09:01")
        .expect("unknown no_evidence");
}

#[test]
fn a_parent_that_only_its_children_speak_of_is_as_live_as_they_are() {
    given([created("09:00", "Child", Some("parent"))])
        .about("parent")
        .at("09:01")
        .expect("healthy | task.created@09:00:00");
}

#[test]
fn an_unfinished_task_goes_stale_after_a_day() {
    let silent = given([started("09:00"), output_grew("10:00")]);
    silent
        .at("+1d09:59:59")
        .expect("stuck silent since 10:15:00 | silence 86399000/900000 ms | output.grew@10:00:00");
    silent
        .at("+1d10:00")
        .expect("unknown stale since +1d10:00:00 | silence 86400000/86400000 ms | output.grew@10:00:00");
}

#[test]
fn an_old_open_turn_is_stale_and_not_stuck() {
    given([turn_started("09:00"), tool("09:01", "Bash", "a")])
        .at("+3d09:00")
        .expect("unknown stale since +1d09:01:00 | silence 259140000/86400000 ms | tool.started@09:01:00");
}

#[test]
fn a_task_whose_process_lives_does_not_go_stale() {
    given([started("09:00"), sampled("+1d08:55", "running")])
        .at("+1d09:00")
        .expect("stuck silent since 09:15:00 | silence 86400000/900000 ms | task.started@09:00:00");
    given([started("09:00"), sampled("+1d08:45", "running")])
        .at("+1d09:00")
        .expect("unknown stale since +1d09:00:00 | silence 86400000/86400000 ms | task.started@09:00:00");
}

#[test]
fn a_permission_is_waited_for_until_anything_happens() {
    let asked = given([
        turn_started("09:00"),
        tool("09:01", "Bash", "a"),
        waiting("09:01:05", "permission", None),
        ok("11:00", "a"),
    ]);
    asked
        .at("10:59")
        .expect("waiting permission since 09:01:05 | waiting 7075000 ms | waiting.started@09:01:05");
    asked.at("11:00").expect("healthy since 09:00:00 | tool.succeeded@11:00:00");
}

#[test]
fn a_question_ends_with_its_answer() {
    let asked = given([
        turn_started("09:00"),
        waiting("09:01", "question", None),
        waiting_ended("09:30", "question"),
    ]);
    asked
        .at("09:29")
        .expect("waiting question since 09:01:00 | waiting 1680000 ms | waiting.started@09:01:00");
    asked.at("09:31").expect("healthy since 09:00:00 | waiting.ended@09:30:00");
}

#[test]
fn a_rate_limit_ends_at_its_instant_and_its_time_is_no_silence() {
    let limited =
        given([turn_started("09:00"), waiting("09:01", "rate_limit", Some("12:00")), message("09:02")]);
    limited.at("11:59").expect(
        "waiting rate_limit since 09:01:00 | waiting 10680000/10740000 ms | waiting.started@09:01:00",
    );
    limited.at("12:14").expect("healthy since 09:00:00 | message.recorded@09:02:00");
    limited
        .at("12:15")
        .expect("stuck silent since 12:15:00 | silence 900000/900000 ms | message.recorded@09:02:00");
}

#[test]
fn a_wait_for_an_unknown_thing_is_a_wait_without_a_reason() {
    given([turn_started("09:00"), waiting("09:01", "weather", None)])
        .at("09:02")
        .expect("waiting since 09:01:00 | waiting 60000 ms | waiting.started@09:01:00");
}

#[test]
fn a_wait_for_a_child_lasts_as_long_as_the_child_works() {
    let delegated = given([
        turn_started("09:00"),
        waiting("09:01", "child", None),
        of("child", created("09:01", "Child", Some("t"))),
        of("child", started("09:01")),
        of("child", output_grew("09:20")),
        of("child", completed("09:30")),
    ]);
    delegated
        .at("09:29")
        .expect("waiting child since 09:01:00 | waiting 1680000 ms | waiting.started@09:01:00");
    delegated.at("09:31").expect("healthy since 09:00:00 | waiting.started@09:01:00");
    delegated
        .at("09:45")
        .expect("stuck silent since 09:45:00 | silence 900000/900000 ms | waiting.started@09:01:00");
}

#[test]
fn silence_in_a_job_or_a_turn_is_a_fault() {
    given([started("09:00")]).at("09:14:59").expect("healthy since 09:00:00 | task.started@09:00:00");
    let stuck = "stuck silent since 09:15:00 | silence 900000/900000 ms | ";
    given([started("09:00")]).at("09:15").expect(&format!("{stuck}task.started@09:00:00"));
    given([turn_started("09:00")]).at("09:15").expect(&format!("{stuck}turn.started@09:00:00"));
    given([output_grew("09:00")]).at("09:15").expect(&format!("{stuck}output.grew@09:00:00"));
}

#[test]
fn silence_outside_a_job_or_a_turn_is_none() {
    given([created("09:00", "A", None)]).at("12:00").expect("healthy since 09:00:00 | task.created@09:00:00");
    given([message("09:00")]).at("12:00").expect("healthy since 09:00:00 | message.recorded@09:00:00");
    given([turn_started("09:00"), turn_ended("09:01")])
        .at("12:00")
        .expect("idle turn_ended since 09:01:00 | turn.ended@09:01:00");
}

#[test]
fn what_the_monitor_does_is_no_activity_of_the_task() {
    let announced =
        Body::HealthChanged { from_health: None, to_health: "stuck".into(), reason: None, text: None };
    given([started("09:00"), event("09:10", announced), sampled("09:14", "running")])
        .at("09:15")
        .expect("stuck silent since 09:15:00 | silence 900000/900000 ms | task.started@09:00:00");
}

#[test]
fn hours_in_which_the_host_slept_are_no_silence() {
    let night = given([started("09:00"), slept("09:05", "11:05")]);
    night.at("11:14").expect("healthy since 09:00:00 | task.started@09:00:00");
    night
        .at("11:15")
        .expect("stuck silent since 11:15:00 | silence 900000/900000 ms | task.started@09:00:00");
}

#[test]
fn an_open_call_within_its_budget_is_work() {
    let delegated = given([turn_started("09:00"), tool("09:01", "Task", "a")]);
    delegated.at("10:00").expect("healthy since 09:00:00 | tool.started@09:01:00");
    delegated.at("10:01").expect(
        "stuck tool_over_budget since 10:01:00 | open_call 3600000/3600000 ms | tool.started@09:01:00",
    );
}

#[test]
fn an_open_call_over_its_budget_is_stuck_whatever_else_happens() {
    given([turn_started("09:00"), tool("09:01", "Read", "a"), tool("09:01", "Bash", "b"), message("09:02")])
        .at("09:03")
        .expect("stuck tool_over_budget since 09:03:00 | open_call 120000/120000 ms | tool.started@09:01:00");
}

#[test]
fn the_budget_does_not_run_while_the_host_sleeps_or_a_permission_is_missing() {
    given([turn_started("09:00"), tool("09:01", "Edit", "a"), slept("09:01:30", "10:01:30")])
        .at("10:01:59")
        .expect("healthy since 09:00:00 | tool.started@09:01:00");
    let asked = given([
        turn_started("09:00"),
        tool("09:01", "Edit", "a"),
        waiting("09:01", "permission", None),
        waiting_ended("10:00", "permission"),
    ]);
    asked.at("10:00:59").expect("healthy since 09:00:00 | waiting.ended@10:00:00");
    asked
        .at("10:01")
        .expect("stuck tool_over_budget since 10:01:00 | open_call 60000/60000 ms | tool.started@09:01:00");
}

#[test]
fn a_call_that_a_later_turn_of_its_thread_left_behind_is_not_open() {
    let abandoned =
        [turn_started("09:00"), tool("09:01", "Edit", "a"), turn_ended("09:02"), turn_started("09:10")];
    let then = given(abandoned).at("09:20").expect("healthy since 09:10:00 | turn.started@09:10:00");
    assert_eq!(then.status.tools.open, 0);
    // Another thread goes on beside the turns of the main one.
    given([turn_started("09:00"), in_thread("side", tool("09:01", "Bash", "a")), turn_ended("09:02")])
        .at("09:10")
        .expect("healthy since 09:00:00 | turn.ended@09:02:00");
}

#[test]
fn a_result_closes_open_calls() {
    let then = given([started("09:00"), tool("09:01", "Read", "a"), completed("09:02")]).at("09:30");
    assert_eq!(then.expect("completed since 09:02:00 | task.completed@09:02:00").status.tools.open, 0);
    // Also those of an earlier attempt.
    given([tool("09:01", "Read", "a"), failed("09:02", 1), in_attempt(2, started("09:03"))])
        .at("09:10")
        .expect("healthy since 09:01:00 | task.started@09:03:00");
}

#[test]
fn a_live_child_keeps_its_parent_from_being_stuck() {
    let family = given([
        turn_started("09:00"),
        tool("09:00", "Task", "a"),
        of("child", created("09:00", "Child", Some("t"))),
        of("child", started("09:00")),
        of("child", tool("10:30", "Task", "b")),
    ]);
    let then = family.at("10:40").expect("healthy since 09:00:00 | tool.started@09:00:00");
    assert_eq!((then.status.rollup, then.status.children.live), (Health::Healthy, 1));
}

#[test]
fn a_session_whose_child_rests_can_be_stuck_and_a_job_cannot() {
    let resting = |parent: crate::event::envelope::Event<'static>| {
        let created = of("child", created("09:00", "Child", Some("t")));
        given([parent, created, of("child", turn_started("09:00")), of("child", turn_ended("09:01"))])
    };
    resting(turn_started("09:00"))
        .at("09:20")
        .expect("stuck silent since 09:16:00 | silence 1140000/900000 ms | turn.started@09:00:00");
    resting(started("09:00")).at("09:20").expect("healthy since 09:00:00 | task.started@09:00:00");
}

#[test]
fn ten_identical_calls_with_identical_results_are_a_loop() {
    let mut polling = given([turn_started("09:00")]);
    let minutes = ["09:01", "09:02", "09:03", "09:04", "09:05", "09:06", "09:07", "09:08", "09:09", "09:10"];
    polling.events.extend(minutes.map(|at| ok_with(at, "a", Some("in"), Some("out"))));
    polling.at("09:09").expect("healthy since 09:00:00 | tool.succeeded@09:09:00");
    polling
        .at("09:10")
        .expect("stuck looping since 09:01:00 | identical_calls 10/10 | tool.succeeded@09:01:00 | tool.succeeded@09:10:00");
    // Two calls in turn are a loop as well; another result is news.
    let alternating = |result: &'static str| {
        let mut given = given([turn_started("09:00")]);
        let call = |(place, at): (usize, &&str)| {
            ok_with(
                at,
                "a",
                Some(if place % 2 == 0 { "in" } else { "other" }),
                Some(if place == 9 { result } else { "out" }),
            )
        };
        given.events.extend(minutes.iter().enumerate().map(call));
        given.at("09:11").status.verdict.health
    };
    assert_eq!([alternating("out"), alternating("news")], [Health::Stuck, Health::Healthy]);
    // The next turn is a new beginning.
    polling.events.push(turn_started("09:11"));
    polling.at("09:12").expect("healthy since 09:11:00 | turn.started@09:11:00");
}

#[test]
fn the_silence_of_a_shell_in_the_background_says_nothing() {
    let mut start = started("09:00");
    start.agent = Some("shell".into());
    given([start.clone()]).at("12:00").expect("healthy since 09:00:00 | task.started@09:00:00");
    start.agent = Some("explore".into());
    assert_eq!(given([start]).at("12:00").status.verdict.health, Health::Stuck);
}

#[test]
fn a_tool_that_is_there_to_poll_may_repeat_itself() {
    let poll = |at| {
        let mut event = ok_with(at, "a", Some("in"), Some("out"));
        if let Body::ToolSucceeded { tool, .. } = &mut event.body {
            *tool = "TaskOutput".into();
        }
        event
    };
    let minutes = ["09:01", "09:02", "09:03", "09:04", "09:05", "09:06", "09:07", "09:08", "09:09", "09:10"];
    let mut polling = given([turn_started("09:00")]);
    polling.events.extend(minutes.map(poll));
    polling.at("09:11").expect("healthy since 09:00:00 | tool.succeeded@09:10:00");
    polling.policy.pollers.clear();
    assert_eq!(polling.at("09:11").status.verdict.health, Health::Stuck);
}

#[test]
fn what_comes_next_if_nothing_happens_is_foreseen() {
    let ahead = |events: &[crate::event::envelope::Event<'static>], at: &str| {
        let forecast = folded(events).forecast("t", instant(at), &Policy::default());
        forecast.map(|(at, verdict)| (at, verdict.health, verdict.reason))
    };
    let in_a_turn = [turn_started("09:00"), ok("09:01", "a")];
    assert_eq!(
        ahead(&in_a_turn, "09:02"),
        Some((instant("09:16"), Health::Stuck, Some(Reason::Silent))),
        "the silence"
    );
    assert_eq!(
        ahead(&[turn_started("09:00"), tool("09:01", "Edit", "a")], "09:01:30"),
        Some((instant("09:02"), Health::Stuck, Some(Reason::ToolOverBudget))),
        "the budget of the call"
    );
    assert_eq!(
        ahead(&in_a_turn, "09:20"),
        Some((instant("+1d09:01"), Health::Unknown, Some(Reason::Stale))),
        "past the silence it goes stale"
    );
    assert_eq!(ahead(&[started("09:00"), completed("09:01")], "09:02"), None);
    let family = [
        turn_started("09:00"),
        of("child", created("09:00", "Child", Some("t"))),
        of("child", started("09:00")),
        message("12:00"),
    ];
    assert_eq!(
        ahead(&family, "13:00"),
        Some((instant("+1d09:00"), Health::Stuck, Some(Reason::Silent))),
        "the child that carries it goes stale"
    );
}

#[test]
fn calls_whose_results_are_unknown_are_no_loop() {
    let mut unhashed = given([turn_started("09:00")]);
    let minutes = ["09:01", "09:02", "09:03", "09:04", "09:05", "09:06", "09:07", "09:08", "09:09", "09:10"];
    unhashed.events.extend(minutes.map(|at| ok(at, "a")));
    unhashed.at("09:11").expect("healthy since 09:00:00 | tool.succeeded@09:10:00");
}

#[test]
fn a_job_whose_process_is_gone_or_hangs_is_stuck() {
    given([started("09:00"), sampled("09:01", "running"), sampled("09:02", "zombie")])
        .at("09:02")
        .expect("stuck process_gone since 09:02:00 | process.sampled@09:02:00");
    given([started("09:00"), sampled("09:02", "gone"), output_grew("09:03")])
        .at("09:04")
        .expect("healthy since 09:00:00 | output.grew@09:03:00");
    given([started("09:00"), sampled("09:01", "uninterruptible"), sampled("09:02", "uninterruptible")])
        .at("09:02")
        .expect("stuck process_hung since 09:02:00 | hung 60000/60000 ms | process.sampled@09:01:00");
    given([started("09:00"), sampled("09:02", "gone"), completed("09:03")])
        .at("09:04")
        .expect("completed since 09:03:00 | task.completed@09:03:00");
}

#[test]
fn three_failures_in_a_row_are_a_struggle_and_two_are_not() {
    let failing = given([
        turn_started("09:00"),
        fail("09:01"),
        fail("09:02"),
        fail("09:03"),
        fail("09:04"),
        ok("09:05", "a"),
    ]);
    failing.at("09:02").expect("healthy since 09:00:00 | tool.failed@09:02:00");
    failing.at("09:03").expect(
        "struggling consecutive_failures since 09:03:00 | consecutive_failures 3/3 \
         | tool.failed@09:01:00 | tool.failed@09:02:00 | tool.failed@09:03:00",
    );
    let then = failing.at("09:04").expect(
        "struggling consecutive_failures since 09:03:00 | consecutive_failures 4/3 \
         | tool.failed@09:01:00 | tool.failed@09:02:00 | tool.failed@09:03:00 | tool.failed@09:04:00",
    );
    assert_eq!(then.status.consecutive_failures, 4);
    assert_eq!(
        failing
            .at("09:05")
            .expect("healthy since 09:00:00 | tool.succeeded@09:05:00")
            .status
            .consecutive_failures,
        0
    );
}

#[test]
fn the_same_call_failing_again_is_a_retry() {
    let retry = |at| fail_with(at, "exit_code", Some("timeout"), Some("in"));
    given([retry("09:01"), retry("09:02"), retry("09:03")]).at("09:03").expect(
        "struggling retrying since 09:03:00 | consecutive_failures 3/3 \
         | tool.failed@09:01:00 | tool.failed@09:02:00 | tool.failed@09:03:00",
    );
}

#[test]
fn failures_that_are_all_timeouts_are_named_so() {
    let reason = |last: Option<&'static str>| {
        let timeout = |at| fail_with(at, "tool_error", Some("timeout"), None);
        given([timeout("09:01"), timeout("09:02"), fail_with("09:03", "tool_error", last, None)])
            .at("09:03")
            .status
            .verdict
            .reason
    };
    assert_eq!(
        [reason(Some("timeout")), reason(None)],
        [Some(Reason::Timeouts), Some(Reason::ConsecutiveFailures)]
    );
}

#[test]
fn cancelled_siblings_of_a_failure_are_no_failures() {
    let mut batch = given([turn_started("09:00"), fail("09:01")]);
    let seconds =
        ["01", "02", "03", "04", "05", "06", "07", "08", "09"].map(|second| format!("09:01:{second}"));
    batch.events.extend(seconds.map(|at| fail_with(&at, "sibling_cancelled", None, None)));
    let then = batch.at("09:02").expect("healthy since 09:00:00 | tool.failed@09:01:09");
    assert_eq!(
        (then.status.tools.failed, then.status.tools.neutral, then.status.consecutive_failures),
        (1, 9, 1)
    );
}

#[test]
fn a_neutral_failure_does_not_end_a_streak() {
    given([fail("09:01"), fail("09:02"), fail_with("09:03", "user_rejected", None, None), fail("09:04")])
        .at("09:04")
        .expect(
            "struggling consecutive_failures since 09:04:00 | consecutive_failures 3/3 \
             | tool.failed@09:01:00 | tool.failed@09:02:00 | tool.failed@09:04:00",
        );
}

#[test]
fn a_streak_belongs_to_its_thread() {
    let side = |event| in_thread("side", event);
    given([side(fail("09:01")), side(fail("09:02")), ok("09:02:30", "a"), side(fail("09:03"))])
        .at("09:04")
        .expect(
            "struggling consecutive_failures since 09:03:00 | consecutive_failures 3/3 \
         | tool.failed@09:01:00 | tool.failed@09:02:00 | tool.failed@09:03:00",
        );
    given([fail("09:01"), side(fail("09:02")), fail("09:03"), side(fail("09:04"))])
        .at("09:05")
        .expect("healthy since 09:01:00 | tool.failed@09:04:00");
}

#[test]
fn a_failed_action_is_no_tool_failure() {
    let action = |at| event(at, Body::ActionLogged { action: "edit".into(), target: None, ok: false });
    given([action("09:01"), action("09:02"), action("09:03")])
        .at("09:04")
        .expect("healthy since 09:01:00 | action.logged@09:03:00");
}

#[test]
fn stuck_wins_over_struggling_and_struggling_over_idle() {
    let failing = given([turn_started("09:00"), fail("09:01"), fail("09:02"), fail("09:03")]);
    failing
        .at("09:18")
        .expect("stuck silent since 09:18:00 | silence 900000/900000 ms | tool.failed@09:03:00");
    let mut ended = failing.clone();
    ended.events.push(turn_ended("09:04"));
    assert_eq!(ended.at("10:00").status.verdict.health, Health::Struggling);
}

#[test]
fn a_session_is_idle_between_its_turns() {
    let session =
        given([turn_started("09:00"), turn_ended("09:05"), turn_started("10:00"), turn_ended("10:05")]);
    session.at("09:05").expect("idle turn_ended since 09:05:00 | turn.ended@09:05:00");
    session.at("10:04").expect("healthy since 10:00:00 | turn.started@10:00:00");
    session.at("10:06").expect("idle turn_ended since 10:05:00 | turn.ended@10:05:00");
}

#[test]
fn a_session_with_a_working_child_is_not_idle() {
    let family = given([
        turn_started("09:00"),
        turn_ended("09:05"),
        of("child", created("09:04", "Child", Some("t"))),
        of("child", started("09:04")),
        of("child", completed("09:10")),
    ]);
    family.at("09:09").expect("healthy since 09:00:00 | turn.ended@09:05:00");
    family.at("09:11").expect("idle turn_ended since 09:05:00 | turn.ended@09:05:00");
}

#[test]
fn every_number_of_the_policy_counts() {
    let policy = Policy { failure_streak: 2, stuck_after_ms: 1000, ..Policy::default() };
    given([started("09:00")])
        .under(policy.clone())
        .at("09:00:01")
        .expect("stuck silent since 09:00:01 | silence 1000/1000 ms | task.started@09:00:00");
    let failing = given([fail("09:01"), fail("09:01:01")]).under(policy);
    failing.at("09:01:01").expect(
        "struggling consecutive_failures since 09:01:01 | consecutive_failures 2/2 | tool.failed@09:01:00 | tool.failed@09:01:01",
    );
}

#[test]
fn an_event_from_a_clock_ahead_counts_when_it_was_observed() {
    let mut ahead = output_grew("18:00");
    ahead.observed_at = Some(instant("09:00"));
    let projection = folded([&started("08:59"), &ahead]);
    let status = projection.task("t", instant("09:15"), &Policy::default()).unwrap();
    assert_eq!((status.last_activity_at, status.verdict.health), (Some(instant("09:00")), Health::Stuck));
}

#[test]
fn of_a_task_whose_machine_does_not_answer_nothing_is_known_until_it_is_seen_again() {
    let unseen = |at: &str| {
        let error =
            ErrorDetail { kind: "environment".into(), category: None, message: None, exit_code: None };
        event(at, Body::SourceFailed { file: None, path: None, error })
    };
    let seen = |at: &str| {
        let body = Body::SourceOpened {
            file: "f".into(),
            path: None,
            session: None,
            device: None,
            inode: None,
            head_bytes: None,
            head_hash: None,
            generation: None,
            forked_from: None,
            first_record: None,
        };
        event(at, body)
    };
    let away = given([started("09:00"), output_grew("09:01"), unseen("09:02")]);
    away.at("09:01:30").expect("healthy since 09:00:00 | output.grew@09:01:00");
    for at in ["09:02", "09:30", "+2d09:00"] {
        away.at(at).expect("unknown offline since 09:02:00 | source.failed@09:02:00");
    }
    let back = given([started("09:00"), output_grew("09:01"), unseen("09:02"), seen("09:05")]);
    back.at("09:06").expect("healthy since 09:00:00 | output.grew@09:01:00");
    let active = given([started("09:00"), unseen("09:02"), output_grew("09:05")]);
    active.at("09:06").expect("healthy since 09:00:00 | output.grew@09:05:00");
    let ended = given([started("09:00"), completed("09:01"), unseen("09:02")]);
    ended.at("09:06").expect("completed since 09:01:00 | task.completed@09:01:00");
}
