//! Summaries beside the watcher: what each agent does and how well that fits its task, written into `.agents/summaries`
//! where other programs find it.
//!
//! The log hears of it only when an assessment changes, because the log is kept. Whatever fails here is said once and
//! stops nothing: the summary of the rules is always there.

pub mod command;
pub mod config;
pub mod endpoint;
pub mod files;
pub mod model;
pub mod recent;
#[cfg(test)]
mod tests;

use crate::app::Context;
use crate::app::batch::{encoded, known_secrets};
use crate::app::load::Live;
use crate::app::summarise::config::SummaryConfig;
use crate::app::summarise::endpoint::Spent;
use crate::app::summarise::model::{Model, Told};
use crate::app::writer::Writer;
use crate::base::clock::Timestamp;
use crate::base::text;
use crate::event::body::Body;
use crate::event::envelope::Event;
use crate::event::redact::redact_knowing;
use crate::projection::status::TaskStatus;
use crate::summary::activity::{Activities, Activity};
use crate::summary::alignment::{self, Alignment, Assessment};
use crate::summary::answer::{self, Answer};
use crate::summary::is_agent;
use crate::summary::prompt::prompt;
use crate::summary::record::AgentSummary;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Who spends what a model costs.
pub(in crate::app) const OWN_NAME: &str = "agentlog";

/// The summaries of all agents.
#[derive(Debug)]
pub struct Summaries {
    config: SummaryConfig,
    folder: PathBuf,
    activities: Activities,
    agents: HashMap<String, Agent>,
    written_at: Option<Timestamp>,
    model: Option<Model>,
    problems: Vec<String>,
    /// The model gave no answer the last time, which was said.
    is_without_model: bool,
}

/// One agent that is followed.
#[derive(Debug, Default)]
struct Agent {
    summary: Option<AgentSummary>,
    assessment: Option<Assessment>,
    /// What a model said last, and when it was asked.
    answer: Option<Answer>,
    asked_at: Option<Timestamp>,
}

impl Summaries {
    /// Those of this project; they know what happened lately from the end of the log. A model is asked only `with_model`.
    #[must_use]
    pub fn start(context: &Context, with_model: bool) -> Self {
        let config = context.config.summary.clone();
        let mut summaries = Self::new(config, context.project.state.with_file_name(files::FOLDER));
        if !summaries.config.enabled {
            return summaries;
        }
        summaries.remember(&context.project.logs);
        if with_model && summaries.config.model.enabled {
            match Model::start(&summaries.config.model) {
                Ok(model) => summaries.model = Some(model),
                Err(error) => summaries.problems.push(format!("no model for summaries: {error}")),
            }
        }
        summaries
    }

    fn new(config: SummaryConfig, folder: PathBuf) -> Self {
        Self {
            config,
            folder,
            activities: Activities::default(),
            agents: HashMap::new(),
            written_at: None,
            model: None,
            problems: Vec::new(),
            is_without_model: false,
        }
    }

    /// Takes note of an event of the log.
    pub fn see(&mut self, event: &Event<'_>) {
        if self.config.enabled {
            self.activities.apply(event);
        }
    }

    /// Forgets what was taken from events, and asks the log again, of which something may have been taken out. What stands
    /// in the files is then written anew.
    pub fn forget(&mut self, logs: &Path) {
        if !self.config.enabled {
            return;
        }
        self.remember(logs);
        for agent in self.agents.values_mut() {
            (agent.summary, agent.answer) = (None, None);
        }
    }

    /// Takes what the end of the log says, and nothing else.
    fn remember(&mut self, logs: &Path) {
        self.activities = recent::activities(logs).unwrap_or_else(|error| {
            self.problems.push(format!("summaries begin without the past: {error}"));
            Activities::default()
        });
    }

