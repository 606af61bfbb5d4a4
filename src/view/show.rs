//! `show TASK`: all that is known of one task, in sections, as `kubectl describe` has it.
//!
//! What is not known is left out; nothing is guessed. Children and recent events are the caller's choice.

use crate::base::clock::Timestamp;
use crate::base::text::{first_line, human_count, human_duration, plural, sanitize};
use crate::event::body::{Body, Criterion};
use crate::event::envelope::Event;
use crate::projection::health::{Health, Reason};
use crate::projection::status::TaskStatus;
use crate::view::message::{message, name, percent_text};
use crate::view::palette::{Paint, Style, health_paint};
use crate::view::{status, summary, tail};
use std::io::{self, Write};

/// Columns of the names of facts.
const LABEL_WIDTH: usize = 18;
const INDENT: &str = "  ";

/// Writes all facts of a task, what was found of each of its criteria (`check`, the event of its last check), its children as
/// a table, and the events given, oldest first.
///
/// # Errors
/// Those of `out`.
pub fn show(
    task: &TaskStatus,
    (children, check, recent): (&[TaskStatus], Option<&Event<'_>>, &[Event<'_>]),
    now: Timestamp,
    style: &Style,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut page = Page { style, out };
    let title = format!("{} ({})", sanitize(first_line(name(task))), sanitize(&task.task));
    writeln!(page.out, "{}", style.paint(Paint::Bold, &style.cut_line(&title)))?;
    page.task(task, now)?;
    page.health(task, now)?;
    page.completion(task, check, now)?;
    page.progress(task)?;
    page.tools(task)?;
    page.usage(task)?;
    page.children(task, children, now)?;
    if !recent.is_empty() {
        page.section("Recent events")?;
        for event in recent {
            page.out.write_all(INDENT.as_bytes())?;
            let width = style.width.map(|width| width.saturating_sub(INDENT.len()));
            tail::event(event, &Style { width, ..*style }, page.out)?;
        }
    }
    Ok(())
}

struct Page<'a> {
    style: &'a Style,
    out: &'a mut dyn Write,
}

