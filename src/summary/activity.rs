//! What each task did lately, folded from its events: tools, files, steps, errors, messages, output.
//!
//! Bounded: of each kind the last fifty. Neither the order of the events nor seeing one of them twice makes a difference,
//! so the end of the log may be read while it grows.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::envelope::Event;
use crate::event::error::ErrorDetail;
use crate::event::ids::EventId;
use std::collections::{HashMap, VecDeque};

/// So many items of each kind are kept.
pub const ITEMS_MAX: usize = 50;
/// So many tasks are followed.
const TASKS_MAX: usize = 10_000;
/// A longer text is cut, a longer path loses its beginning.
const TEXT_CHARS_MAX: usize = 300;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<T> {
    /// When.
    pub at: Timestamp,
    id: EventId,
    /// What.
    pub what: T,
}

/// The last items of one kind, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent<T>(VecDeque<Item<T>>);

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Recent<T> {
    /// The items, oldest first.
    #[must_use]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Item<T>> + ExactSizeIterator {
        self.0.iter()
    }

    /// The last one.
    #[must_use]
    pub fn last(&self) -> Option<&Item<T>> {
        self.0.back()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, event: &Event<'_>, what: impl FnOnce() -> T) {
        let key = (event.effective_ts(), event.id);
        let place = self.0.partition_point(|item| (item.at, item.id) < key);
        let is_known = self.0.get(place).is_some_and(|item| (item.at, item.id) == key);
        if is_known || (place == 0 && self.0.len() >= ITEMS_MAX) {
            return;
        }
        self.0.insert(place, Item { at: key.0, id: key.1, what: what() });
        if self.0.len() > ITEMS_MAX {
            self.0.pop_front();
        }
    }
}

/// A tool that was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolUse {
    /// Its name.
    pub tool: String,
    /// Whether the call succeeded; `None`: it was prevented or interrupted.
    pub ok: Option<bool>,
}

/// Something done to a file or another target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// What was done: `modified`, or the task's own word.
    pub verb: String,
    /// To what.
    pub target: Option<String>,
    /// Whether it worked.
    pub ok: bool,
}

/// What one task did lately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Tool calls that ended.
    pub tools: Recent<ToolUse>,
    /// Files and other targets.
    pub deeds: Recent<Deed>,
    /// The steps it said it is at.
    pub steps: Recent<String>,
    /// First lines of errors.
    pub errors: Recent<String>,
    /// Messages.
    pub messages: Recent<()>,
    /// By how many bytes its output grew last, and when.
    pub output: Option<(Timestamp, EventId, u64)>,
}

impl Activity {
    /// Takes one event of this task.
    pub fn apply(&mut self, event: &Event<'_>) {
        match &event.body {
            Body::ToolSucceeded { tool, .. } => self.tool(event, tool, Some(true)),
            Body::ToolFailed { tool, error, .. } => {
                self.tool(event, tool, (!error.is_neutral()).then_some(false));
                if !error.is_neutral() {
                    self.error(event, error);
                }
            }
            Body::ErrorMatched { error, .. } => self.error(event, error),
            Body::FileChanged { path, change } => {
                self.deeds.add(event, || Deed { verb: beginning(change), target: Some(end(path)), ok: true });
            }
            Body::ActionLogged { action, target, ok } => self.deeds.add(event, || Deed {
                verb: beginning(action),
                target: target.as_deref().map(end),
                ok: *ok,
            }),
            Body::ProgressReported { step: Some(step), .. } => self.steps.add(event, || beginning(step)),
            Body::MessageRecorded { .. } => self.messages.add(event, || ()),
            Body::OutputGrew { output_bytes: Some(bytes) } => {
                self.output = self.output.max(Some((event.effective_ts(), event.id, *bytes)));
            }
            _ => {}
        }
    }

    fn tool(&mut self, event: &Event<'_>, tool: &str, ok: Option<bool>) {
        self.tools.add(event, || ToolUse { tool: beginning(tool), ok });
    }

    fn error(&mut self, event: &Event<'_>, error: &ErrorDetail<'_>) {
        if let Some(message) = error.message.as_deref() {
            self.errors.add(event, || beginning(message));
        }
    }
}

/// What all tasks did lately.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activities(HashMap<String, Activity>);

impl Activities {
    /// Takes one event of any task.
    pub fn apply(&mut self, event: &Event<'_>) {
        let Some(task) = event.task.as_deref().filter(|_| is_wanted(&event.body)) else { return };
        if let Some(activity) = self.0.get_mut(task) {
            activity.apply(event);
        } else if self.0.len() < TASKS_MAX {
            let mut activity = Activity::default();
            activity.apply(event);
            self.0.insert(task.to_owned(), activity);
        }
    }

    /// What a task did lately.
    #[must_use]
    pub fn of(&self, task: &str) -> Option<&Activity> {
        self.0.get(task)
    }

    /// Forgets the tasks that are not wanted any more.
    pub fn keep(&mut self, is_wanted: impl Fn(&str) -> bool) {
        self.0.retain(|task, _| is_wanted(task));
    }
}

