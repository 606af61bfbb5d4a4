//! One connection: the `ssh` program as a child, questions to its input, answers from its output, with a limit to every wait.
//!
//! It is the user's `ssh` with the user's configuration, told never to ask anything. Whatever ends it is an error with the
//! reason as `ssh` gave it; nothing is tried again here. Dropping it ends the child and waits for it.

use crate::source::remote::script;
use std::io::{self, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// An answer that begins later will not come.
const ANSWER_WAIT: Duration = Duration::from_mins(1);
/// Beside the time to connect: names, keys, the login shell.
const LOGIN_WAIT: Duration = Duration::from_mins(1);
/// How soon a wait ends when it is to stop.
const SLICE: Duration = Duration::from_millis(50);
/// How long the program may take to end, and its last words to arrive.
const END_WAIT: Duration = Duration::from_secs(2);
const LAST_WORDS_WAIT: Duration = Duration::from_millis(300);
const PORTION_BYTES: usize = 64 * 1024;
const PORTIONS_AHEAD: usize = 4;
const LINE_BYTES_MAX: usize = 64 * 1024;
const LAST_WORDS_BYTES: usize = 4096;
/// A path of a socket may have so many bytes, …
const SOCKET_BYTES_MAX: usize = 103;
/// … of which ssh needs some for a name that it uses while it makes it.
const SOCKET_SUFFIX_BYTES: usize = 18;

/// How a machine is reached.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Address {
    pub(super) host: String,
    /// The program and the arguments that go before all others.
    pub(super) ssh: Vec<String>,
    pub(super) connect_timeout_seconds: u64,
    /// Where the socket of a shared connection may lie.
    pub(super) socket: Option<PathBuf>,
}

/// Why a connection has ended, or never was one.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("it is to stop")]
    Stopped,
    #[error("`{program}` cannot be run: {error}")]
    Program { program: String, error: io::Error },
    #[error("{0}")]
    Ended(String),
    #[error("no answer for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("an answer that is none: {0:?}")]
    Garbled(String),
}

/// An open connection.
#[derive(Debug)]
pub(super) struct Wire {
    child: Child,
    input: Option<ChildStdin>,
    arrived: Receiver<Vec<u8>>,
    buffer: Vec<u8>,
    taken: usize,
    last_words: Arc<Mutex<Vec<u8>>>,
    has_said_all: Receiver<()>,
    stop: Arc<AtomicBool>,
}

impl Address {
    /// The socket for a path, if it is short enough.
    pub(super) fn socket_in(folder: &std::path::Path, name: &str) -> Option<PathBuf> {
        let path = folder.join(name);
        let is_plain = !path.to_string_lossy().contains(['%', '"', ' ', '$']);
        (is_plain && path.as_os_str().len() + SOCKET_SUFFIX_BYTES <= SOCKET_BYTES_MAX).then_some(path)
    }

