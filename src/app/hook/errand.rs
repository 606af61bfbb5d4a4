//! Reading transcripts where no watcher runs: a hook leaves a request, and one process in the background sees to all of them.
//!
//! A request is a symbolic link that names the transcript: made in one step, taken in one step, one per transcript however
//! often it is asked for. Who holds the lock reads; the hook that finds it free hands it to the process it starts, so that
//! hooks side by side start one process and not a storm of them.

use crate::app::hook::place::Place;
use crate::app::ingest::Ingest;
use crate::app::writer::Syncing;
use crate::app::{Context, environment};
use crate::base::fs::{self, FileIdentity};
use crate::journal::follow::Watcher;
use crate::source::Scope;
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

/// Where requests lie, in the state folder.
const FOLDER: &str = "hook";
/// Held by whoever reads.
const LOCK: &str = "hook.lock";
/// The process in the background ends after so long, whatever there is left to do; the next hook goes on.
const TIME_MAX: Duration = Duration::from_mins(1);
/// How long it waits for more: the last lines of a transcript are often written after the hook.
const LINGER: Duration = Duration::from_secs(2);

/// Leaves a request for each transcript, and sees that somebody reads it.
///
/// # Errors
/// When the state folder cannot be written or the process cannot be started.
pub fn send(place: &Place, transcripts: &[PathBuf]) -> io::Result<()> {
    let folder = place.state.join(FOLDER);
    let there: Vec<&PathBuf> = transcripts.iter().filter(|path| path.is_file()).collect();
    if there.is_empty() {
        return Ok(());
    }
    fs::create_private_dir(&folder)?;
    for path in there {
        let name = blake3::hash(path.as_os_str().as_encoded_bytes()).to_hex();
        match std::os::unix::fs::symlink(path, folder.join(name.as_str())) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    let lock = open_lock(&place.state)?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        // Somebody reads, and looks again after letting the lock go.
        return Ok(());
    }
    let mut command = Command::new(std::env::current_exe()?);
    match &place.root {
        Some(root) => command.arg("-C").arg(root),
        None => command.arg("--global"),
    };
    // The lock goes along as the standard input: it is held without a gap.
    command.args(["--quiet", "hook", "--errand"]).stdin(lock).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map(drop)
}

/// Reads what was asked for, until nothing more comes or the time is over.
///
/// # Errors
/// When the state folder or the log cannot be read or written.
pub fn run(context: Context) -> anyhow::Result<()> {
    // Whoever started the agent may end its whole group; the reading is not theirs.
    let _leads_already = rustix::process::setsid();
    let (sender, done) = channel();
    // Whatever it hangs at, this process ends in time: exactly-once holds wherever it is cut off.
    std::thread::Builder::new().spawn(move || sender.send(Errand::new(&context).and_then(Errand::run)))?;
    done.recv_timeout(TIME_MAX).unwrap_or(Ok(()))
}

struct Errand<'a> {
    ingest: Ingest<'a>,
    state: &'a Path,
    folder: PathBuf,
    watcher: Watcher,
    asked: BTreeSet<PathBuf>,
}

impl<'a> Errand<'a> {
    fn new(context: &'a Context) -> anyhow::Result<Self> {
        let state = context.project.state.as_path();
        let folder = state.join(FOLDER);
        fs::create_private_dir(&folder)?;
        let mut env = environment::env(&context.project, Scope::Paths(Vec::new()), None)?;
        // The agent that called is at work: what it has not finished yet is no damage.
        env.is_live = true;
        let sources = environment::sources(&context.config);
        let ingest = Ingest::new(context.clock.as_ref(), &context.project, env, sources, Syncing::AtTheEnd)?;
        Ok(Self { ingest, state, watcher: Watcher::new([&folder]), folder, asked: BTreeSet::new() })
    }

    fn run(mut self) -> anyhow::Result<()> {
        let mut lock = Some(inherited(self.state)?);
        loop {
            let Some(held) = lock.take() else { return Ok(()) };
            self.read()?;
            flock(&held, FlockOperation::Unlock)?;
            // Who came while we held the lock relied on us.
            if self.is_anything_asked() {
                lock =
                    Some(held).filter(|held| flock(held, FlockOperation::NonBlockingLockExclusive).is_ok());
            }
        }
    }

    fn read(&mut self) -> anyhow::Result<()> {
        let mut last_asked = Instant::now();
        loop {
            let fresh = self.take();
            if !fresh.is_empty() {
                last_asked = Instant::now();
                self.asked.extend(fresh);
                self.catch_up()?;
            }
            let rest = LINGER.saturating_sub(last_asked.elapsed());
            if rest.is_zero() {
                // What was written meanwhile.
                self.catch_up()?;
                return self.ingest.save();
            }
            let _asked_or_over = self.watcher.wait(rest);
        }
    }

    fn catch_up(&mut self) -> anyhow::Result<()> {
        self.ingest.set_scope(Scope::Paths(self.asked.iter().flat_map(|path| with_children(path)).collect()));
        self.ingest.catch_up().map(drop)
    }

    /// Takes the requests there are. Each is removed before its transcript is read: who asks later asks anew.
    fn take(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let taken = entries.filter_map(|entry| {
            let target = std::fs::read_link(entry.path());
            std::fs::remove_file(entry.path()).ok()?;
            target.ok()
        });
        taken.collect()
    }

    fn is_anything_asked(&self) -> bool {
        std::fs::read_dir(&self.folder).is_ok_and(|mut entries| entries.next().is_some())
    }
}

/// A transcript, and the folder with those of its sub-agents.
fn with_children(path: &Path) -> Vec<PathBuf> {
    [path.to_owned(), path.with_extension("")].into_iter().filter(|path| path.exists()).collect()
}

fn open_lock(state: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    File::options()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(flags)
        .open(state.join(LOCK))
}

/// The lock that the hook handed over; without one, a lock of our own.
fn inherited(state: &Path) -> anyhow::Result<File> {
    let given = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let own = open_lock(state)?;
    let is_same = FileIdentity::of_file(&given)? == FileIdentity::of_file(&own)?;
    let lock = if is_same { given } else { own };
    flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
    Ok(lock)
}
