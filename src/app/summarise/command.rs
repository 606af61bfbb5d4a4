//! `agentlog summary`: what each agent does, and how well that fits its task.
//!
//! By rules, from the log; a model is asked only with `--model`, one agent after the other, and what it costs is recorded.

use crate::app::batch::known_secrets;
use crate::app::exit::{Exit, Failure};
use crate::app::interrupt;
use crate::app::summarise::endpoint::{self, EndpointError};
use crate::app::summarise::model::variable;
use crate::app::summarise::{chosen, keep_cost, recent};
use crate::app::writer::{Syncing, Writer};
use crate::app::{Context, load, status};
use crate::base::clock::Timestamp;
use crate::cli::command::TextOutput;
use crate::cli::summary::Summary;
use crate::event::redact::redact_knowing;
use crate::projection::status::TaskStatus;
use crate::summary::activity::Activity;
use crate::summary::alignment::{self, Alignment, Assessment};
use crate::summary::answer::{self, Answer};
use crate::summary::is_agent;
use crate::summary::prompt::{Prompt, prompt};
use crate::summary::record::{AgentSummary, SCHEMA_VERSION, SummaryDocument};
use crate::view::summary as view;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Shows the summaries, the worst first.
///
/// # Errors
/// When the log cannot be read, a task is named that does not exist, or a model is wanted that is not configured.
pub fn run(context: &Context, arguments: &Summary) -> anyhow::Result<Exit> {
    let now = context.now();
    let (tasks, _) = load::tasks(context, None, arguments.task.is_some())?;
    let mut asker = if arguments.model { Some(Asker::new(context)?) } else { None };
    let found = summaries(context, arguments, &tasks, asker.as_mut(), now);
    // Whatever ended it, what was spent until then is recorded.
    let finished = asker.map_or(Ok(()), |asker| asker.finish(context));
    let mut found = found?;
    finished?;
    let rank = |summary: &AgentSummary| Alignment::of_word(&summary.on_track_status);
    found.sort_by(|a, b| {
        let sure = b.confidence_score.total_cmp(&a.confidence_score);
        rank(a).cmp(&rank(b)).then(sure).then_with(|| a.instance_id.cmp(&b.instance_id))
    });
    print(context, arguments, found, now)
}

fn summaries(
    context: &Context,
    arguments: &Summary,
    tasks: &[TaskStatus],
    mut asker: Option<&mut Asker>,
    now: Timestamp,
) -> anyhow::Result<Vec<AgentSummary>> {
    if let Some(wanted) = &arguments.task {
        let task = status::find(tasks, wanted)?;
        let activity = recent::activity(&context.project.logs, &task.task)?;
        return Ok(vec![summarise(context, task, &activity, asker, now)?]);
    }
    let activities = recent::activities(&context.project.logs)?;
    let nothing = Activity::default();
    let agents = tasks.iter().filter(|task| is_agent(task) && task.verdict.health.is_live());
    let summary = |task: &TaskStatus| {
        let activity = activities.of(&task.task).unwrap_or(&nothing);
        summarise(context, task, activity, asker.as_deref_mut(), now)
    };
    agents.map(summary).collect()
}

fn print(
    context: &Context,
    arguments: &Summary,
    summaries: Vec<AgentSummary>,
    now: Timestamp,
) -> anyhow::Result<Exit> {
    let exit = if summaries.is_empty() { Exit::NothingMatched } else { Exit::Done };
    let mut out = context.out();
    match arguments.output {
        TextOutput::Json => {
            let document = SummaryDocument {
                schema_version: SCHEMA_VERSION,
                generated_at: now,
                tool_version: env!("CARGO_PKG_VERSION").to_owned(),
                summaries,
            };
            view::json(&document, &mut out)?;
        }
        TextOutput::Text if arguments.task.is_some() => {
            for summary in &summaries {
                view::page(summary, &context.style, &mut out)?;
            }
        }
        TextOutput::Text => view::overview(&summaries, &context.style, &mut out)?,
    }
    out.flush()?;
    Ok(exit)
}

