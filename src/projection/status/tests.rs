//! Rows: the values of registers, progress, families, and what judging costs.

use super::*;
use crate::event::body::Body;
use crate::event::envelope::Event;
use crate::projection::fixture::*;

fn rows(events: &[Event<'static>], at: &str) -> Vec<TaskStatus> {
    folded(events).tasks(instant(at), &Policy::default())
}

/// Id, own health, rollup and the counts of children, per row.
fn families(rows: &[TaskStatus]) -> Vec<(&str, &str, &str, [u64; 5])> {
    let counts = |children: ChildCounts| {
        [children.live, children.completed, children.failed, children.timed_out, children.cancelled]
    };
    rows.iter()
        .map(|row| (&*row.task, row.verdict.health.word(), row.rollup.word(), counts(row.children)))
        .collect()
}

#[test]
fn a_row_has_all_that_was_said_of_a_task() {
    let created = event(
        "09:00",
        Body::TaskCreated {
            title: Some("Fix it".into()),
            assigned_task: Some("fix the build".into()),
            parent: Some("root".into()),
            model: Some("opus".into()),
            host: Some("box".into()),
            project: Some("agentlog".into()),
            cwd: Some("/w".into()),
            worktree: Some("wt".into()),
            steps_total: Some(5),
            criteria_total: None,
            max_iterations: None,
            timeout_ms: None,
        },
    );
    let usage = event(
        "09:02",
        Body::UsageRecorded {
            model: Some("haiku".into()),
            message: None,
            request: None,
            input_tokens: Some(1),
            output_tokens: Some(2),
            cache_read_tokens: Some(3),
            cache_write_tokens: Some(4),
            cost_usd: Some(0.25),
            quality: Some("partial".into()),
        },
    );
    let progress = event(
        "09:03",
        Body::ProgressReported { current: Some(2), total: None, percent: None, step: Some("compile".into()) },
    );
    let events = [created, tool("09:01", "Bash", "a"), fail("09:01:30"), usage, progress.clone()];
    let expected = TaskStatus {
        task: "t".into(),
        parent: Some("root".into()),
        agent: Some("explore".into()),
        source: Some("claude-code".into()),
        title: Some("Fix it".into()),
        assigned_task: Some("fix the build".into()),
        model: Some("haiku".into()),
        host: Some("box".into()),
        project: Some("agentlog".into()),
        cwd: Some("/w".into()),
        worktree: Some("wt".into()),
        attempt: 1,
        verdict: Verdict {
            health: Health::Healthy,
            reason: None,
            since: Some(instant("09:00")),
            numbers: vec![],
            evidence: vec![progress.id],
        },
        rollup: Health::Healthy,
        created_at: Some(instant("09:00")),
        last_activity_at: Some(instant("09:03")),
        ended_at: None,
        claimed: None,
        end_reason: None,
        duration_ms: None,
        verified: None,
        progress: Some(Progress {
            current: Some(2),
            total: Some(5),
            percent: Some(40.0),
            step: Some("compile".into()),
        }),
        consecutive_failures: 1,
        longest_streak: 1,
        announced: None,
        acknowledged_at: None,
        alignment: None,
        tools: ToolCounts { succeeded: 0, failed: 1, neutral: 0, open: 1 },
        usage: Usage {
            input_tokens: 1,
            output_tokens: 2,
            cache_read_tokens: 3,
            cache_write_tokens: 4,
            cost_usd: Some(0.25),
            quality: Some("partial".into()),
        },
        children: ChildCounts::default(),
    };
    assert_eq!(folded(&events).task("t", instant("09:04"), &Policy::default()), Some(expected));
}

#[test]
fn the_latest_word_counts_in_whatever_order_it_is_read() {
    let title = |events: &[Event<'static>]| rows(events, "09:10")[0].title.clone();
    let (early, late) = (created("09:00", "Early", None), created("09:05", "Late", None));
    assert_eq!(
        [title(&[early.clone(), late.clone()]), title(&[late, early])],
        [Some("Late".into()), Some("Late".into())]
    );
}

#[test]
fn a_percentage_said_before_the_last_count_is_not_believed() {
    let report = |at, current, percent| {
        event(at, Body::ProgressReported { current, total: Some(10), percent, step: None })
    };
    let percent = |events: &[Event<'static>]| {
        rows(events, "09:10")[0].progress.clone().and_then(|progress| progress.percent)
    };
    assert_eq!(percent(&[report("09:00", Some(5), Some(55.0))]), Some(55.0));
    assert_eq!(percent(&[report("09:00", Some(5), Some(55.0)), report("09:01", Some(8), None)]), Some(80.0));
    assert_eq!(percent(&[report("09:00", Some(30), None)]), Some(100.0));
    assert_eq!(percent(&[report("09:00", None, None)]), None);
}

/// The progress of a task of these events, as text.
fn progress_of(task: &str, events: &[Event<'static>]) -> Option<String> {
    let row = rows(events, "09:10").into_iter().find(|row| row.task == task)?;
    let Progress { current, total, percent, step } = row.progress?;
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    Some(format!("{}/{} {:.1?} {step:?}", number(current), number(total), percent))
}

fn report(percent: f64) -> Event<'static> {
    event("09:02", Body::ProgressReported { current: None, total: None, percent: Some(percent), step: None })
}

#[test]
fn a_parent_without_progress_has_that_of_its_children() {
    let beam = |name| of(name, created("09:00", "Beam", Some("case")));
    let beams = vec![
        of("case", created("09:00", "Case", Some("plan"))),
        beam("b1"),
        of("b1", report(20.0)),
        of("b1", completed("09:05")),
        beam("b2"),
        of("b2", report(50.0)),
        beam("b3"),
        of("b3", report(30.0)),
        of("b3", failed("09:05", 1)),
        beam("b4"),
    ];
    let case = Some("1/4 Some(45.0) Some(\"children completed\")".to_owned());
    assert_eq!(progress_of("case", &beams), case);
    // And so on upwards, also for a parent that nobody saw.
    assert_eq!(progress_of("plan", &beams), Some("0/1 Some(45.0) Some(\"children completed\")".to_owned()));
    let own = [beams.clone(), vec![of("case", report(5.0))]].concat();
    assert_eq!(progress_of("case", &own), Some("-/- Some(5.0) None".to_owned()));
    let working = [beams.clone(), vec![of("case", started("09:00"))]].concat();
    assert_eq!(progress_of("case", &working), case);
    let session = [beams, vec![of("case", turn_started("09:00"))]].concat();
    assert_eq!(progress_of("case", &session), None);
}

#[test]
fn children_that_say_nothing_are_counted_for_a_parent_that_does_nothing_else() {
    let child = |name| of(name, created("09:00", "Child", Some("root")));
    let events = vec![child("a"), of("a", completed("09:01")), child("b")];
    let expected = Some("1/2 Some(50.0) Some(\"children completed\")".to_owned());
    assert_eq!(progress_of("root", &events), expected);
    assert_eq!(progress_of("b", &events), None);
    let working = [events, vec![of("root", started("09:00"))]].concat();
    assert_eq!(progress_of("root", &working), None);
}

#[test]
fn a_family_shows_its_worst_live_member_and_counts_the_others() {
    let events = [
        of("root", created("09:00", "Root", None)),
        of("a", created("09:00", "A", Some("root"))),
        of("a", completed("09:01")),
        of("b", created("09:00", "B", Some("root"))),
        of("b", failed("09:01", 1)),
        of("c", created("09:00", "C", Some("root"))),
        of("d", created("09:00", "D", Some("c"))),
        of("d", fail("09:01")),
        of("d", fail("09:02")),
        of("d", fail("09:03")),
        of("e", created("09:00", "E", Some("d"))),
        of("e", completed("09:01")),
    ];
    assert_eq!(
        families(&rows(&events, "09:04")),
        [
            ("a", "completed", "completed", [0; 5]),
            ("b", "failed", "failed", [0; 5]),
            ("c", "healthy", "struggling", [1, 0, 0, 0, 0]),
            ("d", "struggling", "struggling", [0, 1, 0, 0, 0]),
            ("e", "completed", "completed", [0; 5]),
            ("root", "healthy", "struggling", [1, 1, 1, 0, 0]),
        ]
    );
}

#[test]
fn an_ended_task_with_live_children_shows_them() {
    let events =
        [completed("09:01"), of("child", created("09:00", "C", Some("t"))), of("child", started("09:00"))];
    assert_eq!(
        families(&rows(&events, "09:20")),
        [("child", "stuck", "stuck", [0; 5]), ("t", "completed", "stuck", [1, 0, 0, 0, 0]),]
    );
}

#[test]
fn a_parent_that_nobody_saw_is_a_row_of_its_own() {
    let events = [of("child", created("09:00", "C", Some("ghost")))];
    assert_eq!(
        families(&rows(&events, "09:01")),
        [("child", "healthy", "healthy", [0; 5]), ("ghost", "healthy", "healthy", [1, 0, 0, 0, 0]),]
    );
    assert_eq!(folded(&events).task("nobody", instant("09:01"), &Policy::default()), None);
}

#[test]
fn parents_in_a_cycle_hang_nobody() {
    let events = [
        of("a", created("09:00", "A", Some("b"))),
        of("b", created("09:00", "B", Some("c"))),
        of("c", created("09:00", "C", Some("a"))),
        of("d", created("09:00", "D", Some("a"))),
        of("e", created("09:00", "E", Some("e"))),
    ];
    let rows = rows(&events, "09:01");
    let names: Vec<_> = rows.iter().map(|row| (&*row.task, row.verdict.health)).collect();
    assert_eq!(names, ["a", "b", "c", "d", "e"].map(|id| (id, Health::Healthy)));
}

#[test]
fn what_those_who_watch_said_of_a_task_is_in_its_row() {
    let changed = |at, health: &'static str, reason: Option<&'static str>| {
        event(
            at,
            Body::HealthChanged {
                from_health: None,
                to_health: health.into(),
                reason: reason.map(Into::into),
                text: None,
            },
        )
    };
    let assessed = |at, alignment: &'static str| {
        let (confidence, reasons, keywords, recommended_action) = (None, None, None, None);
        let alignment = alignment.into();
        event(at, Body::AlignmentAssessed { alignment, confidence, reasons, keywords, recommended_action })
    };
    let events = [
        started("09:00"),
        changed("09:01", "healthy", None),
        changed("09:20", "stuck", Some("silent")),
        event("09:21", Body::TaskAcknowledged { text: None }),
        assessed("09:22", "on_track"),
        assessed("09:23", "drifting"),
    ];
    let task = folded(&events).task("t", instant("09:30"), &Policy::default()).unwrap();
    let stuck = Announced { at: instant("09:20"), health: Health::Stuck, reason: Some(Reason::Silent) };
    assert_eq!(
        (task.announced, task.acknowledged_at, task.alignment.as_deref()),
        (Some(stuck), Some(instant("09:21")), Some("drifting"))
    );
}

#[test]
fn a_parent_that_only_its_children_speak_of_ends_with_the_last_of_them() {
    let child = |task, end| {
        [of(task, created("09:00", "C", Some("case"))), of(task, started("09:00")), of(task, end)]
    };
    let of_case = |events: &[Event<'static>]| {
        let case = folded(events).task("case", instant("09:10"), &Policy::default()).unwrap();
        (case.verdict.health, case.verdict.since)
    };
    let done = child("a", completed("09:01"));
    assert_eq!(of_case(&done), (Health::Completed, Some(instant("09:01"))));
    let both = [done, child("b", failed("09:02", 1))].concat();
    assert_eq!(of_case(&both), (Health::Failed, Some(instant("09:02"))));
    assert_eq!(of_case(&both[..5]).0, Health::Healthy, "one still runs");
}