    fn command(&self) -> Command {
        let mut words = self.ssh.iter();
        let mut command = Command::new(words.next().map_or("ssh", String::as_str));
        command.args(words).arg("-T");
        command.args(["-o", "BatchMode=yes", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3"]);
        command.arg("-o").arg(format!("ConnectTimeout={}", self.connect_timeout_seconds));
        command.args(["-o", "ClearAllForwardings=yes", "-o", "ForwardX11=no"]);
        if let Some(socket) = &self.socket {
            command.args(["-o", "ControlMaster=auto", "-o", "ControlPersist=60"]);
            command.arg("-o").arg(format!("ControlPath={}", socket.display()));
        }
        command.process_group(0);
        command
    }

    /// Ends the shared connection, if we made one.
    pub(super) fn release(&self) {
        if self.socket.as_ref().is_none_or(|socket| !socket.exists()) {
            return;
        }
        let mut command = self.command();
        command.args(["-O", "exit", "--", &self.host]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if let Ok(mut child) = command.spawn() {
            end(&mut child, END_WAIT);
        }
    }
}

impl Wire {
    /// Connects; gives the connection and what o'clock it is there, in seconds since the epoch.
    ///
    /// # Errors
    /// The program cannot be run, ends, or does not come to our script in time.
    pub(super) fn open(address: &Address, stop: &Arc<AtomicBool>) -> Result<(Self, Option<i64>), WireError> {
        let mut command = address.command();
        command.arg("--").arg(&address.host).arg(script::command());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let program = || address.ssh.first().cloned().unwrap_or_default();
        let mut child = command.spawn().map_err(|error| WireError::Program { program: program(), error })?;
        let (portions, arrived) = sync_channel(PORTIONS_AHEAD);
        let (all_said, has_said_all) = sync_channel(1);
        let last_words = Arc::new(Mutex::new(Vec::new()));
        let input = child.stdin.take();
        if let Some(output) = child.stdout.take() {
            thread::spawn(move || pump(output, &portions));
        }
        if let Some(errors) = child.stderr.take() {
            let kept = Arc::clone(&last_words);
            thread::spawn(move || keep_last(errors, &kept, &all_said));
        }
        let (buffer, taken, stop) = (Vec::new(), 0, Arc::clone(stop));
        let mut wire = Self { child, input, arrived, buffer, taken, last_words, has_said_all, stop };
        wire.ask(&script::script())?;
        let limit = Duration::from_secs(address.connect_timeout_seconds) + LOGIN_WAIT;
        loop {
            // What a login shell says before is not for us.
            let line = wire.line(limit)?;
            if let Some(clock) = line.strip_prefix(script::GREETING) {
                return Ok((wire, clock.trim().parse().ok()));
            }
        }
    }

    /// Sends questions, together no more than a few kilobytes ahead of the answers read.
    pub(super) fn ask(&mut self, questions: &str) -> Result<(), WireError> {
        let sent = match &mut self.input {
            Some(input) => input.write_all(questions.as_bytes()).and_then(|()| input.flush()),
            None => Ok(()),
        };
        sent.map_err(|_| self.ended())
    }

    /// The next line of the answers.
    pub(super) fn answer(&mut self) -> Result<String, WireError> {
        self.line(ANSWER_WAIT)
    }

    fn line(&mut self, limit: Duration) -> Result<String, WireError> {
        let mut searched = 0;
        loop {
            let waiting = self.buffer.get(self.taken..).unwrap_or_default();
            if let Some(end) = memchr::memchr(b'\n', waiting.get(searched..).unwrap_or_default()) {
                let end = searched + end;
                let line = String::from_utf8_lossy(waiting.get(..end).unwrap_or_default()).into_owned();
                self.taken += end + 1;
                return Ok(line);
            }
            searched = waiting.len();
            if searched > LINE_BYTES_MAX {
                let start = String::from_utf8_lossy(waiting.get(..80).unwrap_or_default()).into_owned();
                return Err(WireError::Garbled(start));
            }
            self.more(limit)?;
        }
    }

    /// The next bytes of the answers, exactly so many.
    pub(super) fn bytes(&mut self, count: usize) -> Result<Vec<u8>, WireError> {
        loop {
            if let Some(bytes) = self.buffer.get(self.taken..self.taken + count) {
                let bytes = bytes.to_vec();
                self.taken += count;
                return Ok(bytes);
            }
            self.more(ANSWER_WAIT)?;
        }
    }

    fn more(&mut self, limit: Duration) -> Result<(), WireError> {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        let until = Instant::now() + limit;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Err(WireError::Stopped);
            }
            match self.arrived.recv_timeout(SLICE) {
                Ok(portion) => {
                    self.buffer.extend_from_slice(&portion);
                    return Ok(());
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() < until => {}
                Err(RecvTimeoutError::Timeout) => return Err(WireError::Silent(limit)),
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
            }
        }
    }

    /// Why it has ended, in the words of the program.
    fn ended(&mut self) -> WireError {
        self.input = None;
        let status = end(&mut self.child, END_WAIT);
        let _silent = self.has_said_all.recv_timeout(LAST_WORDS_WAIT);
        let words = self.last_words.lock().map(|words| words.clone()).unwrap_or_default();
        let words = String::from_utf8_lossy(&words);
        let last = words.lines().map(str::trim).rfind(|line| !line.is_empty());
        let status = status.map_or_else(String::new, |status| format!(" ({status})"));
        WireError::Ended(last.map_or_else(|| format!("the connection has ended{status}"), str::to_owned))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.input = None;
        end(&mut self.child, Duration::ZERO);
    }
}

/// Waits for a child to end, and makes it.
fn end(child: &mut Child, patience: Duration) -> Option<std::process::ExitStatus> {
    let until = Instant::now() + patience;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(5)),
            _ => break,
        }
    }
    let _gone = child.kill();
    let _gone = child.wait();
    None
}

fn pump(mut output: impl Read, portions: &SyncSender<Vec<u8>>) {
    let mut portion = vec![0; PORTION_BYTES];
    loop {
        match output.read(&mut portion) {
            Ok(0) => return,
            Ok(count) => {
                let bytes = portion.get(..count).unwrap_or_default().to_vec();
                if portions.send(bytes).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn keep_last(mut errors: impl Read, kept: &Mutex<Vec<u8>>, all_said: &SyncSender<()>) {
    let mut portion = [0; 1024];
    while let Ok(count @ 1..) = errors.read(&mut portion) {
        if let Ok(mut kept) = kept.lock() {
            kept.extend_from_slice(portion.get(..count).unwrap_or_default());
            let surplus = kept.len().saturating_sub(LAST_WORDS_BYTES);
            kept.drain(..surplus);
        }
    }
    let _unheard = all_said.try_send(());
}
