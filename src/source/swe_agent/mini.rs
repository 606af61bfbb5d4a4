//! The trajectories of mini-SWE-agent: all messages of one run, of both versions of its format.
//!
//! Version 1 has commands in the texts of messages and their exit codes in the texts behind them; version 1.1 states both in
//! `extra`, with times and costs. What the messages do not say of the cost is told at the end, so that the sum is the run's own.

use crate::base::clock::Timestamp;
use crate::event::error::ErrorDetail;
use crate::source::documents::{Misfit, Sheet};
use crate::source::ending::{Ending, Outcome};
use crate::source::failure::{detail, exit_code};
use crate::source::node::Node;
use crate::source::scribe::Scribe;
use crate::source::session::{End, Session, Start, Usage};
use crate::source::swe_agent::SOURCE;
use crate::source::swe_agent::trajectory::Mark;
use crate::source::text::first_line;
use crate::source::work::Work;
use std::collections::VecDeque;

const AGENT: &str = "mini-swe-agent";
/// What the blocks of commands in the texts of messages begin with.
const FENCES: [&str; 3] = ["```bash\n", "```mswea_bash_command\n", "```sh\n"];
/// Texts in the info besides the status.
const TEXTS: [&str; 6] = ["mini_version", "submission", "traceback", "result", "task", "exception_str"];
const COST_MIN: f64 = 1e-9;

/// Whether a document is a trajectory of mini-SWE-agent, whatever one field of it is called.
pub(super) fn is_of(document: Node<'_>) -> bool {
    let info = document.get("info");
    let names = info.get("mini_version").is_there() || info.get("model_stats").get("api_calls").is_there();
    let is_named = document
        .members()
        .iter()
        .any(|(_, value)| value.word().is_some_and(|word| word.starts_with("mini-swe-agent-")));
    let is_other = document.get("trajectory").is_there();
    !is_other && (is_named || names && document.get("messages").is_array())
}

/// The time and the answer of the first request.
pub(super) fn mark(document: Node<'_>) -> Option<Mark> {
    document.get("messages").elements().into_iter().find_map(|message| {
        let time = moment(message).unwrap_or_default();
        let response = [message.at(&["extra", "response", "id"]), message.get("id")];
        let response = response.iter().find_map(|id| id.word());
        let text = format!("{} {}", time.source(), response.unwrap_or_default());
        (response.is_some() || time.is_there()).then(|| Mark::new(&text, time))
    })
}

/// Tells the run.
pub(super) fn tell(
    work: &Work,
    document: Node<'_>,
    modified: Timestamp,
    out: &mut Sheet<'_>,
) -> Result<(), Misfit> {
    let (info, messages) = (document.get("info"), document.get("messages"));
    if !info.is_object() || !messages.is_array() {
        return Err(Misfit::Drifted("there are no messages, or no info".to_owned()));
    }
    let messages = messages.elements();
    let first = messages.iter().find_map(|message| instant(*message, work)).unwrap_or(modified);
    let mut run = Run {
        work,
        model: info.at(&["config", "model", "model_name"]).word(),
        session: Session::default(),
        pending: VecDeque::new(),
        ts: first,
        cost: 0.0,
        is_whole: is_whole_info(info),
    };
    for (nth, message) in messages.iter().enumerate() {
        run.message(*message, nth, out);
    }
    out.record(&format!("end {}", messages.len()));
    let ts = run.ts;
    let mut scribe = Scribe::new(out, SOURCE, (&work.task, AGENT), ts, &["end", &work.mark]);
    run.end(info, ts.millis_since(first), &mut scribe);
    if run.is_whole {
        Ok(())
    } else {
        Err(Misfit::Drifted("a message or the info lacks what it must have".to_owned()))
    }
}

/// Whether the info says how the run ended and what it cost, or neither seems to be called otherwise.
fn is_whole_info(info: Node<'_>) -> bool {
    let is_told = |name: &str| info.members().iter().any(|(member, _)| *member == name);
    let (stats, is_cost) = (info.get("model_stats"), |node: Node<'_>| node.get("instance_cost").is_there());
    (is_told("exit_status") || !info.has_other(&TEXTS, Node::is_text))
        && (is_cost(stats) || !stats.is_there() && !info.has_other(&[], is_cost))
}

struct Run<'r> {
    work: &'r Work,
    model: Option<&'r str>,
    session: Session,
    /// Calls without a result.
    pending: VecDeque<String>,
    ts: Timestamp,
    /// What the messages told of the cost.
    cost: f64,
    is_whole: bool,
}

