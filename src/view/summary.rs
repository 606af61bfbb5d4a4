//! `summary`: what each agent does and how well that fits its task, as a table, as a page of one, or as JSON.

use crate::base::text::{escape_json, first_line, human_duration, sanitize};
use crate::summary::alignment::Alignment;
use crate::summary::record::{AgentSummary, SummaryDocument};
use crate::view::palette::{Paint, ShortIds, Style};
use crate::view::table::{Cell, Column, render};
use std::io::{self, Write};

const COLUMNS: [Column; 5] = [
    Column::new("TASK").shrink_to(8),
    Column::new("AGENT").shrink_to(6).drop_rank(1),
    Column::new("ALIGNMENT"),
    Column::new("SURE").right(),
    Column::new("WHY").shrink_to(20),
];
/// Columns of the names of facts.
const LABEL_WIDTH: usize = 18;

/// Writes one row per agent, in the order given; without any, says why.
///
/// # Errors
/// Those of `out`.
pub fn overview(summaries: &[AgentSummary], style: &Style, out: &mut dyn Write) -> io::Result<()> {
    if summaries.is_empty() {
        writeln!(out, "no agent is at work")?;
        writeln!(out, "\ntry")?;
        writeln!(out, "  agentlog summary TASK   one that has ended")?;
        return writeln!(out, "  agentlog status --all   all tasks");
    }
    let ids = ShortIds::new(summaries.iter().map(|summary| summary.instance_id.as_str()));
    let rows: Vec<Vec<Cell>> = summaries
        .iter()
        .map(|summary| {
            let why = summary.drift_reasons.first().unwrap_or(&summary.current_activity);
            vec![
                Cell::plain(ids.shorten(&summary.instance_id)),
                Cell::plain(line(summary.role.as_deref().unwrap_or_default())),
                Cell::painted(paint(&summary.on_track_status), words(&summary.on_track_status)),
                Cell::plain(percent(summary.confidence_score)),
                Cell::plain(line(why)),
            ]
        })
        .collect();
    write!(out, "{}", render(&COLUMNS, &rows, true, style))
}

/// Writes all that is known of one agent.
///
/// # Errors
/// Those of `out`.
pub fn page(summary: &AgentSummary, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let title = format!("{} ({})", line(&summary.instance_name), sanitize(&summary.instance_id));
    writeln!(out, "{}\n", style.paint(Paint::Bold, &style.cut_line(&title)))?;
    let status = format!("{}, {} sure", words(&summary.on_track_status), percent(summary.confidence_score));
    fact(out, style, "alignment", Some(&status), paint(&summary.on_track_status))?;
    for (idx, reason) in summary.drift_reasons.iter().enumerate() {
        fact(out, style, if idx == 0 { "because" } else { "" }, Some(reason), Paint::Plain)?;
    }
    let rows = [
        ("do", summary.recommended_action.clone()),
        ("doing", Some(summary.current_activity.clone())),
        ("assigned task", summary.assigned_task.clone()),
        ("shared words", Some(summary.alignment_keywords.join(", "))),
        ("agent", summary.role.clone()),
        ("parent", summary.parent_instance_id.clone()),
        ("last tools", Some(summary.recent_tools.join(", "))),
        ("last line", summary.output_preview.clone()),
        ("last activity", Some(format!("{} ago", human_duration(idle_millis(summary))))),
    ];
    for (label, value) in rows {
        fact(out, style, label, value.as_deref(), Paint::Plain)?;
    }
    Ok(())
}

/// Writes the document as indented JSON and a newline. What a terminal could obey is escaped.
///
/// # Errors
/// Those of `out`.
pub fn json(document: &SummaryDocument, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", escape_json(&serde_json::to_string_pretty(document)?))
}

