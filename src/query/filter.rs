//! Which events a reader wants to see.
//!
//! A [`Filter`] is a conjunction of its parts; each part with several values is a disjunction. An empty filter takes
//! everything. It looks at one event at a time and knows no other: that a prefix of a task id fits one task only is
//! settled before, by [`Filter::resolve_tasks`].

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::codec::encode;
use crate::event::envelope::Event;
use crate::event::scan;
use crate::query::expression::Expression;
use std::fmt;

/// What to take. The default takes everything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Tasks, by id or by the beginning of one.
    pub tasks: Vec<TaskSelector>,
    /// Agents; `*` stands for any characters.
    pub agents: Vec<String>,
    /// Tools; `*` stands for any characters. Events that are about no tool are not taken.
    pub tools: Vec<String>,
    /// Event types; `*` stands for any characters (`tool.*`).
    pub types: Vec<String>,
    /// Conditions on fields; all must hold.
    pub expressions: Vec<Expression>,
    /// Only events at this instant or later.
    pub since: Option<Timestamp>,
    /// Only events at this instant or earlier.
    pub until: Option<Timestamp>,
}

/// A task as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskSelector {
    /// The task with this id.
    Exact(String),
    /// The task with this id, or whose id begins so.
    Prefix(String),
}

/// A prefix that fits several tasks, or none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// No id begins so.
    #[error("no task `{prefix}`")]
    None {
        /// The prefix as given.
        prefix: String,
    },
    /// Several ids begin so, and none is exactly that.
    #[error("`{prefix}` is the beginning of {} tasks: {}", .tasks.len(), Listed(.tasks))]
    Several {
        /// The prefix as given.
        prefix: String,
        /// The ids, sorted.
        tasks: Vec<String>,
    },
}

impl TaskSelector {
    /// Whether it takes this task.
    #[must_use]
    pub fn takes(&self, task: &str) -> bool {
        match self {
            Self::Exact(id) => task == id,
            Self::Prefix(prefix) => task.starts_with(prefix.as_str()),
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Exact(text) | Self::Prefix(text) => text,
        }
    }
}

impl Filter {
    /// Whether it takes everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
            && self.agents.is_empty()
            && self.tools.is_empty()
            && self.types.is_empty()
            && self.expressions.is_empty()
            && self.since.is_none()
            && self.until.is_none()
    }

    /// Turns every prefix into the one id of `known` that it means: the id that is equal to it, else the only one that
    /// begins so. A prefix that fits none is left as it is when `or_later` is set (its task may be yet to come).
    ///
    /// # Errors
    /// [`TaskError`] for the first prefix that means none or several.
    pub fn resolve_tasks(&mut self, known: &[&str], or_later: bool) -> Result<(), TaskError> {
        for selector in &mut self.tasks {
            if let TaskSelector::Prefix(prefix) = selector {
                match resolve_task(prefix, known) {
                    Ok(id) => *selector = TaskSelector::Exact(id.to_owned()),
                    Err(TaskError::None { .. }) if or_later => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Whether the event is wanted.
    #[must_use]
    pub fn matches(&self, event: &Event<'_>) -> bool {
        self.since.is_none_or(|since| event.ts >= since)
            && self.until.is_none_or(|until| event.ts <= until)
            && takes(&self.types, |pattern| is_like(pattern, event.body.type_name()))
            && takes(&self.tasks, |selector| event.task.as_deref().is_some_and(|task| selector.takes(task)))
            && takes(&self.agents, |pattern| {
                event.agent.as_deref().is_some_and(|agent| is_like(pattern, agent))
            })
            && takes(&self.tools, |pattern| tool(&event.body).is_some_and(|tool| is_like(pattern, tool)))
            && self.expressions_hold(event)
    }

    /// Characters that stand in every line the filter may take, as our writer writes them; `None` if there are none.
    ///
    /// A foreign writer may write any character as an escape (`\u005f`), so only a line with neither the literal nor a
    /// backslash can be skipped: see [`Filter::may_match`].
    #[must_use]
    pub fn literal(&self) -> Option<&[u8]> {
        let task = only(&self.tasks).map(TaskSelector::text);
        let others = [&self.tools, &self.types, &self.agents].into_iter().filter_map(|list| only(list));
        let literals = task.into_iter().chain(others.map(|pattern| longest_piece(pattern)));
        literals.filter(|literal| literal.bytes().all(is_plain)).max_by_key(|literal| literal.len()).and_then(
            |literal| {
                // The characters of the shortest type names stand in too many lines to be worth a search.
                (literal.len() >= 3).then_some(literal.as_bytes())
            },
        )
    }

    /// A cheap look at a line before it is decoded: `false` only if [`Filter::matches`] would be false.
    #[must_use]
    pub fn may_match(&self, line: &[u8]) -> bool {
        self.literal().is_none_or(|literal| {
            memchr::memmem::find(line, literal).is_some() || memchr::memchr(b'\\', line).is_some()
        })
    }

    fn expressions_hold(&self, event: &Event<'_>) -> bool {
        if self.expressions.is_empty() {
            return true;
        }
        let mut line = Vec::with_capacity(512);
        encode(event, &mut line);
        let mut entries = Vec::with_capacity(32);
        let is_object = std::str::from_utf8(&line).is_ok_and(|text| scan::object(text, &mut entries).is_ok());
        is_object && self.expressions.iter().all(|expression| expression.matches(&entries))
    }
}

/// The one id of `known` that `prefix` means: the id that is equal to it, else the only one that begins so.
///
/// # Errors
/// [`TaskError`] if it means none or several.
pub fn resolve_task<'k>(prefix: &str, known: &[&'k str]) -> Result<&'k str, TaskError> {
    let mut fitting: Vec<&str> = known.iter().copied().filter(|id| id.starts_with(prefix)).collect();
    fitting.sort_unstable();
    fitting.dedup();
    match *fitting {
        [] => Err(TaskError::None { prefix: prefix.to_owned() }),
        [id] => Ok(id),
        // Sorted, so an id that is equal to the prefix comes first.
        [first, ..] if first == prefix => Ok(first),
        _ => {
            let tasks = fitting.into_iter().map(ToOwned::to_owned).collect();
            Err(TaskError::Several { prefix: prefix.to_owned(), tasks })
        }
    }
}

