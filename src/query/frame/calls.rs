//! The table `tool_calls`: starts and ends joined by (task, call), as the events come.
//!
//! Only open calls are held; a call that has its end is a row and forgotten but for a hash, by which a repeated end is
//! known. What `task.created` says about a task may come before or after its calls.

use crate::base::clock::Timestamp;
use crate::base::zone::Zone;
use crate::event::body::Body;
use crate::event::envelope::Event;
use crate::event::error::ErrorDetail;
use crate::event::field::Text;
use crate::query::frame::column::{FrameBuilder, Value};
use crate::query::frame::{FrameError, day_text, week_text};
use crate::query::table::{Selection, Table};
use hashbrown::{HashMap, HashSet};
use polars::prelude::DataFrame;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Builds the table `tool_calls`. Rows stand in the order of the ends; open calls follow, oldest first.
#[derive(Debug)]
pub struct ToolCallsBuilder {
    frame: FrameBuilder,
    zone: Zone,
    open: HashMap<String, Start>,
    /// Hashes of (task, call) of the calls that ended: among three million calls, two share one with a chance of 3·10⁻⁷.
    closed: HashSet<u64>,
    tasks: HashMap<String, TaskFacts>,
    /// Task and model of each row, for the columns that `task.created` fills; empty if none of them is selected.
    rows: Vec<(Option<u32>, Option<u32>)>,
    names: Names,
    joins_tasks: bool,
    /// Calls before this instant make no row.
    from: Option<Timestamp>,
}

/// The start of a call, or as much of it as its end knows.
#[derive(Debug, Default)]
struct Start {
    task: Option<String>,
    agent: Option<String>,
    source: Option<String>,
    thread: Option<String>,
    tool: String,
    call: String,
    attempt: Option<u64>,
    model: Option<String>,
    started_at: Option<Timestamp>,
    input_hash: Option<String>,
    from_file: Option<String>,
    from_at: Option<u64>,
}

/// What `task.created` says that calls repeat.
#[derive(Debug, Default)]
struct TaskFacts {
    model: Option<String>,
    host: Option<String>,
    project: Option<String>,
    worktree: Option<String>,
}

/// The end of a call.
struct End<'b, 'a> {
    ts: Timestamp,
    duration_ms: Option<u64>,
    result_hash: Option<&'b Text<'a>>,
    error: Option<&'b ErrorDetail<'a>>,
}

/// Texts that repeat, numbered.
#[derive(Debug, Default)]
struct Names {
    numbers: HashMap<String, u32>,
    texts: Vec<String>,
}

impl Names {
    fn number(&mut self, text: &str) -> Option<u32> {
        if let Some(number) = self.numbers.get(text) {
            return Some(*number);
        }
        let number = u32::try_from(self.texts.len()).ok()?;
        self.numbers.insert(text.to_owned(), number);
        self.texts.push(text.to_owned());
        Some(number)
    }

    fn text(&self, number: Option<u32>) -> Option<&str> {
        self.texts.get(usize::try_from(number?).ok()?).map(String::as_str)
    }
}

impl ToolCallsBuilder {
    /// A builder for these columns; weeks and days are those of `zone`.
    #[must_use]
    pub fn new(selection: &Selection, zone: Zone) -> Self {
        let joins_tasks = ["model", "host", "project", "worktree"].iter().any(|name| selection.has(name));
        Self {
            frame: FrameBuilder::new(Table::ToolCalls, selection),
            zone,
            open: HashMap::new(),
            closed: HashSet::new(),
            tasks: HashMap::new(),
            rows: Vec::new(),
            names: Names::default(),
            joins_tasks,
            from: None,
        }
    }

    /// Leaves out the calls that ended, or are open and started, before `from`.
    #[must_use]
    pub const fn since(mut self, from: Timestamp) -> Self {
        self.from = Some(from);
        self
    }

    /// How many rows there are.
    #[must_use]
    pub const fn row_count(&self) -> usize {
        self.frame.row_count()
    }

