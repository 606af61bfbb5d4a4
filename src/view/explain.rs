//! `explain TASK`: the verdict, the rule that gave it, its numbers against their limits, the events that prove it with
//! the place they were read from, and what would change it.
//!
//! The verdict is the projection's; the caller looks up the evidence. Everything quoted is sanitised.

use crate::base::clock::Timestamp;
use crate::base::text::{elide_middle, escape_json, first_line, human_duration, sanitize};
use crate::projection::health::{Health, Number, Verdict};
use crate::projection::policy::Policy;
use crate::projection::status::TaskStatus;
use crate::view::evidence::EvidenceLine;
use crate::view::message::{message, message_naming, name};
use crate::view::palette::{Paint, Style, health_paint};
use crate::view::rule;
use crate::view::status_json::{SCHEMA_VERSION, TaskRecord, record};
use crate::view::table::{Cell, Column, render};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Write};

/// What an explanation is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct ExplainModel {
    /// The task and its verdict.
    pub status: TaskStatus,
    /// The events the verdict names, oldest first.
    pub evidence: Vec<EvidenceLine>,
    /// The numbers it was judged by.
    pub policy: Policy,
    /// How it will be when that next changes although nothing happens, and when.
    pub forecast: Option<(Timestamp, Verdict)>,
    /// The descendant that is worse than the task itself, where there is one ([`worst_below`]).
    pub worst: Option<TaskStatus>,
}

/// Of the descendants of a task the one that makes its rollup worse than its own health; of several the one that has been so
/// for the longest time.
#[must_use]
pub fn worst_below<'t>(tasks: &'t [TaskStatus], task: &TaskStatus) -> Option<&'t TaskStatus> {
    if task.rollup == task.verdict.health {
        return None;
    }
    let mut below = BTreeSet::from([task.task.as_str()]);
    let mut found: Vec<&TaskStatus> = Vec::new();
    loop {
        let is_new = |child: &&TaskStatus| {
            child.parent.as_deref().is_some_and(|parent| below.contains(parent))
                && !below.contains(child.task.as_str())
        };
        let next: Vec<&TaskStatus> = tasks.iter().filter(is_new).collect();
        if next.is_empty() {
            break;
        }
        below.extend(next.iter().map(|child| child.task.as_str()));
        found.extend(next);
    }
    let worst = found.into_iter().filter(|child| child.verdict.health == task.rollup);
    worst.min_by_key(|child| (child.verdict.since, child.task.as_str()))
}

/// The explanation as JSON.
#[derive(Clone, Debug, Serialize)]
struct ExplainRecord<'a> {
    schema_version: u32,
    generated_at: Timestamp,
    tool_version: &'a str,
    task: TaskRecord,
    rule: String,
    numbers: Vec<NumberRecord>,
    evidence: &'a [EvidenceLine],
    would_change: String,
    worst_descendant: Option<DescendantRecord>,
}

/// The descendant that needs a look before the task itself.
#[derive(Clone, Debug, Serialize)]
struct DescendantRecord {
    task: String,
    health: &'static str,
    message: String,
}

#[derive(Clone, Debug, Serialize)]
struct NumberRecord {
    name: &'static str,
    value: f64,
    limit: Option<f64>,
    unit: &'static str,
}

/// Writes the explanation as text.
///
/// # Errors
/// Those of `out`.
pub fn text(model: &ExplainModel, now: Timestamp, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let task = &model.status;
    let verdict = &task.verdict;
    let title = format!("{} ({})", sanitize(first_line(name(task))), sanitize(&task.task));
    writeln!(out, "{}", style.paint(Paint::Bold, &style.cut_line(&title)))?;
    let tool = model
        .evidence
        .iter()
        .rev()
        .find_map(|line| line.tool.as_deref())
        .map_or("a tool call".into(), sanitize);
    let sentence = headline(&style.badge(verdict.health), verdict.health, &message_naming(task, &tool, now));
    writeln!(out, "{}", style.paint(health_paint(verdict.health), &style.cut_line(&sentence)))?;
    if let Some(since) = verdict.since {
        let since =
            format!("since {} ({} ago)", style.date_time(since), human_duration(now.millis_since(since)));
        writeln!(out, "{}", style.cut_line(&since))?;
    }
    if let Some(worst) = &model.worst {
        section("Below it", style, out)?;
        descendant(worst, now, style, out)?;
    }
    section("Rule", style, out)?;
    paragraph(&rule::rule(verdict.health, verdict.reason, &model.policy), style, out)?;
    if !verdict.numbers.is_empty() {
        section("Numbers", style, out)?;
        numbers(&verdict.numbers, style, out)?;
    }
    section("Evidence", style, out)?;
    if model.evidence.is_empty() {
        paragraph("no single event: the verdict rests on what did not happen", style, out)?;
    }
    for line in &model.evidence {
        evidence(line, now, style, out)?;
    }
    section("What would change it", style, out)?;
    let change = rule::would_change(task, model.forecast.as_ref(), &model.policy, now);
    paragraph(&change, style, out)
}

