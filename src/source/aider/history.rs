//! The chat history: Markdown, in which a line's beginning says who wrote it.
//!
//! `#### ` is the user, `> ` is Aider, everything else is the model, who may write headings of the fourth level too. Aider
//! ends each line of the user with two spaces; without them a heading is the user's only where the model is not talking.
//!
//! A chat is known by a hash of its lines up to the first prompt: when it began, how Aider was called and set up, and what it
//! was told first. A copy of the history has the same; two chats that began in the same second with all of that equal would
//! be taken for one. What is told of a chat is known by its place behind the chat's first line.
//!
//! Nothing in Markdown says that a line of Aider's is written otherwise than before. What can be said: it told what was used
//! without its word for it, or in a chat that nobody prompted; or a long chat has not one line that Aider is known to write.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::source::aider::SOURCE;
use crate::source::failure::of_model;
use crate::source::follower::{Recognition, Sink};
use crate::source::node::{instant, text_of};
use crate::source::scribe::Scribe;
use crate::source::session::{Session, Usage};
use crate::source::work::Work;
use serde::{Deserialize, Serialize};

const CHAT: &str = "# aider chat started at ";
const PROMPT: &str = "####";
const USED: &str = "Tokens: ";
/// What lines of Aider's begin with, in every chat some of them.
const REPORTS: [&str; 22] = [
    "Aider v",
    "Model: ",
    "Main model: ",
    "Weak model: ",
    "Editor model: ",
    "Models: ",
    "Git repo: ",
    "Repo-map: ",
    "Using ",
    "Use /help",
    "Added ",
    "Add ",
    "Tokens: ",
    "Applied edit to ",
    "Creating empty file ",
    "Did not apply edit",
    "Skipping edits",
    "Commit ",
    "Restored previous",
    "Warning",
    "litellm.",
    "^C",
];
/// A chat of so many lines in which there is none of them is not written by Aider as it is known …
const STRANGE_LINES: u64 = 50;
/// … which so many lines say.
const STRANGE_RECORDS: u64 = 3;

/// The memory of one history.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Chats {
    chat: Option<Chat>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Chat {
    task: String,
    ts: Option<Timestamp>,
    session: Session,
    model: Option<String>,
    speaker: Speaker,
    prompt_bytes: u64,
    reply_bytes: u64,
    /// Where its first line stands in the file.
    at: u64,
    /// What it begins with, hashed; complete once anything was told.
    mark: String,
    is_sealed: bool,
    is_prompted: bool,
    /// Lines so far, unless Aider's own are among them.
    strange_count: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Speaker {
    /// Aider, outside a turn.
    #[default]
    Aider,
    User,
    Model,
    /// Aider, about what the model said.
    Report,
}

impl Chats {
    /// Takes one line.
    pub(super) fn line(&mut self, work: &Work, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        let (text, is_mended) = text_of(bytes);
        let line = text.trim_end_matches(['\r', '\n']);
        if let Some(begun) = line.strip_prefix(CHAT) {
            if let Some(mut chat) = self.chat.take() {
                let reason = if chat.reply_bytes > 0 { "done" } else { "interrupted" };
                chat.turn_ended(reason, out);
            }
            let Some(ts) = instant(begun, work.zone) else { return Recognition::Misshapen };
            let digits: String = begun.chars().filter(char::is_ascii_digit).collect();
            let task = format!("{}-{digits}", work.task);
            let (at, mark) = (out.at(), rolled("", line));
            let strange_count = Some(0);
            self.chat = Some(Chat { task, ts: Some(ts), at, mark, strange_count, ..Chat::default() });
            return Recognition::Known;
        }
        let Some(chat) = &mut self.chat else { return Recognition::Unknown };
        if !chat.is_sealed {
            chat.mark = rolled(&chat.mark, line);
        }
        let is_known = if let Some(said) = line.strip_prefix('>') {
            chat.report(work, said.trim(), out)
        } else if let Some(prompt) = line.strip_prefix(PROMPT).filter(|said| is_prompt(said, chat.speaker)) {
            chat.told(work, prompt.trim(), out);
            true
        } else {
            chat.replied(line);
            !(is_usage(line) && line.contains("okens"))
        };
        match (is_known && !chat.is_strange(line), is_mended) {
            (false, _) => Recognition::Misshapen,
            (true, true) => Recognition::Mended,
            (true, false) => Recognition::Known,
        }
    }
}

/// A hash of all lines so far.
fn rolled(before: &str, line: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before.as_bytes()).update(b"\n").update(line.as_bytes());
    hasher.finalize().to_hex().chars().take(32).collect()
}

