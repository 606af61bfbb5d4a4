//! What passes through: every byte, in its order, to where it belongs, however slow or gone the reader is.

use crate::run::{end_of, output, project, script};
use crate::support::sandbox::{self, Sandbox};
use crate::support::wait::await_condition;
use std::fs::File;
use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The program, run by a shell: `"$0" run …`.
fn in_shell(sandbox: &Sandbox, script: &str) -> Command {
    let program = env!("CARGO_BIN_EXE_agentlog");
    let mut command = Command::new("sh");
    command.args(["-c", script, program]).current_dir(sandbox.project()).env("HOME", sandbox.home());
    command.stdin(Stdio::null());
    command
}

/// Bytes of all values without any order, the same in every run.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(count + 8);
    while bytes.len() < count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(count);
    bytes
}

#[test]
fn sixteen_megabytes_of_anything_pass_unchanged_both_ways() {
    let sandbox = project();
    let bytes = noise(16 << 20);
    sandbox.write_bytes("project/noise", &bytes);
    let path = sandbox.project().join("noise");
    let read = sandbox.command(&["run", "--", "cat", "noise"]).output().unwrap();
    assert!(read.stdout == bytes && read.stderr.is_empty() && read.status.success());
    let stdin = File::open(&path).unwrap();
    let passed = sandbox.command(&["run", "--", "sh", "-c", "cat >&2"]).stdin(stdin).output().unwrap();
    assert!(passed.stderr == bytes && passed.stdout.is_empty() && passed.status.success());
}

#[test]
fn what_is_typed_or_piped_reaches_the_command() {
    let sandbox = project();
    let ran = sandbox::run(&mut in_shell(&sandbox, r#"echo word | "$0" run -- cat"#));
    assert_eq!(ran, output("word\n", "", 0));
}

#[test]
fn one_place_for_both_outputs_keeps_their_order() {
    let sandbox = project();
    let inside = "for i in 1 2 3 4 5 6 7 8 9; do echo out; echo err >&2; done";
    let ran = sandbox::run(&mut in_shell(&sandbox, &format!(r#""$0" run -- sh -c '{inside}' 2>&1"#)));
    assert_eq!(ran, output(&"out\nerr\n".repeat(9), "", 0));
}

#[test]
fn a_reader_that_goes_away_ends_the_command() {
    let sandbox = project();
    let start = Instant::now();
    let ran = sandbox::run(&mut in_shell(&sandbox, r#"{ "$0" run -- yes; echo $? >&2; } | head -1"#));
    assert_eq!(ran, output("y\n", "141\n", 0));
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn a_reader_that_is_slow_gets_everything() {
    let sandbox = project();
    // More than one pipe holds, less than two.
    let inside = "head -c 120000 /dev/zero; echo > done";
    let mut process =
        sandbox.command(&["run", "--", "sh", "-c", inside]).stdout(Stdio::piped()).spawn().unwrap();
    let done = sandbox.project().join("done");
    await_condition("end of the command", || done.exists());
    let since = Instant::now();
    await_condition("patience", || {
        assert!(process.try_wait().unwrap().is_none(), "it went although its output was not taken");
        since.elapsed() > Duration::from_millis(1500)
    });
    let mut taken = Vec::new();
    process.stdout.take().unwrap().read_to_end(&mut taken).unwrap();
    assert_eq!(taken.len(), 120_000);
    assert!(end_of(&mut process).success());
}

#[test]
fn what_the_command_leaves_behind_goes_on_and_keeps_its_output() {
    let sandbox = project();
    let inside =
        "(while [ ! -e go ]; do sleep 0.02; done; echo late; echo later >&2; echo > whole) & echo early";
    let mut process = sandbox
        .command(&["run", "--", "sh", "-c", inside])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    assert!(end_of(&mut process).success());
    sandbox.write("project/go", "");
    let (mut out, mut err) = (String::new(), String::new());
    process.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    process.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((out.as_str(), err.as_str()), ("early\nlate\n", "later\n"));
    await_condition("end of what was left behind", || sandbox.project().join("whole").exists());
}

#[test]
fn an_output_that_does_not_block_is_waited_for() {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    let sandbox = project();
    let (mut reader, writer) = std::io::pipe().unwrap();
    fcntl_setfl(&writer, fcntl_getfl(&writer).unwrap() | OFlags::NONBLOCK).unwrap();
    let mut command = sandbox.command(&["run", "--", "head", "-c", "3000000", "/dev/zero"]);
    let mut process = command.stdout(writer).spawn().unwrap();
    drop(command);
    let mut taken = Vec::new();
    reader.read_to_end(&mut taken).unwrap();
    assert_eq!((taken.len(), end_of(&mut process).code()), (3_000_000, Some(0)));
}

#[test]
fn a_log_that_cannot_be_written_costs_warnings_and_nothing_else() {
    let sandbox = Sandbox::new().with_file("project/.agents", "a file where the folder should be");
    let ran = script(&sandbox, &[], "cat /dev/null; echo out; echo err >&2; exit 3");
    assert_eq!((ran.stdout.as_str(), ran.status), ("out\n", Some(3)));
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(
        lines[0].starts_with("warning: cannot open ") && lines[0].contains("default settings"),
        "{lines:?}"
    );
    assert!(lines[1].starts_with("warning: nothing is recorded: "), "{lines:?}");
    assert_eq!(lines[2], "err");
}

#[test]
fn a_full_disk_costs_a_warning_and_nothing_else() {
    use crate::support::sandbox::Background;
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let sandbox = project();
    let inside = "echo ready; while [ ! -e go ]; do sleep 0.02; done; echo end; exit 3";
    let (mut talk, end) = std::io::pipe().unwrap();
    let mut command = sandbox.command(&["run", "--task", "t", "--", "sh", "-c", inside]);
    let process = Background::spawn(command.stderr(end));
    drop(command);
    process.await_line("start", |line| line == "ready");
    // Of the program alone: the command has its own.
    let pid = Pid::from_raw(i32::try_from(process.id()).unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current: Some(1), maximum: None }).unwrap();
    sandbox.write("project/go", "");
    assert_eq!(process.await_end(), (Some(3), vec!["ready".to_owned(), "end".to_owned()]));
    let mut warnings = String::new();
    talk.read_to_string(&mut warnings).unwrap();
    assert!(warnings.starts_with("warning: cannot append to "), "{warnings}");
    assert!(warnings.contains("events of t could not be written"), "{warnings}");
}
