//! The panes of a server as `list-panes` tells them, all in one answer.

use crate::base::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// Between the fields of a line. Control characters do not survive every version of tmux.
const SEPARATOR: &str = ">|<";

/// The names that shells run under.
const SHELLS: [&str; 8] = ["sh", "bash", "dash", "zsh", "fish", "ksh", "tcsh", "nu"];

/// What is asked of every pane. A version that does not know one of these says nothing for it.
const FIELDS: [&str; 26] = [
    "#{pane_id}",
    "#{session_id}",
    "#{session_name}",
    "#{window_index}",
    "#{pane_index}",
    "#{session_created}",
    "#{pid}",
    "#{pane_pid}",
    "#{pane_dead}",
    "#{pane_dead_status}",
    "#{pane_dead_signal}",
    "#{pane_dead_time}",
    "#{history_size}",
    "#{history_limit}",
    "#{cursor_x}",
    "#{cursor_y}",
    "#{pane_width}",
    "#{pane_height}",
    "#{alternate_on}",
    "#{window_activity}",
    "#{pane_pipe}",
    "#{socket_path}",
    "#{pane_current_command}",
    "#{session_path}",
    "#{pane_current_path}",
    "#{pane_title}",
];

/// One pane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Pane {
    /// `%3`: never used again while the server lives.
    pub(super) id: String,
    pub(super) session_id: String,
    pub(super) session: String,
    /// `0.1`: window and pane.
    pub(super) place: String,
    pub(super) session_created: Option<Timestamp>,
    pub(super) server_pid: String,
    pub(super) pid: Option<u32>,
    pub(super) death: Option<Death>,
    pub(super) history_size: u64,
    pub(super) history_limit: u64,
    pub(super) cursor: (u64, u64),
    pub(super) width: u64,
    pub(super) height: u64,
    pub(super) is_alternate: bool,
    /// When something was last written in its window, to the second.
    pub(super) activity_at: Option<Timestamp>,
    pub(super) is_piped: bool,
    pub(super) socket_path: String,
    pub(super) command: String,
    pub(super) session_path: String,
    pub(super) path: String,
    pub(super) title: String,
}

/// How the process of a pane that stays (`remain-on-exit`) ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Death {
    pub(super) exit_code: Option<i64>,
    /// The number or the name of a signal.
    pub(super) signal: Option<String>,
    pub(super) at: Option<Timestamp>,
}

impl Pane {
    /// The words that ask for all panes of a server.
    pub(super) fn question() -> [String; 4] {
        ["list-panes".to_owned(), "-a".to_owned(), "-F".to_owned(), FIELDS.join(SEPARATOR)]
    }

    /// The panes of an answer; a line that is none is left out.
    pub(super) fn all(answer: &str) -> Vec<Self> {
        answer.lines().filter_map(Self::parse).collect()
    }

    /// `session:window.pane`.
    pub(super) fn full_name(&self) -> String {
        format!("{}:{}", self.session, self.place)
    }

    /// Whether a shell is in its foreground: one that waits for a command, or runs a script.
    pub(super) fn is_shell(&self) -> bool {
        SHELLS.contains(&self.command.trim_start_matches('-'))
    }

