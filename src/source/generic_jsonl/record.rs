//! The records of one log as events, by the rules of its section.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::error::ErrorDetail;
use crate::event::field::Text;
use crate::event::foreign::instant;
use crate::event::scan::{self, Entry};
use crate::source::failure;
use crate::source::follower::{Adapter, Recognition, Sink};
use crate::source::generic_jsonl::section::{Checked, Section};
use crate::source::scribe::{Scribe, TakeFact as _};
use crate::source::session::{About, End, Progress, Session, Start, Usage, percent};
use crate::source::text::captured;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// One log may tell of many tasks; the one that was silent for longest is forgotten first.
const TASKS_MAX: usize = 256;
/// A member that so many records in a row lack, and that was not lacking at times before, is called otherwise now.
const LACKS_MAX: u32 = 20;

/// What is known of a log from outside it.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) source: &'static str,
    pub(super) section: Arc<Section>,
    /// The task of records that name none: the file.
    pub(super) task: String,
    pub(super) host: String,
}

/// The memory of one log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Records {
    tasks: VecDeque<(String, Task)>,
    last_ts: Option<Timestamp>,
    /// Which of the members that are expected were seen.
    seen: BTreeMap<String, Sightings>,
}

/// How a member was seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sightings {
    /// So many records in a row lack it now.
    lack_count: u32,
    /// Some had it and some had not, in turn.
    is_optional: bool,
}

/// The memory of one task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Task {
    session: Session,
    /// How often it was begun again after an end.
    restarts: u64,
    is_over: bool,
}

/// A record and what it is about.
struct Found<'r, 'a> {
    context: &'r Context,
    rule: &'r Checked,
    entries: &'r [Entry<'a>],
}

impl Adapter for Records {
    type Context = Context;
    const FORMAT: &'static str = "log that the rules of the configuration are about";

    fn line(&mut self, context: &Context, bytes: &[u8], out: &mut Sink<'_>) -> Recognition {
        let Ok(line) = simdutf8::basic::from_utf8(bytes) else { return Recognition::Garbage };
        let mut entries = Vec::new();
        if scan::object(line.trim(), &mut entries).is_err() {
            return Recognition::Garbage;
        }
        let section = &context.section;
        let rules: Vec<&Checked> = section.matching(&entries).collect();
        let has_all = self.has_all(section.sightings(&entries, &rules));
        if rules.is_empty() {
            return match (has_all, section.is_usual(&entries)) {
                (false, _) => Recognition::Misshapen,
                (true, true) => Recognition::Known,
                (true, false) => Recognition::Unknown,
            };
        }
        let task = section.text("task", &entries).and_then(|task| captured(&task));
        if section.has_task() && task.is_none() {
            return Recognition::Misshapen;
        }
        let task = task.unwrap_or_else(|| context.task.clone());
        let sourced = section.raw("ts", &entries).and_then(instant);
        let ts = sourced.or(self.last_ts).unwrap_or_else(|| out.now());
        self.last_ts = Some(ts);
        let id = section.text("id", &entries);
        if let Some(id) = &id {
            out.record(id);
        }
        let (file, at) = (out.file().to_owned(), out.at().to_string());
        let record = match &id {
            Some(id) => ["record", id, ""],
            None => [file.as_str(), &at, ""],
        };
        let mut known = self.take_task(&task);
        let mut is_whole = has_all;
        for rule in rules {
            let agent = rule.text("agent", &entries).and_then(|agent| captured(&agent));
            let agent = agent.unwrap_or_else(|| section.name().to_owned());
            let mut scribe = Scribe::new(out, context.source, (&task, &agent), ts, &record);
            is_whole &= Found { context, rule, entries: &entries }.tell(&mut known, &mut scribe);
        }
        self.keep_task(task, known);
        if is_whole { Recognition::Known } else { Recognition::Misshapen }
    }
}

impl Sightings {
    /// Whether the member is missed after one more record.
    fn is_missed(&mut self, is_there: bool) -> bool {
        if is_there {
            self.is_optional |= self.lack_count > 0;
            self.lack_count = 0;
        } else {
            self.lack_count = self.lack_count.saturating_add(1);
        }
        !self.is_optional && self.lack_count >= LACKS_MAX
    }
}

