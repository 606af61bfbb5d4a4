//! Tool calls: each has a start and an end, joined by the native id of the call.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::error::ErrorDetail;
use crate::event::field::Text;
use crate::event::scan::{Entry, Raw, RawKind};
use crate::source::claude_code::failure;
use crate::source::claude_code::record::Record;
use crate::source::claude_code::renamed;
use crate::source::claude_code::todo::Change;
use crate::source::claude_code::transcript::{Context, Transcript};
use crate::source::recent::Recent;
use crate::source::scribe::Scribe;
use crate::source::session::{CALLS_KEPT, keyed_hash, percent};
use crate::source::text::{beginning, captured, elements, member, members, word};
use serde::{Deserialize, Serialize};

/// A call that is never answered is forgotten when so many others are open.
const OPEN_MAX: usize = 512;
const UNKNOWN_TOOL: &str = "unknown";

/// The calls that are open, and the latest that were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Calls {
    open: Vec<Call>,
    started: Recent<CALLS_KEPT>,
    ended: Recent<CALLS_KEPT>,
    /// The attempt at the task that new calls belong to; none: the only one.
    pub(super) attempt: Option<u64>,
    /// The records at hand do not say when they were written, so that nothing can be measured.
    pub(super) is_untimed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Call {
    id: String,
    tool: String,
    thread: String,
    model: Option<String>,
    input_hash: Option<String>,
    ts: Timestamp,
    purpose: Purpose,
    #[serde(default)]
    attempt: Option<u64>,
    #[serde(default)]
    is_untimed: bool,
    /// Something that its result will need stands in its input under a name that nobody knows. Models err, so only a call
    /// that was accepted tells that the format has changed.
    #[serde(default)]
    is_renamed: bool,
}

/// What the input says that the result will need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Purpose {
    Work,
    Agent { title: Option<String>, kind: Option<String> },
    Shell { title: Option<String> },
    TaskCreate(Change),
    TaskUpdate(Change),
    Wait { on: String },
}

impl Transcript {
    /// A block by which the model calls a tool.
    pub(super) fn tool_use(
        &mut self,
        context: &Context,
        block: &[Entry<'_>],
        (thread, model): (&str, &str),
        scribe: &mut Scribe<'_>,
    ) {
        let Some(id) = member(block, "id").and_then(word) else { return };
        if self.calls.ended.contains(id) || !self.calls.started.is_new(id) {
            return;
        }
        let tool = member(block, "name").and_then(word).unwrap_or(UNKNOWN_TOOL);
        let input = member(block, "input");
        let purpose = input.map_or(Purpose::Work, |input| purpose_of(tool, input));
        if let Purpose::Wait { on } = &purpose {
            scribe.say(Body::WaitingStarted { on: Text::Owned(on.clone()), until_at: None });
        }
        let is_renamed = input.is_some_and(|input| is_renamed(tool, &purpose, input));
        let call = Call {
            id: id.to_owned(),
            tool: tool.to_owned(),
            thread: thread.to_owned(),
            model: Some(model.to_owned()).filter(|model| !model.is_empty()),
            input_hash: input.map(|input| keyed_hash(&context.hash_key, &[tool, input.text])),
            ts: scribe.ts(),
            purpose,
            attempt: self.calls.attempt,
            is_untimed: self.calls.is_untimed,
            is_renamed,
        };
        call.start(scribe);
        if self.calls.open.len() >= OPEN_MAX {
            self.calls.open.remove(0);
        }
        self.calls.open.push(call);
        if let Some(todos) = input.filter(|_| tool == "TodoWrite" && thread == "main") {
            self.todo_list(member(&members(todos), "todos"), scribe);
        }
    }

    /// A block that gives the result of a call.
    pub(super) fn tool_result(
        &mut self,
        context: &Context,
        block: &[Entry<'_>],
        record: &Record<'_>,
        thread: &str,
        scribe: &mut Scribe<'_>,
    ) {
        let Some(id) = member(block, "tool_use_id").and_then(word) else { return };
        if !self.calls.ended.is_new(id) {
            return;
        }
        let place = self.calls.open.iter().position(|call| call.id == id);
        let call = match place {
            Some(place) => self.calls.open.remove(place),
            None => self.calls.unseen(id, thread, scribe),
        };
        let answer = member(block, "content");
        let result = record.result.filter(|result| result.kind == RawKind::Object);
        let details = result.map(members).unwrap_or_default();
        let is_true = |raw: Option<Raw<'_>>| raw.is_some_and(|raw| raw.text == "true");
        let error = if is_true(member(block, "is_error")) {
            Some(failure::of_result(&answer.map(content_text).unwrap_or_default()))
        } else {
            // A command that was interrupted but not marked as an error gave what it had: the source calls that a result.
            None
        };
        let failed = error.is_some();
        let result_hash = answer.map(|answer| keyed_hash(&context.hash_key, &[answer.text]));
        call.end(result_hash, error, self.calls.is_untimed, scribe);
        if let Purpose::Wait { on } = &call.purpose {
            scribe.say(Body::WaitingEnded { on: Text::Owned(on.clone()) });
        }
        self.is_renamed |= call.is_renamed && !failed && !matches!(call.purpose, Purpose::Shell { .. });
        if let Some(result) = result.filter(|_| !failed) {
            self.follow_up(call, result, &details, scribe);
        }
    }

    /// What a good result means beyond the call itself.
    fn follow_up(&mut self, call: Call, result: Raw<'_>, details: &[Entry<'_>], scribe: &mut Scribe<'_>) {
        let Call { id, tool, ts, purpose, thread, is_renamed, .. } = call;
        match purpose {
            Purpose::Agent { title, kind } => {
                self.is_renamed |= renamed::in_delegated(details);
                self.background.agent_answered(&id, (title, kind), ts, details, scribe);
            }
            Purpose::Shell { title } => {
                let is_launched = self.background.shell_answered(&id, title, details, scribe);
                self.is_renamed |= is_launched && is_renamed;
            }
            Purpose::TaskCreate(change) if thread == "main" => {
                self.is_renamed |= renamed::in_made_task(details);
                self.todos.created(change, result);
                self.progress(scribe);
            }
            Purpose::TaskUpdate(change) if thread == "main" => {
                self.todos.updated(change, Some(result));
                self.progress(scribe);
            }
            _ if tool == "TodoWrite" && thread == "main" => {
                self.todo_list(member(details, "newTodos"), scribe);
            }
            _ => self.background.inspected(&tool, details, scribe),
        }
    }

    fn todo_list(&mut self, todos: Option<Raw<'_>>, scribe: &mut Scribe<'_>) {
        if let Some(todos) = todos {
            self.todos.replace(todos);
            self.progress(scribe);
        }
    }

    fn progress(&mut self, scribe: &mut Scribe<'_>) {
        let Some(progress) = self.todos.news() else { return };
        scribe.say(Body::ProgressReported {
            current: Some(progress.current),
            total: Some(progress.total),
            percent: percent(progress.current, progress.total),
            step: progress.step.map(Text::Owned),
        });
    }
}

impl Calls {
    /// A call whose start is not in the transcript: it starts where it ends.
    fn unseen(&self, id: &str, thread: &str, scribe: &mut Scribe<'_>) -> Call {
        let call = Call {
            id: id.to_owned(),
            tool: UNKNOWN_TOOL.to_owned(),
            thread: thread.to_owned(),
            model: None,
            input_hash: None,
            ts: scribe.ts(),
            purpose: Purpose::Work,
            attempt: self.attempt,
            is_untimed: self.is_untimed,
            is_renamed: false,
        };
        call.start(scribe);
        call
    }
}

impl Call {
    fn start(&self, scribe: &mut Scribe<'_>) {
        let body = Body::ToolStarted {
            tool: Text::Borrowed(&self.tool),
            call: Text::Borrowed(&self.id),
            thread: Some(Text::Borrowed(&self.thread)),
            attempt: self.attempt,
            model: self.model.as_deref().map(Text::Borrowed),
            input_hash: self.input_hash.as_deref().map(Text::Borrowed),
        };
        scribe.say_of(&["call", &self.id], "", body);
    }