    /// Writes what is due, and takes what a model has answered; gives what went wrong. Events go to `writer`, which keeps
    /// them until it can write them.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn follow(
        &mut self,
        live: &Live<'_>,
        now: Timestamp,
        writer: &mut Writer,
    ) -> anyhow::Result<Vec<String>> {
        self.follow_tasks(&|| live.tasks(now), now, writer)
    }

    fn follow_tasks(
        &mut self,
        tasks: &dyn Fn() -> Vec<TaskStatus>,
        now: Timestamp,
        writer: &mut Writer,
    ) -> anyhow::Result<Vec<String>> {
        let told = self.model.as_mut().and_then(|model| model.told(Instant::now()));
        let is_due = self.config.enabled && self.is_due(now);
        let may_ask = self.model.as_ref().is_some_and(|model| model.is_free(Instant::now()));
        if told.is_none() && !is_due && !may_ask {
            return Ok(std::mem::take(&mut self.problems));
        }
        let tasks = tasks();
        if let Some(told) = told {
            self.hear(&tasks, told, now, writer)?;
        }
        if is_due {
            self.written_at = Some(now);
            let wanted: Vec<&TaskStatus> = tasks.iter().filter(|task| self.is_wanted(task)).collect();
            for task in &wanted {
                self.write(task, now, writer)?;
            }
            let live =
                tasks.iter().filter(|task| task.verdict.health.is_live()).map(|task| task.task.as_str());
            let live: HashSet<&str> = live.collect();
            self.agents.retain(|id, _| live.contains(id.as_str()));
            self.activities.keep(|id| live.contains(id));
        }
        if may_ask {
            self.ask(&tasks, now);
        }
        Ok(std::mem::take(&mut self.problems))
    }

    /// A clock that was set back makes it due as well.
    fn is_due(&self, now: Timestamp) -> bool {
        self.written_at.is_none_or(|last| now.millis_since(last).unsigned_abs() >= self.config.interval_ms)
    }

    /// An agent is summarised while it lives, and once more when it has ended.
    fn is_wanted(&self, task: &TaskStatus) -> bool {
        is_agent(task) && (task.verdict.health.is_live() || self.agents.contains_key(&task.task))
    }

    /// Writes the summary of one agent, if there is anything new in it.
    fn write(&mut self, task: &TaskStatus, now: Timestamp, writer: &mut Writer) -> anyhow::Result<()> {
        let nothing = Activity::default();
        let activity = self.activities.of(&task.task).unwrap_or(&nothing);
        let rules = alignment::assess(task, activity, now);
        let agent = self.agents.entry(task.task.clone()).or_default();
        let (assessment, told) = chosen(&rules, agent.answer.as_ref());
        let summary = AgentSummary::of(task, activity, assessment, told, now);
        if agent.summary.as_ref().is_some_and(|before| !summary.is_news_after(before)) {
            return Ok(());
        }
        let path = match files::write(&self.folder, &summary) {
            Ok(path) => path,
            Err(error) => {
                self.problems.push(format!("summaries are not written: {error}"));
                return Ok(());
            }
        };
        let assessment = assessment.clone();
        let before = agent.assessment.replace(assessment.clone());
        agent.summary = Some(summary);
        record_change(task, before.as_ref(), &assessment, &path, now, writer)
    }

    /// Takes an answer of the model; what is none leaves the rules to decide.
    fn hear(
        &mut self,
        tasks: &[TaskStatus],
        told: Told,
        now: Timestamp,
        writer: &mut Writer,
    ) -> anyhow::Result<()> {
        if let Some(spent) = endpoint::spent_on(&told.reply) {
            keep_cost(writer, now, spent)?;
        }
        let answer = match told.reply {
            Ok(reply) => {
                let text = redact_knowing(&reply.text, known_secrets());
                answer::parse(&text).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        let Some(agent) = self.agents.get_mut(&told.task) else { return Ok(()) };
        match answer {
            Ok(answer) => {
                agent.answer = Some(answer);
                self.is_without_model = false;
            }
            Err(error) => {
                agent.answer = None;
                if !std::mem::replace(&mut self.is_without_model, true) {
                    self.problems
                        .push(format!("summaries go on by rules, as the model cannot be used: {error}"));
                }
            }
        }
        match tasks.iter().find(|task| task.task == told.task) {
            Some(task) => self.write(task, now, writer),
            None => Ok(()),
        }
    }

    /// Asks the model about the agent that did something and was asked about longest ago, at least an interval.
    fn ask(&mut self, tasks: &[TaskStatus], now: Timestamp) {
        let Some(model) = self.model.as_mut().filter(|model| model.is_free(Instant::now())) else { return };
        let (agents, interval_ms) = (&self.agents, self.config.interval_ms);
        let open = tasks.iter().filter_map(|task| {
            let asked_at = agents.get(&task.task)?.asked_at;
            let is_over = asked_at.is_none_or(|asked| now.millis_since(asked).unsigned_abs() >= interval_ms);
            let is_new = task.last_activity_at > asked_at && task.verdict.health.is_live();
            (is_over && is_new && alignment::assigned(task).is_some()).then_some((asked_at, task))
        });
        let Some((_, task)) = open.min_by_key(|(asked_at, task)| (*asked_at, task.task.as_str())) else {
            return;
        };
        let nothing = Activity::default();
        let activity = self.activities.of(&task.task).unwrap_or(&nothing);
        let rules = alignment::assess(task, activity, now);
        // What is blocked is so whatever anybody thinks of it.
        if rules.alignment != Alignment::Blocked {
            model.ask(&task.task, prompt(task, activity, &rules, now), Instant::now());
        }
        if let Some(agent) = self.agents.get_mut(&task.task) {
            agent.asked_at = Some(now);
        }
    }
}

/// Which assessment holds, and what the model says the agent does: what is blocked is so by facts, and only of the rest a
/// model knows better.
pub(in crate::app::summarise) fn chosen<'a>(
    rules: &'a Assessment,
    answer: Option<&'a Answer>,
) -> (&'a Assessment, Option<&'a str>) {
    match answer {
        Some(answer) if rules.alignment != Alignment::Blocked => {
            (&answer.assessment, Some(&answer.current_activity))
        }
        _ => (rules, None),
    }
}

