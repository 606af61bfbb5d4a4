//! `agentlog hook AGENT`: an agent says that something happened; the transcript is to be read now.
//!
//! An agent may wait for this, and what it does with an exit code or a line of output is its own affair: so the exit is 0
//! whatever happens, nothing is printed, and nothing is waited for that others decide. What the hook is told is not
//! recorded; it only says where to look. A watcher that runs is woken; where there is none, a process in the background
//! reads the transcript, one at a time.

pub mod errand;
pub mod payload;
pub mod place;

use crate::app::environment::variable;
use crate::app::hook::payload::Payload;
use crate::app::hook::place::Place;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, IsTerminal as _};
use std::panic::catch_unwind;
use std::process::{Command, Stdio};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

/// The first argument.
const COMMAND: &str = "hook";
/// The third, of a process that goes on waiting for input that was late.
const LATE: &str = "--late";
/// How long the agent's input is waited for, the agent waiting.
const INPUT_WAIT: Duration = Duration::from_millis(5);
/// How long, nobody waiting.
const LATE_INPUT_WAIT: Duration = Duration::from_secs(5);
/// A disk that hangs holds nobody longer.
const WORK_WAIT: Duration = Duration::from_millis(250);
/// So much of the input is kept; what follows is read and dropped.
const INPUT_BYTES_MAX: usize = 1 << 20;

/// Whether the command line is that of a hook. Asked before anything is set up, so that nothing need be.
#[must_use]
pub fn is_asked() -> bool {
    let mut arguments = std::env::args_os().skip(1);
    arguments.next().is_some_and(|first| first == COMMAND)
        && arguments.next().is_none_or(|second| !second.as_encoded_bytes().starts_with(b"-"))
}

/// Passes the news on. Never fails, never prints, never waits for long.
pub fn receive() {
    // What a panic says would reach the agent.
    std::panic::set_hook(Box::new(|_| {}));
    let is_late = std::env::args_os().nth(3).is_some_and(|third| third == LATE);
    // The process that started us must not take this one along when it goes.
    let _still_of_the_group = is_late.then(rustix::process::setsid);
    let (sender, done) = sync_channel(1);
    let work = move || {
        let _panicked = catch_unwind(|| pass_on(is_late));
        let _nobody_waits = sender.try_send(());
    };
    if std::thread::Builder::new().spawn(work).is_ok() {
        let _late = done.recv_timeout(if is_late { LATE_INPUT_WAIT + WORK_WAIT } else { WORK_WAIT });
    }
}

fn pass_on(is_late: bool) {
    let input = read_input(Instant::now() + if is_late { LATE_INPUT_WAIT } else { INPUT_WAIT });
    if input.bytes.is_empty() && !input.is_ended && !is_late && !io::stdin().is_terminal() {
        wait_elsewhere();
        return;
    }
    let payload = Payload::read(&input.bytes);
    let Some(cwd) = &payload.cwd else { return };
    let home = variable("HOME");
    let state = variable("XDG_STATE_HOME").or_else(|| home.as_ref().map(|home| home.join(".local/state")));
    let projects = Place::of_work(cwd, home.as_deref());
    let woken = projects.iter().filter(|place| place.wake()).count();
    // There is nobody to tell of a failure; the next hook tries again.
    if let Some(nearest) = projects.first().filter(|_| woken == 0) {
        let _failed = errand::send(nearest, &payload.transcripts);
    }
    if let Some(global) = state.and_then(|state| Place::global(&state))
        && !global.wake()
        && projects.is_empty()
    {
        let _failed = errand::send(&global, &payload.transcripts);
    }
}

/// What an agent wrote.
#[derive(Debug, Default)]
struct Input {
    bytes: Vec<u8>,
    is_ended: bool,
}

/// Reads standard input to its end, or until the deadline. It is left as it is: its flags are shared with the agent.
fn read_input(deadline: Instant) -> Input {
    let stdin = io::stdin();
    let mut input = Input::default();
    let mut buffer = vec![0_u8; 64 * 1024];
    loop {
        let rest = deadline.saturating_duration_since(Instant::now());
        let Ok(rest) = Timespec::try_from(rest) else { return input };
        let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
        match poll(&mut ready, Some(&rest)) {
            Ok(0) => return input,
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return input,
        }
        match rustix::io::read(&stdin, &mut buffer) {
            Ok(0) | Err(_) => {
                input.is_ended = true;
                return input;
            }
            Ok(count) => {
                let room = INPUT_BYTES_MAX.saturating_sub(input.bytes.len());
                input.bytes.extend(buffer.iter().take(count.min(room)));
            }
        }
    }
}

/// Nothing came yet: another process waits for it, with the same input, so that the agent need not.
fn wait_elsewhere() {
    let Ok(program) = std::env::current_exe() else { return };
    let agent = std::env::args_os().nth(2).unwrap_or_default();
    let _failed = Command::new(program)
        .arg(COMMAND)
        .arg(agent)
        .arg(LATE)
        .stdin(Stdio::inherit())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
}