    fn end(
        &self,
        result_hash: Option<String>,
        error: Option<ErrorDetail<'_>>,
        is_untimed: bool,
        scribe: &mut Scribe<'_>,
    ) {
        let tool = Text::Borrowed(self.tool.as_str());
        let call = Text::Borrowed(self.id.as_str());
        let thread = Some(Text::Borrowed(self.thread.as_str()));
        let model = self.model.as_deref().map(Text::Borrowed);
        let input_hash = self.input_hash.as_deref().map(Text::Borrowed);
        let result_hash = result_hash.map(Text::Owned);
        // Lines may go back in time; a call that ends before it began took no time.
        let measured = u64::try_from(scribe.ts().millis_since(self.ts)).unwrap_or(0);
        let duration_ms = Some(measured).filter(|_| !(self.is_untimed || is_untimed));
        let attempt = self.attempt;
        let body = match error {
            None => Body::ToolSucceeded {
                tool,
                call,
                thread,
                attempt,
                model,
                duration_ms,
                input_hash,
                result_hash,
            },
            Some(error) => Body::ToolFailed {
                tool,
                call,
                thread,
                attempt,
                model,
                duration_ms,
                input_hash,
                result_hash,
                error,
            },
        };
        scribe.say_of(&["call", &self.id], "", body);
    }
}

fn purpose_of(tool: &str, input: Raw<'_>) -> Purpose {
    match tool {
        "Task" | "Agent" => {
            let input = members(input);
            let line = |name| member(&input, name).and_then(|raw| captured(&beginning(raw)));
            Purpose::Agent { title: line("description"), kind: line("subagent_type") }
        }
        "Bash" | "PowerShell" | "Monitor" => {
            let input = members(input);
            let title = member(&input, "description").map(beginning);
            Purpose::Shell { title: title.as_deref().and_then(captured) }
        }
        "TaskCreate" => Purpose::TaskCreate(Change::of_input(input)),
        "TaskUpdate" => Purpose::TaskUpdate(Change::of_input(input)),
        "AskUserQuestion" => Purpose::Wait { on: "question".to_owned() },
        "ExitPlanMode" | "exit_plan_mode" => Purpose::Wait { on: "permission".to_owned() },
        _ => Purpose::Work,
    }
}

/// Whether what is looked for in an input stands there under a name that nobody knows.
fn is_renamed(tool: &str, purpose: &Purpose, input: Raw<'_>) -> bool {
    match purpose {
        Purpose::Agent { .. } => renamed::in_delegation(input),
        Purpose::Shell { title: None } => renamed::in_shell(input),
        Purpose::TaskCreate(_) => renamed::in_new_task(input),
        Purpose::TaskUpdate(_) => renamed::in_task_change(input),
        Purpose::Work if tool == "TodoWrite" => renamed::in_todos(input),
        Purpose::Shell { .. } | Purpose::Work | Purpose::Wait { .. } => false,
    }
}

/// The beginning of what a result says: a string, or the first text in an array of blocks.
fn content_text(content: Raw<'_>) -> String {
    if content.kind != RawKind::Array {
        return beginning(content);
    }
    elements(content)
        .into_iter()
        .find_map(|block| member(&members(block), "text").map(beginning))
        .unwrap_or_default()
}