/// Writes the explanation as indented JSON and a newline: `schema_version`, `generated_at`, `tool_version`, `task` (as in
/// `status -o json`), `rule`, `numbers`, `evidence`, `would_change`, `worst_descendant`.
///
/// # Errors
/// Those of `out`.
pub fn json(model: &ExplainModel, now: Timestamp, tool_version: &str, out: &mut dyn Write) -> io::Result<()> {
    let verdict = &model.status.verdict;
    let number = |number: &Number| NumberRecord {
        name: number.name,
        value: number.value,
        limit: number.limit,
        unit: number.unit,
    };
    let text = serde_json::to_string_pretty(&ExplainRecord {
        schema_version: SCHEMA_VERSION,
        generated_at: now,
        tool_version,
        task: record(&model.status, now),
        rule: rule::rule(verdict.health, verdict.reason, &model.policy),
        numbers: verdict.numbers.iter().map(number).collect(),
        evidence: &model.evidence,
        would_change: rule::would_change(&model.status, model.forecast.as_ref(), &model.policy, now),
        worst_descendant: model.worst.as_ref().map(|worst| DescendantRecord {
            task: worst.task.clone(),
            health: worst.verdict.health.word(),
            message: message(worst, now),
        }),
    })?;
    writeln!(out, "{}", escape_json(&text))
}

fn section(title: &str, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{}", style.paint(Paint::Bold, title))
}

/// A sentence behind the word that it may begin with: `Waiting for permission`, `Stuck: silent for 18 minutes`.
fn headline(subject: &str, health: Health, sentence: &str) -> String {
    let said = match health {
        Health::Completed => "completed",
        Health::Failed => "failed",
        Health::Cancelled => "was cancelled",
        Health::Waiting => "waiting",
        _ => return format!("{subject}: {sentence}"),
    };
    match sentence.strip_prefix(said) {
        Some(rest) => format!("{subject}{rest}"),
        None => format!("{subject}: {sentence}"),
    }
}

/// Who is worse than the task itself, and how to ask about it.
fn descendant(worst: &TaskStatus, now: Timestamp, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let health = worst.verdict.health;
    let subject = format!("{} is {}", sanitize(first_line(name(worst))), health.word());
    paragraph(&headline(&subject, health, &message(worst, now)), style, out)?;
    let hint = format!("agentlog explain {}", sanitize(&worst.task));
    writeln!(out, "  {}", style.paint(Paint::Dim, &cut_indented(&hint, 2, style)))
}