impl Records {
    /// Whether nothing is missed that records are expected to have.
    fn has_all(&mut self, sightings: Vec<(&str, bool)>) -> bool {
        let mut has_all = true;
        for (key, is_there) in sightings {
            let seen = match self.seen.get_mut(key) {
                Some(seen) => seen,
                None => self.seen.entry(key.to_owned()).or_default(),
            };
            has_all &= !seen.is_missed(is_there);
        }
        has_all
    }

    fn take_task(&mut self, task: &str) -> Task {
        let place = self.tasks.iter().position(|(known, _)| known == task);
        place.and_then(|place| self.tasks.remove(place)).map(|(_, known)| known).unwrap_or_default()
    }

    fn keep_task(&mut self, task: String, known: Task) {
        if self.tasks.len() >= TASKS_MAX {
            self.tasks.pop_front();
        }
        self.tasks.push_back((task, known));
    }
}

impl Task {
    /// The task is created or started: after an end that is its next attempt.
    fn begin(&mut self, scribe: &mut Scribe<'_>) {
        if std::mem::take(&mut self.is_over) {
            self.restarts = self.restarts.saturating_add(1);
            scribe.say(Body::TaskStarted { attempt: self.attempt() });
        }
    }

    /// Its attempt; the first needs no number.
    fn attempt(&self) -> Option<u64> {
        (self.restarts > 0).then(|| self.restarts.saturating_add(1))
    }
}

impl Found<'_, '_> {
    /// Says what the record is by its rule; `false` where it lacks what such an event needs.
    fn tell(&self, task: &mut Task, scribe: &mut Scribe<'_>) -> bool {
        if self.rule.needed.iter().any(|name| self.text(name).is_none()) {
            return false;
        }
        self.create(&mut task.session, scribe);
        let session = &mut task.session;
        match self.rule.emit {
            // Introducing the task has said `task.created` and `task.started`.
            "task.created" | "task.started" => task.begin(scribe),
            "task.completed" | "task.failed" | "task.timed_out" | "task.cancelled" => {
                task.is_over = true;
                scribe.say(self.end(task.attempt()));
            }
            "tool.started" => self.call_started(session, scribe),
            "tool.succeeded" | "tool.failed" => self.call_ended(session, scribe),
            "usage.recorded" => self.used(scribe),
            "model.failed" => scribe.say(Body::ModelFailed {
                model: self.line("model").map(Text::Owned),
                request: None,
                retry: None,
                retry_max: None,
                error: failure::of_model(None, "", &self.text("error").unwrap_or_default()),
            }),
            "turn.started" => session.turn_started(scribe),
            "turn.ended" => {
                let reason = reason_of_turn(self.text("reason").as_deref());
                session.turn_ended(reason, self.duration_ms(), scribe);
            }
            "message.recorded" => self.said(session, scribe),
            "progress.reported" => session.progress(self.progress(), scribe),
            "output.grew" => scribe.say(Body::OutputGrew { output_bytes: None }),
            "note.logged" => {
                scribe.say(Body::NoteLogged { text: Text::Owned(self.line("text").unwrap_or_default()) });
            }
            "waiting.started" => {
                scribe.say(Body::WaitingStarted {
                    on: Text::Owned(self.line("on").unwrap_or_default()),
                    until_at: None,
                });
            }
            "waiting.ended" => {
                scribe.say(Body::WaitingEnded { on: Text::Owned(self.line("on").unwrap_or_default()) });
            }
            _ => {}
        }
        true
    }