/// Tells the log that an assessment is another one now, and where the summary lies. That too little is known of a new agent is no news.
fn record_change(
    task: &TaskStatus,
    before: Option<&Assessment>,
    now_is: &Assessment,
    path: &Path,
    now: Timestamp,
    writer: &mut Writer,
) -> anyhow::Result<()> {
    let word = now_is.alignment.word();
    let told = before.map(|before| before.alignment.word()).or(task.alignment.as_deref());
    let is_known = before.map_or(told == Some(word), |before| before.is_like(now_is));
    if is_known || (told.is_none() && now_is.alignment == Alignment::Unknown) {
        return Ok(());
    }
    let texts = |texts: &[String]| Some(texts.iter().map(|text| Cow::Owned(text.clone())).collect());
    let body = Body::AlignmentAssessed {
        alignment: word.into(),
        confidence: Some(now_is.confidence),
        reasons: texts(&now_is.reasons),
        keywords: texts(&now_is.keywords),
        recommended_action: now_is.recommended_action.clone().map(Cow::Owned),
    };
    keep_event(writer, now, body, &task.task, None)?;
    if told != Some(word) {
        // From the project on: a path of one machine is of no use to another.
        let tail: PathBuf = path.components().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
        let path = text::path(&tail).into();
        keep_event(writer, now, Body::SummaryWritten { path }, &task.task, None)?;
    }
    Ok(())
}

/// Hands the writer what an answer cost, and that nothing more is done: between two questions nobody is at work.
pub(in crate::app::summarise) fn keep_cost(
    writer: &mut Writer,
    now: Timestamp,
    spent: &Spent,
) -> anyhow::Result<()> {
    let end = Body::TaskCompleted { attempt: None, exit_code: None, reason: None, duration_ms: None };
    keep_event(writer, now, usage(spent), OWN_NAME, Some(OWN_NAME))?;
    keep_event(writer, now, end, OWN_NAME, Some(OWN_NAME))
}

fn usage(spent: &Spent) -> Body<'_> {
    Body::UsageRecorded {
        model: spent.model.as_deref().map(Cow::Borrowed),
        message: None,
        request: spent.request.as_deref().map(Cow::Borrowed),
        input_tokens: Some(spent.input_tokens),
        output_tokens: Some(spent.output_tokens),
        cache_read_tokens: spent.cache_read_tokens,
        cache_write_tokens: spent.cache_write_tokens,
        cost_usd: spent.cost_usd,
        quality: Some(spent.quality.into()),
    }
}

/// Hands an event born here to the writer, which keeps it until it is written.
pub(in crate::app::summarise) fn keep_event(
    writer: &mut Writer,
    now: Timestamp,
    body: Body<'_>,
    task: &str,
    source: Option<&'static str>,
) -> anyhow::Result<()> {
    let mut event = writer.event(now, body, Some(Cow::Borrowed(task)))?;
    event.source = source.map(Cow::Borrowed);
    event.agent = source.map(Cow::Borrowed);
    let (stream, object) = encoded(event);
    writer.keep(stream, object);
    Ok(())
}
