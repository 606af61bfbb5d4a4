//! The source on real tmux servers: each test has its own, which ends with it.

mod ends;
mod lines;
mod scope;
mod streams;

use crate::base::clock::Timestamp;
use crate::source::fixture::{Log, env};
use crate::source::tmux::{Tmux, TmuxConfig};
use crate::source::{Env, Scope, Source};
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(10);

/// A tmux server of a test.
struct Server {
    folder: tempfile::TempDir,
}

impl Server {
    /// `None`, with a word why, where tmux is not installed.
    fn new() -> Option<Self> {
        let is_there = Command::new("tmux").arg("-V").output().is_ok_and(|answer| answer.status.success());
        if !is_there {
            announce("skipped: tmux is not installed");
            return None;
        }
        let server = Self { folder: tempfile::Builder::new().prefix("agentlog-test-").tempdir().unwrap() };
        Some(server)
    }

    fn socket(&self) -> String {
        self.folder.path().join("socket").to_str().unwrap().to_owned()
    }

    fn tmux(&self, words: &[&str]) -> String {
        let answer = Command::new("tmux")
            .args(["-S", &self.socket(), "-f", "/dev/null"])
            .args(words)
            .env_remove("TMUX")
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert!(answer.status.success(), "{words:?}: {complaint}");
        String::from_utf8(answer.stdout).unwrap().trim_end().to_owned()
    }

    /// A session in which a script runs; its pane stays when the script ends.
    fn session(&self, name: &str, script: &str) {
        let folder = self.folder.path();
        crate::source::fixture::write(&folder.join(format!("{name}.sh")), script);
        // The option must stand before the script ends, and cannot before there is a server.
        let command = format!("while [ ! -e {name}.go ]; do sleep 0.02; done; exec sh ./{name}.sh");
        let folder = folder.to_str().unwrap();
        self.tmux(&["new-session", "-d", "-s", name, "-x", "80", "-y", "10", "-c", folder, &command]);
        self.tmux(&["set-option", "-g", "-w", "remain-on-exit", "on"]);
        self.touch(&format!("{name}.go"));
    }

    fn config(&self) -> TmuxConfig {
        TmuxConfig { socket_path: Some(self.socket()), ..TmuxConfig::default() }
    }

    /// What a pane of the session shows.
    fn shows(&self, target: &str, text: &str) {
        await_that(text, || self.tmux(&["capture-pane", "-p", "-t", target, "-S", "-"]).contains(text));
    }

    /// The second in which something was last written.
    fn activity(&self) -> i64 {
        self.tmux(&["list-panes", "-t", "agent-x", "-F", "#{window_activity}"]).parse().unwrap()
    }

    fn touch(&self, name: &str) {
        crate::source::fixture::write(&self.folder.path().join(name), "");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-S", &self.socket(), "kill-server"]).output();
    }
}

/// A watcher of a server: each look is later than the one before by the longest interval.
struct Watcher {
    source: Tmux,
    log: Log,
    env: Env,
    looks: i64,
    /// Ends before it can say how far it read.
    is_killed: bool,
}

impl Watcher {
    fn of(config: &TmuxConfig) -> Self {
        Self::with(config, env(Scope::Global), Log::default())
    }

    fn with(config: &TmuxConfig, env: Env, log: Log) -> Self {
        Self { source: Tmux::new(std::slice::from_ref(config)), log, env, looks: 0, is_killed: false }
    }

    /// Another process after this one, with nothing but the log.
    fn restarted(self, config: &TmuxConfig) -> Self {
        let Self { env, mut log, looks, is_killed, .. } = self;
        log.restart();
        Self { source: Tmux::new(std::slice::from_ref(config)), log, env, looks, is_killed }
    }

    /// Another process, with the log and what the one before it remembers.
    fn resumed(self, config: &TmuxConfig) -> Self {
        let positions = self.source.positions();
        let mut watcher = self.restarted(config);
        let saved = serde_json::to_string(&positions).unwrap();
        watcher.source.resume(serde_json::from_str(&saved).unwrap());
        watcher
    }

    fn look(&mut self) {
        self.look_at(now().plus_millis(self.looks * 40_000));
        self.looks += 1;
    }

    fn look_at(&mut self, at: Timestamp) {
        let found = self.source.discover(&self.env);
        assert_eq!(found.problems, []);
        let (_, problems) = self.source.poll(at, &mut self.log);
        assert_eq!(problems, []);
        if !self.is_killed {
            self.log.advance(self.source.advances());
        }
    }

    fn look_until(&mut self, what: &str, is_so: impl Fn(&Log) -> bool) {
        await_that(what, || {
            self.look();
            is_so(&self.log)
        });
    }

    /// The events of these types, each in few words.
    fn said(&self, types: &[&str]) -> Vec<String> {
        let of_type = |event: &&Value| types.contains(&event["type"].as_str().unwrap());
        self.log.events.iter().filter(of_type).map(brief).collect()
    }

    /// The messages of the errors found in lines.
    fn errors(&self) -> Vec<String> {
        let is_error = |event: &&Value| event["type"] == "error.matched";
        let message = |event: &Value| event["error"]["message"].as_str().unwrap().to_owned();
        self.log.events.iter().filter(is_error).map(message).collect()
    }

    /// How many events there are, but for those that each look makes.
    fn count(&self) -> u64 {
        self.log.count(|event| event["type"] != "process.sampled" && event["type"] != "source.opened")
    }
}

const COURSE: [&str; 6] =
    ["task.created", "task.started", "task.completed", "task.failed", "task.timed_out", "task.cancelled"];

fn brief(event: &Value) -> String {
    let text = |key: &str| event[key].as_str().map(|text| format!(" {text}")).unwrap_or_default();
    let number = |key: &str| event[key].as_f64().map(|number| format!(" {key}={number}")).unwrap_or_default();
    let (kind, task) = (event["type"].as_str().unwrap(), text("task"));
    let numbers = ["attempt", "exit_code", "current", "total"].map(number).concat();
    format!("{kind}{task}{numbers}{}{}", text("reason"), text("step"))
}

/// The real time: tmux knows no other.
fn now() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "tmux's clock is that of the system")]
    Timestamp::from_system(std::time::SystemTime::now())
}

fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < DEADLINE, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[expect(clippy::print_stderr, reason = "says why a test was skipped")]
fn announce(text: &str) {
    eprintln!("{text}");
}

fn in_project(root: &Path) -> Env {
    env(Scope::Project(vec![root.canonicalize().unwrap()]))
}
