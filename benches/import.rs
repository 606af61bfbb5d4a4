//! Transcripts → log, as `agentlog import` does it. Floor: `wc -l` over the same files.

use crate::support::measure::{self, compare, contender};
use crate::support::{program, transcript};
use std::process::Command;

/// Prints MB/s of transcript read.
pub(crate) fn run() {
    let megabytes = program::megabytes();
    let root = program::kept(&format!("transcripts-{megabytes}"));
    let bytes = transcript::transcripts(&root, megabytes * 1_000_000);
    let folder = root.join("projects").into_os_string().into_string().unwrap();
    println!("  {bytes} bytes of transcripts");
    let contenders = vec![
        contender("import", || {
            let project = tempfile::tempdir().unwrap();
            std::fs::create_dir(project.path().join(".agents")).unwrap();
            let time = program::wall_time(&mut program::agentlog(project.path(), &["import", &folder]))?;
            let log = project.path().join(".agents/logs/tool_calls.jsonl");
            let written = std::fs::metadata(log).map_or(0, |metadata| metadata.len());
            if written > 0 { Ok(time) } else { Err("nothing was imported".to_owned()) }
        }),
        contender("floor: wc -l", || {
            program::wall_time(Command::new("sh").args([
                "-c",
                "find \"$1\" -name '*.jsonl' | xargs wc -l",
                "sh",
                &folder,
            ]))
        }),
    ];
    compare(3, contenders, measure::megabytes_per_second(bytes));
}