impl Page<'_> {
    fn section(&mut self, title: &str) -> io::Result<()> {
        writeln!(self.out, "\n{}", self.style.paint(Paint::Bold, title))
    }

    /// One fact; nothing where it is not known. The value is sanitised here.
    fn fact(&mut self, label: &str, value: Option<impl AsRef<str>>) -> io::Result<()> {
        self.painted(label, value, Paint::Plain)
    }

    fn painted(&mut self, label: &str, value: Option<impl AsRef<str>>, paint: Paint) -> io::Result<()> {
        let Some(value) = value else { return Ok(()) };
        let value = sanitize(value.as_ref());
        if value.is_empty() {
            return Ok(());
        }
        let room = self.style.width.map(|width| width.saturating_sub(INDENT.len() + LABEL_WIDTH));
        let value = room.map_or_else(|| value.clone(), |room| self.style.cut(&value, room));
        writeln!(self.out, "{INDENT}{label:<LABEL_WIDTH$}{}", self.style.paint(paint, &value))
    }

    fn instant(&mut self, label: &str, ts: Option<Timestamp>, now: Timestamp) -> io::Result<()> {
        let shown = ts
            .map(|ts| format!("{} ({} ago)", self.style.date_time(ts), human_duration(now.millis_since(ts))));
        self.fact(label, shown)
    }

    fn task(&mut self, task: &TaskStatus, now: Timestamp) -> io::Result<()> {
        self.section("Task")?;
        self.fact("id", Some(&task.task))?;
        self.fact("title", task.title.as_deref())?;
        self.fact("assigned task", task.assigned_task.as_deref())?;
        self.fact("parent", task.parent.as_deref())?;
        self.fact("agent", task.agent.as_deref())?;
        self.fact("source", task.source.as_deref())?;
        self.fact("model", task.model.as_deref())?;
        self.fact("host", task.host.as_deref())?;
        self.fact("project", task.project.as_deref())?;
        self.fact("directory", task.cwd.as_deref())?;
        self.fact("worktree", task.worktree.as_deref())?;
        self.fact("attempt", (task.attempt > 1).then(|| task.attempt.to_string()))?;
        self.instant("created", task.created_at, now)?;
        self.instant("last activity", task.last_activity_at, now)?;
        self.instant("ended", task.ended_at, now)
    }

    fn health(&mut self, task: &TaskStatus, now: Timestamp) -> io::Result<()> {
        self.section("Health")?;
        let health = task.verdict.health;
        self.painted("health", Some(self.style.badge(health)), health_paint(health))?;
        self.fact("reason", task.verdict.reason.map(Reason::word))?;
        self.fact("message", Some(message(task, now)))?;
        self.instant("since", task.verdict.since, now)?;
        let below = (task.rollup != health).then(|| self.style.badge(task.rollup));
        self.painted("with descendants", below, health_paint(task.rollup))?;
        let alignment = task.alignment.as_deref();
        let said = alignment.map(|alignment| alignment.replace('_', " "));
        self.painted("alignment", said, alignment.map_or(Paint::Plain, summary::paint))
    }

    /// What was claimed of its end, and what was found of it.
    fn completion(&mut self, task: &TaskStatus, check: Option<&Event<'_>>, now: Timestamp) -> io::Result<()> {
        let Some(check) = check else { return Ok(()) };
        let Body::CompletionChecked { criteria, attempt } = &check.body else { return Ok(()) };
        self.section("Completion")?;
        self.fact("claimed", task.claimed.map(Health::word))?;
        self.fact(
            "checked attempt",
            attempt.filter(|attempt| *attempt > 1).map(|attempt| attempt.to_string()),
        )?;
        self.instant("checked", Some(check.ts), now)?;
        criteria.iter().try_for_each(|criterion| self.criterion(criterion))
    }

    fn criterion(&mut self, criterion: &Criterion<'_>) -> io::Result<()> {
        let health = if criterion.ok { Health::Completed } else { Health::Failed };
        let word = if criterion.ok { "met" } else { "not met" };
        let message = criterion.message.as_deref().map(|message| format!(": {message}")).unwrap_or_default();
        let value = format!("{} {word}{message}", self.style.symbol(health));
        let name = sanitize(first_line(&criterion.name)).into_owned();
        self.painted(&self.style.cut(&name, LABEL_WIDTH - 1), Some(value), health_paint(health))
    }

    fn progress(&mut self, task: &TaskStatus) -> io::Result<()> {
        let Some(progress) = &task.progress else { return Ok(()) };
        self.section("Progress")?;
        let steps = match (progress.current, progress.total) {
            (Some(current), Some(total)) => Some(format!("{current} of {total}")),
            (Some(current), None) => Some(current.to_string()),
            (None, total) => total.map(|total| format!("of {total}")),
        };
        self.fact("steps", steps)?;
        self.fact("percent", progress.percent.map(percent_text))?;
        self.fact("now", progress.step.as_deref())
    }

    fn tools(&mut self, task: &TaskStatus) -> io::Result<()> {
        self.section("Tools")?;
        let tools = &task.tools;
        let counted = tools.succeeded + tools.failed;
        let neither = if tools.neutral > 0 { format!(", {} neither", tools.neutral) } else { String::new() };
        let calls = format!("{} of {} succeeded{neither}", tools.succeeded, plural(counted, "call"));
        self.fact("ended", Some(calls))?;
        self.fact("open", (tools.open > 0).then(|| tools.open.to_string()))?;
        let failures = task.consecutive_failures;
        self.fact("failures in a row", (failures > 0).then(|| failures.to_string()))
    }

    fn usage(&mut self, task: &TaskStatus) -> io::Result<()> {
        let usage = &task.usage;
        let tokens = [
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
            ("cache read", usage.cache_read_tokens),
            ("cache write", usage.cache_write_tokens),
        ];
        if tokens.iter().all(|(_, count)| *count == 0) && usage.cost_usd.is_none() {
            return Ok(());
        }
        self.section("Usage")?;
        for (label, count) in tokens {
            self.fact(label, (count > 0).then(|| format!("{} tokens", human_count(count))))?;
        }
        self.fact("cost", usage.cost_usd.map(|cost| format!("${cost:.4}")))?;
        self.fact("quality", usage.quality.as_deref())
    }

    fn children(&mut self, task: &TaskStatus, children: &[TaskStatus], now: Timestamp) -> io::Result<()> {
        let counts = &task.children;
        let words = [
            (counts.live, "live"),
            (counts.completed, "completed"),
            (counts.failed, "failed"),
            (counts.timed_out, "timed out"),
            (counts.cancelled, "cancelled"),
        ];
        let counted: Vec<String> = words
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        if counted.is_empty() && children.is_empty() {
            return Ok(());
        }
        self.section("Children")?;
        self.fact("in all", (!counted.is_empty()).then(|| counted.join(self.style.dot())))?;
        let width = self.style.width.map(|width| width.saturating_sub(INDENT.len()));
        let style = Style { width, ..*self.style };
        let table = status::table(children, now, status::StatusOptions::default(), &style);
        for line in table.lines().filter(|_| !children.is_empty()) {
            writeln!(self.out, "{INDENT}{line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::text::display_width;
    use crate::event::codec::{Decoded, Decoder};
    use crate::projection::status::ChildCounts;
    use crate::view::fixture::{now, task_a, task_b};

    fn shown(width: Option<usize>) -> String {
        let mut decoder = Decoder::new("s");
        let line = br#"{"v":1,"ts":"2026-11-16T09:40:00Z","type":"tool.started","task":"bg_abc123","tool":"Grep","call":"c9"}"#;
        let Decoded::Known(known) = decoder.decode(line, 0) else { panic!("no event") };
        let task = TaskStatus {
            cwd: Some("/srv/project\u{1b}[2J".to_owned()),
            alignment: Some("on_track".to_owned()),
            children: ChildCounts { live: 1, completed: 2, ..ChildCounts::default() },
            ..task_a()
        };
        let mut out = Vec::new();
        let style = Style { width, ..Style::plain() };
        let check = br#"{"v":1,"ts":"2026-11-16T09:39:00Z","type":"completion.checked","task":"bg_abc123","criteria":[{"name":"exit code","ok":true},{"name":"required files","ok":false,"message":"Missing required file: dist/app.js"}]}"#;
        let Decoded::Known(check) = decoder.decode(check, 1) else { panic!("no event") };
        let parts: (&[_], _, &[_]) = (&[task_b()], Some(&check.event), &[known.event]);
        show(&task, parts, now(), &style, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_task_is_described_in_sections() {
        insta::assert_snapshot!(shown(Some(80)), @r#"
        Task A (bg_abc123)

        Task
          id                bg_abc123
          title             Task A
          agent             explore
          source            claude-code
          model             opus
          directory         /srv/project^[[2J
          created           2026-11-16 09:29:00 (12m ago)
          last activity     2026-11-16 09:41:00 (0s ago)

        Health
          health            ✓ Healthy
          message           working
          alignment         on track

        Completion
          checked           2026-11-16 09:39:00 (2m ago)
          exit code         ✓ met
          required files    ✗ not met: Missing required file: dist/app.js

        Progress
          steps             2 of 5
          percent           40%
          now               analyzing codebase

        Tools
          ended             14 of 15 calls succeeded
          open              1

        Usage
          input             1.2k tokens
          output            800 tokens
          cache read        50.0k tokens
          cost              $0.2500
          quality           measured

        Children
          in all            1 live · 2 completed
          TASK       AGENT      HEALTH        DETAIL           FAILS  LAST  TITLE
          bg_def456  librarian  ⚠ Struggling  3 tool failures      3    2m  Task B

        Recent events
          09:40:00.000 bg_abc123      tool.started        Grep
        "#);
    }

    #[test]
    fn a_description_fits_its_page() {
        let text = shown(Some(50));
        assert!(text.lines().all(|line| display_width(line) <= 50), "{text}");
    }
}