    fn parse(line: &str) -> Option<Self> {
        let fields: [&str; FIELDS.len()] = line.split(SEPARATOR).collect::<Vec<_>>().try_into().ok()?;
        let [id, session_id, session, window, place, created, server_pid, pid, rest @ ..] = fields;
        let [dead, dead_status, dead_signal, dead_time, history_size, history_limit, rest @ ..] = rest;
        let [cursor_x, cursor_y, width, height, alternate, activity, piped, socket_path, rest @ ..] = rest;
        let [command, session_path, path, title] = rest;
        let is_pane = id.strip_prefix('%').is_some_and(|number| number.parse::<u64>().is_ok());
        let is_on = |flag: &str| flag != "0" && !flag.is_empty();
        is_pane.then(|| Self {
            id: id.to_owned(),
            session_id: session_id.to_owned(),
            session: session.to_owned(),
            place: format!("{window}.{place}"),
            session_created: instant(created),
            server_pid: server_pid.to_owned(),
            pid: pid.parse().ok().filter(|pid| *pid > 0),
            death: is_on(dead).then(|| Death {
                exit_code: dead_status.parse().ok(),
                signal: Some(dead_signal.to_owned()).filter(|signal| is_on(signal)),
                at: instant(dead_time),
            }),
            history_size: number(history_size),
            history_limit: number(history_limit),
            cursor: (number(cursor_x), number(cursor_y)),
            width: number(width),
            height: number(height),
            is_alternate: is_on(alternate),
            activity_at: instant(activity),
            is_piped: is_on(piped),
            socket_path: socket_path.to_owned(),
            command: command.to_owned(),
            session_path: session_path.to_owned(),
            path: path.to_owned(),
            title: title.to_owned(),
        })
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

fn instant(text: &str) -> Option<Timestamp> {
    let seconds: i64 = text.parse().ok().filter(|seconds| *seconds > 0)?;
    Some(Timestamp::from_millis(seconds.saturating_mul(1000)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn line(fields: &[&str]) -> String {
        fields.join(SEPARATOR)
    }

    const LIVING: [&str; 26] = [
        "%3",
        "$1",
        "agent-x",
        "0",
        "1",
        "1700000000",
        "77",
        "4711",
        "0",
        "",
        "",
        "",
        "12",
        "2000",
        "4",
        "9",
        "80",
        "24",
        "0",
        "1700000100",
        "1",
        "/tmp/s",
        "bash",
        "/p",
        "/p/q",
        "a | b",
    ];

    #[test]
    fn a_line_of_the_answer_is_a_pane() {
        let mut expected = Pane {
            id: "%3".into(),
            session_id: "$1".into(),
            session: "agent-x".into(),
            place: "0.1".into(),
            session_created: Some(Timestamp::from_millis(1_700_000_000_000)),
            server_pid: "77".into(),
            pid: Some(4711),
            death: None,
            history_size: 12,
            history_limit: 2000,
            cursor: (4, 9),
            width: 80,
            height: 24,
            is_alternate: false,
            activity_at: Some(Timestamp::from_millis(1_700_000_100_000)),
            is_piped: true,
            socket_path: "/tmp/s".into(),
            command: "bash".into(),
            session_path: "/p".into(),
            path: "/p/q".into(),
            title: "a | b".into(),
        };
        assert_eq!(Pane::all(&format!("junk\n{}\n", line(&LIVING))), [expected.clone()]);
        let mut dead = LIVING;
        (dead[8], dead[9], dead[10], dead[11]) = ("1", "3", "", "1700000200");
        let at = Some(Timestamp::from_millis(1_700_000_200_000));
        expected.death = Some(Death { exit_code: Some(3), signal: None, at });
        assert_eq!(Pane::all(&line(&dead)), [expected.clone()]);
        // An older tmux knows neither the signal nor the time.
        (dead[9], dead[11]) = ("", "");
        expected.death = Some(Death::default());
        assert_eq!(Pane::all(&line(&dead)), [expected]);
    }

    #[test]
    fn a_field_that_an_older_tmux_does_not_know_costs_only_itself() {
        let whole = Pane::all(&line(&LIVING));
        for field in 0..LIVING.len() {
            let mut older = LIVING;
            older[field] = "";
            let panes = Pane::all(&line(&older));
            // Without an id there is no pane; that is said aloud.
            assert_eq!(panes.len(), usize::from(field > 0), "{}", FIELDS[field]);
            let is_meant_to_be_empty = LIVING[field].is_empty() || LIVING[field] == "0";
            assert!(is_meant_to_be_empty || panes != whole, "{}", FIELDS[field]);
        }
        assert_eq!(Pane::all(&LIVING[1..].join(SEPARATOR)), []);
    }

    proptest! {
        #[test]
        fn no_answer_is_too_strange(text in ".{0,200}", cut in 0_usize..160, byte in any::<char>()) {
            Pane::all(&text);
            let whole = line(&LIVING);
            let mut changed: String = whole.chars().take(cut).collect();
            changed.push(byte);
            changed.extend(whole.chars().skip(cut + 1));
            prop_assert!(Pane::all(&changed).len() <= 2);
        }
    }
}
