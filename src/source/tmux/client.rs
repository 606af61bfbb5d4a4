//! Asks a tmux server, as another client of it. Every question has a time limit, none starts a server, and none changes
//! anything unless the caller's words do.

use serde::{Deserialize, Serialize};
use std::io::{self, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

/// A server that does not answer for so long is left alone.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// More than any scrollback of good sense.
const ANSWER_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Which server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Client {
    /// As `tmux -L`.
    pub(super) socket: Option<String>,
    /// As `tmux -S`; goes before the name.
    pub(super) socket_path: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// tmux is not installed, or no server runs: there is nothing to watch.
    #[error("no tmux server runs")]
    Nobody,
    #[error("the tmux server did not answer within {} s", ANSWER_WITHIN.as_secs())]
    Late,
    /// In the words of tmux.
    #[error("{0}")]
    Refused(String),
    #[error("tmux cannot be started: {0}")]
    Broken(#[from] io::Error),
}

impl Client {
    /// The answer to one command.
    pub(super) fn ask(&self, words: &[&str]) -> Result<String, NoAnswer> {
        let mut command = Command::new("tmux");
        // Without -u a client in another locale is sent underscores for what is not ASCII.
        command.arg("-u");
        match (&self.socket_path, &self.socket) {
            (Some(path), _) => command.arg("-S").arg(path),
            (None, Some(name)) => command.arg("-L").arg(name),
            (None, None) => &mut command,
        };
        command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        match command.spawn() {
            Ok(child) => answer(child),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(NoAnswer::Nobody),
            Err(error) => Err(error.into()),
        }
    }

    /// How people say which server it is.
    pub(super) fn name(&self) -> String {
        match (&self.socket_path, &self.socket) {
            (Some(path), _) => format!("tmux -S {path}"),
            (None, Some(name)) => format!("tmux -L {name}"),
            (None, None) => "tmux".to_owned(),
        }
    }
}

fn answer(mut child: Child) -> Result<String, NoAnswer> {
    let (said, complained) = (read(child.stdout.take()), read(child.stderr.take()));
    let Ok(said) = said.recv_timeout(ANSWER_WITHIN) else {
        // Our own client, not the server: the question is withdrawn.
        let _ = child.kill();
        let _ = child.wait();
        return Err(NoAnswer::Late);
    };
    let status = child.wait()?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&said).into_owned());
    }
    let complaint = complained.recv_timeout(ANSWER_WITHIN).unwrap_or_default();
    let complaint = String::from_utf8_lossy(&complaint);
    let complaint = complaint.trim();
    let is_nobody = ["no server running", "error connecting", "lost server", "server exited", "no sessions"]
        .iter()
        .any(|beginning| complaint.starts_with(beginning));
    Err(if is_nobody { NoAnswer::Nobody } else { NoAnswer::Refused(complaint.to_owned()) })
}

/// Reads to the end beside the caller, who can so wait with a limit.
fn read(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (give, take) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What was read before an error is all there is.
            let _ = pipe.take(ANSWER_BYTES_MAX).read_to_end(&mut bytes);
        }
        let _ = give.send(bytes);
    });
    take
}
