//! The weekly review as GitHub-flavoured Markdown, to be read in a pull request or a terminal.
//!
//! The first line answers the question; each section after it is left out when it has nothing to say. Names and messages
//! come from logs: they stand in code spans, cannot end their table cell, and cannot be markup. Same review, same bytes.

mod cell;

use crate::base::text::{human_count, human_duration, plural};
use crate::report::coverage::SourceCoverage;
use crate::report::rate::{Change, Verdict};
use crate::report::weekly::{
    AttentionReason, Episode, EpisodeHealth, Group, Measured, ModelUsage, WeeklyReview,
};
use crate::view::report_json::Made;
use crate::view::report_markdown::cell::{Alignment, Table, code, name};

/// How many messages are shown; the JSON document has more.
const MESSAGES_SHOWN: usize = 10;

/// The review as Markdown, with a line feed at the end.
#[must_use]
pub fn render(review: &WeeklyReview, made: Made<'_>) -> String {
    let mut sections = vec![answer(review), heading(review)];
    if review.is_empty() {
        sections.push(format!(
            "If agents worked in this week, `agentlog doctor` says why nothing was seen.\n\n{}",
            coverage(review)
        ));
    } else {
        sections.extend([
            attention(review),
            totals(review),
            rates("By agent", "agent", &review.by_agent),
            rates("By tool", "tool", &review.by_tool),
            rates("By model", "model", &review.by_model),
            failures(review),
            messages(review),
            episodes(review),
            usage(review),
            coverage(review),
        ]);
    }
    sections.push(footer(made));
    sections.retain(|section| !section.is_empty());
    sections.join("\n\n") + "\n"
}

/// The one line that answers how the week went.
#[must_use]
pub fn answer(review: &WeeklyReview) -> String {
    if review.is_empty() {
        return format!("Nothing was recorded in {}", review.week);
    }
    let agents = match review.attention.len() {
        0 => "No agent needs attention".to_owned(),
        1 => "1 agent needs attention".to_owned(),
        count => format!("{count} agents need attention"),
    };
    let tools = &review.total.tools;
    let tasks = review.total.tasks.as_ref().filter(|tasks| tasks.counted > 0);
    let mut parts = vec![agents];
    if tools.counted > 0 || tasks.is_none() {
        parts.push(format!("tool success {}", in_words(tools)));
    }
    if let Some(tasks) = tasks {
        parts.push(format!("task success {}", in_words(tasks)));
    }
    parts.join("; ")
}

/// `91.4 % (412/451, 95 % interval 88.4–93.6), −3.1 points on last week, not significant`.
fn in_words(measured: &Measured) -> String {
    let Some((rate, interval)) = measured.rate.zip(measured.interval) else {
        return "not measured".to_owned();
    };
    let fraction = format!("{}/{}", measured.succeeded, measured.counted);
    if measured.is_too_few {
        return format!("{fraction} (too few for a rate)");
    }
    let change = measured.before.as_ref().map_or_else(String::new, |change| {
        let verdict = match change.verdict {
            Verdict::TooFew => "too few to judge",
            Verdict::NotSignificant => "not significant",
            Verdict::Better | Verdict::Worse => "significant",
        };
        format!(", {} points on last week, {verdict}", signed_points(change.difference))
    });
    format!(
        "{} % ({fraction}, 95 % interval {}–{}){change}",
        points(rate),
        points(interval.low),
        points(interval.high)
    )
}

fn heading(review: &WeeklyReview) -> String {
    let unfinished = if review.is_over { "" } else { " The week is not over." };
    format!(
        "# Week {}\n\n{} to {} ({}), compared with {}.{unfinished}",
        review.week,
        review.first_day,
        review.last_day,
        name(Some(&review.time_zone)),
        review.compared_with
    )
}

fn attention(review: &WeeklyReview) -> String {
    let rows: Vec<String> = review
        .attention
        .iter()
        .map(|attention| {
            let reasons: Vec<&str> =
                attention.reasons.iter().map(|reason| reason_in_words(*reason)).collect();
            format!("- ⚠ {}: {}", name(attention.agent.as_deref()), reasons.join(", "))
        })
        .collect();
    section("Needs attention", &rows.join("\n"))
}

const fn reason_in_words(reason: AttentionReason) -> &'static str {
    match reason {
        AttentionReason::Stuck => "was stuck",
        AttentionReason::Struggling => "is struggling",
        AttentionReason::ToolRateWorse => "tool success fell",
        AttentionReason::TaskRateWorse => "task success fell",
    }
}

