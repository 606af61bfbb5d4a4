//! The summaries beside a watcher: when they are written, what the log hears of them, and what a model changes.

use super::*;
use crate::app::log::Reader;
use crate::app::project::Project;
use crate::app::summarise::config::{Api, ModelConfig};
use crate::app::summarise::endpoint::tests::{Deed, Server, await_value, config, openai, said};
use crate::app::writer::Syncing;
use crate::event::codec::Decoded;
use crate::projection::health::Health;
use crate::summary::activity::tests::{event, start};
use crate::summary::alignment::tests::{Case, task};
use serde_json::Value;

/// A project whose watcher is only its summaries.
struct Bench {
    folder: tempfile::TempDir,
    writer: Writer,
    summaries: Summaries,
    now: Timestamp,
    task: TaskStatus,
}

impl Bench {
    fn new(model: Option<&ModelConfig>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let project = Project::in_directory(folder.path());
        let writer = Writer::new(&project, Syncing::Live).unwrap();
        let mut summaries = Self::summaries(folder.path());
        summaries.model = model.map(|config| Model::start(config).unwrap());
        let mut task = task(&Case { told: "make the header parser faster", ..Case::default() });
        task.agent = Some("explore".to_owned());
        task.last_activity_at = Some(start());
        Self { folder, writer, summaries, now: start(), task }
    }

    fn summaries(folder: &Path) -> Summaries {
        Summaries::new(SummaryConfig::default(), folder.join(".agents/summaries"))
    }

    /// The agent reaches a step, a second after the last one.
    fn step(&mut self, step: String) {
        let second = self.now.millis_since(start()) / 1000 + 1;
        let body =
            Body::ProgressReported { current: None, total: None, percent: None, step: Some(step.into()) };
        let event = event(second, body);
        self.now = event.ts;
        self.task.last_activity_at = Some(event.ts);
        self.summaries.see(&event);
    }

    fn steps(&mut self, words: &str, count: usize) {
        for idx in 0..count {
            self.step(format!("{words} chapter{idx}"));
        }
    }

    /// A minute later the watcher looks.
    fn look(&mut self) -> Vec<String> {
        self.now = self.now.plus_millis(60_000);
        self.look_again()
    }

    fn look_again(&mut self) -> Vec<String> {
        let task = self.task.clone();
        let problems =
            self.summaries.follow_tasks(&|| vec![task.clone()], self.now, &mut self.writer).unwrap();
        self.writer.flush(self.now, Instant::now());
        problems
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(".agents/summaries/t").join(name)).unwrap_or_default()
    }

    fn latest(&self) -> AgentSummary {
        serde_json::from_str(&self.file(files::LATEST)).unwrap()
    }

    fn history(&self) -> Vec<String> {
        let status = |line: &str| serde_json::from_str::<AgentSummary>(line).unwrap().on_track_status;
        self.file(files::HISTORY).lines().map(status).collect()
    }

    /// The events in the log: type and the field that matters.
    fn events(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut reader = Reader::new(&self.folder.path().join(".agents/logs"));
        reader
            .advance(&mut |_, decoded, line| {
                let Decoded::Known(known) = decoded else { panic!("{}", String::from_utf8_lossy(line)) };
                let value: Value = serde_json::from_slice(line).unwrap();
                let field = ["alignment", "path", "cost_usd"].iter().find_map(|name| value.get(name));
                if let Some(field) = field.filter(|_| known.event.task.is_some()) {
                    let source = known.event.source.as_deref().unwrap_or_default();
                    found.push(
                        format!("{} {field} {source}", known.event.body.type_name()).trim_end().to_owned(),
                    );
                }
            })
            .unwrap();
        found
    }
}