impl Run<'_> {
    fn message(&mut self, message: Node<'_>, nth: usize, out: &mut Sheet<'_>) {
        let stated = instant(message, self.work);
        self.ts = stated.unwrap_or(self.ts);
        let nth = nth.to_string();
        out.record(&format!("message {nth}"));
        let (role, work) = (message.any(&["role", "object", "type"]).word(), self.work);
        let record = ["message", &work.mark, &nth];
        let mut scribe = Scribe::new(out, SOURCE, (&work.task, AGENT), self.ts, &record);
        let is_timed = stated.is_some() || message.at(&["extra", "actions"]).elements().is_empty();
        self.is_whole &= role.is_some() && is_timed;
        let is_known = match role {
            Some("system" | "exit") => true,
            Some("assistant" | "response") => {
                self.replied(message, &nth, &mut scribe);
                true
            }
            Some("user") if self.pending.is_empty() => {
                self.told(message, &mut scribe);
                true
            }
            Some("user" | "tool" | "function_call_output") => {
                self.observed(message, &mut scribe);
                true
            }
            _ => false,
        };
        out.met(is_known);
    }

    fn create(&mut self, title: Option<&str>, scribe: &mut Scribe<'_>) {
        let name = self.work.task.rsplit_once('-').map(|(stem, _)| stem);
        self.session.create_as(&self.work.mark, &self.work.about(title.or(name), self.model), scribe);
    }

    /// The task, or what the program or its user says to an answer without a command.
    fn told(&mut self, message: Node<'_>, scribe: &mut Scribe<'_>) {
        let content = message.get("content");
        let text = content.text();
        // Templates begin with a tag; what they say then is no title.
        let title = first_line(&text).filter(|line| !line.starts_with('<'));
        self.create(title, scribe);
        self.is_whole &= content.is_text() || content.is_array();
        if !self.session.is_turn_open() {
            self.session.turn_started(scribe);
        }
        self.session.said("user", content.bytes(), false, scribe);
    }

    fn replied(&mut self, message: Node<'_>, nth: &str, scribe: &mut Scribe<'_>) {
        let (content, extra) = (message.get("content"), message.get("extra"));
        let stated = [message.get("model"), extra.at(&["response", "model"])];
        let model = stated.iter().find_map(|model| model.word()).or(self.model);
        self.create(None, scribe);
        let actions = extra.get("actions");
        let text = content.whole().unwrap_or_default();
        let mut calls: Vec<(String, Node<'_>, &str)> = Vec::new();
        for (place, action) in actions.elements().into_iter().enumerate() {
            let id = action.get("tool_call_id").word().map(str::to_owned);
            self.is_whole &= action.any(&["command", "tool"]).is_there();
            calls.push((id.unwrap_or_else(|| format!("{nth}.{place}")), action, ""));
        }
        if !actions.is_array() {
            calls.extend(command(&text).map(|command| (nth.to_owned(), Node::default(), command)));
            self.is_whole &= !message.get("tool_calls").is_array() && !message.get("output").is_array();
        }
        self.is_whole &= content.is_text() || actions.is_array();
        self.session.said("assistant", content.bytes(), !calls.is_empty(), scribe);
        self.used(message, model, scribe);
        for (id, action, text) in calls {
            let tool = action.get("tool").word().unwrap_or("bash");
            let input = if text.is_empty() { action.any(&["command", "args"]).source() } else { text };
            let input_hash = self.work.hash(&[tool, input]);
            let start = Start { id: &id, space: &self.work.mark, tool, model, input_hash, thread: None };
            self.session.call_started(start, scribe);
            self.pending.push_back(id);
        }
    }

    /// Records what a request used.
    fn used(&mut self, message: Node<'_>, model: Option<&str>, scribe: &mut Scribe<'_>) {
        let extra = message.get("extra");
        let (cost, response) = (extra.get("cost").number(), extra.get("response"));
        let of = if response.get("usage").is_there() { response } else { message };
        let usage = of.get("usage");
        let read = ["prompt_tokens_details", "input_tokens_details"]
            .iter()
            .find_map(|name| usage.at(&[name, "cached_tokens"]).count());
        let written = usage.get("cache_creation_input_tokens").count();
        let cached = read.unwrap_or(0).saturating_add(written.unwrap_or(0));
        let input = usage.any(&["prompt_tokens", "input_tokens"]).count();
        let usage = Usage {
            model,
            message: of.get("id").word(),
            input_tokens: input.map(|input| input.saturating_sub(cached)),
            output_tokens: usage.any(&["completion_tokens", "output_tokens"]).count(),
            cache_read_tokens: read,
            cache_write_tokens: written,
            cost_usd: cost,
            quality: "measured",
        };
        let is_counted = usage.input_tokens.is_some() && usage.output_tokens.is_some();
        let seems_counted = |node: Node<'_>| node.get("total_tokens").is_there();
        self.is_whole &=
            is_counted || !seems_counted(of.get("usage")) && !response.has_other(&["usage"], seems_counted);
        // Who counts tokens or names the moment says what it cost.
        self.is_whole &= cost.is_some() || !extra.has_other(&["timestamp"], Node::is_number);
        if is_counted || cost.is_some() {
            self.cost += cost.unwrap_or(0.0);
            scribe.say(usage.recorded());
        }
    }

    fn observed(&mut self, message: Node<'_>, scribe: &mut Scribe<'_>) {
        let named = message.any(&["tool_call_id", "call_id"]).word();
        let place = self.pending.iter().position(|id| Some(id.as_str()) == named).unwrap_or(0);
        let Some(id) = self.pending.remove(place) else {
            self.is_whole &= named.is_some();
            return;
        };
        let (content, extra) = (message.any(&["content", "output"]), message.get("extra"));
        let text = content.text();
        self.is_whole &= content.is_text() || content.is_array();
        self.is_whole &= !extra.get("raw_output").is_there() || extra.get("returncode").is_there();
        let end = End {
            id: &id,
            space: &self.work.mark,
            result_hash: self.work.hash(&[content.source()]),
            error: failure(extra, &text),
            ..End::default()
        };
        self.session.call_ended(end, scribe);
    }

    fn end(&mut self, info: Node<'_>, took_ms: i64, scribe: &mut Scribe<'_>) {
        let status = info.get("exit_status").text();
        if status.is_empty() {
            return;
        }
        self.create(None, scribe);
        let all = info.at(&["model_stats", "instance_cost"]).number().unwrap_or(0.0);
        if all - self.cost > COST_MIN {
            let rest = Some(all - self.cost);
            let usage = Usage { model: self.model, cost_usd: rest, quality: "measured", ..Usage::default() };
            scribe.say_of(&["usage", &self.work.mark], "rest", usage.recorded());
        }
        let lower = status.to_lowercase();
        let is_done = lower == "submitted";
        let ending = match lower.as_str() {
            "submitted" => Ending::Completed,
            "timeexceeded" => Ending::TimedOut,
            _ if lower.contains("interrupt") => Ending::Cancelled,
            _ => Ending::Failed,
        };
        // The command that submits ends the run before anybody writes its result.
        for id in self.pending.drain(..) {
            let error = (!is_done).then(|| detail("interrupted", "the run ended before the call did", None));
            let end = End { id: &id, space: &self.work.mark, error, ..End::default() };
            self.session.call_ended(end, scribe);
        }
        self.session.turn_ended(if is_done { "done" } else { "error" }, None, scribe);
        let duration_ms = u64::try_from(took_ms).ok().filter(|took| *took > 0);
        let reason = first_line(&status).map(|line| line.to_owned().into());
        let outcome = Outcome { attempt: Some(1), exit_code: None, reason, duration_ms };
        scribe.say_of(&["end", &self.work.mark], &status, ending.said(outcome));
    }
}