/// Whether a line tells what was used, with whatever word it begins.
fn is_usage(line: &str) -> bool {
    line.contains(" sent, ") && line.contains(" received.")
        || line.contains(" message, $") && line.contains(" session.")
}

/// Whether what follows `####` is the user's.
fn is_prompt(said: &str, speaker: Speaker) -> bool {
    let is_heading = said.is_empty() || said.starts_with(' ');
    is_heading && (said.ends_with("  ") || speaker != Speaker::Model)
}

impl Chat {
    /// For what the line at hand tells.
    fn scribe<'s>(&mut self, task: &'s str, out: &'s mut Sink<'_>) -> Scribe<'s> {
        self.is_sealed = true;
        out.record(&self.mark);
        let place = out.at().saturating_sub(self.at).to_string();
        let record = ["chat", self.mark.as_str(), &place];
        Scribe::new(out, SOURCE, (task, SOURCE), self.ts.unwrap_or_default(), &record)
    }

    /// Whether it has become long without a line that Aider is known to write.
    fn is_strange(&mut self, line: &str) -> bool {
        let said = line.strip_prefix('>').map(str::trim_start).unwrap_or_default();
        if REPORTS.iter().any(|report| said.starts_with(report)) {
            self.strange_count = None;
        }
        let Some(count) = self.strange_count.as_mut().filter(|_| !line.trim().is_empty()) else {
            return false;
        };
        *count += 1;
        (STRANGE_LINES..STRANGE_LINES + STRANGE_RECORDS).contains(count)
    }

    fn told(&mut self, work: &Work, prompt: &str, out: &mut Sink<'_>) {
        if self.speaker != Speaker::User {
            self.turn_ended("done", out);
            let title = Some(prompt).filter(|prompt| !prompt.is_empty());
            self.create(work, title, out);
        }
        (self.speaker, self.is_prompted) = (Speaker::User, true);
        self.prompt_bytes += u64::try_from(prompt.len()).unwrap_or(0);
    }

    fn replied(&mut self, line: &str) {
        if !line.trim().is_empty() && self.speaker != Speaker::Aider {
            self.speaker = Speaker::Model;
            self.reply_bytes += u64::try_from(line.len() + 1).unwrap_or(0);
        }
    }

    /// Tells a turn that is over. Its own time is not known, so it is told as a whole.
    fn turn_ended(&mut self, reason: &'static str, out: &mut Sink<'_>) {
        if self.speaker == Speaker::Aider {
            return;
        }
        let (prompt_bytes, reply_bytes) = (self.prompt_bytes, self.reply_bytes);
        let task = self.task.clone();
        let mut scribe = self.scribe(&task, out);
        self.session.turn_started(&mut scribe);
        self.session.said("user", prompt_bytes, false, &mut scribe);
        if reply_bytes > 0 {
            self.session.said("assistant", reply_bytes, false, &mut scribe);
        }
        self.session.turn_ended(reason, None, &mut scribe);
        (self.prompt_bytes, self.reply_bytes, self.speaker) = (0, 0, Speaker::Aider);
    }

    /// A line of Aider's own; `false` if it says what was used and cannot be understood.
    fn report(&mut self, work: &Work, said: &str, out: &mut Sink<'_>) -> bool {
        let model = ["Model: ", "Main model: "].iter().find_map(|name| said.strip_prefix(name));
        if let Some(model) = model.and_then(|rest| rest.split_whitespace().next()) {
            self.model = Some(model.to_owned());
        }
        let change = [("Applied edit to ", "modified"), ("Creating empty file ", "created")];
        let change = change.iter().find_map(|(text, change)| Some((said.strip_prefix(text)?, *change)));
        if let Some((path, change)) = change {
            self.create(work, None, out);
            let body = Body::FileChanged { path: path.to_owned().into(), change: change.into() };
            self.say(body, out);
            self.turn_ended("done", out);
        } else if said.starts_with(USED) {
            let model = self.model.clone();
            let usage = usage(said, model.as_deref());
            self.create(work, None, out);
            self.say(usage.recorded(), out);
            let is_whole = usage.input_tokens.is_some() && usage.output_tokens.is_some() && self.is_prompted;
            self.turn_ended("done", out);
            return is_whole;
        } else if said.starts_with("^C") {
            self.turn_ended("interrupted", out);
        } else if said.starts_with("litellm.") && self.speaker != Speaker::Aider {
            let code = if said.starts_with("litellm.RateLimitError") { "rate_limit" } else { "" };
            let error = of_model(None, code, said);
            let model = self.model.clone().map(Into::into);
            let body = Body::ModelFailed { model, request: None, retry: None, retry_max: None, error };
            self.say(body, out);
            self.turn_ended("error", out);
        }
        if matches!(self.speaker, Speaker::User | Speaker::Model) {
            self.speaker = Speaker::Report;
        }
        !is_usage(said)
    }

    fn say(&mut self, body: Body<'_>, out: &mut Sink<'_>) {
        let task = self.task.clone();
        self.scribe(&task, out).say(body);
    }

    fn create(&mut self, work: &Work, title: Option<&str>, out: &mut Sink<'_>) {
        let task = self.task.clone();
        let mut scribe = self.scribe(&task, out);
        self.session.create_as(&self.mark, &work.about(title, self.model.as_deref()), &mut scribe);
    }
}