    /// How the task ended.
    fn end(&self, attempt: Option<u64>) -> Body<'static> {
        let (exit_code, duration_ms) = (self.exit_code(), self.duration_ms());
        let reason = self.line("reason").or_else(|| self.line("error")).map(Text::Owned);
        match self.rule.emit {
            "task.completed" => Body::TaskCompleted { attempt, exit_code, reason, duration_ms },
            "task.timed_out" => Body::TaskTimedOut { attempt, exit_code, reason, duration_ms },
            "task.cancelled" => Body::TaskCancelled { attempt, exit_code, reason, duration_ms },
            _ => Body::TaskFailed { attempt, exit_code, reason, duration_ms },
        }
    }

    fn create(&self, session: &mut Session, scribe: &mut Scribe<'_>) {
        let (title, parent) =
            (self.line("title").or_else(|| self.line("assigned_task")), self.line("parent"));
        let (model, cwd) = (self.line("model"), self.line("cwd"));
        let about = About {
            title: title.as_deref().filter(|_| self.rule.emit.starts_with("task.")),
            parent: parent.as_deref(),
            model: model.as_deref(),
            host: &self.context.host,
            cwd: cwd.as_deref(),
        };
        session.create(&about, scribe);
    }

    fn call_started(&self, session: &mut Session, scribe: &mut Scribe<'_>) {
        let (id, tool) = (self.text("call").unwrap_or_default(), self.line("tool").unwrap_or_default());
        let (thread, model, space) = (self.line("thread"), self.line("model"), scribe.task());
        let (thread, model) = (thread.as_deref(), model.as_deref());
        session.call_started(Start { id: &id, space, tool: &tool, thread, model, input_hash: None }, scribe);
    }

    fn call_ended(&self, session: &mut Session, scribe: &mut Scribe<'_>) {
        let (id, tool) = (self.text("call").unwrap_or_default(), self.line("tool"));
        let error = (self.rule.emit == "tool.failed").then(|| self.error());
        let task = scribe.task();
        let duration_ms = self.duration_ms();
        let end = End { id: &id, space: task, tool: tool.as_deref(), duration_ms, result_hash: None, error };
        session.call_ended(end, scribe);
    }

    fn error(&self) -> ErrorDetail<'static> {
        let text = self.text("error").or_else(|| self.text("reason")).unwrap_or_default();
        match self.exit_code() {
            Some(code) => failure::exit_code(code, &text),
            None => failure::of_tool(&text),
        }
    }

    fn used(&self, scribe: &mut Scribe<'_>) {
        let (model, message) = (self.line("model"), self.line("message"));
        let usage = Usage {
            model: model.as_deref(),
            message: message.as_deref(),
            input_tokens: self.rule.count("input_tokens", self.entries),
            output_tokens: self.rule.count("output_tokens", self.entries),
            cache_read_tokens: self.rule.count("cache_read_tokens", self.entries),
            cache_write_tokens: self.rule.count("cache_write_tokens", self.entries),
            cost_usd: self.rule.number("cost_usd", self.entries),
            quality: "measured",
        };
        scribe.say(usage.recorded());
    }

    fn said(&self, session: &mut Session, scribe: &mut Scribe<'_>) {
        let role = match self.text("role").as_deref() {
            Some("user" | "human") => "user",
            Some("system") => "system",
            _ => "assistant",
        };
        let bytes = self.text("text").map_or(0, |text| u64::try_from(text.len()).unwrap_or(u64::MAX));
        session.said(role, bytes, false, scribe);
    }

    fn progress(&self) -> Progress {
        let count = |name| self.rule.count(name, self.entries);
        let (current, total) = (count("current"), count("total"));
        let share = self.rule.number("percent", self.entries).map(|percent| percent.clamp(0.0, 100.0));
        let percent = share.or_else(|| percent(current?, total?));
        Progress { current, total, percent, step: self.line("step").or_else(|| self.line("text")) }
    }

    fn duration_ms(&self) -> Option<u64> {
        let seconds = || self.rule.number("duration_s", self.entries).map(|seconds| seconds * 1000.0);
        let millis = self.rule.number("duration_ms", self.entries).or_else(seconds)?;
        format!("{:.0}", millis.max(0.0)).parse().ok()
    }

    fn exit_code(&self) -> Option<i64> {
        self.text("exit_code")?.parse().ok()
    }

    fn text(&self, name: &str) -> Option<String> {
        self.rule.text(name, self.entries)
    }

    /// The first line of a value, as it may be kept.
    fn line(&self, name: &str) -> Option<String> {
        captured(&self.text(name)?)
    }
}

fn reason_of_turn(said: Option<&str>) -> &'static str {
    match said {
        Some("interrupted" | "cancelled" | "aborted") => "interrupted",
        Some("error" | "failed") => "error",
        _ => "done",
    }
}