/// When a message was written.
fn moment(message: Node<'_>) -> Option<Node<'_>> {
    let places = [
        message.at(&["extra", "timestamp"]),
        message.get("timestamp"),
        message.at(&["extra", "response", "created"]),
        message.get("created_at"),
    ];
    places.into_iter().find(|place| place.is_there())
}

fn instant(message: Node<'_>, work: &Work) -> Option<Timestamp> {
    moment(message)?.instant(work.zone)
}

/// The one command in the text of a message; an answer with none or several is refused.
fn command(text: &str) -> Option<&str> {
    let mut blocks = FENCES.iter().flat_map(|fence| text.split(fence).skip(1));
    let block = blocks.next().filter(|_| blocks.next().is_none())?;
    block.split("\n```").next()
}

/// How a command failed, as what stands beside its output or in front of it says.
fn failure(extra: Node<'_>, text: &str) -> Option<ErrorDetail<'static>> {
    let exception = extra.get("exception_info").text();
    let is_late = |text: &str| text.contains("timed out");
    let start = text.get(..text.floor_char_boundary(400)).unwrap_or(text);
    if is_late(&exception) || exception.is_empty() && start.starts_with("The last command") && is_late(start)
    {
        return Some(detail("tool_error", "the command timed out", None));
    }
    let written = text.split_once("<returncode>").and_then(|(_, rest)| rest.split_once("</returncode>"));
    let code = extra.get("returncode").integer().or_else(|| written?.0.trim().parse().ok());
    let output = text.split_once("<output>").map_or(text, |(_, output)| output);
    match code {
        Some(0) | None if exception.is_empty() => None,
        Some(code) if code != 0 && exception.is_empty() => Some(exit_code(code, output)),
        _ => Some(detail("environment", &exception, code)),
    }
}
