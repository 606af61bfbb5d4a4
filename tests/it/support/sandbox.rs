//! A scratch home and project in which the real program runs, seeing nothing of the machine's own set-up.

use crate::support::wait;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

/// What a finished process left.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Output {
    /// All of its standard output.
    pub(crate) stdout: String,
    /// All of its standard error.
    pub(crate) stderr: String,
    /// Its exit code; `None` when a signal ended it.
    pub(crate) status: Option<i32>,
}

/// A temporary folder with `home/`, `home/.claude/` and `project/`, removed when dropped.
pub(crate) struct Sandbox {
    dir: tempfile::TempDir,
}

impl Sandbox {
    /// An empty home and an empty project.
    pub(crate) fn new() -> Self {
        let sandbox = Self { dir: tempfile::tempdir().unwrap() };
        for folder in [sandbox.claude(), sandbox.project()] {
            fs::create_dir_all(folder).unwrap();
        }
        sandbox
    }

    /// The folder that the sandboxed user calls home.
    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// The Claude Code configuration folder, `$CLAUDE_CONFIG_DIR`.
    pub(crate) fn claude(&self) -> PathBuf {
        self.home().join(".claude")
    }

    /// The project, which is the working directory of every command.
    pub(crate) fn project(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    /// Writes a file below the sandbox (`project/a.txt`, `home/.claude/…`), making its folders. For chaining.
    pub(crate) fn with_file(self, path: &str, text: &str) -> Self {
        self.write(path, text);
        self
    }

    /// As [`Sandbox::with_file`], later.
    pub(crate) fn write(&self, path: &str, text: &str) {
        self.write_bytes(path, text.as_bytes());
    }

    /// As [`Sandbox::write`], for what is no text.
    pub(crate) fn write_bytes(&self, path: &str, bytes: &[u8]) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        replace(&path, bytes);
    }

    /// Copies a folder of the repository or of real data to `to` below the sandbox. For chaining.
    pub(crate) fn with_tree(self, from: &Path, to: &str) -> Self {
        copy_tree(from, &self.dir.path().join(to));
        self
    }

    /// The text of a file below the sandbox.
    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.dir.path().join(path)).unwrap()
    }

    /// The program with these arguments, in the project, with a scrubbed environment. Change it, then [`run`] it.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agentlog"));
        command.args(args);
        self.scrub(&mut command);
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Output {
        run(&mut self.command(args))
    }

    /// Runs the program beside the test until the returned value is dropped.
    pub(crate) fn spawn(&self, args: &[&str]) -> Background {
        Background::spawn(&mut self.command(args))
    }

    fn scrub(&self, command: &mut Command) {
        let home = self.home();
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("TMUX_TMPDIR", &home)
            .env("XDG_STATE_HOME", home.join(".local/state"))
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env("XDG_DATA_HOME", home.join(".local/share"))
            .env("CLAUDE_CONFIG_DIR", self.claude())
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .env("NO_COLOR", "1")
            .current_dir(self.project())
            .stdin(Stdio::null());
    }
}

/// Runs a command to its end, without a terminal.
pub(crate) fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    Output {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        status: output.status.code(),
    }
}

/// A running process whose standard output is collected line by line. Killed when dropped.
pub(crate) struct Background {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Background {
    /// Starts a command.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let reader = std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                sink.lock().unwrap().push(line);
            }
        });
        Self { child, lines, reader: Some(reader) }
    }

    /// Its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has printed so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits for the first printed line that satisfies `wanted`, and gives it.
    pub(crate) fn await_line(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        wait::await_value(what, || self.lines().into_iter().find(|line| wanted(line)))
    }

    /// Waits for its end; gives the exit code and everything it printed.
    pub(crate) fn await_end(mut self) -> (Option<i32>, Vec<String>) {
        let status = wait::await_value("end of the process", || self.child.try_wait().unwrap());
        self.reader.take().unwrap().join().unwrap();
        (status.code(), self.lines())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of real transcripts named by `AGENTLOG_REAL_DATA`; without it says why the test proves nothing.
pub(crate) fn real_data() -> Option<PathBuf> {
    let folder = std::env::var_os("AGENTLOG_REAL_DATA").map(PathBuf::from).filter(|folder| folder.is_dir());
    if folder.is_none() {
        eprintln!("skipped: AGENTLOG_REAL_DATA names no folder of real transcripts");
    }
    folder
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_tree(&entry.path(), &target);
        } else {
            replace(&target, &fs::read(entry.path()).unwrap());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "nobody reads a test's input while it is being written")]
fn replace(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_sandboxed_process_sees_nothing_of_the_machine() {
    let sandbox = Sandbox::new();
    let mut command = Command::new("env");
    sandbox.scrub(&mut command);
    let output = run(&mut command);
    let mut names: Vec<&str> =
        output.stdout.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    names.sort_unstable();
    let expected = [
        "CLAUDE_CONFIG_DIR",
        "HOME",
        "LC_ALL",
        "NO_COLOR",
        "PATH",
        "TMUX_TMPDIR",
        "TZ",
        "XDG_CACHE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_STATE_HOME",
    ];
    assert_eq!(names, expected);
    let home = sandbox.home();
    assert!(output.stdout.lines().any(|line| line == format!("HOME={}", home.display())));
}

#[test]
fn a_process_beside_the_test_is_read_line_by_line_and_awaited() {
    let sandbox = Sandbox::new();
    let mut command = Command::new("sh");
    sandbox.scrub(&mut command);
    let process = Background::spawn(command.args(["-c", "echo first; echo second; exit 3"]));
    assert!(process.id() > 0);
    assert_eq!(process.await_line("second line", |line| line.starts_with("sec")), "second");
    assert_eq!(process.await_end(), (Some(3), vec!["first".to_owned(), "second".to_owned()]));
}

#[test]
fn files_and_trees_arrive_in_the_sandbox() {
    let sandbox = Sandbox::new().with_file("project/deep/a.txt", "one");
    let copied = Sandbox::new().with_tree(&sandbox.project(), "home/copy");
    assert_eq!(copied.read("home/copy/deep/a.txt"), "one");
}

#[test]
fn the_program_starts_in_an_empty_home() {
    let output = Sandbox::new().run(&["--help"]);
    assert_eq!((output.status, output.stderr.as_str()), (Some(0), ""));
    let process = Sandbox::new().spawn(&["--help"]);
    assert_eq!(process.await_end().0, Some(0));
}

#[test]
fn real_data_is_a_folder_or_absent() {
    assert!(real_data().is_none_or(|folder| folder.is_dir()));
}