    /// The frame of the rows so far, which are forgotten: so that they need not all be held at once. What `task.created` says
    /// about their tasks must have been taken before.
    ///
    /// # Errors
    /// [`FrameError`]; an error of this program.
    pub fn take_rows(&mut self) -> Result<DataFrame, FrameError> {
        self.join_tasks();
        self.rows.clear();
        self.names = Names::default();
        let emptied = self.frame.emptied();
        std::mem::replace(&mut self.frame, emptied).finish()
    }

    /// Takes one event of any type: starts are kept, ends make rows, `task.created` is remembered, others pass. A call's
    /// first start and first end count; repetitions are passed over.
    pub fn apply(&mut self, event: &Event<'_>) {
        match &event.body {
            Body::TaskCreated { model, host, project, worktree, .. } if self.joins_tasks => {
                let Some(task) = &event.task else { return };
                let facts = self.tasks.entry_ref(task.as_ref()).or_default();
                for (fact, value) in [
                    (&mut facts.model, model),
                    (&mut facts.host, host),
                    (&mut facts.project, project),
                    (&mut facts.worktree, worktree),
                ] {
                    if fact.is_none() {
                        *fact = value.as_deref().map(str::to_owned);
                    }
                }
            }
            Body::ToolStarted { call, .. } => {
                let key = key(event, call);
                if !self.closed.contains(&hash(&key)) {
                    self.open.entry(key).or_insert_with(|| start_of(event, true));
                }
            }
            Body::ToolSucceeded { call, duration_ms, result_hash, .. } => {
                let end = End {
                    ts: event.ts,
                    duration_ms: *duration_ms,
                    result_hash: result_hash.as_ref(),
                    error: None,
                };
                self.close(event, call, &end);
            }
            Body::ToolFailed { call, duration_ms, result_hash, error, .. } => {
                let end = End {
                    ts: event.ts,
                    duration_ms: *duration_ms,
                    result_hash: result_hash.as_ref(),
                    error: Some(error),
                };
                self.close(event, call, &end);
            }
            _ => {}
        }
    }

    /// The frame of all rows; calls without an end are open.
    ///
    /// # Errors
    /// [`FrameError`]; an error of this program.
    pub fn finish(mut self) -> Result<DataFrame, FrameError> {
        let mut open: Vec<(String, Start)> = self.open.drain().collect();
        open.sort_by(|a, b| (a.1.started_at, &a.0).cmp(&(b.1.started_at, &b.0)));
        for (_, start) in open {
            self.push(&start, None);
        }
        self.take_rows()
    }

    fn close(&mut self, event: &Event<'_>, call: &str, end: &End<'_, '_>) {
        let key = key(event, call);
        if !self.closed.insert(hash(&key)) {
            return;
        }
        let mut of_end = start_of(event, false);
        if let Some(start) = self.open.remove(&key) {
            of_end = Start {
                agent: of_end.agent.or(start.agent),
                source: of_end.source.or(start.source),
                thread: of_end.thread.or(start.thread),
                attempt: of_end.attempt.or(start.attempt),
                model: of_end.model.or(start.model),
                started_at: start.started_at,
                input_hash: start.input_hash.or(of_end.input_hash),
                from_file: start.from_file.or(of_end.from_file),
                from_at: start.from_at.or(of_end.from_at),
                ..of_end
            };
        }
        self.push(&of_end, Some(end));
    }

    fn push(&mut self, start: &Start, end: Option<&End<'_, '_>>) {
        let at = end.map(|end| end.ts).or(start.started_at);
        if at < self.from {
            return;
        }
        let frame = &mut self.frame;
        frame.set("task", || Value::text(start.task.as_deref()));
        frame.set("agent", || Value::text(start.agent.as_deref()));
        frame.set("source", || Value::text(start.source.as_deref()));
        frame.set("thread", || Value::text(start.thread.as_deref()));
        frame.set("tool", || Value::text(Some(&start.tool)));
        frame.set("call", || Value::text(Some(&start.call)));
        frame.set("attempt", || Value::count(start.attempt.unwrap_or(1)));
        frame.set("started_at", || start.started_at.map_or(Value::Null, Value::instant));
        frame.set("input_hash", || Value::text(start.input_hash.as_deref()));
        frame.set("from_file", || Value::text(start.from_file.as_deref()));
        frame.set("from_at", || start.from_at.map_or(Value::Null, Value::count));
        let zone = self.zone;
        if let Some(ts) = at {
            frame.set("week", || Value::Text(week_text(ts, zone).into()));
            frame.set("day", || Value::Text(day_text(ts, zone).into()));
        }
        frame.set("outcome", || Value::text(Some(outcome(end))));
        if let Some(end) = end {
            push_end(frame, start, end);
        }
        frame.end_row();
        if self.joins_tasks {
            let task = start.task.as_deref().and_then(|task| self.names.number(task));
            let model = start.model.as_deref().and_then(|model| self.names.number(model));
            self.rows.push((task, model));
        }
    }

