//! Tool calls: what the model asked for, and what came back, joined by the id of the call.
//!
//! An end may be told twice, by an event of the program and by the answer for the model; the first one counts.

use crate::event::error::ErrorDetail;
use crate::event::scan::{Raw, RawKind};
use crate::source::codex::failure::{is_search, of_exit, of_output, stated};
use crate::source::codex::kinds::RESPONSES;
use crate::source::codex::output::{Output, arguments};
use crate::source::codex::plan;
use crate::source::codex::process::{Note, Whose};
use crate::source::codex::record::{Fields, Fit, Record, is_text, whole};
use crate::source::codex::rollout::{Context, Rollout, space};
use crate::source::failure::detail;
use crate::source::recent::hash;
use crate::source::scribe::Scribe;
use crate::source::session::{End, Start, keyed_hash};
use crate::source::text::{beginning, elements, word};
use std::borrow::Cow;

/// The thread of the scripts of code mode: what they call is in the main one.
const SCRIPTS: &str = "scripts";
pub(super) const SHELL: &str = "exec_command";
pub(super) const PATCH: &str = "apply_patch";
pub(super) const SEARCH: &str = "web_search";

/// How a call ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending<'e> {
    pub(super) id: &'e str,
    /// The tool, in case its start was not seen.
    pub(super) tool: &'e str,
    pub(super) error: Option<ErrorDetail<'e>>,
    /// What of the result tells it from others.
    pub(super) essence: &'e str,
    pub(super) duration_ms: Option<u64>,
}

impl Rollout {
    /// Takes an item of the conversation with the model.
    pub(super) fn response(
        &mut self,
        context: &Context,
        record: &Record<'_>,
        scribe: &mut Scribe<'_>,
    ) -> Fit {
        let payload = &record.payload;
        match record.item {
            "function_call" => self.function_called(context, payload, scribe),
            "custom_tool_call" => self.custom_tool_called(context, payload, scribe),
            "local_shell_call" => self.local_shell_called(context, payload, scribe),
            "tool_search_call" => self.tool_search_called(context, payload, scribe),
            "function_call_output" | "custom_tool_call_output" | "local_shell_call_output" => {
                self.answered_call(context, payload, scribe)
            }
            "tool_search_output" => {
                let Some(id) = payload.word("call_id") else { return Fit::Good };
                self.end(context, Ending { id, tool: "tool_search", ..Ending::default() }, scribe);
                Fit::Good
            }
            "web_search_call" => self.searched(context, record, scribe),
            "image_generation_call" => self.image_generated(context, payload, scribe),
            item => Fit::if_known(item, &RESPONSES),
        }
    }

    /// A call begins, as the program says it. Where the model asked for it, it was told already.
    pub(super) fn begun(&mut self, context: &Context, record: &Record<'_>, scribe: &mut Scribe<'_>) -> Fit {
        let payload = &record.payload;
        let Some(id) = payload.word("call_id") else { return Fit::Bad };
        let source = payload.word("source").unwrap_or_default().replace('_', "").to_lowercase();
        if matches!(source.as_str(), "usershell" | "unifiedexecinteraction") {
            return Fit::Good;
        }
        let invocation = payload.object("invocation");
        let (tool, input) = match record.item {
            "exec_command_begin" => (Cow::Borrowed(SHELL), payload.get("command")),
            "patch_apply_begin" => (Cow::Borrowed(PATCH), payload.get("changes")),
            "web_search_begin" => (Cow::Borrowed(SEARCH), payload.get("query")),
            _ => (Cow::Owned(mcp_tool(&invocation)), invocation.get("arguments")),
        };
        self.start(context, id, (&tool, None), input.map_or("", |raw| raw.text), scribe);
        Fit::Good
    }