/// Most events of a log say nothing here.
const fn is_wanted(body: &Body<'_>) -> bool {
    matches!(
        body,
        Body::ToolSucceeded { .. }
            | Body::ToolFailed { .. }
            | Body::ErrorMatched { .. }
            | Body::FileChanged { .. }
            | Body::ActionLogged { .. }
            | Body::ProgressReported { step: Some(_), .. }
            | Body::MessageRecorded { .. }
            | Body::OutputGrew { .. }
    )
}

fn beginning(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

/// The end of a path says more than its beginning.
fn end(path: &str) -> String {
    let count = path.chars().count();
    path.chars().skip(count.saturating_sub(TEXT_CHARS_MAX)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::event::envelope::VERSION;

    /// The beginning of the tests' time.
    pub(crate) fn start() -> Timestamp {
        Timestamp::parse("2026-11-16T09:00:00Z").unwrap()
    }

    /// An event of a task, so many seconds after the [`start`].
    pub(crate) fn event(second: i64, body: Body<'static>) -> Event<'static> {
        let ts = start().plus_millis(second * 1000);
        Event {
            v: VERSION,
            id: EventId::of(&[&ts.millis().to_le_bytes(), body.type_name().as_bytes()]),
            ts,
            observed_at: None,
            task: Some("t".into()),
            agent: None,
            source: None,
            body,
            from: None,
            written: None,
        }
    }

    fn failed(kind: &'static str, message: &'static str) -> Body<'static> {
        let error =
            ErrorDetail { kind: kind.into(), message: Some(message.into()), ..ErrorDetail::default() };
        Body::ToolFailed {
            tool: "Bash".into(),
            call: "c".into(),
            thread: None,
            attempt: None,
            model: None,
            duration_ms: None,
            input_hash: None,
            result_hash: None,
            error,
        }
    }

    fn changed(path: String) -> Body<'static> {
        Body::FileChanged { path: path.into(), change: "modified".into() }
    }

    fn texts(recent: &Recent<String>) -> Vec<&str> {
        recent.iter().map(|item| item.what.as_str()).collect()
    }

    fn progress(step: &'static str) -> Body<'static> {
        Body::ProgressReported { current: None, total: None, percent: None, step: Some(step.into()) }
    }

    fn sample() -> Vec<Event<'static>> {
        vec![
            event(1, progress("reading")),
            event(2, failed("exit_code", "no rule")),
            event(3, failed("user_rejected", "not now")),
            event(4, changed("src/a.rs".to_owned())),
            event(5, Body::ActionLogged { action: "deploy".into(), target: None, ok: false }),
            event(6, Body::OutputGrew { output_bytes: Some(7) }),
            event(
                7,
                Body::MessageRecorded { role: None, thread: None, text_bytes: None, has_tool_use: None },
            ),
        ]
    }

    fn fold(events: &[Event<'_>]) -> Activities {
        let mut activities = Activities::default();
        for event in events {
            activities.apply(event);
        }
        activities
    }

    #[test]
    fn what_a_task_did_is_kept_by_kind() {
        let all = fold(&sample());
        let activity = all.of("t").unwrap();
        let oks: Vec<_> = activity.tools.iter().map(|item| item.what.ok).collect();
        assert_eq!(oks, [Some(false), None]);
        let deed = |verb: &str, target: Option<&str>, ok| Deed {
            verb: verb.to_owned(),
            target: target.map(str::to_owned),
            ok,
        };
        let deeds: Vec<_> = activity.deeds.iter().map(|item| item.what.clone()).collect();
        assert_eq!(deeds, [deed("modified", Some("src/a.rs"), true), deed("deploy", None, false)]);
        assert_eq!((texts(&activity.steps), texts(&activity.errors)), (vec!["reading"], vec!["no rule"]));
        assert_eq!((activity.messages.len(), activity.output.map(|output| output.2)), (1, Some(7)));
    }

    #[test]
    fn neither_order_nor_repetition_makes_a_difference() {
        let mut events = sample();
        events.extend((10..100).map(|second| event(second, changed(format!("src/{second}.rs")))));
        let expected = fold(&events);
        let turned: Vec<_> = events.iter().rev().cloned().collect();
        assert_eq!(fold(&turned), expected);
        let twice: Vec<_> = events.iter().chain(&events).cloned().collect();
        assert_eq!(fold(&twice), expected);
    }

    #[test]
    fn of_each_kind_the_last_fifty_are_kept() {
        let events: Vec<_> = (0..120).map(|second| event(second, changed(format!("{second}")))).collect();
        let all = fold(&events);
        let deeds = &all.of("t").unwrap().deeds;
        let targets: Vec<_> = deeds.iter().filter_map(|item| item.what.target.clone()).collect();
        assert_eq!(targets, (70..120).map(|second| second.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn long_texts_are_cut_and_tasks_may_be_forgotten() {
        let mut all = fold(&[event(1, changed(format!("{}/end.rs", "x".repeat(400))))]);
        let path = all.of("t").unwrap().deeds.last().unwrap().what.target.clone().unwrap();
        assert_eq!((path.chars().count(), path.ends_with("/end.rs")), (300, true));
        all.keep(|task| task != "t");
        assert_eq!(all, Activities::default());
    }
}
