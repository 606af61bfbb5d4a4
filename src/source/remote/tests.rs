//! Jobs on another machine: a real sshd on loopback that the test itself starts, a real `ssh`, files written as jobs write
//! them. Without sshd the tests say that they were skipped.

mod lines;
mod outage;
mod pushed;
mod shells;
mod server;

use super::*;
use crate::base::clock::{Clock as _, SystemClock};
use crate::source::fixture::{self, Log as EventLog, write};
use crate::source::remote::tests::server::Server;
use serde_json::Value;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// Whatever is awaited comes within this, or never.
const DEADLINE: Duration = Duration::from_secs(20);

/// A server, what is watched there, and what was recorded of it.
struct World {
    server: Server,
    config: RemoteConfig,
    source: Remote,
    log: EventLog,
    problems: Vec<String>,
}

impl World {
    /// Watches this log on the server; `None`: there is no sshd here.
    fn new(log: &str, change: impl FnOnce(&mut RemoteConfig)) -> Option<Self> {
        let server = Server::start()?;
        let mut config = RemoteConfig {
            host: "far".into(),
            name: "{case}".into(),
            log: Some(server.path(log).to_str().unwrap().to_owned()),
            interval_seconds: 0.1,
            ssh: server.ssh(),
            ..RemoteConfig::default()
        };
        change(&mut config);
        let source = Remote::new(std::slice::from_ref(&config));
        Some(Self { server, config, source, log: EventLog::default(), problems: Vec::new() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.server.path(name)
    }

    fn append(&self, name: &str, text: &[u8]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
        file.write_all(text).unwrap();
    }

    fn env(&self) -> Env {
        let mut env = fixture::env(Scope::Global);
        env.variables.insert("XDG_RUNTIME_DIR".to_owned(), self.server.path("run"));
        env
    }

    /// One round of `watch`.
    fn look(&mut self) -> Next {
        let found = self.source.discover(&self.env());
        self.problems.extend(found.problems.iter().map(ToString::to_string));
        let (next, problems) = self.source.poll(SystemClock.now(), &mut self.log);
        self.problems.extend(problems.iter().map(ToString::to_string));
        next
    }

    /// Looks until something holds.
    fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            let so_far: Vec<_> = self.log.lines.iter().rev().take(20).collect();
            assert!(began.elapsed() < DEADLINE, "{what} did not come: {so_far:#?}\n{:?}", self.problems);
            self.look();
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Looks until everything that is there now was looked at twice more, so that nothing is on its way.
    fn settle(&mut self) {
        let began = Instant::now();
        let mut rounds = 0;
        while rounds < 3 {
            assert!(began.elapsed() < DEADLINE, "the rounds have stopped: {:?}", self.problems);
            rounds += self.rounds();
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Polls once and gives how many rounds had come.
    fn rounds(&mut self) -> usize {
        let before = self.source.machines.iter().flatten().map(|machine| machine.round_count).sum::<usize>();
        self.look();
        self.source.machines.iter().flatten().map(|machine| machine.round_count).sum::<usize>() - before
    }

    /// Another process begins, with or without what this one remembers.
    fn restart(&mut self, keeps_positions: bool) {
        let positions = self.source.positions();
        self.log.advance(self.source.advances());
        self.log.restart();
        self.source = Remote::new(std::slice::from_ref(&self.config));
        if keeps_positions {
            self.source.resume(positions);
        }
    }

    /// The steps of all progress recorded, in order.
    fn currents(&self) -> Vec<u64> {
        let progress = self.log.events.iter().filter(|event| event["type"] == "progress.reported");
        progress.filter_map(|event| event["current"].as_u64()).collect()
    }

    fn of(&self, type_name: &str) -> Vec<&Value> {
        self.log.events.iter().filter(|event| event["type"] == type_name).collect()
    }
}

fn config(text: &str) -> Result<RemoteConfig, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn every_key_has_its_default_and_an_unknown_one_is_refused() {
    let config = |text: &str| config(text);
    let expected = RemoteConfig { host: "cluster".into(), ..RemoteConfig::default() };
    assert_eq!(config("host = \"cluster\""), Ok(expected.clone()));
    let said =
        (expected.interval_seconds, expected.connect_timeout_seconds, expected.ssh.as_str(), expected.kind);
    assert_eq!(said, (15.0, 5, "ssh", RemoteKind::Log));
    assert!(config("hots = \"x\"").unwrap_err().contains("hots"));
    assert!(config("kind = \"codex\"").unwrap_err().contains("codex"));
}

#[test]
fn files_named_by_hand_are_not_on_other_machines() {
    let mut source = Remote::new(&[RemoteConfig::default()]);
    let found = source.discover(&fixture::env(Scope::Paths(vec!["/x".into()])));
    assert_eq!((found.problems, source.machines.is_none()), (vec![], true));
    let found = source.discover(&fixture::env(Scope::Global));
    let messages: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
    assert_eq!(messages, ["[[remote]] : has no `name`"]);
}
