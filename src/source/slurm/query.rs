//! Asks Slurm: one `squeue` and one `sacct` for all jobs, and `scontrol` once for the output of each new one.
//!
//! `squeue` knows attempts, reasons and exit codes of what lives; `sacct` knows what ended, where accounts are kept at all.
//! Either is enough. The two are put together by job and attempt.

use crate::source::slurm::command::{Outcome, Shell};
use crate::source::slurm::row::{Row, State};
use crate::source::slurm::{sacct, scontrol, squeue};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// So many jobs are asked about in one command line.
const IDS_PER_COMMAND: usize = 500;
/// So many jobs are asked for their output in one round.
const OUTPUTS_PER_ROUND: usize = 16;

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) shell: Shell,
    pub(super) ids: Vec<String>,
    /// The number of the user whose jobs are all wanted.
    pub(super) user: Option<u32>,
    /// Whether it is asked where jobs write their output, and of which that is known or was asked.
    pub(super) wants_output: bool,
    pub(super) known_outputs: BTreeSet<String>,
}

/// What Slurm answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// The attempts at all jobs; those at one job follow each other.
    pub(super) rows: Vec<Row>,
    pub(super) outputs: BTreeMap<String, PathBuf>,
    /// The jobs whose output was asked for, whatever the answer.
    pub(super) asked_outputs: BTreeSet<String>,
    /// What could not be asked: the program, and why.
    pub(super) problems: Vec<(&'static str, String)>,
    /// What was not understood: the program, and what it was.
    pub(super) strange: Vec<(&'static str, String)>,
    /// Whether any of the programs answered everything.
    pub(super) is_whole: bool,
    /// Whether the queue told everything; where there is no program for it, the accounts are all there is.
    pub(super) has_queue: bool,
    /// Whether the accounts were told whole.
    pub(super) has_accounts: bool,
}

impl Question {
    /// Asks, and waits for the answers.
    pub(super) fn ask(&self) -> Answer {
        let mut answer = Answer::default();
        let (live, queue) = self.rows("squeue", &mut answer);
        let (kept, accounts) = self.rows("sacct", &mut answer);
        answer.has_queue =
            matches!((&queue, &accounts), (Verdict::Whole, _) | (Verdict::Absent, Verdict::Whole));
        answer.has_accounts = matches!(accounts, Verdict::Whole);
        match (queue, accounts) {
            (Verdict::Whole, _) | (_, Verdict::Whole) => answer.is_whole = true,
            (Verdict::Absent, Verdict::Absent) => {
                answer
                    .problems
                    .push(("squeue", "there is neither squeue nor sacct on this machine".to_owned()));
            }
            (queue, accounts) => {
                for (program, verdict) in [("squeue", queue), ("sacct", accounts)] {
                    if let Verdict::Failed(why) = verdict {
                        answer.problems.push((program, why));
                    }
                }
            }
        }
        let queued: BTreeSet<String> = live.iter().map(|row| row.id.clone()).collect();
        answer.rows = joined(live, kept);
        if self.wants_output {
            self.outputs(&queued, &mut answer);
        }
        answer
    }

    fn rows(&self, program: &'static str, answer: &mut Answer) -> (Vec<Row>, Verdict) {
        let mut commands: Vec<_> = self.ids.chunks(IDS_PER_COMMAND).map(|ids| (ids, None)).collect();
        commands.extend(self.user.map(|user| (&[][..], Some(user))));
        let (mut rows, mut verdict) = (Vec::new(), Verdict::Whole);
        for (ids, user) in commands {
            let is_queue = program == "squeue";
            let arguments =
                if is_queue { squeue::arguments(ids, user.is_some()) } else { sacct::arguments(ids, user) };
            let text = match self.shell.run(program, &arguments) {
                Outcome::Said(text) => text,
                // It says so where none of the jobs is in the queue any more.
                Outcome::Failed(why) if is_queue && why.contains("Invalid job id") => continue,
                Outcome::Failed(why) => {
                    verdict = Verdict::Failed(why);
                    continue;
                }
                Outcome::Absent => return (rows, Verdict::Absent),
            };
            let (read, strange) = if is_queue { squeue::rows(&text) } else { sacct::rows(&text) };
            rows.extend(read);
            if let Some(line) = strange.first() {
                let message =
                    format!("{} of the answer not understood, the first: {line}", lines(strange.len()));
                answer.strange.push((program, message));
            }
        }
        (rows, verdict)
    }

    /// Asks where the jobs write that have begun and that the queue still lists; `scontrol` forgets the others with it.
    fn outputs(&self, queued: &BTreeSet<String>, answer: &mut Answer) {
        let is_new = |row: &&Row| {
            let is_there = queued.contains(&row.id) || !row.state.is_over();
            row.started.is_some() && is_there && !self.known_outputs.contains(&row.id)
        };
        // All tasks of an array with one question.
        let mut questions: BTreeMap<&str, (bool, Vec<&str>)> = BTreeMap::new();
        for row in answer.rows.iter().filter(is_new) {
            let question =
                questions.entry(row.array.as_deref().unwrap_or(&row.id)).or_insert((true, Vec::new()));
            question.0 &= row.state.is_over();
            question.1.push(&row.id);
        }
        let mut questions: Vec<_> = questions.into_iter().collect();
        // What lives goes before what will print no more.
        questions.sort_by_key(|(_, (is_over, _))| *is_over);
        let (mut outputs, mut asked) = (BTreeMap::new(), BTreeSet::new());
        for (id, (_, rows)) in questions.into_iter().take(OUTPUTS_PER_ROUND) {
            match self.shell.run("scontrol", &scontrol::arguments(id)) {
                Outcome::Said(text) => outputs.extend(scontrol::outputs(&text)),
                // It has ended and was forgotten at this moment, or nobody can be asked.
                Outcome::Failed(why) if why.contains("Invalid job id") => {}
                Outcome::Absent => {}
                // It is too busy to answer, and will not answer the next question either.
                Outcome::Failed(_) => break,
            }
            asked.extend(rows.into_iter().map(str::to_owned));
        }
        (answer.outputs, answer.asked_outputs) = (outputs, asked);
    }
}

enum Verdict {
    Whole,
    Absent,
    Failed(String),
}

/// Puts together what is alive and what is accounted for.
pub(super) fn joined(live: Vec<Row>, kept: Vec<Row>) -> Vec<Row> {
    let mut jobs: BTreeMap<String, (Option<Row>, Vec<Row>)> = BTreeMap::new();
    for row in live {
        let job = jobs.entry(row.id.clone()).or_default();
        job.0 = Some(row);
    }
    for row in kept {
        let job = jobs.entry(row.id.clone()).or_default();
        job.1.push(row);
    }
    jobs.into_values().flat_map(|(live, kept)| attempts(live, kept)).collect()
}

/// Numbers the attempts at one job. Accounts have a row for each, in the order of submission; the queue has the last one and
/// says which it is.
fn attempts(live: Option<Row>, mut kept: Vec<Row>) -> Vec<Row> {
    kept.sort_by_key(|row| (row.submitted, row.started));
    kept.dedup();
    let count = u64::try_from(kept.len()).unwrap_or(u64::MAX);
    let is_behind = match (&live, kept.last()) {
        (Some(live), Some(last)) => last.submitted < live.submitted && last.state.is_over(),
        _ => false,
    };
    let last_kept = match live.as_ref().and_then(|live| live.restarts) {
        Some(restarts) if is_behind => restarts,
        Some(restarts) => restarts + 1,
        None => count,
    };
    for (row, back) in kept.iter_mut().rev().zip(0..) {
        // More attempts than the queue knows of: those of another job that had the number before.
        row.attempt = last_kept.saturating_sub(back);
    }
    kept.retain(|row| row.attempt > 0);
    let Some(mut live) = live else { return kept };
    live.attempt = live.restarts.map_or(count.max(1), |restarts| restarts + 1);
    let is_told = kept.last().is_some_and(|last| last.attempt == live.attempt && last.state.is_over());
    if !is_told
        || matches!(kept.last().map(|last| &last.state), Some(State::Requeued)) && live.state.is_over()
    {
        kept.retain(|row| row.attempt != live.attempt);
        kept.push(live);
    }
    kept
}

fn lines(count: usize) -> String {
    if count == 1 { "1 line".to_owned() } else { format!("{count} lines") }
}