fn fact(
    out: &mut dyn Write,
    style: &Style,
    label: &str,
    value: Option<&str>,
    paint: Paint,
) -> io::Result<()> {
    let Some(value) = value.map(line).filter(|value| !value.is_empty()) else { return Ok(()) };
    let room = style.width.map_or(usize::MAX, |width| width.saturating_sub(LABEL_WIDTH + 2));
    writeln!(out, "  {label:<LABEL_WIDTH$}{}", style.paint(paint, &style.cut(&value, room)))
}

fn line(text: &str) -> String {
    sanitize(first_line(text)).into_owned()
}

fn words(alignment: &str) -> String {
    line(&alignment.replace('_', " "))
}

fn percent(share: f64) -> String {
    format!("{:.0}%", (share * 100.0).clamp(0.0, 100.0))
}

fn idle_millis(summary: &AgentSummary) -> i64 {
    let idle = std::time::Duration::try_from_secs_f64(summary.idle_duration_seconds).unwrap_or_default();
    i64::try_from(idle.as_millis()).unwrap_or(i64::MAX)
}

/// How an alignment is painted.
#[must_use]
pub fn paint(alignment: &str) -> Paint {
    match Alignment::of_word(alignment) {
        Some(Alignment::Blocked | Alignment::OffTrack) => Paint::Red,
        Some(Alignment::Drifting) => Paint::Yellow,
        Some(Alignment::OnTrack) => Paint::Green,
        Some(Alignment::Unknown) | None => Paint::Dim,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::fixture::now;

    fn summary(id: &str, status: &str, reasons: &[&str]) -> AgentSummary {
        AgentSummary {
            instance_id: id.to_owned(),
            instance_name: "Task A\u{1b}[2J".to_owned(),
            timestamp: now(),
            current_activity: "2 of 5 steps, analyzing codebase, used Grep last".to_owned(),
            on_track_status: status.to_owned(),
            confidence_score: 0.62,
            assigned_task: Some("make the header parser faster".to_owned()),
            parent_instance_id: None,
            role: Some("explore".to_owned()),
            last_tool_used: Some("Grep".to_owned()),
            recent_tools: vec!["Read".to_owned(), "Grep".to_owned()],
            output_preview: None,
            idle_duration_seconds: 95.5,
            drift_reasons: reasons.iter().map(|&reason| reason.to_owned()).collect(),
            alignment_keywords: vec!["parser".to_owned()],
            recommended_action: Some("ask it how this serves its task".to_owned()),
        }
    }

    fn shown(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    const STYLE: fn() -> Style = || Style { width: Some(80), ..Style::plain() };

    #[test]
    fn agents_stand_in_a_table_with_what_speaks_against_them() {
        let all = [
            summary(
                "bg_abc123",
                "off_track",
                &["0 of the last 21 files and steps share a word with the task"],
            ),
            summary("bg_def456", "on_track", &[]),
        ];
        insta::assert_snapshot!(shown(|out| overview(&all, &STYLE(), out)), @r"
        TASK       AGENT    ALIGNMENT  SURE  WHY
        bg_abc123  explore  off track   62%  0 of the last 21 files and steps share a w…
        bg_def456  explore  on track    62%  2 of 5 steps, analyzing codebase, used Gre…
        ");
    }

    #[test]
    fn one_agent_has_a_page() {
        let one = summary(
            "bg_abc123",
            "drifting",
            &["0 of the last 12 files share a word with the task", "second"],
        );
        insta::assert_snapshot!(shown(|out| page(&one, &STYLE(), out)), @r"
        Task A^[[2J (bg_abc123)

          alignment         drifting, 62% sure
          because           0 of the last 12 files share a word with the task
                            second
          do                ask it how this serves its task
          doing             2 of 5 steps, analyzing codebase, used Grep last
          assigned task     make the header parser faster
          shared words      parser
          agent             explore
          last tools        Read, Grep
          last activity     1m ago
        ");
    }

    #[test]
    fn no_agent_is_an_answer() {
        insta::assert_snapshot!(shown(|out| overview(&[], &STYLE(), out)), @r"
        no agent is at work

        try
          agentlog summary TASK   one that has ended
          agentlog status --all   all tasks
        ");
    }
}
