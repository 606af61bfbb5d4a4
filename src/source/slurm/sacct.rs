//! What `sacct` says: the accounts of jobs, those that ended long ago too. Pure: text to rows.

use crate::source::slurm::row::{Exit, Row, State, instant, said};

/// The fields asked for, in this order. The name is last, since it may hold the separator.
const FIELDS: &str =
    "JobID,State,ExitCode,ElapsedRaw,Submit,Start,End,TimelimitRaw,NodeList,Reason,WorkDir,JobName";
const FIELD_COUNT: usize = 12;

/// The arguments for these jobs, or for those of this user; all attempts, allocations without their steps.
pub(super) fn arguments(ids: &[String], user: Option<u32>) -> Vec<String> {
    let mut arguments: Vec<String> = ["-X", "-n", "-P", "-D"].map(str::to_owned).to_vec();
    arguments.push(format!("--format={FIELDS}"));
    match user {
        Some(user) => {
            arguments.extend(["-u".to_owned(), user.to_string(), "-S".to_owned(), "now-7days".to_owned()]);
        }
        None => arguments.extend(["-j".to_owned(), ids.join(",")]),
    }
    arguments
}

/// Reads the answer, and gives the lines that are none of it.
pub(super) fn rows(text: &str) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut strange) = (Vec::new(), Vec::new());
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match row(line) {
            Some(row) if !row.id.contains('.') => rows.push(row),
            // A step of a job.
            Some(_) => {}
            None => strange.push(line.to_owned()),
        }
    }
    (rows, strange)
}

fn row(line: &str) -> Option<Row> {
    let fields: Vec<&str> = line.splitn(FIELD_COUNT, '|').collect();
    let [id, state, exit, elapsed, submit, start, end, limit, nodes, reason, folder, name] = fields[..]
    else {
        return None;
    };
    if !id.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut row = Row {
        name: name.to_owned(),
        state: State::of_text(state),
        cancelled_by: state.split_once(" by ").map(|(_, by)| by.trim().to_owned()),
        exit: exit_of(exit),
        submitted: instant(submit),
        started: instant(start),
        ended: instant(end),
        elapsed_seconds: elapsed.parse().ok(),
        limit_seconds: limit.parse::<u64>().ok().and_then(|minutes| minutes.checked_mul(60)),
        nodes: said(nodes),
        reason: said(reason),
        folder: said(folder),
        ..Row::default()
    };
    row.set_id(id);
    row.settle();
    Some(row)
}

/// `code:signal`.
fn exit_of(text: &str) -> Option<Exit> {
    let (code, signal) = text.split_once(':')?;
    Some(Exit { code: code.trim().parse().ok()?, signal: signal.trim().parse().ok()? })
}