    fn function_called(&mut self, context: &Context, payload: &Fields<'_>, scribe: &mut Scribe<'_>) -> Fit {
        let (id, name, input) = (payload.word("call_id"), payload.word("name"), payload.get("arguments"));
        let input = input.filter(|raw| is_text(*raw));
        let (Some(id), Some(name), Some(raw)) = (id, name, input) else { return Fit::Bad };
        if self.session.knows_call(space(id, &context.thread), id) {
            return Fit::Good;
        }
        let tool = match payload.word("namespace").filter(|space| *space != "functions") {
            Some(space) => Cow::Owned(format!("{}__{name}", space.trim_end_matches('_'))),
            None => Cow::Borrowed(name),
        };
        let text = whole(raw);
        let input = arguments(&text);
        let note = Note {
            is_search: is_search(&command(&input)),
            polls: input.get("session_id").filter(|_| name == "write_stdin").map(id_of),
        };
        self.processes.called(id, note);
        let thread = (name == "wait" && input.get("cell_id").is_some()).then_some(SCRIPTS);
        self.start(context, id, (&tool, thread), raw.text, scribe);
        if name != "update_plan" {
            return Fit::Good;
        }
        let (progress, fit) = plan::progress(&text);
        if let Some(progress) = progress {
            self.session.progress(progress, scribe);
        }
        fit
    }

    fn custom_tool_called(
        &mut self,
        context: &Context,
        payload: &Fields<'_>,
        scribe: &mut Scribe<'_>,
    ) -> Fit {
        let (Some(id), Some(name)) = (payload.word("call_id"), payload.word("name")) else { return Fit::Bad };
        let input = payload.get("input");
        let thread = (name == "exec").then_some(SCRIPTS);
        self.start(context, id, (name, thread), input.map_or("", |raw| raw.text), scribe);
        Fit::if_there(input.is_some())
    }

    fn local_shell_called(
        &mut self,
        context: &Context,
        payload: &Fields<'_>,
        scribe: &mut Scribe<'_>,
    ) -> Fit {
        let Some(id) = payload.word("call_id").or_else(|| payload.word("id")) else { return Fit::Bad };
        let Some(action) = payload.get("action") else { return Fit::Bad };
        let is_search = is_search(&command(&Fields::of(action)));
        self.processes.called(id, Note { is_search, polls: None });
        self.start(context, id, ("local_shell", None), action.text, scribe);
        Fit::Good
    }

    fn tool_search_called(
        &mut self,
        context: &Context,
        payload: &Fields<'_>,
        scribe: &mut Scribe<'_>,
    ) -> Fit {
        // One that the model's own side runs has no id, and no answer here.
        if let Some(id) = payload.word("call_id") {
            let input = payload.get("arguments").map_or("", |raw| raw.text);
            self.start(context, id, ("tool_search", None), input, scribe);
        }
        Fit::Good
    }

    /// A search that the model's own side did. The event that tells of it comes first, where there is one.
    fn searched(&mut self, context: &Context, record: &Record<'_>, scribe: &mut Scribe<'_>) -> Fit {
        let payload = &record.payload;
        if self.searches > 0 {
            self.searches -= 1;
            return Fit::Good;
        }
        let id = payload.word("id").or_else(|| payload.word("call_id")).map(str::to_owned);
        let id = id.unwrap_or_else(|| format!("search_{:016x}", hash(record.source)));
        let error = (payload.word("status") == Some("failed")).then(|| detail("tool_error", "failed", None));
        self.end(context, Ending { id: &id, tool: SEARCH, error, ..Ending::default() }, scribe);
        Fit::Good
    }

    pub(super) fn search_ended(
        &mut self,
        context: &Context,
        payload: &Fields<'_>,
        scribe: &mut Scribe<'_>,
    ) -> Fit {
        let Some(id) = payload.word("call_id") else { return Fit::Bad };
        self.searches += 1;
        self.end(context, Ending { id, tool: SEARCH, ..Ending::default() }, scribe);
        Fit::Good
    }

    fn image_generated(&mut self, context: &Context, payload: &Fields<'_>, scribe: &mut Scribe<'_>) -> Fit {
        let Some(id) = payload.word("id") else { return Fit::Bad };
        let error = (payload.word("status") == Some("failed")).then(|| detail("tool_error", "failed", None));
        self.end(context, Ending { id, tool: "image_generation", error, ..Ending::default() }, scribe);
        Fit::Good
    }

