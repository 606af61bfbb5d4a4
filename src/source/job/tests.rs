//! Jobs as a whole: files written as jobs write them, looked at as `watch` does, and what stands in the log of events then.

mod drift;
mod files;
mod growth;
mod instances;
mod runs;

use super::*;
use crate::source::fixture::{self, Log, write};
use crate::source::output::PatternsConfig;
use serde_json::{Value, json};
use std::fs::File;

/// When the work of the tests begins.
fn start() -> Timestamp {
    Timestamp::parse("2026-11-16T09:00:00Z").unwrap()
}

fn at(seconds: i64) -> Timestamp {
    start().plus_millis(seconds * 1000)
}

/// A project with a configuration, and what was recorded of it.
struct World {
    folder: tempfile::TempDir,
    configs: Vec<JobConfig>,
    jobs: Jobs,
    log: Log,
}

impl World {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let configs = configs(config);
        Self { folder, jobs: Jobs::new(&configs), configs, log: Log::default() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, so many seconds after the start.
    fn write(&self, name: &str, text: &str, seconds: i64) {
        write(&self.path(name), text);
        self.touch(name, seconds);
    }

    fn append(&self, name: &str, text: &str, seconds: i64) {
        let mut whole = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        whole.push_str(text);
        // In place: a log that grows stays the same file.
        self.write(name, &whole, seconds);
    }

    fn touch(&self, name: &str, seconds: i64) {
        let file = File::options().write(true).open(self.path(name)).unwrap();
        let since_epoch = std::time::Duration::from_micros(u64::try_from(at(seconds).micros()).unwrap());
        file.set_modified(std::time::UNIX_EPOCH + since_epoch).unwrap();
    }

    fn env(&self) -> Env {
        Env { base: self.folder.path().to_owned(), ..fixture::env(Scope::Global) }
    }

    /// One round of `watch`, so many seconds after the start.
    fn look(&mut self, seconds: i64) -> Vec<String> {
        // However long the last search took.
        self.jobs.search = None;
        let mut problems = self.jobs.discover(&self.env()).problems;
        loop {
            let (next, more) = self.jobs.poll(at(seconds), &mut self.log);
            problems.extend(more);
            if next == Next::Idle {
                break;
            }
        }
        problems.into_iter().map(|problem| problem.message).collect()
    }

    /// Another process begins, with or without what this one remembers.
    fn restart(&mut self, keeps_positions: bool) {
        let positions = self.jobs.positions();
        let advances = self.jobs.advances();
        self.log.advance(advances);
        self.log.restart();
        self.jobs = Jobs::new(&self.configs);
        if keeps_positions {
            self.jobs.resume(positions);
        }
    }

    /// The events, brief, but those that only introduce files and those that only tell that output grew.
    fn said(&self) -> Vec<Value> {
        let events = self
            .log
            .events
            .iter()
            .filter(|event| !["source.opened", "output.grew"].contains(&event["type"].as_str().unwrap()));
        events.map(fixture::brief).collect()
    }

    /// The events of one type, of one task.
    fn of(&self, type_name: &str, task: &str) -> Vec<Value> {
        self.said().into_iter().filter(|event| event["type"] == type_name && event["task"] == task).collect()
    }

    /// How each attempt ended: type, reason, exit code.
    fn results(&self) -> Vec<String> {
        let ends = ["task.completed", "task.failed", "task.timed_out", "task.cancelled"];
        let events = self.log.events.iter().filter(|event| ends.contains(&event["type"].as_str().unwrap()));
        events
            .map(|event| {
                let name = event["type"].as_str().unwrap().trim_start_matches("task.");
                format!("{} {name}: {}", event["attempt"], event["reason"].as_str().unwrap_or("-"))
            })
            .collect()
    }
}

fn configs(text: &str) -> Vec<JobConfig> {
    #[derive(serde::Deserialize)]
    struct Sections {
        job: Vec<JobConfig>,
    }
    toml::from_str::<Sections>(text).unwrap().job
}

/// The job of the field: everything declared.
const WHOLE: &str = r#"
[[job]]
name = "code-generator"
title = "Generate the parser"
workspace = "agent-workspaces/code-generator"
log = "output.log"
status_file = "status.txt"
progress_file = "progress.txt"
exit_code_file = "exit-code.txt"
required_files = ["output.log", ".ctxpack"]
marker = "DONE"
"#;

#[test]
fn every_key_has_its_default_and_an_unknown_one_is_refused() {
    let [config] = configs("[[job]]\nname = \"nightly\"").try_into().unwrap();
    assert_eq!(config, JobConfig { name: "nightly".into(), ..JobConfig::default() });
    let defaults = toml::Table::try_from(&config).unwrap();
    let number = |key: &str| defaults[key].as_float();
    assert_eq!((number("poll_interval_seconds"), number("timeout_seconds")), (Some(0.5), Some(3600.0)));
    assert_eq!(defaults["kill"].as_bool(), Some(false));
    assert_eq!(config.all_patterns(), PatternsConfig::default());
    let [config] = configs("[[job]]\nmarker = \"END\"\nupdate_throttle_percent = 5.0").try_into().unwrap();
    let patterns = PatternsConfig {
        markers: vec!["END".into()],
        update_throttle_percent: 5.0,
        ..PatternsConfig::default()
    };
    assert_eq!(config.all_patterns(), patterns);
    let error = toml::from_str::<JobConfig>("nmae = \"x\"").unwrap_err().to_string();
    assert!(error.contains("nmae"), "{error}");
}

#[test]
fn a_section_that_cannot_be_used_says_why_and_the_others_go_on() {
    let problem = |section: &str| {
        let mut world =
            World::new(&format!("[[job]]\n{section}\n[[job]]\nname = \"good\"\nlog = \"good.log\""));
        world.write("good.log", "hello\n", 1);
        let problems = world.look(2);
        assert_eq!(world.of("task.started", "good").len(), 1);
        problems.join("; ")
    };
    assert_eq!(problem("log = \"x.log\""), "has no `name`");
    assert!(problem("name = \"x\"").starts_with("names nothing to watch: `log`"));
    assert_eq!(
        problem("name = \"x\"\nlog = \"x.log\"\nidle_seconds = -1.0"),
        "`idle_seconds` is no number of seconds"
    );
    assert_eq!(
        problem("name = \"{beam}\"\nlog = \"{case}.log\""),
        "`{beam}` in `{beam}` is no placeholder of its paths; they have {case}"
    );
    let pattern = problem("name = \"x\"\nlog = \"x.log\"\npatterns = { failure = [\"(\"] }");
    assert!(pattern.contains("`failure`: pattern `(`"), "{pattern}");
    assert_eq!(problem("name = \"x\"\nlog = \"x.log\"\nenabled = false"), "");
    assert_eq!(
        problem("name = \"x\"\nlog = \"x.log\"\n[[job]]\nname = \"x\"\nlog = \"y.log\""),
        "is there twice with this name: only the first one is watched"
    );
}

#[test]
fn files_named_by_hand_are_no_jobs() {
    let mut world = World::new(WHOLE);
    world.write("agent-workspaces/code-generator/output.log", "DONE\n", 1);
    let paths = vec![world.folder.path().to_owned()];
    let found = world
        .jobs
        .discover(&Env { base: world.folder.path().to_owned(), ..fixture::env(Scope::Paths(paths)) });
    assert_eq!((found.inputs, found.problems), (vec![], vec![]));
}