/// Whether `text` is like `pattern`, in which `*` stands for any characters, none included.
#[must_use]
pub fn is_like(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let (pieces, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in pieces.split('*') {
        match text.find(piece) {
            Some(place) => text = text.get(place + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    text.ends_with(end)
}

fn takes<T>(list: &[T], fits: impl Fn(&T) -> bool) -> bool {
    list.is_empty() || list.iter().any(fits)
}

fn only<T>(list: &[T]) -> Option<&T> {
    match list {
        [one] => Some(one),
        _ => None,
    }
}

fn tool<'e>(body: &'e Body<'_>) -> Option<&'e str> {
    match body {
        Body::ToolStarted { tool, .. } | Body::ToolSucceeded { tool, .. } | Body::ToolFailed { tool, .. } => {
            Some(tool)
        }
        _ => None,
    }
}

fn longest_piece(pattern: &str) -> &str {
    pattern.split('*').max_by_key(|piece| piece.len()).unwrap_or_default()
}

/// Characters that our writer never escapes.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte)
}

/// The first few of a list, for a message.
struct Listed<'a>(&'a [String]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_MAX: usize = 5;
        let shown: Vec<&str> = self.0.iter().take(SHOWN_MAX).map(String::as_str).collect();
        out.write_str(&shown.join(", "))?;
        if self.0.len() > SHOWN_MAX { out.write_str(" …") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::codec::{Decoded, Decoder};
    use proptest::prelude::*;

    const LINE: &str = concat!(
        r#"{"v":1,"id":"019a8b00-0000-7000-8000-000000000001","ts":"2026-11-16T09:00:00.123Z","type":"tool.failed","#,
        r#""task":"bg_1a2b3c4d","agent":"explore","tool":"mcp__files__read","call":"toolu_01","error":{"kind":"exit_code"}}"#,
    );
    const NOTE: &str = r#"{"ts":"2026-11-16T09:00:00Z","type":"note.logged","text":"bg_1a2b3c4d"}"#;

    fn takes_line(filter: &Filter, line: &str) -> bool {
        let Decoded::Known(decoded) = Decoder::new("seg").decode(line.as_bytes(), 0) else {
            panic!("{line}")
        };
        let matches = filter.matches(&decoded.event);
        assert!(filter.may_match(line.as_bytes()) || !matches, "{filter:?} skips a line that it takes");
        matches
    }

    fn list(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    fn prefix(text: &str) -> TaskSelector {
        TaskSelector::Prefix(text.to_owned())
    }

    #[test]
    fn an_empty_filter_takes_everything() {
        assert!(Filter::default().is_empty());
        assert!(takes_line(&Filter::default(), LINE) && takes_line(&Filter::default(), NOTE));
    }

    #[test]
    fn every_part_must_fit_and_one_value_of_each() {
        let filter = Filter {
            tasks: vec![prefix("other"), prefix("bg_1a")],
            agents: list(&["plan", "explore"]),
            tools: list(&["mcp__*"]),
            types: list(&["tool.*", "task.created"]),
            expressions: vec![
                Expression::parse("error.kind=exit_code").unwrap(),
                Expression::parse("call~=01$").unwrap(),
            ],
            since: Timestamp::parse("2026-11-16T09:00:00.123Z"),
            until: Timestamp::parse("2026-11-16T09:00:00.123Z"),
        };
        assert!(!filter.is_empty());
        assert!(takes_line(&filter, LINE));
        let spoilt = [
            Filter { tasks: vec![prefix("bg_2")], ..filter.clone() },
            Filter { tasks: vec![TaskSelector::Exact("bg_1a".to_owned())], ..filter.clone() },
            Filter { agents: list(&["plan"]), ..filter.clone() },
            Filter { tools: list(&["Bash"]), ..filter.clone() },
            Filter { types: list(&["tool.succeeded"]), ..filter.clone() },
            Filter { expressions: vec![Expression::parse("error.kind=timeout").unwrap()], ..filter.clone() },
            Filter { since: Timestamp::parse("2026-11-16T09:00:00.124Z"), ..filter.clone() },
            Filter { until: Timestamp::parse("2026-11-16T09:00:00.122Z"), ..filter.clone() },
        ];
        for filter in spoilt {
            assert!(!takes_line(&filter, LINE), "{filter:?}");
        }
    }

    #[test]
    fn an_event_without_the_field_is_not_taken() {
        assert!(!takes_line(&Filter { tasks: vec![prefix("bg_1a")], ..Filter::default() }, NOTE));
        assert!(!takes_line(&Filter { tools: list(&["*"]), ..Filter::default() }, NOTE));
        assert!(!takes_line(&Filter { agents: list(&["*"]), ..Filter::default() }, NOTE));
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, text, expected) in [
            ("tool.*", "tool.failed", true),
            ("tool.*", "tool.", true),
            ("tool.*", "tools", false),
            ("*.failed", "tool.failed", true),
            ("*.failed", "task.failed_once", false),
            ("t*l.f*d", "tool.failed", true),
            ("t*.*x*d", "tool.failed", false),
            ("*", "", true),
            ("**", "a", true),
            ("", "", true),
            ("", "a", false),
            ("ab*ba", "aba", false),
            ("a*b*a", "aba", true),
        ] {
            assert_eq!(is_like(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_prefix_means_the_one_task_that_begins_so() {
        let known = ["bg_12", "bg_1", "bg_2f", "bg_12"];
        let resolve = |prefix| resolve_task(prefix, &known);
        assert_eq!(resolve("bg_2"), Ok("bg_2f"));
        assert_eq!(resolve("bg_1"), Ok("bg_1"));
        assert_eq!(resolve("x"), Err(TaskError::None { prefix: "x".to_owned() }));
        let several = resolve("bg").unwrap_err();
        assert_eq!(
            several,
            TaskError::Several { prefix: "bg".to_owned(), tasks: list(&["bg_1", "bg_12", "bg_2f"]) }
        );
        assert_eq!(several.to_string(), "`bg` is the beginning of 3 tasks: bg_1, bg_12, bg_2f");
    }

    #[test]
    fn a_filter_resolves_its_prefixes_and_may_wait_for_tasks_to_come() {
        let known = ["bg_1", "bg_12"];
        let mut filter = Filter { tasks: vec![prefix("bg_1"), prefix("later")], ..Filter::default() };
        assert_eq!(
            filter.clone().resolve_tasks(&known, false),
            Err(TaskError::None { prefix: "later".to_owned() })
        );
        assert_eq!(filter.resolve_tasks(&known, true), Ok(()));
        assert_eq!(filter.tasks, [TaskSelector::Exact("bg_1".to_owned()), prefix("later")]);
    }

    #[test]
    fn a_literal_is_offered_where_every_taken_line_has_it() {
        let literal =
            |filter: &Filter| filter.literal().map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        let filter = Filter { types: list(&["tool.*"]), ..Filter::default() };
        assert_eq!(literal(&filter).as_deref(), Some("tool."));
        let filter = Filter { tasks: vec![prefix("bg_1a2b")], ..filter };
        assert_eq!(literal(&filter).as_deref(), Some("bg_1a2b"));
        assert_eq!(literal(&Filter { tasks: vec![prefix("a"), prefix("b")], ..Filter::default() }), None);
        assert_eq!(literal(&Filter { tasks: vec![prefix("\"quoted\"")], ..Filter::default() }), None);
        assert!(!filter.may_match(NOTE.replace("bg_1a2b3c4d", "other").as_bytes()));
    }

    #[test]
    fn a_line_with_escapes_is_never_skipped() {
        let filter = Filter { tasks: vec![prefix("bg_1a2b")], ..Filter::default() };
        assert!(takes_line(&filter, &LINE.replace("\"bg_1a2b3c4d\"", "\"bg\\u005f1a2b3c4d\"")));
    }

    proptest! {
        #[test]
        fn a_pattern_agrees_with_the_regular_expression_it_stands_for(pattern in "[ab*]{0,6}", text in "[ab]{0,8}") {
            let expected = regex::Regex::new(&format!("^{}$", pattern.replace('*', ".*"))).unwrap().is_match(&text);
            prop_assert_eq!(is_like(&pattern, &text), expected);
        }
    }
}