    /// The answer for the model.
    fn answered_call(&mut self, context: &Context, payload: &Fields<'_>, scribe: &mut Scribe<'_>) -> Fit {
        let output = payload.get("output").and_then(Output::of);
        let id = payload.word("call_id").or_else(|| payload.word("id"));
        let (Some(id), Some(output)) = (id, output) else { return Fit::Bad };
        let note = self.processes.note(id);
        if let Some(session) = &output.running {
            if note.polls.is_none() {
                self.processes.goes_on(session.clone(), id, note.is_search);
                return Fit::Good;
            }
            self.end(context, Ending { id, duration_ms: output.duration_ms, ..Ending::default() }, scribe);
            return Fit::Good;
        }
        let whose = match (note.polls.as_deref(), output.exit_code) {
            (Some(session), Some(_)) => self.processes.ended(Some(session)),
            _ => Whose::Poll,
        };
        let mut error = of_output(&output, note.is_search);
        if let Whose::Starter { call, is_search } = &whose {
            let error = of_output(&output, *is_search);
            let ending = Ending { id: call, tool: SHELL, error, essence: &output.essence, duration_ms: None };
            self.end(context, ending, scribe);
        }
        if whose != Whose::Poll {
            error = None;
        }
        let duration_ms = output.duration_ms;
        self.end(context, Ending { id, tool: "", error, essence: &output.essence, duration_ms }, scribe);
        Fit::Good
    }

    /// A command has ended, of whichever call.
    pub(super) fn command_ended(
        &mut self,
        context: &Context,
        payload: &Fields<'_>,
        scribe: &mut Scribe<'_>,
    ) -> Fit {
        let Some(id) = payload.word("call_id") else { return Fit::Bad };
        self.command_item(context, id, payload, scribe)
    }

    /// The same in the words of both ways to tell it.
    pub(super) fn command_item(
        &mut self,
        context: &Context,
        id: &str,
        fields: &Fields<'_>,
        scribe: &mut Scribe<'_>,
    ) -> Fit {
        let source = fields.word("source").unwrap_or_default().replace('_', "").to_lowercase();
        // What the user typed is no work of the agent; a poll's own end says nothing about the poll.
        if matches!(source.as_str(), "usershell" | "unifiedexecinteraction") {
            return Fit::Good;
        }
        let Some(status) = fields.word("status").or_else(|| fields.get("exit_code").map(|_| "completed"))
        else {
            return Fit::Bad;
        };
        if matches!(status, "inProgress" | "in_progress") {
            return Fit::Good;
        }
        let background = self.processes.reported(id);
        // The answer for the model has not come yet: what was noted may still be needed.
        let is_search = background.unwrap_or_else(|| is_search(&command(fields)));
        let output = ["aggregated_output", "formatted_output", "stderr", "stdout"];
        let output = output.iter().filter_map(|name| fields.text(name)).find(|text| !text.is_empty());
        let output = output.unwrap_or_default();
        let code = fields.integer("exit_code");
        let error = match (status, code) {
            ("declined", _) => Some(detail("user_rejected", "rejected by user", None)),
            (_, Some(code)) => of_exit(code, &output, is_search),
            ("failed", None) => Some(stated(if output.is_empty() { "failed" } else { &output })),
            _ => None,
        };
        let duration_ms = fields.get("duration").and_then(duration);
        let essence = format!("{} {output}", code.unwrap_or_default());
        self.end(context, Ending { id, tool: SHELL, error, essence: &essence, duration_ms }, scribe);
        Fit::if_there(code.is_some() || matches!(status, "declined" | "failed"))
    }

    pub(super) fn patch_ended(
        &mut self,
        context: &Context,
        payload: &Fields<'_>,
        scribe: &mut Scribe<'_>,
    ) -> Fit {
        let Some(id) = payload.word("call_id") else { return Fit::Bad };
        let success = payload.flag("success");
        let status = payload.word("status");
        let error = patch_error(status, success, payload);
        self.end(context, Ending { id, tool: PATCH, error, ..Ending::default() }, scribe);
        Fit::if_there(success.is_some() || status.is_some())
    }

