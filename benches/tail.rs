//! From the append of a line to the line on the reader's standard output. Peer: `tail -F`.

use crate::support::measure::percentile;
use crate::support::program;
use agentlog::base::clock::{Clock, SystemClock};
use agentlog::base::frame;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

const APPENDS: usize = 600;
const DEADLINE: Duration = Duration::from_secs(10);

/// Prints the median and the 99th percentile of each reader.
pub(crate) fn run() {
    measure("tail -f", |project, _| program::agentlog(project, &["tail", "-f", "-n", "0"]));
    measure("tail -f --raw", |project, _| program::agentlog(project, &["tail", "-f", "-n", "0", "--raw"]));
    measure("peer: tail -F", |_, file| {
        let mut command = Command::new("tail");
        command.args(["-n", "0", "-F"]).arg(file);
        command
    });
}

fn measure(name: &str, command: impl Fn(&Path, &Path) -> Command) {
    let project = tempfile::tempdir().unwrap();
    let logs = project.path().join(".agents/logs");
    std::fs::create_dir_all(&logs).unwrap();
    let path = logs.join("background_monitoring.jsonl");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
    let mut child = command(project.path(), &path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let printed = printed_lines(&mut child);
    match latencies(&mut file, &printed) {
        Some(times) => println!(
            "  {name:<44} p50 {:>7.0} µs  p99 {:>7.0} µs",
            percentile(times.clone(), 50).as_secs_f64() * 1e6,
            percentile(times, 99).as_secs_f64() * 1e6
        ),
        None => println!("  {name:<44} – (printed nothing within {DEADLINE:?})"),
    }
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

fn printed_lines(child: &mut Child) -> Receiver<Instant> {
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for _ in stdout.lines().map_while(Result::ok) {
            if sender.send(Instant::now()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// `None` when a line does not come within the deadline.
fn latencies(file: &mut File, printed: &Receiver<Instant>) -> Option<Vec<Duration>> {
    let mut number = 0;
    // The reader needs time to start; lines written before it follows may or may not be shown.
    let start = Instant::now();
    loop {
        append(file, &mut number);
        if printed.recv_timeout(Duration::from_millis(100)).is_ok() {
            break;
        }
        if start.elapsed() > DEADLINE {
            return None;
        }
    }
    while printed.recv_timeout(Duration::from_millis(200)).is_ok() {}
    let mut times = Vec::with_capacity(APPENDS);
    for _ in 0..APPENDS {
        let written = append(file, &mut number);
        times.push(printed.recv_timeout(DEADLINE).ok()?.saturating_duration_since(written));
        // Readers that batch must not gain from a burst.
        std::thread::sleep(Duration::from_millis(2));
    }
    Some(times)
}

/// Appends one line in one write, and says when.
fn append(file: &mut File, number: &mut u64) -> Instant {
    *number += 1;
    let ts = SystemClock.now();
    let text = format!(
        "{{\"v\":1,\"id\":\"0193a1b2-0000-7000-8000-{number:012x}\",\"ts\":\"{ts}\",\"type\":\"note.logged\",\"task\":\"bg_1a2b3c4d\",\"agent\":\"explore\",\"text\":\"line {number}\"}}"
    );
    let mut line = text.into_bytes();
    frame::seal(&mut line, "x7f2k3q9m4t8b6z0", *number);
    line.push(b'\n');
    let written = Instant::now();
    file.write_all(&line).unwrap();
    written
}
