//! How long one command takes from start to end. Floor: `sh -c :`.

use crate::support::measure::{self, compare, contender};
use crate::support::{generator, program};
use agentlog::base::clock::{Clock, SystemClock};
use std::process::Command;

const ENDED: u64 = 50_000;
const LIVE: u64 = 1_000;

/// Prints milliseconds of `--help`, of a warm status over a long history, and of one `emit`.
pub(crate) fn run() {
    let project = tempfile::tempdir().unwrap();
    let journal = generator::tasks(&project.path().join(".agents/logs"), ENDED, LIVE, SystemClock.now());
    println!("  {LIVE} live and {ENDED} ended tasks, {} bytes", journal.bytes);
    // The warm-up round of `compare` writes the checkpoint.
    let agentlog = |args: &'static [&'static str]| {
        let project = project.path();
        contender(&format!("agentlog {}", args.join(" ")), move || {
            program::wall_time(&mut program::agentlog(project, args))
        })
    };
    let contenders = vec![
        agentlog(&["--help"]),
        agentlog(&["status"]),
        agentlog(&["tail"]),
        agentlog(&["emit", "note.logged", "--task", "bg_1a2b3c4d", "text=hello"]),
        contender("floor: sh -c :", || program::wall_time(Command::new("sh").args(["-c", ":"]))),
    ];
    compare(20, contenders, measure::milliseconds);
}