    pub(super) fn mcp_ended(
        &mut self,
        context: &Context,
        payload: &Fields<'_>,
        scribe: &mut Scribe<'_>,
    ) -> Fit {
        let Some(id) = payload.word("call_id") else { return Fit::Bad };
        let result = payload.object("result");
        let error = match result.first() {
            Some(("Ok", value)) => mcp_error(&Fields::of(value)),
            Some(("Err", value)) => Some(stated(&beginning(value))),
            _ => return Fit::Bad,
        };
        let invocation = payload.object("invocation");
        let tool = mcp_tool(&invocation);
        let duration_ms = payload.get("duration").and_then(duration);
        let essence = result.first().map_or("", |(_, value)| value.text);
        self.end(context, Ending { id, tool: &tool, error, essence, duration_ms }, scribe);
        Fit::Good
    }

    fn start(
        &mut self,
        context: &Context,
        id: &str,
        (tool, thread): (&str, Option<&str>),
        input: &str,
        scribe: &mut Scribe<'_>,
    ) {
        let space = space(id, &context.thread);
        if self.session.knows_call(space, id) {
            return;
        }
        self.ready(context, None, scribe);
        self.works(scribe);
        self.no_longer_waiting(scribe);
        if space.is_empty() {
            self.anchor = Some(id.to_owned());
        }
        let input_hash = Some(keyed_hash(&context.hash_key, &[tool, input]));
        let model = self.model.as_deref();
        self.session.call_started(Start { id, space, tool, thread, model, input_hash }, scribe);
    }

    pub(super) fn end(&mut self, context: &Context, ending: Ending<'_>, scribe: &mut Scribe<'_>) {
        self.ready(context, None, scribe);
        let Ending { id, tool, error, essence, duration_ms } = ending;
        let space = space(id, &context.thread);
        let tool = Some(tool).filter(|tool| !tool.is_empty());
        let result_hash =
            Some(essence).filter(|text| !text.is_empty()).map(|text| keyed_hash(&context.hash_key, &[text]));
        self.session.call_ended(End { id, space, tool, duration_ms, result_hash, error }, scribe);
    }
}

/// How applying a patch failed.
pub(super) fn patch_error(
    status: Option<&str>,
    success: Option<bool>,
    fields: &Fields<'_>,
) -> Option<ErrorDetail<'static>> {
    if status == Some("declined") {
        return Some(detail("user_rejected", "patch rejected by user", None));
    }
    if success.unwrap_or(status != Some("failed")) {
        return None;
    }
    let text =
        ["stderr", "stdout"].iter().filter_map(|name| fields.text(name)).find(|text| !text.trim().is_empty());
    Some(stated(text.as_deref().unwrap_or("the patch was not applied")))
}

/// How a call failed whose server answered.
pub(super) fn mcp_error(result: &Fields<'_>) -> Option<ErrorDetail<'static>> {
    let is_error = result.flag("isError").or_else(|| result.flag("is_error"))?;
    let parts = result.get("content").map(elements).unwrap_or_default();
    let text = parts.into_iter().find_map(|part| Fields::of(part).text("text"));
    is_error.then(|| stated(text.as_deref().unwrap_or("the server reports an error")))
}

/// The name under which the model knows a server's tool.
pub(super) fn mcp_tool(fields: &Fields<'_>) -> String {
    format!("mcp__{}__{}", fields.word("server").unwrap_or_default(), fields.word("tool").unwrap_or_default())
}

/// The milliseconds of `{"secs":1,"nanos":5}`.
pub(super) fn duration(raw: Raw<'_>) -> Option<u64> {
    let fields = Fields::of(raw);
    Some(fields.count("secs")?.saturating_mul(1000).saturating_add(fields.count("nanos")? / 1_000_000))
}

/// The command in the input of a call: a text, or the words of one, of which the last is what a shell is to run.
fn command(input: &Fields<'_>) -> String {
    let Some(command) = input.get("cmd").or_else(|| input.get("command")) else { return String::new() };
    if command.kind != RawKind::Array {
        return beginning(command);
    }
    let words: Vec<_> = elements(command).into_iter().map(beginning).collect();
    match words.as_slice() {
        [_, flag, script] if flag.starts_with('-') && flag.contains('c') => script.clone(),
        _ => words.join(" "),
    }
}

/// An id that some versions write as a number.
fn id_of(raw: Raw<'_>) -> String {
    word(raw).map_or_else(|| raw.text.to_owned(), str::to_owned)
}
