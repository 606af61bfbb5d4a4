//! What a trajectory says: steps, and at the end how it ended and what it cost. Which run it is its first step decides.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::error::ErrorDetail;
use crate::source::documents::{Misfit, Reader, Sheet};
use crate::source::failure::{detail, of_tool};
use crate::source::follower::Identity;
use crate::source::node::{Node, millis_of_seconds, text_of};
use crate::source::scribe::Scribe;
use crate::source::session::{End, Session, Start, Usage};
use crate::source::swe_agent::{SOURCE, mini};
use crate::source::work::Work;

/// The commands that SWE-agent gives the model; everything else is the shell.
const TOOLS: [&str; 22] = [
    "create",
    "edit",
    "edit_anthropic",
    "exit_forfeit",
    "filemap",
    "find_file",
    "find_string",
    "goto",
    "insert",
    "open",
    "scroll_down",
    "scroll_up",
    "search_dir",
    "search_file",
    "str_replace_editor",
    "submit",
    "undo_edit",
    "view_image",
    "web_search",
    "open_site",
    "click_mouse",
    "type_text",
];
/// What tools and the shell say first when they fail.
const FAILURES: [&str; 8] = [
    "Your proposed edit has introduced new syntax error",
    "Your edit was not applied",
    "No replacement was performed",
    "Text not found",
    "Error:",
    "ERROR:",
    "bash: ",
    "/bin/sh: ",
];

/// So many digits behind the point has a time that was measured.
const EXACT_DIGITS: usize = 5;

/// Nothing is remembered: what a document says is told every time.
#[derive(Debug, Default)]
pub struct Trajectory {}

impl Reader for Trajectory {
    type Context = Work;
    const FORMAT: &'static str = "SWE-agent trajectory";

    fn read(
        &mut self,
        work: &Work,
        bytes: &[u8],
        modified: Timestamp,
        out: &mut Sheet<'_>,
    ) -> Result<(), Misfit> {
        let (text, _) = text_of(bytes);
        let document = Node::parse(&text).map_err(Misfit::Unfinished)?;
        let is_mini = mini::is_of(document);
        let mark = if is_mini { mini::mark(document) } else { mark(document) };
        let (steps, info) = (document.get("trajectory"), document.get("info"));
        if !is_mini && (!steps.is_array() || !info.is_object()) {
            return Err(Misfit::Drifted("there is no trajectory, or no info".to_owned()));
        }
        let Some(mark) = mark else {
            return if is_mini {
                mini::tell(work, document, modified, out)
            } else {
                tell(work, document, modified, out)
            };
        };
        let title = work.task.rsplit_once('-').map_or("run", |(stem, _)| stem);
        let configuration = document.get("replay_config").whole();
        let configuration =
            configuration.as_deref().and_then(|text| Node::parse(text).ok()).unwrap_or_default();
        let stated = [document.get("instance_id"), configuration.at(&["problem_statement", "id"])];
        let name = stated.iter().find_map(|name| name.word()).unwrap_or(title);
        let file = Identity { source: SOURCE, parts: vec![mark.of(name)], session: None }.file(0);
        let task = format!("{name}-{}", file.get(..8).unwrap_or(&file));
        let own = Work { task: task.clone(), mark: file.clone(), ..work.clone() };
        let identity = Identity { source: SOURCE, parts: vec![file], session: Some(task) };
        let file = identity.file(0);
        let mut sheet = out.beside(&identity, &file);
        let tell = if is_mini { mini::tell } else { tell };
        tell(&own, document, modified, &mut sheet)
    }
}

/// What tells a run from all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    hash: String,
    is_unique: bool,
}

impl Mark {
    /// Made of what a run begins with. With a time as exact as machines measure it no other run has the same; otherwise it is
    /// the run of an instance only.
    pub(super) fn new(text: &str, time: Node<'_>) -> Self {
        let digits = time.source().split_once('.').map_or(0, |(_, fraction)| fraction.len());
        Self { hash: blake3::hash(text.as_bytes()).to_hex().to_string(), is_unique: digits >= EXACT_DIGITS }
    }

    /// The mark of a run of this instance.
    fn of(self, name: &str) -> String {
        if self.is_unique { self.hash } else { format!("{} {name}", self.hash) }
    }
}

/// The first step, if it says how long it took.
fn mark(document: Node<'_>) -> Option<Mark> {
    let first = document.get("trajectory").elements().into_iter().next()?;
    let took = first.get("execution_time");
    took.number().filter(|seconds| *seconds > 0.0).map(|_| Mark::new(first.source(), took))
}

fn tell(work: &Work, document: Node<'_>, modified: Timestamp, out: &mut Sheet<'_>) -> Result<(), Misfit> {
    let (steps, info) = (document.get("trajectory"), document.get("info"));
    let configuration = document.get("replay_config").whole();
    let configuration = configuration.as_deref().and_then(|text| Node::parse(text).ok());
    let configuration = configuration.unwrap_or_else(|| document.get("replay_config"));
    let model = configuration.at(&["agent", "model", "name"]).word();
    let mut run = Run { work, model, session: Session::default(), is_whole: true };
    if steps.elements().is_empty() && info.get("exit_status").text().is_empty() {
        // What is known of the run before its first step is not enough to know it again.
        return Ok(());
    }
    run.steps(&steps.elements(), modified, out);
    out.record(&format!("end {}", steps.elements().len()));
    let mut scribe = Scribe::new(out, SOURCE, (&work.task, SOURCE), modified, &["end", &work.mark]);
    run.end(info, &mut scribe);
    if run.is_whole {
        Ok(())
    } else {
        Err(Misfit::Drifted("a step or the end lacks what it must have".to_owned()))
    }
}

