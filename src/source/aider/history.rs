//! The chat history: Markdown, in which a line's beginning says who wrote it.
//!
//! `#### ` is the user, `> ` is Aider, everything else is the model, who may write headings of the fourth level too. Aider
//! ends each line of the user with two spaces; without them a heading is the user's only where the model is not talking.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::source::aider::SOURCE;
use crate::source::failure::of_model;
use crate::source::follower::{Recognition, Sink};
use crate::source::node::{instant, text_of};
use crate::source::scribe::{Scribe, TakeFact as _};
use crate::source::session::{Session, Usage};
use crate::source::work::Work;
use serde::{Deserialize, Serialize};

const CHAT: &str = "# aider chat started at ";
const PROMPT: &str = "####";

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
        let (file, at) = (out.file().to_owned(), out.at().to_string());
        let record = ["line", file.as_str(), &at];
        if let Some(begun) = line.strip_prefix(CHAT) {
            if let Some(mut chat) = self.chat.take() {
                let reason = if chat.reply_bytes > 0 { "done" } else { "interrupted" };
                chat.turn_ended(reason, &record, out);
            }
            let Some(ts) = instant(begun, work.zone) else { return Recognition::Misshapen };
            let digits: String = begun.chars().filter(char::is_ascii_digit).collect();
            self.chat =
                Some(Chat { task: format!("{}-{digits}", work.task), ts: Some(ts), ..Chat::default() });
            return Recognition::Known;
        }
        let Some(chat) = &mut self.chat else { return Recognition::Unknown };
        let is_known = if let Some(said) = line.strip_prefix('>') {
            chat.report(work, said.trim(), &record, out)
        } else if let Some(prompt) = line.strip_prefix(PROMPT).filter(|said| is_prompt(said, chat.speaker)) {
            chat.told(work, prompt.trim(), &record, out);
            true
        } else {
            chat.replied(line);
            true
        };
        match (is_known, is_mended) {
            (false, _) => Recognition::Misshapen,
            (true, true) => Recognition::Mended,
            (true, false) => Recognition::Known,
        }
    }
}

/// Whether what follows `####` is the user's.
fn is_prompt(said: &str, speaker: Speaker) -> bool {
    let is_heading = said.is_empty() || said.starts_with(' ');
    is_heading && (said.ends_with("  ") || speaker != Speaker::Model)
}

impl Chat {
    fn scribe<'s>(&self, task: &'s str, record: &[&str], out: &'s mut Sink<'_>) -> Scribe<'s> {
        Scribe::new(out, SOURCE, (task, SOURCE), self.ts.unwrap_or_default(), record)
    }

    fn told(&mut self, work: &Work, prompt: &str, record: &[&str], out: &mut Sink<'_>) {
        if self.speaker != Speaker::User {
            self.turn_ended("done", record, out);
            let title = Some(prompt).filter(|prompt| !prompt.is_empty());
            self.create(work, title, record, out);
        }
        self.speaker = Speaker::User;
        self.prompt_bytes += u64::try_from(prompt.len()).unwrap_or(0);
    }

    fn replied(&mut self, line: &str) {
        if !line.trim().is_empty() && self.speaker != Speaker::Aider {
            self.speaker = Speaker::Model;
            self.reply_bytes += u64::try_from(line.len() + 1).unwrap_or(0);
        }
    }

    /// Tells a turn that is over. Its own time is not known, so it is told as a whole.
    fn turn_ended(&mut self, reason: &'static str, record: &[&str], out: &mut Sink<'_>) {
        if self.speaker == Speaker::Aider {
            return;
        }
        let (prompt_bytes, reply_bytes) = (self.prompt_bytes, self.reply_bytes);
        let task = self.task.clone();
        let mut scribe = self.scribe(&task, record, out);
        self.session.turn_started(&mut scribe);
        self.session.said("user", prompt_bytes, false, &mut scribe);
        if reply_bytes > 0 {
            self.session.said("assistant", reply_bytes, false, &mut scribe);
        }
        self.session.turn_ended(reason, None, &mut scribe);
        (self.prompt_bytes, self.reply_bytes, self.speaker) = (0, 0, Speaker::Aider);
    }

    /// A line of Aider's own; `false` if it says what was used and cannot be understood.
    fn report(&mut self, work: &Work, said: &str, record: &[&str], out: &mut Sink<'_>) -> bool {
        let model = ["Model: ", "Main model: "].iter().find_map(|name| said.strip_prefix(name));
        if let Some(model) = model.and_then(|rest| rest.split_whitespace().next()) {
            self.model = Some(model.to_owned());
        }
        let change = [("Applied edit to ", "modified"), ("Creating empty file ", "created")];
        let change = change.iter().find_map(|(text, change)| Some((said.strip_prefix(text)?, *change)));
        if let Some((path, change)) = change {
            self.create(work, None, record, out);
            let body = Body::FileChanged { path: path.to_owned().into(), change: change.into() };
            self.scribe(&self.task, record, out).say(body);
            self.turn_ended("done", record, out);
        } else if said.starts_with("Tokens: ") {
            let model = self.model.clone();
            let usage = usage(said, model.as_deref());
            self.create(work, None, record, out);
            self.scribe(&self.task, record, out).say(usage.recorded());
            let is_whole = usage.input_tokens.is_some() && usage.output_tokens.is_some();
            self.turn_ended("done", record, out);
            return is_whole;
        } else if said.starts_with("^C") {
            self.turn_ended("interrupted", record, out);
        } else if said.starts_with("litellm.") && self.speaker != Speaker::Aider {
            let code = if said.starts_with("litellm.RateLimitError") { "rate_limit" } else { "" };
            let error = of_model(None, code, said);
            let model = self.model.clone().map(Into::into);
            let body = Body::ModelFailed { model, request: None, retry: None, retry_max: None, error };
            self.scribe(&self.task, record, out).say(body);
            self.turn_ended("error", record, out);
        }
        if matches!(self.speaker, Speaker::User | Speaker::Model) {
            self.speaker = Speaker::Report;
        }
        true
    }

    fn create(&mut self, work: &Work, title: Option<&str>, record: &[&str], out: &mut Sink<'_>) {
        let task = self.task.clone();
        let mut scribe = self.scribe(&task, record, out);
        self.session.create(&work.about(title, self.model.as_deref()), &mut scribe);
    }
}

/// `Tokens: 2.1k sent, 1k cache write, 3k cache hit, 300 received. Cost: $0.01 message, $0.05 session.`
fn usage<'a>(said: &str, model: Option<&'a str>) -> Usage<'a> {
    let (tokens, cost) = said.split_once(" Cost: ").unwrap_or((said, ""));
    let tokens = tokens.trim_start_matches("Tokens: ").trim_end_matches('.');
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