fn summarise(
    context: &Context,
    task: &TaskStatus,
    activity: &Activity,
    asker: Option<&mut Asker>,
    now: Timestamp,
) -> anyhow::Result<AgentSummary> {
    let rules = alignment::assess(task, activity, now);
    let answer = match asker {
        Some(asker) => asker.ask(context, task, activity, &rules, now)?,
        None => None,
    };
    let (assessment, told) = chosen(&rules, answer.as_ref());
    Ok(AgentSummary::of(task, activity, assessment, told, now))
}

/// A model that is asked while the reader waits.
struct Asker {
    key: Option<String>,
    stop: Arc<AtomicBool>,
    asked_at: Option<Instant>,
    has_failed: bool,
    writer: Writer,
}

impl Asker {
    fn new(context: &Context) -> anyhow::Result<Self> {
        let config = &context.config.summary.model;
        if config.model.is_none() {
            let failure = Failure::new(Exit::Configuration, "no model is configured");
            return Err(failure
                .hint("set `model`, `api` and `key_env` in [summary.model]; docs/CONFIGURATION.md")
                .into());
        }
        let key = endpoint::key(config, &variable)
            .map_err(|error| Failure::new(Exit::Configuration, error.to_string()))?;
        let writer = Writer::new(&context.project, Syncing::AtTheEnd)?;
        Ok(Self { key, stop: interrupt::flag()?, asked_at: None, has_failed: false, writer })
    }

    /// What the model says of a task. After one failure nothing more is asked.
    fn ask(
        &mut self,
        context: &Context,
        task: &TaskStatus,
        activity: &Activity,
        rules: &Assessment,
        now: Timestamp,
    ) -> anyhow::Result<Option<Answer>> {
        if self.has_failed || rules.alignment == Alignment::Blocked || alignment::assigned(task).is_none() {
            return Ok(None);
        }
        let pace = context.config.summary.model.pace();
        let rest = self.asked_at.map_or(Duration::ZERO, |asked| pace.saturating_sub(asked.elapsed()));
        interrupt::pause(rest, &self.stop);
        self.go_on()?;
        self.asked_at = Some(Instant::now());
        let reply = self.reply(context, &prompt(task, activity, rules, now));
        if let Some(spent) = endpoint::spent_on(&reply) {
            keep_cost(&mut self.writer, now, spent)?;
        }
        let answer = match reply {
            Ok(reply) => answer::parse(&redact_knowing(&reply.text, known_secrets()))
                .map_err(|error| error.to_string()),
            Err(error) => {
                // The pause between two attempts may have been interrupted.
                self.go_on()?;
                Err(error.to_string())
            }
        };
        answer.map(Some).or_else(|error| {
            self.has_failed = true;
            context
                .warn(&format!("these are the summaries of the rules, as the model cannot be used: {error}"));
            Ok(None)
        })
    }

    fn go_on(&self) -> anyhow::Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Failure::new(Exit::Interrupted, "interrupted").into());
        }
        Ok(())
    }

    fn reply(&self, context: &Context, prompt: &Prompt) -> Result<endpoint::Reply, EndpointError> {
        let mut pause = |time| {
            interrupt::pause(time, &self.stop);
            !self.stop.load(Ordering::Relaxed)
        };
        let config = &context.config.summary.model;
        endpoint::ask(config, self.key.as_deref(), prompt, &|| context.now(), &mut pause)
    }

    /// Writes what was spent; the answers are there all the same if that fails.
    fn finish(mut self, context: &Context) -> anyhow::Result<()> {
        let flushed = self.writer.flush(context.now(), Instant::now());
        if let Some(failure) = flushed.failure {
            context.warn(&format!("what the model cost is not recorded: {failure}"));
        }
        self.writer.sync()?;
        Ok(())
    }
}