struct Run<'r> {
    work: &'r Work,
    model: Option<&'r str>,
    session: Session,
    is_whole: bool,
}

impl Run<'_> {
    fn steps(&mut self, steps: &[Node<'_>], modified: Timestamp, out: &mut Sheet<'_>) {
        let took: Vec<_> = steps
            .iter()
            .map(|step| step.get("execution_time").number().and_then(millis_of_seconds).unwrap_or(0))
            .collect();
        let before = |millis: u64| modified.plus_millis(-i64::try_from(millis).unwrap_or(0));
        let mut rest: u64 = took.iter().sum();
        let title = self.work.task.rsplit_once('-').map(|(stem, _)| stem);
        let mut scribe =
            Scribe::new(out, SOURCE, (&self.work.task, SOURCE), before(rest), &["run", &self.work.mark]);
        self.session.create_as(&self.work.mark, &self.work.about(title, self.model), &mut scribe);
        self.session.turn_started(&mut scribe);
        for ((nth, step), took) in steps.iter().enumerate().zip(took) {
            let (action, observation) = (step.get("action"), step.get("observation"));
            self.is_whole &= action.is_text() && observation.is_text();
            let size = (action.source().len() + observation.source().len()).to_string();
            let (id, native) = ((nth + 1).to_string(), format!("{} {size}", self.work.mark));
            out.record(&format!("step {id} {size}"));
            let record = ["step", native.as_str(), &id];
            let mut scribe = Scribe::new(out, SOURCE, (&self.work.task, SOURCE), before(rest), &record);
            rest = rest.saturating_sub(took);
            let said = step.any(&["response", "thought"]);
            let text = action.text();
            // A step without an action is an answer that could not be understood.
            let has_call = !text.trim().is_empty();
            self.session.said("assistant", said.bytes(), has_call, &mut scribe);
            if !has_call {
                continue;
            }
            let word = text.split_whitespace().next().unwrap_or_default();
            let tool = if TOOLS.contains(&word) { word } else { "bash" };
            let input_hash = self.work.hash(&[tool, action.source()]);
            let start = Start { id: &id, space: &native, tool, model: self.model, input_hash, thread: None };
            self.session.call_started(start, &mut scribe);
            let mut scribe = Scribe::new(out, SOURCE, (&self.work.task, SOURCE), before(rest), &record);
            let end = End {
                id: &id,
                space: &native,
                tool: Some(tool),
                duration_ms: Some(took),
                result_hash: self.work.hash(&[observation.source()]),
                error: of_observation(&observation.text()),
            };
            self.session.call_ended(end, &mut scribe);
        }
    }

    fn end(&mut self, info: Node<'_>, scribe: &mut Scribe<'_>) {
        let status = info.get("exit_status").text();
        self.is_whole &=
            info.members().iter().any(|(name, _)| *name == "exit_status" || *name == "submission")
                || info.members().is_empty();
        if status.is_empty() {
            // An info with a submission and without a status has lost it.
            self.is_whole &= !info.get("submission").is_there();
            return;
        }
        let stats = info.get("model_stats");
        let usage = Usage {
            model: self.model,
            input_tokens: stats.get("tokens_sent").count(),
            output_tokens: stats.get("tokens_received").count(),
            cost_usd: stats.get("instance_cost").number(),
            quality: "estimated",
            ..Usage::default()
        };
        self.is_whole &=
            usage.input_tokens.is_some() && usage.output_tokens.is_some() && usage.cost_usd.is_some();
        scribe.say_of(&["usage", &self.work.mark], stats.source(), usage.recorded());
        let is_done = status == "submitted";
        self.session.turn_ended(if is_done { "done" } else { "error" }, None, scribe);
        let (attempt, exit_code, duration_ms) = (Some(1), None, None);
        let reason = Some(status.clone().into());
        let body = if is_done {
            Body::TaskCompleted { attempt, exit_code, reason, duration_ms }
        } else if status.contains("timeout") || status.contains("execution_time") {
            Body::TaskTimedOut { attempt, exit_code, reason, duration_ms }
        } else if status.starts_with("skipped") {
            Body::TaskCancelled { attempt, exit_code, reason, duration_ms }
        } else {
            Body::TaskFailed { attempt, exit_code, reason, duration_ms }
        };
        scribe.say_of(&["end", &self.work.mark], &status, body);
    }
}

/// How a step failed, as far as it says so.
fn of_observation(text: &str) -> Option<ErrorDetail<'static>> {
    let start = text.trim_start();
    if start.starts_with("The command '") && start.contains("was cancelled because it took more than") {
        return Some(detail("tool_error", "the command timed out", None));
    }
    if start.starts_with("Operation '") && start.contains("is not supported by this environment") {
        return Some(detail("validation", start, None));
    }
    FAILURES.iter().any(|failure| start.starts_with(failure)).then(|| of_tool(start))
}
