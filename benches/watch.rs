//! What watching costs: 100 transcripts, 50 logs of jobs and 50 status files, first idle, then each changing once a second.
//!
//! CPU time of the whole process from `/proc`, so other work on the machine does not count; memory at the end; and how long
//! after its writing a line of a transcript stands in the log. The peer is what any watcher needs at least: `tail -F` of
//! the same files.

use crate::support::{measure, program};
use agentlog::base::clock::{Clock as _, SystemClock};
use std::cell::Cell;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const TRANSCRIPTS: usize = 100;
const LOGS: usize = 50;
const STATUSES: usize = 50;
const SETTLING: Duration = Duration::from_secs(5);
const IDLE: Duration = Duration::from_secs(20);
const BUSY_SECONDS: usize = 20;
const LATENCY_MAX: Duration = Duration::from_secs(10);

/// Prints shares of one core, memory and latency.
pub(crate) fn run() {
    let Some(ticks) = ticks_per_second() else {
        println!("  – (there is no /proc here)");
        return;
    };
    println!("  {TRANSCRIPTS} transcripts, {LOGS} logs, {STATUSES} status files");
    let world = World::new();
    for (name, mut command) in [("agentlog watch", world.watch()), ("floor: tail -F", world.tail())] {
        let Ok(child) = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
        else {
            println!("  {name:<24} – (cannot be started)");
            continue;
        };
        let mut watcher = Watcher { child, ticks };
        sleep(SETTLING);
        let idle = watcher.share(|| sleep(IDLE));
        let mut latencies = Vec::new();
        let busy = watcher.share(|| latencies = world.work(name.starts_with("agentlog")));
        let kilobytes = watcher.resident_kilobytes();
        println!("  {name:<24} idle {idle:>6.2} %, busy {busy:>6.2} % of one core, {kilobytes} kB resident");
        if !latencies.is_empty() {
            let at = |percent| measure::milliseconds(measure::percentile(latencies.clone(), percent));
            println!("  {:<24} written to recorded: {} median, {} p99", "", at(50), at(99));
        }
        watcher.end();
    }
}

/// The files that are watched.
struct World {
    folder: tempfile::TempDir,
    step_count: Cell<usize>,
}

impl World {
    fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap(), step_count: Cell::new(0) };
        fs::create_dir_all(world.at(".agents")).unwrap();
        let config = "[[job]]\nname = \"{case}\"\nlog = \"logs/{case}.log\"\n";
        fs::File::create(world.at(".agents/agentlog.toml")).unwrap().write_all(config.as_bytes()).unwrap();
        world.step();
        world
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    fn watch(&self) -> Command {
        program::agentlog(&self.at(""), &["watch", "--interval", "1h"])
    }

    fn tail(&self) -> Command {
        let mut command = Command::new("tail");
        command.args(["-F", "-n", "0"]);
        command.args((0..TRANSCRIPTS).map(|nth| self.transcript(nth)));
        command.args((0..LOGS).map(|nth| self.at(&format!("logs/job{nth}.log"))));
        command.args((0..STATUSES).map(|nth| self.at(&format!(".worktrees/w{nth}/status.json"))));
        command
    }

    fn transcript(&self, nth: usize) -> PathBuf {
        self.at(&format!(".claude/projects/-p/{nth:08x}-0000-4000-8000-000000000000.jsonl"))
    }

    /// Every file changes.
    fn step(&self) {
        let (cwd, step) = (self.at(""), self.step_count.get());
        self.step_count.set(step + 1);
        for nth in 0..TRANSCRIPTS {
            let now = SystemClock.now();
            let line = format!(
                r#"{{"uuid":"{nth:08x}-{step:04x}-4000-8000-000000000000","sessionId":"{nth:08x}-0000-4000-8000-000000000000","timestamp":"{now}","cwd":"{}","version":"2.1.100","isSidechain":false,"type":"user","message":{{"role":"user","content":"step {step}"}}}}"#,
                cwd.display()
            );
            append(&self.transcript(nth), &line);
        }
        for nth in 0..LOGS {
            append(&self.at(&format!("logs/job{nth}.log")), &format!("step {step} of 1000"));
        }
        for nth in 0..STATUSES {
            let path = self.at(&format!(".worktrees/w{nth}/status.json"));
            let text = format!(
                r#"{{"task":"w{nth}","status":"in_progress","progress":{},"current_step":"step {step}"}}"#,
                step % 100
            );
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        }
    }

    /// All files change once a second; gives how long the last line of each second took into the log.
    fn work(&self, is_recorded: bool) -> Vec<Duration> {
        let log = self.at(".agents/logs/background_monitoring.jsonl");
        let mut latencies = Vec::new();
        for _ in 0..BUSY_SECONDS {
            let second = Instant::now();
            let before = if is_recorded { size(&log) } else { 0 };
            self.step();
            let written = Instant::now();
            while is_recorded && size(&log) == before && written.elapsed() < LATENCY_MAX {
                sleep(Duration::from_millis(1));
            }
            latencies.extend(is_recorded.then(|| written.elapsed()));
            sleep(Duration::from_secs(1).saturating_sub(second.elapsed()));
        }
        latencies
    }
}

/// A running process whose costs are known.
struct Watcher {
    child: Child,
    ticks: f64,
}

impl Watcher {
    /// What of one core the process takes during some work, in percent.
    fn share(&self, work: impl FnOnce()) -> f64 {
        let (before, began) = (self.used(), Instant::now());
        work();
        (self.used() - before) / self.ticks / began.elapsed().as_secs_f64() * 100.0
    }

    fn used(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let after = stat.rsplit_once(')').unwrap().1;
        after.split_whitespace().skip(11).take(2).map(|field| field.parse::<f64>().unwrap()).sum()
    }

    fn resident_kilobytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse().unwrap()
    }

    fn end(&mut self) {
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}

fn append(path: &Path, line: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
    file.write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// In which the system counts CPU time.
fn ticks_per_second() -> Option<f64> {
    let output = Command::new("getconf").arg("CLK_TCK").output().ok()?;
    let ticks = String::from_utf8(output.stdout).ok()?.trim().parse().ok()?;
    Path::new("/proc/self/stat").exists().then_some(ticks)
}