#[test]
fn a_summary_is_written_when_something_is_new_and_the_log_hears_of_it_when_the_assessment_changes() {
    let mut bench = Bench::new(None);
    assert_eq!(bench.look(), Vec::<String>::new());
    assert_eq!((bench.history(), bench.events()), (vec!["unknown".to_owned()], vec![]));
    bench.steps("parsing", 5);
    bench.look_again();
    assert_eq!(bench.latest().on_track_status, "unknown", "not before the interval is over");
    bench.look();
    assert_eq!((bench.latest().on_track_status.as_str(), bench.latest().timestamp), ("on_track", bench.now));
    let written =
        ["alignment.assessed \"on_track\"", "summary.written \".agents/summaries/t/latest_summary.json\""];
    assert_eq!(bench.events(), written);
    bench.look();
    assert_eq!(bench.history(), ["unknown", "on_track"], "time alone is no news");
    bench.steps("parsing", 8);
    bench.look();
    assert_eq!((bench.history().len(), bench.events().len()), (3, 2));
    bench.steps("answering", 10);
    bench.look();
    assert_eq!(bench.events()[2..], ["alignment.assessed \"drifting\"", written[1]]);
}

#[test]
fn an_agent_that_ended_is_summarised_once_more_and_then_let_go() {
    let mut bench = Bench::new(None);
    bench.steps("parsing", 5);
    bench.look();
    bench.task.verdict.health = Health::Completed;
    bench.look();
    assert_eq!(bench.latest().current_activity, "Has completed");
    assert!(bench.summaries.agents.is_empty());
    bench.look();
    assert_eq!(bench.history().len(), 2);
}

#[test]
fn a_watcher_that_starts_again_does_not_repeat_what_the_log_knows() {
    let mut bench = Bench::new(None);
    bench.task.alignment = Some("on_track".to_owned());
    bench.steps("parsing", 5);
    bench.look();
    assert_eq!((bench.latest().on_track_status.as_str(), bench.events()), ("on_track", vec![]));
}

#[test]
fn jobs_have_no_summary_and_nobody_has_one_where_they_are_switched_off() {
    let mut bench = Bench::new(None);
    bench.task.source = Some("slurm".to_owned());
    bench.look();
    assert!(!bench.folder.path().join(".agents/summaries").exists());
    bench.task.source = None;
    bench.summaries.config.enabled = false;
    bench.steps("parsing", 5);
    bench.look();
    assert!(!bench.folder.path().join(".agents/summaries").exists());
    assert_eq!(bench.summaries.activities, Activities::default());
}

#[test]
fn a_folder_that_cannot_be_made_is_said_and_stops_nothing() {
    let mut bench = Bench::new(None);
    std::fs::create_dir_all(bench.folder.path().join(".agents")).unwrap();
    crate::base::fs::replace(&bench.folder.path().join(".agents/summaries"), b"in the way").unwrap();
    let problems = bench.look();
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("summaries are not written: "), "{problems:?}");
}

#[test]
fn a_model_is_believed_where_nothing_is_blocked_and_its_cost_is_recorded() {
    let server = Server::new(vec![openai(&said("off_track"))]);
    let mut bench = Bench::new(Some(&config(Api::Openai, &server.url)));
    bench.steps("parsing", 5);
    bench.look();
    assert_eq!(bench.latest().on_track_status, "on_track");
    await_value(|| {
        bench.look_again();
        (bench.latest().on_track_status == "off_track").then_some(())
    });
    let latest = bench.latest();
    assert_eq!((latest.current_activity.as_str(), latest.confidence_score), ("Reads mail.", 0.7));
    assert_eq!(
        (latest.drift_reasons, latest.recommended_action),
        (vec!["it reads mail".to_owned()], Some("ask it why".to_owned()))
    );
    let expected = [
        "usage.recorded 0.003 agentlog",
        "alignment.assessed \"on_track\"",
        "summary.written \".agents/summaries/t/latest_summary.json\"",
        "alignment.assessed \"off_track\"",
        "summary.written \".agents/summaries/t/latest_summary.json\"",
    ];
    assert_eq!(bench.events(), expected);
    let request = server.requests().concat();
    assert!(
        request.contains("parsing chapter4") && request.contains("make the header parser faster"),
        "{request}"
    );
    bench.task.verdict.health = Health::Stuck;
    bench.look();
    assert_eq!(bench.latest().on_track_status, "blocked", "facts go before opinions");
}

