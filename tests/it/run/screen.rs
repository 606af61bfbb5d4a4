//! On a terminal: the command has one too, of the same size, and ours is as before when it ends.

use crate::run::{end_of, project, results};
use crate::support::sandbox::Sandbox;
use crate::support::wait::{await_condition, await_value};
use pty_process::Size;
use pty_process::blocking::{Command, Pty};
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{LocalModes, tcgetattr};
use serde_json::json;
use std::io::{Read as _, Write as _};
use std::process::Child;
use std::sync::{Arc, Mutex};

/// A terminal of 33 rows and 101 columns in which the program runs.
struct Screen {
    pty: Arc<Pty>,
    process: Child,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Screen {
    fn open(sandbox: &Sandbox, flags: &[&str], script: &str) -> Self {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(Size::new(33, 101)).unwrap();
        let command = Command::new(env!("CARGO_BIN_EXE_agentlog"))
            .args(["run", "--task", "t"])
            .args(flags)
            .args(["--", "sh", "-c", script])
            .env("HOME", sandbox.home())
            .env_remove("AGENTLOG_TASK")
            .current_dir(sandbox.project());
        let process = command.spawn(pts).unwrap();
        let (pty, shown) = (Arc::new(pty), Arc::new(Mutex::new(Vec::new())));
        let (from, to) = (Arc::clone(&pty), Arc::clone(&shown));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = (&*from).read(&mut buffer) {
                to.lock().unwrap().extend(buffer.get(..count).unwrap());
            }
        });
        Self { pty, process, shown }
    }

    fn await_text(&self, text: &str) -> String {
        await_value(text, || {
            let shown = String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned();
            shown.contains(text).then_some(shown)
        })
    }

    fn await_raw(&self, is_raw: bool) {
        await_condition("mode of the terminal", || {
            let modes = tcgetattr(&*self.pty).unwrap().local_modes;
            modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG) != is_raw
        });
    }

    fn type_keys(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    fn send(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap(), signal).unwrap();
    }

    /// Its exit code; the terminal must be as before.
    fn await_end(&mut self) -> Option<i32> {
        let status = end_of(&mut self.process);
        self.await_raw(false);
        status.code()
    }
}

#[test]
fn the_command_has_a_terminal_of_our_size_and_its_status_comes_through() {
    let sandbox = project();
    let inside = "test -t 0 && test -t 1 && test -t 2 && stty size; exit 5";
    let mut screen = Screen::open(&sandbox, &[], inside);
    assert_eq!(screen.await_text("33 101"), "33 101\r\n");
    assert_eq!(screen.await_end(), Some(5));
    let failed =
        json!({"type": "task.failed", "task": "t", "attempt": 1, "exit_code": 5, "reason": "exit code 5"});
    assert_eq!(results(&sandbox), [failed]);
}

#[test]
fn the_command_has_pipes_where_that_is_asked_for() {
    let sandbox = project();
    let inside = "test -t 0 && ! test -t 1 && ! test -t 2 && echo pipes";
    let mut screen = Screen::open(&sandbox, &["--no-pty"], inside);
    screen.await_text("pipes");
    assert_eq!(screen.await_end(), Some(0));
}

#[test]
fn a_new_size_reaches_the_command() {
    let sandbox = project();
    let inside = "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.02; done";
    let mut screen = Screen::open(&sandbox, &[], inside);
    screen.await_text("ready");
    screen.pty.resize(Size::new(40, 120)).unwrap();
    screen.await_text("40 120");
    assert_eq!(screen.await_end(), Some(0));
}

#[test]
fn keys_reach_the_command_and_ctrl_c_cancels_the_task() {
    let sandbox = project();
    let inside = "echo ready; read line; echo \"got $line\"; exec sleep 100";
    let mut screen = Screen::open(&sandbox, &[], inside);
    screen.await_text("ready");
    screen.await_raw(true);
    screen.type_keys("word\r");
    screen.await_text("got word");
    screen.type_keys("\u{3}");
    assert_eq!(screen.await_end(), Some(130));
    let cancelled =
        json!({"type": "task.cancelled", "task": "t", "attempt": 1, "exit_code": 130, "reason": "SIGINT"});
    assert_eq!(results(&sandbox), [cancelled]);
}

#[test]
fn a_stopped_program_gives_the_terminal_back_until_it_goes_on() {
    let sandbox = project();
    let mut screen = Screen::open(&sandbox, &[], "echo ready; read line; echo \"got $line\"");
    screen.await_text("ready");
    screen.await_raw(true);
    screen.send(Signal::TSTP);
    screen.await_raw(false);
    screen.send(Signal::CONT);
    screen.await_raw(true);
    screen.type_keys("word\r");
    screen.await_text("got word");
    assert_eq!(screen.await_end(), Some(0));
}

#[test]
fn a_signal_that_ends_us_leaves_the_terminal_as_it_was() {
    let sandbox = project();
    let mut screen = Screen::open(&sandbox, &[], "echo ready; exec sleep 100");
    screen.await_text("ready");
    screen.await_raw(true);
    screen.send(Signal::TERM);
    assert_eq!(screen.await_end(), Some(143));
}