fn totals(review: &WeeklyReview) -> String {
    let mut table = rate_table("");
    push_rate(&mut table, "Tool calls".to_owned(), &review.total.tools);
    if let Some(tasks) = &review.total.tasks {
        push_rate(&mut table, "Tasks".to_owned(), tasks);
    }
    let unverified = match review.unverified_count {
        0 => String::new(),
        count => format!(
            "\n\nOf the completed tasks, {count} did not meet {} own criteria: claimed, not verified.",
            if count == 1 { "its" } else { "their" }
        ),
    };
    section("Success", &format!("{}{unverified}", table.render()))
}

/// A table of rates: a row per name and kind of rate that has anything.
fn rates(title: &str, column: &str, groups: &[Group]) -> String {
    if groups.is_empty() {
        return String::new();
    }
    let mut table = rate_table(column);
    for group in groups {
        let with_tasks = group.tasks.as_ref().filter(|tasks| is_anything(tasks));
        if is_anything(&group.tools) {
            let kind = if group.tasks.is_some() { ", tools" } else { "" };
            push_rate(&mut table, format!("{}{kind}", name(group.name.as_deref())), &group.tools);
        }
        if let Some(tasks) = with_tasks {
            push_rate(&mut table, format!("{}, tasks", name(group.name.as_deref())), tasks);
        }
    }
    section(title, &table.render())
}

fn rate_table(first: &str) -> Table {
    use Alignment::{Left, Right};
    Table::new(&[
        (first, Left),
        ("success", Right),
        ("k/n", Right),
        ("95 % interval", Right),
        ("on last week", Right),
        ("on 4 weeks", Right),
        ("not counted", Left),
    ])
}

fn push_rate(table: &mut Table, label: String, measured: &Measured) {
    let excluded: Vec<String> = measured
        .excluded
        .by_reason()
        .into_iter()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    let (rate, interval) = match (measured.rate, measured.interval) {
        (Some(_), _) if measured.is_too_few => ("too few".to_owned(), String::new()),
        (Some(rate), Some(interval)) => {
            (format!("{} %", points(rate)), format!("{}–{}", points(interval.low), points(interval.high)))
        }
        _ => (String::new(), String::new()),
    };
    table.push(vec![
        label,
        rate,
        format!("{}/{}", measured.succeeded, measured.counted),
        interval,
        change_cell(measured.before.as_ref()),
        change_cell(measured.baseline.as_ref()),
        excluded.join(", "),
    ]);
}

fn change_cell(change: Option<&Change>) -> String {
    let Some(change) = change else { return String::new() };
    let difference = signed_points(change.difference);
    match change.verdict {
        Verdict::TooFew => "too few".to_owned(),
        Verdict::NotSignificant => difference,
        Verdict::Better => format!("**{difference} better**"),
        Verdict::Worse => format!("**{difference} worse**"),
    }
}

fn failures(review: &WeeklyReview) -> String {
    let table = |first: &str, rows: &[crate::report::weekly::FailureCount]| {
        let mut table = Table::new(&[
            (first, Alignment::Left),
            ("calls", Alignment::Right),
            ("last week", Alignment::Right),
        ]);
        for row in rows {
            let counted = if row.is_counted { "" } else { " (not counted)" };
            table.push(vec![
                format!("{}{counted}", name(row.name.as_deref())),
                row.count.to_string(),
                row.count_before.to_string(),
            ]);
        }
        if rows.is_empty() { String::new() } else { table.render() }
    };
    let tables = [
        table("how it failed", &review.failure_kinds),
        table("what it was about", &review.failure_categories),
    ];
    section("Failures", tables.join("\n\n").trim())
}

fn messages(review: &WeeklyReview) -> String {
    use Alignment::{Left, Right};
    if review.messages.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&[
        ("message", Left),
        ("calls", Right),
        ("last week", Right),
        ("tools", Left),
        ("example", Left),
    ]);
    for message in review.messages.iter().take(MESSAGES_SHOWN) {
        let tools: Vec<String> = message.tools.iter().map(|tool| code(tool)).collect();
        let example =
            if message.example == message.template { String::new() } else { code(&message.example) };
        table.push(vec![
            code(&message.template),
            message.count.to_string(),
            message.count_before.to_string(),
            tools.join(", "),
            example,
        ]);
    }
    section("Common failures", &table.render())
}

fn episodes(review: &WeeklyReview) -> String {
    use Alignment::{Left, Right};
    if review.episodes.by_agent.is_empty() {
        return String::new();
    }
    let mut table =
        Table::new(&[("agent", Left), ("struggling", Right), ("stuck", Right), ("not over", Right)]);
    for agent in &review.episodes.by_agent {
        let times = |count: u64, millis: u64| match count {
            0 => String::new(),
            count => format!("{count} × ({})", duration(millis)),
        };
        table.push(vec![
            name(agent.agent.as_deref()),
            times(agent.struggling_count, agent.struggling_ms),
            times(agent.stuck_count, agent.stuck_ms),
            if agent.open_count == 0 { String::new() } else { agent.open_count.to_string() },
        ]);
    }
    let longest: Vec<String> = review.episodes.longest.iter().take(3).map(episode).collect();
    section("Struggling and stuck", &format!("{}\n\nThe longest:\n\n{}", table.render(), longest.join("\n")))
}