#[test]
fn what_a_model_cost_leaves_nobody_at_work() {
    let mut bench = Bench::new(None);
    let mut projection = crate::projection::state::Projection::default();
    for _ in 0..2 {
        bench.now = bench.now.plus_millis(60_000);
        keep_cost(&mut bench.writer, bench.now, &Spent::default()).unwrap();
    }
    bench.writer.flush(bench.now, Instant::now());
    Reader::new(&bench.folder.path().join(".agents/logs"))
        .advance(&mut |_, decoded, _| {
            let Decoded::Known(known) = decoded else { panic!("no event") };
            projection.apply(&known.event);
        })
        .unwrap();
    let policy = crate::projection::policy::Policy::default();
    let task = projection.task(OWN_NAME, bench.now, &policy).unwrap();
    assert_eq!((task.verdict.health, task.attempt), (Health::Completed, 1));
}

#[test]
fn a_model_that_fails_leaves_the_rules_and_is_mentioned_once() {
    let prose = |status| openai(&format!("Well: {}", said(status)));
    let broken = Deed::Answer("401 No", "", String::new());
    let server = Server::new(vec![openai(&said("off_track")), prose("blocked"), broken]);
    let config = ModelConfig { retries: 0, requests_per_minute: 60_000, ..config(Api::Openai, &server.url) };
    let mut bench = Bench::new(Some(&config));
    bench.steps("parsing", 5);
    let mut problems = bench.look();
    let mut seen = Vec::new();
    for status in ["off_track", "on_track", "on_track"] {
        let asked = bench.summaries.agents["t"].asked_at;
        problems.extend(await_value(|| {
            let problems = bench.look_again();
            bench.summaries.model.as_ref().unwrap().is_free(Instant::now()).then_some(problems)
        }));
        seen.push(bench.latest().on_track_status);
        assert_eq!(seen.last().unwrap(), status);
        bench.steps("parsing", 1);
        problems.extend(bench.look());
        assert!(bench.summaries.agents["t"].asked_at >= asked);
    }
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("summaries go on by rules, as the model cannot be used: its answer is not"),
        "{problems:?}"
    );
    assert_eq!(
        bench.events().iter().filter(|event| event.starts_with("usage")).count(),
        2,
        "a useless answer costs too"
    );
}

#[test]
fn what_was_taken_out_of_the_log_is_forgotten_and_the_latest_summary_is_written_anew() {
    let mut bench = Bench::new(None);
    bench.steps("hunter2", 5);
    bench.look();
    let latest = bench.folder.path().join(".agents/summaries/t").join(files::LATEST);
    std::fs::remove_file(&latest).unwrap();
    bench.summaries.forget(&bench.folder.path().join(".agents/logs"));
    assert_eq!(bench.summaries.activities, Activities::default());
    bench.look();
    assert!(latest.is_file() && !bench.file(files::LATEST).contains("hunter2"));
}

#[test]
fn the_end_of_the_log_says_what_happened_lately() {
    let mut bench = Bench::new(None);
    for step in ["reading", "parsing"] {
        let body =
            Body::ProgressReported { current: None, total: None, percent: None, step: Some(step.into()) };
        keep_event(&mut bench.writer, bench.now, body, "t", None).unwrap();
    }
    bench.writer.flush(bench.now, Instant::now());
    let logs = bench.folder.path().join(".agents/logs");
    let all = recent::activities(&logs).unwrap();
    let steps: Vec<&str> = all.of("t").unwrap().steps.iter().map(|item| item.what.as_str()).collect();
    assert_eq!(steps, ["reading", "parsing"]);
    assert_eq!(all.of("t"), Some(&recent::activity(&logs, "t").unwrap()));
}