/// `Tokens: 2.1k sent, 1k cache write, 3k cache hit, 300 received. Cost: $0.01 message, $0.05 session.`
fn usage<'a>(said: &str, model: Option<&'a str>) -> Usage<'a> {
    let (tokens, cost) = said.split_once(" Cost: ").unwrap_or((said, ""));
    let tokens = tokens.trim_start_matches(USED).trim_end_matches('.');
    let count = |what: &str| {
        let of = |part: &str| rounded(part.trim().strip_suffix(what)?.trim());
        tokens.split(", ").find_map(of)
    };
    let (written, hit) = (count("cache write"), count("cache hit"));
    let cached = written.unwrap_or(0).saturating_add(hit.unwrap_or(0));
    let cost = cost
        .split(", ")
        .find_map(|part| part.strip_suffix(" message")?.trim().strip_prefix('$')?.parse().ok());
    Usage {
        model,
        input_tokens: count("sent").map(|sent| sent.saturating_sub(cached)),
        output_tokens: count("received"),
        cache_read_tokens: hit,
        cache_write_tokens: written,
        cost_usd: cost.filter(|cost: &f64| cost.is_finite()),
        quality: "estimated",
        ..Usage::default()
    }
}

/// `2.1k`, `12k` or `300`.
fn rounded(text: &str) -> Option<u64> {
    let text = text.replace(',', "");
    let (number, factor) = match text.strip_suffix('k') {
        Some(number) => (number, 1000),
        None => match text.strip_suffix('M') {
            Some(number) => (number, 1_000_000),
            None => (text.as_str(), 1),
        },
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let tenths: u64 = if fraction.is_empty() { 0 } else { fraction.get(..1)?.parse().ok()? };
    let whole: u64 = whole.parse().ok()?;
    whole.checked_mul(factor)?.checked_add(tenths * factor / 10)
}