fn episode(episode: &Episode) -> String {
    let health = match episode.health {
        EpisodeHealth::Struggling => "struggling",
        EpisodeHealth::Stuck => "stuck",
    };
    let reason =
        episode.reason.as_ref().map_or(String::new(), |reason| format!(" ({})", reason.replace('_', " ")));
    let open = if episode.until.is_none() { ", not over" } else { "" };
    format!("- {} {health} for {}{open}{reason}", code(&episode.task), duration(episode.duration_ms))
}

fn usage(review: &WeeklyReview) -> String {
    use Alignment::{Left, Right};
    let usage = &review.usage;
    if usage.total.record_count == 0 {
        return String::new();
    }
    let mut table = Table::new(&[
        ("model", Left),
        ("input", Right),
        ("output", Right),
        ("cache read", Right),
        ("cache write", Right),
        ("cost (USD)", Right),
    ]);
    let mut push = |label: String, row: &ModelUsage| {
        table.push(vec![
            label,
            human_count(row.input_tokens),
            human_count(row.output_tokens),
            human_count(row.cache_read_tokens),
            human_count(row.cache_write_tokens),
            row.cost_usd.map_or_else(|| "unknown".to_owned(), |cost| format!("{cost:.2}")),
        ]);
    };
    for row in &usage.by_model {
        push(name(row.model.as_deref()), row);
    }
    push("**all**".to_owned(), &usage.total);
    push("last week".to_owned(), &usage.before);
    let quality: Vec<String> = usage
        .by_quality
        .iter()
        .map(|row| {
            format!(
                "{} {}",
                row.record_count,
                row.quality.as_deref().map_or("of unknown quality".to_owned(), code)
            )
        })
        .collect();
    let uncosted = match usage.total.uncosted_count {
        0 => String::new(),
        count => format!(" {} without a cost.", plural(count, "record")),
    };
    section("Usage", &format!("{}\n\nRecords: {}.{uncosted}", table.render(), quality.join(", ")))
}

fn coverage(review: &WeeklyReview) -> String {
    let mut rows: Vec<String> = review.coverage.sources.iter().map(source_line).collect();
    let lines = &review.coverage.lines;
    let mut log = vec![format!("- log: {} understood", plural(lines.understood_count, "line"))];
    for (count, words) in [
        (lines.unknown_type_count, "of unknown type"),
        (lines.damaged_count, "damaged"),
        (lines.unchecked_count, "without a checksum"),
    ] {
        log.extend((count > 0).then(|| format!("{count} {words}")));
    }
    let dropped = match review.coverage.dropped_count {
        0 => String::new(),
        count => format!("; **{} not written**", plural(count, "event")),
    };
    rows.push(log.join(", ") + &dropped);
    section("What this rests on", &rows.join("\n"))
}

fn source_line(source: &SourceCoverage) -> String {
    let mut parts = vec![format!(
        "- {}: {}, {}",
        source.source.as_deref().map_or("written by hand".to_owned(), code),
        plural(source.task_count, "task"),
        plural(source.event_count, "event")
    )];
    for (count, words) in
        [(source.drifted_count, "format not recognised"), (source.failed_count, "not readable")]
    {
        parts.extend((count > 0).then(|| format!("**{words} {count} ×**")));
    }
    parts.join("; ")
}

fn footer(made: Made<'_>) -> String {
    format!(
        "---\n\nMade by agentlog {} at {}. `agentlog explain metric NAME` defines each number.",
        made.tool_version, made.at
    )
}

fn section(title: &str, body: &str) -> String {
    if body.is_empty() { String::new() } else { format!("## {title}\n\n{body}") }
}

const fn is_anything(measured: &Measured) -> bool {
    measured.counted + measured.excluded.total() > 0
}

fn duration(millis: u64) -> String {
    human_duration(i64::try_from(millis).unwrap_or(i64::MAX))
}

/// A proportion in percent with one digit, without a sign of percent.
fn points(proportion: f64) -> String {
    format!("{:.1}", proportion * 100.0)
}

/// A difference in percentage points, signed with `+` and `−`.
fn signed_points(difference: f64) -> String {
    let text = points(difference.abs());
    match difference {
        _ if text == "0.0" => "±0.0".to_owned(),
        negative if negative < 0.0 => format!("−{text}"),
        _ => format!("+{text}"),
    }
}

#[cfg(test)]
pub(super) mod tests;
