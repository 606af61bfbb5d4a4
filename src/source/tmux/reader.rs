//! The lines of one pane as output: what they claim and how far the task is. Says where a fact stands, not what follows.

use crate::base::clock::Timestamp;
use crate::source::batch::log::{Nowhere, came_on};
use crate::source::output::{Output, Patterns};
use crate::source::scribe::{Scribe, TakeFact};
use crate::source::session::Progress;
use crate::source::tmux::NAME;
use crate::source::tmux::course::Claim;

/// Whose lines, and what is looked for in them.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    pub(super) task: &'a str,
    pub(super) agent: &'a str,
    pub(super) file: &'a str,
    pub(super) patterns: &'a Patterns,
    pub(super) markers: &'a [String],
}

/// What the lines of a pane said so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Reader {
    output: Output,
    /// How often the task began again.
    pub(super) run: u64,
    progress: Progress,
    pub(super) progressed_at: Option<Timestamp>,
    pub(super) claim: Option<Claim>,
}

impl Reader {
    /// Takes one line, or a state of one. `identity` tells it from all other lines of the pane; `number`: how many lines are
    /// before it; `ts`: when it was written, where it does not say that itself.
    pub(super) fn line(
        &mut self,
        about: About<'_>,
        (identity, number): (&str, u64),
        line: &str,
        ts: Timestamp,
        out: &mut dyn TakeFact,
    ) {
        if line.is_empty() || is_echo(line, about.markers) {
            return;
        }
        let ts = about.patterns.time(line).unwrap_or(ts);
        let mut scribe = Scribe::new(out, NAME, (about.task, about.agent), ts, &[about.file, identity]);
        let ended = self.output.line(about.patterns, line, &mut scribe);
        self.follow_progress(ts);
        if let Some(ended) = ended {
            let (is_well, reason) = ended.told();
            self.claim = Some(Claim { is_well, reason, at: ts, line: number });
        }
    }

    /// Whether a state of a line that is still being written says more than that it is there or how far the task is.
    pub(super) fn would_conclude(&self, about: About<'_>, line: &str, now: Timestamp) -> bool {
        let mut reader = self.clone();
        let mut nowhere = Nowhere { file: about.file, now };
        reader.line(about, ("", u64::MAX), line, now, &mut nowhere);
        reader.claim != self.claim || reader.output.error_line() != self.output.error_line()
    }

    /// Says what was held back.
    pub(super) fn finish(&mut self, about: About<'_>, identity: &str, ts: Timestamp, out: &mut dyn TakeFact) {
        let task = (about.task, about.agent);
        self.output.finish(&mut Scribe::new(out, NAME, task, ts, &[about.file, identity]));
    }

    /// Another process began in the pane: its progress and its end are its own.
    pub(super) fn begin_again(&mut self) {
        self.output.begin_again();
        (self.progress, self.progressed_at, self.claim) = (Progress::default(), None, None);
    }

    /// How far the task is.
    pub(super) const fn progress(&self) -> &Progress {
        self.output.progress()
    }

    /// Remembers when the task came on; one that had ended and counts from the beginning again is another run.
    fn follow_progress(&mut self, ts: Timestamp) {
        let fell = came_on(self.output.progress(), &mut self.progress, &mut self.progressed_at, ts);
        if fell && self.claim.take().is_some() {
            self.output.begin_again();
            self.run += 1;
        }
    }
}

/// Whether a line shows a command that will print a marker, as a shell echoes it: `agent.py; echo DONE`.
fn is_echo(line: &str, markers: &[String]) -> bool {
    markers.iter().any(|marker| {
        line.match_indices(marker.as_str()).any(|(place, _)| {
            let before = line.get(..place).unwrap_or_default();
            let command = before.rsplit([';', '&', '|', '(', '`', '$']).next().unwrap_or(before);
            command.split_whitespace().any(|word| matches!(word, "echo" | "printf"))
        })
    })
}

/// The last line that says something; the prompt of a shell only where there is nothing else.
pub(super) fn latest<'l>(lines: impl DoubleEndedIterator<Item = &'l str> + Clone) -> Option<&'l str> {
    let mut said = lines.rev().map(str::trim).filter(|line| !line.is_empty());
    said.clone().find(|line| !is_prompt(line)).or_else(|| said.next())
}

/// Whether a line looks like a shell that waits for a command.
pub(super) fn is_prompt(line: &str) -> bool {
    line.trim_end().ends_with(['$', '#', '%', '>', '❯'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_is_only_shown_has_printed_no_marker() {
        let markers = ["DONE".to_owned()];
        for line in ["u@box:~$ python agent.py; echo DONE", "$ make && printf '%s' \"DONE\"", "echo DONE"] {
            assert!(is_echo(line, &markers), "{line}");
        }
        for line in ["DONE", "echo server: stopped; DONE", "$ echo DONE_", "all DONE now", "python DONE.py"] {
            assert_eq!(is_echo(line, &markers), line.contains("echo DONE"), "{line}");
        }
    }

    #[test]
    fn the_latest_line_is_no_prompt_if_there_is_another_one() {
        let latest = |lines: &[&'static str]| super::latest(lines.iter().copied());
        assert_eq!(latest(&["one", " two ", "", "u@box:~$ "]), Some("two"));
        assert_eq!(latest(&["$ ", ""]), Some("$"));
        assert_eq!(latest(&["", " "]), None);
    }
}