/// Our own words, wrapped at blanks.
fn paragraph(text: &str, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let width = style.width.unwrap_or(usize::MAX).saturating_sub(2);
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.len() + 1 + word.len() > width {
            writeln!(out, "  {}", style.cut(&line, width))?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(out, "  {}", style.cut(&line, width))
}

fn numbers(numbers: &[Number], style: &Style, out: &mut dyn Write) -> io::Result<()> {
    const COLUMNS: [Column; 3] =
        [Column::new("").shrink_to(8), Column::new("").right(), Column::new("").shrink_to(6).drop_rank(1)];
    let rows: Vec<Vec<Cell>> = numbers
        .iter()
        .map(|number| {
            let limit = number.limit.map(|limit| format!("limit {}", rule::amount(limit, number.unit)));
            vec![
                Cell::plain(number.name.replace('_', " ")),
                Cell::plain(rule::amount(number.value, number.unit)),
                Cell::painted(Paint::Dim, limit.unwrap_or_default()),
            ]
        })
        .collect();
    let width = style.width.map(|width| width.saturating_sub(2));
    for line in render(&COLUMNS, &rows, false, &Style { width, ..*style }).lines() {
        writeln!(out, "  {line}")?;
    }
    Ok(())
}

fn evidence(line: &EvidenceLine, now: Timestamp, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let day = |ts: Timestamp| style.zone.local(ts).date();
    let is_of_today = day(line.ts) == day(now);
    let time = if is_of_today { style.time_of_day(line.ts) } else { style.date_time(line.ts) };
    let sentence = format!("{time}  {}", sanitize(first_line(&line.text)));
    writeln!(out, "  {}", cut_indented(&sentence, 2, style))?;
    let indent = " ".repeat(16);
    if let Some(path) = line.path.as_deref() {
        let at = line.at.map(|at| format!(":{at}")).unwrap_or_default();
        let number = line.line.map(|number| format!(" (line {number})")).unwrap_or_default();
        let place = format!("{at}{number}");
        let room = style.width.map_or(usize::MAX, |width| width.saturating_sub(indent.len() + place.len()));
        let path = sanitize(path);
        let place = format!("{}{place}", elide_middle(&path, room, style.ellipsis()));
        writeln!(out, "{indent}{}", style.paint(Paint::Cyan, &cut_indented(&place, indent.len(), style)))?;
    }
    if let Some(source_line) = line.source_line.as_deref() {
        let text = sanitize(first_line(source_line));
        writeln!(out, "{indent}{}", style.paint(Paint::Dim, &cut_indented(&text, indent.len(), style)))?;
    }
    Ok(())
}

fn cut_indented(text: &str, indent: usize, style: &Style) -> String {
    match style.width {
        Some(width) => style.cut(text, width.saturating_sub(indent)).into_owned(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::text::display_width;
    use crate::projection::health::Reason;
    use crate::view::fixture::{ago, now, task, task_b};

    fn model() -> ExplainModel {
        let failure = |minutes, call: &str, message: &str, at| EvidenceLine {
            ts: ago(minutes),
            type_name: "tool.failed".to_owned(),
            text: format!("Bash failed with exit code 1: {message}"),
            tool: Some("Bash".to_owned()),
            call: Some(call.to_owned()),
            error_kind: Some("exit_code".to_owned()),
            error_message: Some(message.to_owned()),
            path: Some("/home/someone/.claude/projects/-srv-project/4c8f6a2e.jsonl".to_owned()),
            at: Some(at),
            ..EvidenceLine::default()
        };
        let last = EvidenceLine {
            line: Some(112),
            source_line: Some("{\"type\":\"user\"}\u{1b}[31m".to_owned()),
            ..failure(2, "c3", "make: *** [all] Error 2\nsecond line", 51_022)
        };
        ExplainModel {
            status: task_b(),
            evidence: vec![failure(4, "c1", "exit 1", 48_213), failure(3, "c2", "exit 1", 49_990), last],
            policy: Policy::default(),
            forecast: None,
            worst: None,
        }
    }

    fn shown(width: Option<usize>) -> String {
        let mut out = Vec::new();
        text(&model(), now(), &Style { width, ..Style::plain() }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_verdict_is_explained_down_to_the_byte() {
        insta::assert_snapshot!(shown(None), @r#"
        Task B (bg_def456)
        ⚠ Struggling: 3 tool failures in a row
        since 2026-11-16 09:39:00 (2m ago)

        Rule
          struggling: 3 or more counted failures in a row in one thread of work; results that were refused, cancelled or rate limited neither count nor reset

        Numbers
          consecutive failures  3  limit 3

        Evidence
          09:37:00.000  Bash failed with exit code 1: exit 1
                        /home/someone/.claude/projects/-srv-project/4c8f6a2e.jsonl:48213
          09:38:00.000  Bash failed with exit code 1: exit 1
                        /home/someone/.claude/projects/-srv-project/4c8f6a2e.jsonl:49990
          09:39:00.000  Bash failed with exit code 1: make: *** [all] Error 2
                        /home/someone/.claude/projects/-srv-project/4c8f6a2e.jsonl:51022 (line 112)
                        {"type":"user"}^[[31m

        What would change it
          one success in that thread of work resets the streak
        "#);
    }

    #[test]
    fn the_tool_over_its_budget_is_named() {
        let mut model = model();
        model.status.verdict.health = Health::Stuck;
        model.status.verdict.reason = Some(Reason::ToolOverBudget);
        model.status.verdict.numbers =
            vec![Number { name: "open_call", value: 1_320_000.0, limit: Some(900_000.0), unit: "ms" }];
        let mut out = Vec::new();
        text(&model, now(), &Style::plain(), &mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        assert!(
            shown.contains("◌ Stuck: Bash has run for 22 minutes, its budget is 15 minutes\n"),
            "{shown}"
        );
        assert!(shown.contains("open call  22 minutes  limit 15 minutes\n"), "{shown}");
    }

    #[test]
    fn an_explanation_fits_its_page() {
        insta::assert_snapshot!(shown(Some(60)), @r#"
        Task B (bg_def456)
        ⚠ Struggling: 3 tool failures in a row
        since 2026-11-16 09:39:00 (2m ago)

        Rule
          struggling: 3 or more counted failures in a row in one
          thread of work; results that were refused, cancelled or
          rate limited neither count nor reset

        Numbers
          consecutive failures  3  limit 3

        Evidence
          09:37:00.000  Bash failed with exit code 1: exit 1
                        /home/someon…rv-project/4c8f6a2e.jsonl:48213
          09:38:00.000  Bash failed with exit code 1: exit 1
                        /home/someon…rv-project/4c8f6a2e.jsonl:49990
          09:39:00.000  Bash failed with exit code 1: make: *** [al…
                        /home/so…ect/4c8f6a2e.jsonl:51022 (line 112)
                        {"type":"user"}^[[31m

        What would change it
          one success in that thread of work resets the streak
        "#);
        for width in [20, 40, 60] {
            assert!(
                shown(Some(width)).lines().all(|line| display_width(line) <= width),
                "{}",
                shown(Some(width))
            );
        }
    }

    #[test]
    fn a_task_that_is_well_itself_names_the_descendant_that_is_not() {
        let of = |id: &str, parent: &str, health: Health, minutes: i64| {
            let mut task = task(id, health, None);
            task.parent = Some(parent.to_owned());
            task.verdict.since = Some(ago(minutes));
            task
        };
        let mut root = of("root", "child", Health::Healthy, 90);
        root.rollup = Health::Stuck;
        let tasks = [
            root.clone(),
            of("child", "root", Health::Healthy, 60),
            of("late", "child", Health::Stuck, 5),
            of("early", "child", Health::Stuck, 20),
            of("other", "elsewhere", Health::Stuck, 80),
        ];
        let worst = worst_below(&tasks, &root).cloned();
        assert_eq!(worst.as_ref().map(|worst| worst.task.as_str()), Some("early"));
        assert_eq!(worst_below(&tasks, &tasks[2]), None);
        let mut model = ExplainModel { status: root, worst, evidence: Vec::new(), ..model() };
        if let Some(worst) = &mut model.worst {
            worst.title = Some("read the design".to_owned());
        }
        let mut out = Vec::new();
        text(&model, now(), &Style::plain(), &mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        let wanted =
            "\nBelow it\n  read the design is stuck: silent inside a turn\n  agentlog explain early\n";
        assert!(shown.contains(wanted), "{shown}");
    }

    #[test]
    fn the_headline_says_each_word_once() {
        let of = |health: Health, sentence: &str| headline(&Style::plain().badge(health), health, sentence);
        assert_eq!(of(Health::Completed, "completed after 10 minutes"), "✓ Completed after 10 minutes");
        assert_eq!(of(Health::Failed, "failed: exit code 2"), "✗ Failed: exit code 2");
        assert_eq!(of(Health::Failed, "says it is done"), "✗ Failed: says it is done");
        assert_eq!(of(Health::Cancelled, "was cancelled: SIGINT"), "⊘ Cancelled: SIGINT");
        assert_eq!(of(Health::Waiting, "waiting for permission"), "⏸ Waiting for permission");
        assert_eq!(of(Health::Healthy, "working"), "✓ Healthy: working");
    }

    #[test]
    fn evidence_of_another_day_has_its_date() {
        let mut model = model();
        model.evidence[0].ts = ago(24 * 60);
        let mut out = Vec::new();
        text(&model, now(), &Style::plain(), &mut out).unwrap();
        let shown = String::from_utf8(out).unwrap();
        assert!(shown.contains("\n  2026-11-15 09:41:00  Bash failed"), "{shown}");
        assert!(shown.contains("\n  09:38:00.000  Bash failed"), "{shown}");
    }

    #[test]
    fn the_json_says_the_same() {
        let mut out = Vec::new();
        json(&model(), now(), "0.1.0", &mut out).unwrap();
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["task"]["task"], "bg_def456");
        assert_eq!(
            value["numbers"],
            serde_json::json!([{"name": "consecutive_failures", "value": 3.0, "limit": 3.0, "unit": ""}])
        );
        assert_eq!(value["evidence"][2]["at"], 51_022);
        assert_eq!(value["evidence"][2]["source_line"], "{\"type\":\"user\"}\u{1b}[31m");
        assert_eq!(value["would_change"], "one success in that thread of work resets the streak");
    }
}
