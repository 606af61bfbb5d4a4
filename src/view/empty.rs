//! What is said when there is nothing to show: what was looked for, and what to do next.
//!
//! An empty screen is an answer, so it explains itself. Whoever calls knows what was looked for; nothing is looked for here.

use crate::base::text::{did_you_mean, elide_middle, plural, sanitize};
use crate::view::palette::{Paint, Style};

/// A place where work may be found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LookedFor {
    /// What would be found there: `Claude Code sessions`.
    pub what: String,
    /// Where it was looked for.
    pub place: String,
    /// How many were found.
    pub found_count: u64,
    /// Of those, how many belong to this project.
    pub taken_count: u64,
}

/// `status` without any task: what was looked for where, and the commands that change it.
#[must_use]
pub fn no_tasks(looked_for: &[LookedFor], style: &Style) -> String {
    let mut out = String::from("no tasks yet\n");
    if !looked_for.is_empty() {
        out.push_str("\nlooked for\n");
        let what_width = looked_for.iter().map(|place| place.what.chars().count()).max().unwrap_or(0);
        for place in looked_for {
            let found = match (place.found_count, place.taken_count) {
                (0, _) => "none".to_owned(),
                (found, taken) if found == taken => plural(found, "file"),
                (found, 0) => format!("{}, none of this project", plural(found, "file")),
                (found, taken) => format!("{}, {taken} of this project", plural(found, "file")),
            };
            let room =
                style.width.map_or(usize::MAX, |width| width.saturating_sub(what_width + found.len() + 6));
            let path = sanitize(&place.place);
            let path = elide_middle(&path, room, style.ellipsis());
            let line = format!("  {:<what_width$}  {path}: {found}", sanitize(&place.what));
            out.push_str(&style.cut_line(&line));
            out.push('\n');
        }
    }
    let found_elsewhere = looked_for.iter().any(|place| place.found_count > place.taken_count);
    out.push_str("\ntry\n");
    out.push_str(&command("agentlog watch", "record what agents do here from now on", style));
    if found_elsewhere {
        out.push_str(&command("agentlog watch --global", "take the work of all projects", style));
    }
    out.push_str(&command("agentlog import PATH", "read transcripts that are there already", style));
    out.push_str(&command("agentlog demo", "see it at work on sample data", style));
    out
}

/// `tail`, `query` or `report` without any event in the log.
#[must_use]
pub fn no_events(logs: &str, style: &Style) -> String {
    let logs = sanitize(logs);
    let room = style.width.map_or(usize::MAX, |width| width.saturating_sub("no events in ".len()));
    let mut out = format!("no events in {}\n\ntry\n", elide_middle(&logs, room, style.ellipsis()));
    out.push_str(&command("agentlog watch", "record what agents do here from now on", style));
    out.push_str(&command("agentlog doctor", "see which sources are found and understood", style));
    out
}

/// Events are there, but none passes the filters: `filters` as the user wrote them.
#[must_use]
pub fn no_match(events: u64, filters: &[String], style: &Style) -> String {
    let filters: Vec<String> = filters.iter().map(|filter| sanitize(filter).into_owned()).collect();
    let line = format!("none of {} matches {}", plural(events, "event"), filters.join(" "));
    format!("{}\n", style.cut_line(line.trim_end_matches(" matches ")))
}

/// No task begins with `wanted`: says so and names the nearest one. One line without newline.
#[must_use]
pub fn unknown_task<'a>(wanted: &str, tasks: impl IntoIterator<Item = &'a str>) -> String {
    let known = sanitize(wanted);
    match did_you_mean(wanted, tasks) {
        Some(near) => format!("no task `{known}`; did you mean `{}`?", sanitize(near)),
        None => format!("no task `{known}`; `agentlog status` lists them"),
    }
}

/// More than one task begins with `wanted`: names up to five. One line without newline.
#[must_use]
pub fn ambiguous_task(wanted: &str, matches: &[&str]) -> String {
    const NAMED_MAX: usize = 5;
    let named: Vec<_> = matches.iter().take(NAMED_MAX).map(|task| sanitize(task)).collect();
    let more = match matches.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("`{}` begins {} tasks: {}{more}", sanitize(wanted), matches.len(), named.join(", "))
}

fn command(command: &str, does: &str, style: &Style) -> String {
    const COMMAND_WIDTH: usize = 24;
    let gap = " ".repeat(COMMAND_WIDTH.saturating_sub(command.len()));
    let room = style.width.map_or(usize::MAX, |width| width.saturating_sub(COMMAND_WIDTH + 4));
    let does = style.paint(Paint::Dim, &style.cut(does, room));
    format!("{}\n", format!("  {command}{gap}  {does}").trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_screen_says_what_was_looked_for_and_what_to_do() {
        let looked_for = [
            LookedFor {
                what: "Claude Code sessions".to_owned(),
                place: "/home/someone/with/a/rather/long/name/.claude/projects".to_owned(),
                found_count: 12,
                taken_count: 0,
            },
            LookedFor {
                what: "worktrees".to_owned(),
                place: ".worktrees".to_owned(),
                ..LookedFor::default()
            },
        ];
        insta::assert_snapshot!(no_tasks(&looked_for, &Style { width: Some(80), ..Style::plain() }), @r#"
        no tasks yet

        looked for
          Claude Code sessions  /home/s….claude/projects: 12 files, none of this project
          worktrees             .worktrees: none

        try
          agentlog watch            record what agents do here from now on
          agentlog watch --global   take the work of all projects
          agentlog import PATH      read transcripts that are there already
          agentlog demo             see it at work on sample data
        "#);
        let narrow = no_tasks(&looked_for, &Style { width: Some(50), ..Style::plain() });
        assert!(narrow.lines().all(|line| line.chars().count() <= 50), "{narrow}");
    }

    #[test]
    fn a_log_without_events_says_where_it_lies() {
        insta::assert_snapshot!(no_events(".agents/logs", &Style::plain()), @r#"
        no events in .agents/logs

        try
          agentlog watch            record what agents do here from now on
          agentlog doctor           see which sources are found and understood
        "#);
    }

    #[test]
    fn filters_that_nothing_passes_are_repeated() {
        assert_eq!(
            no_match(12, &["tool=Bash".to_owned(), "task=bg_*".to_owned()], &Style::plain()),
            "none of 12 events matches tool=Bash task=bg_*\n"
        );
    }

    #[test]
    fn a_mistyped_task_is_answered_with_the_nearest() {
        assert_eq!(
            unknown_task("bg_acb123", ["bg_abc123", "bg_def456"]),
            "no task `bg_acb123`; did you mean `bg_abc123`?"
        );
        assert_eq!(unknown_task("\u{1b}x", ["bg_abc123"]), "no task `^[x`; `agentlog status` lists them");
        assert_eq!(ambiguous_task("bg", &["bg_1", "bg_2"]), "`bg` begins 2 tasks: bg_1, bg_2");
        assert_eq!(
            ambiguous_task("b", &["b1", "b2", "b3", "b4", "b5", "b6"]),
            "`b` begins 6 tasks: b1, b2, b3, b4, b5 and 1 more"
        );
    }
}
