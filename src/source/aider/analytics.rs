//! The analytics log: one line for each thing a run did. Runs at the same time write into the same log and cannot be told
//! apart; the one that was launched last gets all.

use crate::event::body::Body;
use crate::source::aider::SOURCE;
use crate::source::follower::{Recognition, Sink};
use crate::source::node::Node;
use crate::source::scribe::{Scribe, TakeFact as _};
use crate::source::session::{Session, Usage};
use crate::source::work::Work;
use serde::{Deserialize, Serialize};

/// The reasons of a run that did what it was told, or was left by its user.
const DONE: [&str; 4] = ["/exit", "Completed", "GUI session ended", "Exit flag set"];
const STOPPED: [&str; 2] = ["Control-C", "Keyboard interrupt"];

/// The memory of one log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Runs {
    run: Option<Run>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Run {
    task: String,
    session: Session,
}

impl Runs {
    /// Takes one line.
    pub(super) fn record(&mut self, work: &Work, record: Node<'_>, out: &mut Sink<'_>) -> Recognition {
        let (event, properties) = (record.get("event").word(), record.get("properties"));
        let Some(event) = event else { return Recognition::Unknown };
        let Some(ts) = record.get("time").instant(work.zone) else { return Recognition::Misshapen };
        if event == "launched" {
            self.run = None;
        }
        let is_work =
            matches!(event, "cli session" | "gui session" | "message_send_starting" | "message_send");
        if !is_work && event != "exit" {
            return shape(properties.is_object());
        }
        if self.run.is_none() && !is_work {
            return shape(properties.get("reason").is_there());
        }
        let (file, at) = (out.file().to_owned(), out.at().to_string());
        let run = self.run.get_or_insert_with(|| Run {
            task: format!("{}-{}-{at}", work.task, ts.millis() / 1000),
            session: Session::default(),
        });
        let task = run.task.clone();
        let mut scribe = Scribe::new(out, SOURCE, (&task, SOURCE), ts, &["line", &file, &at]);
        let model = properties.get("main_model").word();
        run.session.create(&work.about(None, model), &mut scribe);
        let is_whole = match event {
            "message_send_starting" => {
                // A message before it that was never sent.
                run.session.turn_ended("interrupted", None, &mut scribe);
                run.session.turn_started(&mut scribe);
                true
            }
            "message_send" => run.sent(properties, model, &mut scribe),
            "exit" => run.left(properties, &mut scribe),
            _ => event == "gui session" || model.is_some(),
        };
        if event == "exit" {
            self.run = None;
        }
        shape(is_whole)
    }
}

impl Run {
    fn sent(&mut self, properties: Node<'_>, model: Option<&str>, scribe: &mut Scribe<'_>) -> bool {
        let usage = Usage {
            model,
            input_tokens: properties.get("prompt_tokens").count(),
            output_tokens: properties.get("completion_tokens").count(),
            cost_usd: properties.get("cost").number(),
            quality: "measured",
            ..Usage::default()
        };
        scribe.say(usage.recorded());
        self.session.turn_ended("done", None, scribe);
        usage.model.is_some()
            && usage.input_tokens.is_some()
            && usage.output_tokens.is_some()
            && usage.cost_usd.is_some()
    }

    fn left(&mut self, properties: Node<'_>, scribe: &mut Scribe<'_>) -> bool {
        let reason = properties.get("reason").text();
        let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| reason.starts_with(beginning));
        let (is_done, is_stopped) = (begins(&DONE), begins(&STOPPED));
        self.session.turn_ended(if is_stopped { "interrupted" } else { "error" }, None, scribe);
        let (attempt, exit_code, duration_ms) = (Some(1), None, None);
        let because =
            Some(reason.as_str()).filter(|reason| !reason.is_empty()).map(|reason| reason.to_owned().into());
        let body = if is_stopped {
            Body::TaskCancelled { attempt, exit_code, reason: because, duration_ms }
        } else if is_done {
            Body::TaskCompleted { attempt, exit_code, reason: because, duration_ms }
        } else {
            Body::TaskFailed { attempt, exit_code, reason: because, duration_ms }
        };
        scribe.say(body);
        !reason.is_empty()
    }
}

const fn shape(is_whole: bool) -> Recognition {
    if is_whole { Recognition::Known } else { Recognition::Misshapen }
}
