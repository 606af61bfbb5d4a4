//! The review of hand-made weeks, and a plain fold as the oracle of its group-bys.

use super::*;
use crate::event::codec::{Decoded, Decoder};
use crate::projection::health::{Health, Reason};
use crate::query::frame::{ToolCallsBuilder, UsageBuilder, instant_text};
use crate::report::outcome::{Excluded, Outcome, of_call, of_task};
use polars::prelude::{IntoColumn, NamedFrom, Series};
use proptest::prelude::*;

const MINUTE_MS: i64 = 60_000;
const WEEK_MINUTES: i64 = 7 * 24 * 60;

fn week() -> Week {
    Week::parse("2026-W47").unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// Some minutes after the Monday of the reviewed week.
fn minute(minutes: i64) -> Timestamp {
    week().window(Zone::Utc).from.plus_millis(minutes * MINUTE_MS)
}

/// One call as the fold sees it.
#[derive(Clone, Debug)]
struct Call {
    agent: Option<&'static str>,
    tool: &'static str,
    model: Option<&'static str>,
    outcome: &'static str,
    started: i64,
    lasted: i64,
}

#[derive(Clone, Debug)]
struct Task {
    agent: Option<&'static str>,
    model: Option<&'static str>,
    health: &'static str,
    minute: i64,
}

#[derive(Clone, Debug)]
struct Use {
    model: Option<&'static str>,
    input: u64,
    cost: Option<u32>,
    minute: i64,
}

fn member(name: &str, value: Option<&str>) -> String {
    value.map_or(String::new(), |value| format!(",\"{name}\":\"{value}\""))
}

fn lines_of(idx: usize, call: &Call) -> Vec<String> {
    let (agent, model) = (member("agent", call.agent), member("model", call.model));
    let common = format!("\"task\":\"t\"{agent},\"tool\":\"{}\",\"call\":\"c{idx}\"{model}", call.tool);
    let mut lines =
        vec![format!("{{\"ts\":\"{}\",\"type\":\"tool.started\",{common}}}", minute(call.started))];
    let ended = minute(call.started + call.lasted);
    match call.outcome {
        "succeeded" => lines.push(format!("{{\"ts\":\"{ended}\",\"type\":\"tool.succeeded\",{common}}}")),
        "open" => {}
        outcome => {
            let kind = if outcome == "neutral" { "user_rejected" } else { "exit_code" };
            let error = format!("\"error\":{{\"kind\":\"{kind}\",\"message\":\"exit {idx} of /a/{idx}\"}}");
            lines.push(format!("{{\"ts\":\"{ended}\",\"type\":\"tool.failed\",{common},{error}}}"));
        }
    }
    lines
}

fn feed(line: &str, take: impl FnOnce(&crate::event::envelope::Event<'_>)) {
    match Decoder::new("s").decode(line.as_bytes(), 0) {
        Decoded::Known(line) => take(&line.event),
        other => panic!("{line}: {other:?}"),
    }
}

fn call_frame(calls: &[Call]) -> DataFrame {
    let mut builder = ToolCallsBuilder::new(&selection(), Zone::Utc);
    for (idx, call) in calls.iter().enumerate() {
        for line in lines_of(idx, call) {
            feed(&line, |event| builder.apply(event));
        }
    }
    builder.finish().unwrap()
}

fn usage_frame(uses: &[Use]) -> DataFrame {
    let mut builder = UsageBuilder::new(&selection(), Zone::Utc);
    for used in uses {
        let cost = used.cost.map_or(String::new(), |cost| format!(",\"cost_usd\":{cost}"));
        let line = format!(
            "{{\"ts\":\"{}\",\"type\":\"usage.recorded\",\"input_tokens\":{}{}{cost}}}",
            minute(used.minute),
            used.input,
            member("model", used.model)
        );
        feed(&line, |event| builder.apply(event));
    }
    builder.finish().unwrap()
}

/// The columns of `tasks` that a review needs, made by hand: ended tasks have their end, others their last activity.
fn task_frame(tasks: &[Task]) -> DataFrame {
    let text = |name: &str, value: &dyn Fn(&Task) -> Option<String>| {
        Series::new(name.into(), tasks.iter().map(value).collect::<Vec<_>>()).into_column()
    };
    let is_ended = |task: &Task| ["completed", "failed", "timeout", "cancelled"].contains(&task.health);
    let instant = |task: &Task| Some(instant_text(minute(task.minute)));
    let columns = vec![
        text("agent", &|task| task.agent.map(str::to_owned)),
        text("model", &|task| task.model.map(str::to_owned)),
        text("health", &|task| Some(task.health.to_owned())),
        text("reason", &|_| None),
        text("created_at", &|_| None),
        text("last_activity_at", &instant),
        text("ended_at", &|task| instant(task).filter(|_| is_ended(task))),
    ];
    DataFrame::new(tasks.len(), columns).unwrap()
}

fn reviewed(calls: &[Call], tasks: &[Task], uses: &[Use], edges: &[Edge]) -> WeeklyReview {
    in_pieces(calls, tasks, uses, edges, usize::MAX)
}

/// The review of tables that come in pieces of so many rows.
fn in_pieces(calls: &[Call], tasks: &[Task], uses: &[Use], edges: &[Edge], rows: usize) -> WeeklyReview {
    let mut builder = Builder::new(week(), Zone::Utc, at("2026-11-30T00:00:00Z"));
    for (idx, piece) in pieces(&call_frame(calls), rows).iter().enumerate() {
        builder.add_calls(piece).unwrap();
        assert!(idx == 0 || piece.height() > 0);
    }
    for piece in pieces(&task_frame(tasks), rows) {
        builder.add_tasks(&piece).unwrap();
    }
    for piece in pieces(&usage_frame(uses), rows) {
        builder.add_usage(&piece).unwrap();
    }
    builder.add_edges(edges);
    builder.finish(Coverage::default())
}

fn pieces(frame: &DataFrame, rows: usize) -> Vec<DataFrame> {
    let starts = (0..frame.height().max(1)).step_by(rows);
    starts.map(|start| frame.slice(i64::try_from(start).unwrap(), rows)).collect()
}

fn call(agent: &'static str, tool: &'static str, outcome: &'static str, started: i64) -> Call {
    Call { agent: Some(agent), tool, model: Some("big"), outcome, started, lasted: 1 }
}

fn many(count: usize, call: &Call) -> Vec<Call> {
    vec![call.clone(); count]
}

fn edge(minutes: i64, task: &str, agent: &str, to_health: Health) -> Edge {
    Edge {
        ts: minute(minutes),
        task: task.to_owned(),
        agent: Some(agent.to_owned()),
        from_health: None,
        to_health,
        reason: (to_health == Health::Stuck).then_some(Reason::Silent),
    }
}

#[test]
fn a_week_without_events_is_empty_and_no_rate_is_made_up() {
    let review = reviewed(&[], &[], &[], &[]);
    assert!(review.is_empty());
    assert_eq!(review.total.tools, Measured { is_too_few: true, ..Measured::default() });
    assert_eq!(
        (review.week.as_str(), review.first_day.as_str(), review.last_day.as_str()),
        ("2026-W47", "2026-11-16", "2026-11-22")
    );
    assert!(review.is_over && review.attention.is_empty() && review.by_agent.is_empty());
    assert!(!reviewed(&[call("a", "Bash", "open", 5)], &[], &[], &[]).is_empty());
}

#[test]
fn a_call_belongs_to_the_week_of_its_end_and_while_open_to_that_of_its_start() {
    let across = Call { lasted: 10, ..call("a", "Bash", "succeeded", WEEK_MINUTES - 5) };
    let into = Call { lasted: 10, ..call("a", "Bash", "failed", -5) };
    let open = call("a", "Bash", "open", WEEK_MINUTES - 1);
    let tools = reviewed(&[across, into, open], &[], &[], &[]).total.tools;
    assert_eq!((tools.succeeded, tools.counted, tools.excluded.open), (0, 1, 1));
}

#[test]
fn the_first_instant_of_the_week_is_in_it_and_the_last_is_not() {
    let calls = [
        call("a", "Bash", "succeeded", -2),
        call("a", "Bash", "succeeded", -1),
        call("a", "Bash", "succeeded", WEEK_MINUTES - 2),
        call("a", "Bash", "succeeded", WEEK_MINUTES - 1),
    ];
    let tools = reviewed(&calls, &[], &[], &[]).total.tools;
    assert_eq!((tools.counted, tools.before.map(|change| change.counted_before)), (2, Some(1)));
}

#[test]
fn a_fall_that_is_no_chance_is_flagged_and_calls_for_attention() {
    let calls = [
        many(90, &call("steady", "Read", "succeeded", -100)),
        many(10, &call("steady", "Read", "failed", -100)),
        many(88, &call("steady", "Read", "succeeded", 100)),
        many(12, &call("steady", "Read", "failed", 100)),
        many(95, &call("falling", "Bash", "succeeded", -100)),
        many(5, &call("falling", "Bash", "failed", -100)),
        many(60, &call("falling", "Bash", "succeeded", 100)),
        many(40, &call("falling", "Bash", "failed", 100)),
    ]
    .concat();
    let review = reviewed(&calls, &[], &[], &[]);
    let verdict = |name: &str| {
        let group = review.by_agent.iter().find(|group| group.name.as_deref() == Some(name)).unwrap();
        group.tools.before.unwrap().verdict
    };
    assert_eq!((verdict("steady"), verdict("falling")), (Verdict::NotSignificant, Verdict::Worse));
    assert_eq!(
        review.attention,
        [Attention { agent: Some("falling".to_owned()), reasons: vec![AttentionReason::ToolRateWorse] }]
    );
    assert_eq!((review.total.tools.succeeded, review.total.tools.counted), (148, 200));
}

#[test]
fn failures_are_grouped_by_what_they_have_in_common() {
    let calls = [
        many(3, &call("a", "Bash", "failed", 1)),
        many(1, &call("a", "Read", "failed", 1)),
        many(2, &call("a", "Bash", "neutral", 1)),
        many(5, &call("a", "Bash", "failed", -1000)),
    ]
    .concat();
    let review = reviewed(&calls, &[], &[], &[]);
    assert_eq!(
        review.messages,
        [MessageGroup {
            template: "exit <n> of <path>".to_owned(),
            count: 4,
            count_before: 5,
            example: "exit 0 of /a/0".to_owned(),
            tools: vec!["Bash".to_owned(), "Read".to_owned()],
        }]
    );
    let kind = |name: &str, is_counted, count, count_before| FailureCount {
        name: Some(name.to_owned()),
        is_counted,
        count,
        count_before,
    };
    assert_eq!(review.failure_kinds, [kind("exit_code", true, 4, 5), kind("user_rejected", false, 2, 0)]);
}

#[test]
fn episodes_are_cut_to_the_week_and_their_agents_named() {
    let edges = [
        edge(-60, "t1", "a", Health::Stuck),
        edge(30, "t1", "a", Health::Stuck),
        edge(60, "t1", "a", Health::Healthy),
        edge(100, "t2", "b", Health::Struggling),
        edge(110, "t2", "b", Health::Completed),
        edge(WEEK_MINUTES - 10, "t3", "c", Health::Struggling),
        edge(WEEK_MINUTES + 10, "t3", "c", Health::Healthy),
        edge(-90, "t4", "d", Health::Stuck),
        edge(-80, "t4", "d", Health::Healthy),
        edge(WEEK_MINUTES, "t5", "e", Health::Stuck),
    ];
    let mut shuffled = edges.clone();
    shuffled.reverse();
    let review = reviewed(&[], &[], &[], &shuffled);
    let row = |agent: &str, struggling: (u64, u64), stuck: (u64, u64), open_count| AgentEpisodes {
        agent: Some(agent.to_owned()),
        struggling_count: struggling.0,
        struggling_ms: struggling.1 * 60_000,
        stuck_count: stuck.0,
        stuck_ms: stuck.1 * 60_000,
        open_count,
    };
    assert_eq!(
        review.episodes.by_agent,
        [row("a", (0, 0), (1, 60), 0), row("b", (1, 10), (0, 0), 0), row("c", (1, 10), (0, 0), 1)]
    );
    assert_eq!(review.episodes.longest[0].reason.as_deref(), Some("silent"));
    assert_eq!(
        review.attention,
        [
            Attention { agent: Some("a".to_owned()), reasons: vec![AttentionReason::Stuck] },
            Attention { agent: Some("c".to_owned()), reasons: vec![AttentionReason::Struggling] },
        ]
    );
}

#[test]
fn usage_is_summed_by_model_and_says_what_it_does_not_know() {
    let uses = [
        Use { model: Some("big"), input: 5, cost: Some(2), minute: 1 },
        Use { model: Some("big"), input: 6, cost: None, minute: 2 },
        Use { model: None, input: 100, cost: None, minute: 3 },
        Use { model: Some("big"), input: 7, cost: Some(1), minute: -3 },
    ];
    let usage = reviewed(&[], &[], &uses, &[]).usage;
    let row = |model: Option<&str>, record_count, input_tokens, cost_usd, uncosted_count| ModelUsage {
        model: model.map(str::to_owned),
        record_count,
        input_tokens,
        cost_usd,
        uncosted_count,
        ..ModelUsage::default()
    };
    assert_eq!(usage.by_model, [row(None, 1, 100, None, 1), row(Some("big"), 2, 11, Some(2.0), 1)]);
    assert_eq!(usage.total, row(None, 3, 111, Some(2.0), 2));
    assert_eq!(usage.before, row(None, 1, 7, Some(1.0), 0));
}

/// The rates by plain loops: the oracle of the group-bys.
fn folded<T>(
    items: &[T],
    window: Window,
    instant: impl Fn(&T) -> i64,
    name: impl Fn(&T) -> Option<&'static str>,
    outcome: impl Fn(&T) -> Outcome,
) -> BTreeMap<Option<String>, (u64, u64, Excluded)> {
    let mut tallies: BTreeMap<Option<String>, Tally> = BTreeMap::new();
    for item in items {
        if window.contains(minute(instant(item))) {
            tallies.entry(name(item).map(str::to_owned)).or_default().add(outcome(item), 1);
        }
    }
    tallies
        .into_iter()
        .map(|(name, tally)| (name, (tally.rate().succeeded, tally.rate().counted, tally.excluded)))
        .collect()
}

fn measured(
    groups: &[Group],
    of: impl Fn(&Group) -> Option<&Measured>,
) -> BTreeMap<Option<String>, (u64, u64, Excluded)> {
    groups
        .iter()
        .filter_map(|group| Some((group.name.clone(), of(group)?)))
        .map(|(name, rate)| (name, (rate.succeeded, rate.counted, rate.excluded)))
        .filter(|(_, (_, counted, excluded))| counted + excluded.total() > 0)
        .collect()
}

fn counted_before(groups: &[Group]) -> BTreeMap<Option<String>, (u64, u64)> {
    let rows = groups.iter().filter_map(|group| Some((group.name.clone(), group.tools.before?)));
    rows.map(|(name, change)| (name, (change.succeeded_before, change.counted_before))).collect()
}

fn names() -> impl Strategy<Value = Option<&'static str>> {
    prop::sample::select(vec![None, Some("a"), Some("b"), Some("c")])
}

fn a_call() -> impl Strategy<Value = Call> {
    let outcomes = prop::sample::select(vec!["succeeded", "succeeded", "failed", "neutral", "open"]);
    let tools = prop::sample::select(vec!["Bash", "Read", "Edit"]);
    let started = -2 * WEEK_MINUTES..2 * WEEK_MINUTES;
    (names(), tools, names(), outcomes, started, 0..2000_i64).prop_map(
        |(agent, tool, model, outcome, started, lasted)| Call {
            agent,
            tool,
            model,
            outcome,
            started,
            lasted,
        },
    )
}

fn a_task() -> impl Strategy<Value = Task> {
    let healths = prop::sample::select(vec![
        "completed",
        "failed",
        "timeout",
        "cancelled",
        "idle",
        "unknown",
        "healthy",
        "stuck",
        "struggling",
        "waiting",
    ]);
    (names(), names(), healths, -2 * WEEK_MINUTES..2 * WEEK_MINUTES)
        .prop_map(|(agent, model, health, minute)| Task { agent, model, health, minute })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_group_bys_agree_with_a_plain_fold(
        calls in prop::collection::vec(a_call(), 0..120), tasks in prop::collection::vec(a_task(), 0..60),
    ) {
        let review = reviewed(&calls, &tasks, &[], &[]);
        let (now, before) = (week().window(Zone::Utc), week().before(1).window(Zone::Utc));
        let ended = |call: &Call| call.started + if call.outcome == "open" { 0 } else { call.lasted };
        let call_outcome = |call: &Call| of_call(call.outcome);
        let task_outcome = |task: &Task| of_task(task.health);
        let by_agent = folded(&calls, now, ended, |call| call.agent, call_outcome);
        prop_assert_eq!(measured(&review.by_agent, |group| Some(&group.tools)), by_agent.clone());
        prop_assert_eq!(
            measured(&review.by_tool, |group| Some(&group.tools)),
            folded(&calls, now, ended, |call| Some(call.tool), call_outcome)
        );
        prop_assert_eq!(
            measured(&review.by_model, |group| Some(&group.tools)),
            folded(&calls, now, ended, |call| call.model, call_outcome)
        );
        prop_assert_eq!(
            measured(&review.by_agent, |group| group.tasks.as_ref()),
            folded(&tasks, now, |task| task.minute, |task| task.agent, task_outcome)
        );
        prop_assert_eq!(
            measured(&review.by_model, |group| group.tasks.as_ref()),
            folded(&tasks, now, |task| task.minute, |task| task.model, task_outcome)
        );
        let total = folded(&calls, now, ended, |_| None, call_outcome);
        prop_assert_eq!(measured(std::slice::from_ref(&review.total), |group| Some(&group.tools)), total);
        let expected: BTreeMap<Option<String>, (u64, u64)> = folded(&calls, before, ended, |call| call.agent, call_outcome)
            .into_iter()
            .filter(|(name, (_, counted, _))| *counted > 0 && by_agent.get(name).is_some_and(|now| now.1 > 0))
            .map(|(name, (succeeded, counted, _))| (name, (succeeded, counted)))
            .collect();
        prop_assert_eq!(counted_before(&review.by_agent), expected);
    }

    #[test]
    fn it_makes_no_difference_how_the_tables_are_cut(
        calls in prop::collection::vec(a_call(), 0..60), tasks in prop::collection::vec(a_task(), 0..40), rows in 1_usize..20,
    ) {
        let uses: Vec<Use> = calls.iter().zip(1..).map(|(call, input)| Use {
            model: call.model, input, cost: (input % 3 > 0).then_some(2), minute: call.started,
        }).collect();
        prop_assert_eq!(in_pieces(&calls, &tasks, &uses, &[], rows), reviewed(&calls, &tasks, &uses, &[]));
    }
}