    /// Fills the columns that come from `task.created`, when all of those are known.
    fn join_tasks(&mut self) {
        let [model, host, project, worktree] =
            ["model", "host", "project", "worktree"].map(|name| self.frame.place(name).unwrap_or(usize::MAX));
        let nothing = TaskFacts::default();
        for (row, (task, own_model)) in self.rows.iter().enumerate() {
            let facts = self.names.text(*task).and_then(|task| self.tasks.get(task)).unwrap_or(&nothing);
            let model_text = self.names.text(*own_model).or(facts.model.as_deref());
            self.frame.set_in_row(row, model, Value::text(model_text));
            self.frame.set_in_row(row, host, Value::text(facts.host.as_deref()));
            self.frame.set_in_row(row, project, Value::text(facts.project.as_deref()));
            self.frame.set_in_row(row, worktree, Value::text(facts.worktree.as_deref()));
        }
    }
}

fn push_end(frame: &mut FrameBuilder, start: &Start, end: &End<'_, '_>) {
    frame.set("ended_at", || Value::instant(end.ts));
    frame.set("duration_ms", || {
        let between = || u64::try_from(end.ts.millis_since(start.started_at?)).ok();
        end.duration_ms.or_else(between).map_or(Value::Null, Value::count)
    });
    frame.set("result_hash", || Value::text(end.result_hash.map(AsRef::as_ref)));
    if let Some(error) = end.error {
        frame.set("error_kind", || Value::text(Some(&error.kind)));
        frame.set("error_category", || Value::text(error.category.as_deref()));
        frame.set("error_message", || Value::text(error.message.as_deref()));
        frame.set("exit_code", || error.exit_code.map_or(Value::Null, Value::Integer));
    }
}

fn outcome(end: Option<&End<'_, '_>>) -> &'static str {
    match end.map(|end| end.error) {
        None => "open",
        Some(None) => "succeeded",
        Some(Some(error)) if error.is_neutral() => "neutral",
        Some(Some(_)) => "failed",
    }
}

fn start_of(event: &Event<'_>, is_start: bool) -> Start {
    let (Body::ToolStarted { tool, call, thread, attempt, model, input_hash }
    | Body::ToolSucceeded { tool, call, thread, attempt, model, input_hash, .. }
    | Body::ToolFailed { tool, call, thread, attempt, model, input_hash, .. }) = &event.body
    else {
        return Start::default();
    };
    let owned = |text: &Option<Text<'_>>| text.as_deref().map(str::to_owned);
    Start {
        task: owned(&event.task),
        agent: owned(&event.agent),
        source: owned(&event.source),
        thread: owned(thread),
        tool: tool.clone().into_owned(),
        call: call.clone().into_owned(),
        attempt: *attempt,
        model: owned(model),
        started_at: is_start.then_some(event.ts),
        input_hash: owned(input_hash),
        from_file: event.from.as_ref().map(|from| from.file.clone().into_owned()),
        from_at: event.from.as_ref().and_then(|from| from.at),
    }
}

/// (task, call) as one text; no id holds a NUL.
fn key(event: &Event<'_>, call: &str) -> String {
    let task = event.task.as_deref().unwrap_or("");
    let mut key = String::with_capacity(task.len() + call.len() + 1);
    key.push_str(task);
    key.push('\0');
    key.push_str(call);
    key
}

/// The same in every run: std's hasher without a random seed.
fn hash(key: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}
