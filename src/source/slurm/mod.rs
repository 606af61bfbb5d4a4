//! Jobs of the Slurm workload manager: what `squeue` and `sacct` say of them, and what they print.
//!
//! | task | id | parent |
//! |---|---|---|
//! | a job | `slurm-123` | |
//! | a task of an array | `slurm-123_4` | `slurm-123` |
//!
//! Slurm asks not to be asked in a loop: there is one `squeue` and one `sacct` for all jobs in an interval, beside the
//! caller, who is never kept waiting but for the first answer. Either program is enough: without accounts `sacct` only
//! complains, and `squeue` forgets a job minutes after its end. A job that starts again is another attempt at the same task.
//!
//! It refuses to submit, cancel, hold or requeue anything, and asks nothing where no job is named and no user wanted.

mod command;
mod config;
mod log;
mod query;
mod row;
mod sacct;
mod said;
mod scontrol;
mod squeue;
#[cfg(test)]
mod tests;

pub use crate::source::slurm::config::SlurmConfig;

use crate::base::clock::Timestamp;
use crate::base::text;
use crate::source::documents::Sheet;
use crate::source::ending::Ending;
use crate::source::follower::{Follower, Identity, Pool};
use crate::source::output::Patterns;
use crate::source::slurm::command::Shell;
use crate::source::slurm::log::{Log, LogContext};
use crate::source::slurm::query::{Answer, Question};
use crate::source::slurm::row::{Row, State};
use crate::source::{Advance, Contact, Discovery, Emit, Env, Next, Position, Problem, Scope, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::time::Duration;

const NAME: &str = "slurm";
/// Who works, in the `agent` fields.
const AGENT: &str = "slurm";
/// A command that takes longer is killed.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);
/// The first answer is waited for, so that looking once sees something; not for long, as all other sources wait too.
const FIRST_ANSWER_WAIT: Duration = Duration::from_secs(2);
/// Whether this process has waited for a first answer: sources that begin again after a failure do not.
static HAS_WAITED: AtomicBool = AtomicBool::new(false);
/// Asking more often than this would be a burden.
const INTERVAL_MS_MIN: i64 = 1000;

/// The monitor of Slurm's jobs.
#[derive(Debug)]
pub struct Slurm {
    config: SlurmConfig,
    ids: Vec<String>,
    patterns: Option<Arc<Patterns>>,
    host: String,
    scope: Option<Scope>,
    shell: Shell,
    asked_at: Option<Timestamp>,
    answer: Option<Receiver<Answer>>,
    first_answer: FirstAnswer,
    has_heard: bool,
    /// What was said of each attempt, and when.
    said: BTreeMap<(String, u64), Row>,
    /// When each job that has not ended was told of last.
    seen_at: BTreeMap<String, Timestamp>,
    /// Whether accounts were ever told: then no job is given up without them.
    keeps_accounts: bool,
    outputs: BTreeMap<String, PathBuf>,
    /// The jobs whose output was asked for.
    asked_outputs: BTreeSet<String>,
    logs: Pool<Log>,
    followed: BTreeSet<PathBuf>,
    reported: BTreeSet<String>,
    problems: Vec<Problem>,
}

/// How long the first answer is waited for, and whether that was done.
#[derive(Clone, Copy, Debug)]
struct FirstAnswer {
    wait: Duration,
    has_waited: &'static AtomicBool,
}

impl Slurm {
    /// A monitor of the jobs that the configuration names, and of `more` that are named elsewhere in it.
    #[must_use]
    pub fn new(config: &SlurmConfig, more: impl IntoIterator<Item = String>) -> Self {
        let mut problems = Vec::new();
        let (ids, wrong): (Vec<_>, Vec<_>) =
            config.jobs.iter().cloned().chain(more).partition(|id| is_job_id(id));
        problems.extend(wrong.into_iter().map(|id| problem("slurm.jobs", format!("`{id}` is no job id"))));
        let patterns = match Patterns::compile(&config.patterns) {
            Ok(patterns) => Some(Arc::new(patterns)),
            Err(error) => {
                problems.push(problem("slurm.patterns", error.to_string()));
                None
            }
        };
        let mut ids = ids;
        ids.sort();
        ids.dedup();
        Self {
            config: config.clone(),
            ids,
            patterns,
            host: String::new(),
            scope: None,
            shell: Shell { path: None, unset: Vec::new(), limit: COMMAND_LIMIT, running: Arc::default() },
            asked_at: None,
            answer: None,
            first_answer: FirstAnswer { wait: FIRST_ANSWER_WAIT, has_waited: &HAS_WAITED },
            has_heard: false,
            said: BTreeMap::new(),
            seen_at: BTreeMap::new(),
            keeps_accounts: false,
            outputs: BTreeMap::new(),
            asked_outputs: BTreeSet::new(),
            logs: Pool::default(),
            followed: BTreeSet::new(),
            reported: BTreeSet::new(),
            problems,
        }
    }

    fn is_enabled(&self) -> bool {
        let is_wanted = !self.ids.is_empty() || self.config.user;
        let is_watched = matches!(self.scope, Some(Scope::Global | Scope::Project(_)));
        is_wanted && is_watched && self.config.enabled != Some(false)
    }

    /// Asks beside the caller when the interval is over.
    fn ask(&mut self, now: Timestamp) {
        let interval_ms = Duration::try_from_secs_f64(self.config.interval_seconds)
            .ok()
            .and_then(|interval| i64::try_from(interval.as_millis()).ok())
            .map_or(i64::MAX, |interval| interval.max(INTERVAL_MS_MIN));
        let is_due = self.asked_at.is_none_or(|asked| now.millis_since(asked).abs() >= interval_ms);
        if self.answer.is_some() || !is_due {
            return;
        }
        self.asked_at = Some(now);
        let question = self.question(self.config.output && self.patterns.is_some());
        let (sender, receiver) = sync_channel(1);
        // Nobody may be there any more to hear the answer.
        std::thread::spawn(move || drop(sender.send(question.ask())));
        self.answer = Some(receiver);
    }

    fn question(&self, wants_output: bool) -> Question {
        Question {
            shell: self.shell.clone(),
            ids: self.ids.clone(),
            user: self.config.user.then(|| rustix::process::getuid().as_raw()),
            wants_output,
            known_outputs: self.outputs.keys().chain(&self.asked_outputs).cloned().collect(),
        }
    }

    /// The answer, if it has come.
    fn take_answer(&mut self) -> Option<Answer> {
        let receiver = self.answer.take()?;
        let FirstAnswer { wait, has_waited } = self.first_answer;
        let received = if has_waited.swap(true, Ordering::Relaxed) {
            receiver.try_recv()
        } else {
            receiver.recv_timeout(wait).map_err(|error| match error {
                RecvTimeoutError::Timeout => TryRecvError::Empty,
                RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
            })
        };
        match received {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => {
                self.answer = Some(receiver);
                None
            }
            Err(TryRecvError::Disconnected) => None,
        }
    }

    fn say(&mut self, answer: Answer, now: Timestamp, out: &mut dyn Emit) {
        for (program, why) in answer.problems {
            self.complain(program, why);
        }
        let mut unknown = answer.strange;
        self.outputs.extend(answer.outputs);
        self.asked_outputs.extend(answer.asked_outputs);
        let is_wanted = |row: &Row| {
            let is_named = |id: &String| *id == row.id || Some(id) == row.array.as_ref();
            let folder = Some(Path::new(&row.folder)).filter(|folder| folder.is_absolute());
            self.ids.iter().any(is_named) || self.scope.as_ref().is_some_and(|scope| scope.takes(folder))
        };
        let mut rows: Vec<Row> = answer.rows.into_iter().filter(is_wanted).collect();
        if answer.is_whole {
            self.miss(&rows);
        }
        self.keeps_accounts |= answer.has_accounts;
        if answer.has_queue && answer.has_accounts == self.keeps_accounts {
            let vanished = self.vanished(&rows);
            rows.extend(vanished);
        }
        let identity = Identity { source: NAME, parts: vec![self.host.clone()], session: None };
        let file = identity.file(0);
        let mut sheet = Sheet::of(&identity, &file, Path::new("squeue"), now, out);
        for row in rows.iter().filter(|row| !row.is_remainder) {
            if let State::Unknown(word) = &row.state {
                unknown.push(("squeue", format!("job {} is in the unknown state {word}", row.id)));
            }
            let key = (row.id.clone(), row.attempt);
            // A job that has ended says nothing new.
            if row.state.is_over() && self.said.get(&key) == Some(row) {
                continue;
            }
            let is_followed = self.outputs.get(&row.id).is_some_and(|path| self.followed.contains(path));
            said::attempt(row, &self.host, is_followed, now, &mut sheet);
            if row.state.is_over() {
                self.seen_at.remove(&row.id);
            } else {
                self.seen_at.insert(row.id.clone(), now);
            }
            self.said.insert(key, row.clone());
        }
        for (array, rows) in arrays(self.said.values().chain(rows.iter().filter(|row| row.is_remainder))) {
            // Of an array of which only one task is watched nothing is known as a whole.
            if self.config.user || self.ids.iter().any(|id| id == array) {
                said::array(array, &rows, answer.has_queue, &self.host, now, &mut sheet);
            }
        }
        for (program, message) in &unknown {
            sheet.say_drifted(&format!("answer of {program}"), message);
        }
        for (program, message) in unknown {
            self.complain(program, message);
        }
        self.follow(&rows);
    }

    /// Complains of jobs that nobody knows.
    fn miss(&mut self, rows: &[Row]) {
        let is_there = |id: &String| rows.iter().any(|row| row.id == *id || row.array.as_ref() == Some(id));
        let is_said =
            |id: &String| self.said.keys().any(|(said, _)| said == id || said.starts_with(&format!("{id}_")));
        let missing: Vec<String> =
            self.ids.iter().filter(|id| !is_there(id) && !is_said(id)).cloned().collect();
        for id in missing {
            self.complain("squeue", format!("Slurm knows no job {id}, or does not know it any more"));
        }
    }

    /// The jobs that were alive and that nobody knows any more, as ended. They end when they were told of last: a real end
    /// that is told later after all is later too, and counts.
    fn vanished(&mut self, rows: &[Row]) -> Vec<Row> {
        let told: BTreeSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let waiting: BTreeSet<&str> =
            rows.iter().filter(|row| row.is_remainder).filter_map(|row| row.array.as_deref()).collect();
        // Later attempts come later.
        let last: BTreeMap<&str, &Row> = self.said.values().map(|row| (row.id.as_str(), row)).collect();
        let is_gone = |row: &&&Row| {
            // A task that waits may be told of with the others of its array.
            let may_be_among_others = row.state == State::Pending
                && row.array.as_deref().is_some_and(|array| waiting.contains(array));
            !row.state.is_over() && !told.contains(row.id.as_str()) && !may_be_among_others
        };
        let gone: Vec<Row> = last
            .values()
            .filter(is_gone)
            .map(|row| Row {
                state: State::Ended(Ending::Cancelled, "no longer known"),
                ended: self.seen_at.get(&row.id).copied(),
                elapsed_seconds: None,
                exit: None,
                ..(*row).clone()
            })
            .collect();
        for row in &gone {
            self.complain(
                "squeue",
                format!("Slurm does not know job {} any more: how it ended is unknown", row.id),
            );
        }
        gone
    }

    /// Follows the output of the jobs that have begun.
    fn follow(&mut self, rows: &[Row]) {
        let Some(patterns) = self.patterns.clone().filter(|_| self.config.output) else { return };
        for row in rows.iter().filter(|row| row.started.is_some() && !row.is_remainder) {
            let Some(path) = self.outputs.get(&row.id).cloned().or_else(|| usual_output(row)) else {
                continue;
            };
            if self.followed.contains(&path) || !path.is_file() {
                continue;
            }
            self.outputs.insert(row.id.clone(), path.clone());
            let task = said::task(&row.id);
            let parts = vec![self.host.clone(), row.id.clone(), "output".to_owned()];
            let identity = Identity { source: NAME, parts, session: Some(task.clone()) };
            let context = LogContext { task, patterns: patterns.clone() };
            self.logs.add(Follower::new(identity, path.clone(), context, false));
            self.followed.insert(path);
        }
    }

    fn complain(&mut self, program: &str, message: String) {
        if self.reported.insert(message.clone()) {
            self.problems.push(problem(program, message));
        }
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        // A question outlives neither its watcher nor its answer's use.
        self.shell.stop();
    }
}

impl Source for Slurm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn discover(&mut self, env: &Env) -> Discovery {
        self.host.clone_from(&env.host);
        self.scope = Some(env.scope.clone());
        self.shell.path = env.variables.get("PATH").cloned();
        let changes_answers = |name: &&String| name.starts_with("SQUEUE_") || name.starts_with("SACCT_");
        self.shell.unset = env.variables.keys().filter(changes_answers).cloned().collect();
        let inputs = self.followed.iter().cloned().collect();
        Discovery { inputs, ..Discovery::default() }
    }

    fn poll(&mut self, now: Timestamp, out: &mut dyn Emit) -> (Next, Vec<Problem>) {
        if !self.is_enabled() {
            return (Next::Idle, Vec::new());
        }
        self.ask(now);
        if let Some(answer) = self.take_answer() {
            self.has_heard = true;
            self.say(answer, now, out);
        }
        let (next, problems, gone) = self.logs.poll(now, out);
        let identity = Identity { source: NAME, parts: vec![self.host.clone()], session: None };
        for follower in self.logs.followers().filter(|_| next == Next::Idle) {
            let whom = (follower.context().task.as_str(), AGENT);
            Log::growth(follower).say(&identity, whom, false, (now, &mut *out));
        }
        for path in gone {
            self.followed.remove(&path);
        }
        let mut all = std::mem::take(&mut self.problems);
        all.extend(problems);
        (next, all)
    }

    fn is_expecting(&self) -> bool {
        self.is_enabled() && self.answer.is_some() && !self.has_heard
    }

    fn contacts(&mut self, _: &Env) -> Vec<Contact> {
        if !self.is_enabled() {
            return Vec::new();
        }
        let answer = self.question(false).ask();
        let jobs: BTreeSet<&str> = answer.rows.iter().map(|row| row.id.as_str()).collect();
        let count = u64::try_from(jobs.len()).unwrap_or(u64::MAX);
        let complaint = |(program, why): &(&str, String)| {
            let is_signed = why.starts_with(program);
            if is_signed { why.clone() } else { format!("{program}: {why}") }
        };
        let complaints: Vec<String> = answer.problems.iter().chain(&answer.strange).map(complaint).collect();
        let state = if complaints.is_empty() {
            Ok(format!("it answers, {}", text::plural(count, "job")))
        } else {
            Err(complaints.join("; "))
        };
        vec![Contact { place: NAME.to_owned(), state }]
    }

    fn advances(&self) -> Vec<Advance> {
        self.logs.advances().collect()
    }

    fn positions(&self) -> Vec<Position> {
        self.logs.positions().collect()
    }

    fn resume(&mut self, positions: Vec<Position>) {
        self.logs.resume(positions);
    }
}

/// The last attempts at the tasks of each array, and what of it has not begun. Later attempts come later.
fn arrays<'r>(rows: impl Iterator<Item = &'r Row>) -> BTreeMap<&'r str, Vec<&'r Row>> {
    let mut last: BTreeMap<(&str, &str), &Row> = BTreeMap::new();
    for row in rows {
        if let Some(array) = &row.array {
            last.insert((array, &row.id), row);
        }
    }
    let mut arrays: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    for ((array, _), row) in last {
        arrays.entry(array).or_default().push(row);
    }
    arrays
}

/// Where a job writes when it was not told otherwise.
fn usual_output(row: &Row) -> Option<PathBuf> {
    let folder = Path::new(&row.folder);
    let path = folder.join(format!("slurm-{}.out", row.id));
    (folder.is_absolute() && path.is_file()).then_some(path)
}

/// `123`, `123_4` or `123+1`; anything else would be an option or a question of its own.
fn is_job_id(text: &str) -> bool {
    let is_number =
        |text: &str| !text.is_empty() && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once(['_', '+']) {
        Some((job, task)) => is_number(job) && is_number(task),
        None => is_number(text),
    }
}

fn problem(place: &str, message: String) -> Problem {
    Problem { path: PathBuf::from(place), message }
}
