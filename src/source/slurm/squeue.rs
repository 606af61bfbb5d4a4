//! What `squeue` says: jobs that wait, run, or ended a few minutes ago. Pure: text to rows.

use crate::source::slurm::row::{Exit, Row, State, instant, said, span_seconds};

/// The fields asked for, in this order; each ends in `|`. The folder and the name are last, since they may hold it.
const FIELDS: [&str; 13] = [
    "JobArrayID",
    "State",
    "exit_code",
    "RestartCnt",
    "SubmitTime",
    "StartTime",
    "EndTime",
    "TimeUsed",
    "TimeLimit",
    "NodeList",
    "Reason",
    "WorkDir",
    "Name",
];

/// The arguments for these jobs, or for those of the user.
pub(super) fn arguments(ids: &[String], is_for_user: bool) -> Vec<String> {
    let mut arguments: Vec<String> = ["-h", "-a", "--states=all"].map(str::to_owned).to_vec();
    let fields: Vec<String> = FIELDS.iter().map(|field| format!("{field}:|")).collect();
    arguments.extend(["-O".to_owned(), fields.join(",")]);
    if is_for_user {
        arguments.push("--me".to_owned());
    } else {
        arguments.extend(["-j".to_owned(), ids.join(",")]);
    }
    arguments
}

/// Reads the answer, and gives the lines that are none of it.
pub(super) fn rows(text: &str) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut strange) = (Vec::new(), Vec::new());
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        match row(line) {
            Some(row) => rows.push(row),
            None => strange.push(line.to_owned()),
        }
    }
    (rows, strange)
}

fn row(line: &str) -> Option<Row> {
    let fields: Vec<&str> = line.splitn(FIELDS.len(), '|').collect();
    let [id, state, exit, restarts, submit, start, end, used, limit, nodes, reason, folder, name] =
        fields[..]
    else {
        return None;
    };
    if !id.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut row = Row {
        name: name.trim_end().trim_end_matches('|').to_owned(),
        state: State::of_text(state),
        exit: exit.parse().ok().map(exit_of),
        submitted: instant(submit),
        started: instant(start),
        ended: instant(end),
        elapsed_seconds: span_seconds(used),
        limit_seconds: span_seconds(limit),
        nodes: said(nodes),
        reason: said(reason),
        folder: said(folder),
        restarts: restarts.parse().ok(),
        ..Row::default()
    };
    row.set_id(id);
    row.settle();
    Some(row)
}

/// The status of `wait(2)`.
fn exit_of(status: i64) -> Exit {
    Exit { code: (status >> 8) & 0xff, signal: status & 0x7f }
}
