//! What a task that claims to have completed left behind: its files, its log, what a command says of it. Only looked at;
//! what follows from it is the check-list's, which jobs and `agentlog run` have as well.

use crate::app::completion::command;
use crate::app::completion::config::Rule;
use crate::base::fs;
use crate::source::job::{Checked, Seen, is_present};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A longer line is looked at in parts.
const LINE_BYTES_MAX: u64 = 64 * 1024;

/// A claim that is to be verified.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Claim {
    pub(super) task: String,
    pub(super) attempt: u64,
    /// Where the task works.
    pub(super) folder: PathBuf,
    pub(super) exit_code: Option<i64>,
    pub(super) ran_ms: Option<i64>,
}

/// Looks at everything that the rule asks for; `None`: we were told to stop.
pub(super) fn check(rule: &Rule, claim: &Claim, stop: &AtomicBool) -> Option<Checked> {
    let config = &rule.config;
    let signs = match &config.log {
        Some(log) => signs(rule, &claim.folder.join(log), stop)?,
        None => None,
    };
    let command = match &config.command {
        Some(line) => {
            let limit = Duration::from_millis(config.command_timeout_ms);
            Some((line.clone(), command::run(line, &claim.folder, limit, stop)?))
        }
        None => None,
    };
    let files = config.files.iter().map(|name| (name.clone(), is_present(&claim.folder, name)));
    let log = config.log.iter().map(|name| (name.clone(), signs.is_some()));
    let asks_for_errors = !config.no_error_pattern.is_empty();
    let seconds = |millis: i64| u32::try_from(millis.max(0)).map_or(f64::MAX, |ms| f64::from(ms) / 1000.0);
    let limit = config.max_duration_ms.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
    Some(Checked::of(&Seen {
        exit_code: claim.exit_code.filter(|_| config.exit_code.is_some()),
        expected_exit_code: config.exit_code,
        required_files: files.chain(log).collect(),
        // Of a log that is not there it is enough to say so.
        has_errors: signs.map(|signs| signs.0).filter(|_| asks_for_errors),
        has_marker: signs.map(|signs| signs.1).filter(|_| config.marker.is_some()),
        seconds: claim.ran_ms.zip(limit).map(|(ran, limit)| (seconds(ran), seconds(limit))),
        command,
        ..Seen::default()
    }))
}

/// Whether the log has an error, and whether it has the marker; inside, `None`: it cannot be read. Outside: told to stop.
#[expect(clippy::option_option, reason = "stopped, and not there, are two things")]
fn signs(rule: &Rule, log: &Path, stop: &AtomicBool) -> Option<Option<(bool, bool)>> {
    let Ok(file) = fs::open_read_regular(log) else { return Some(None) };
    let mut reader = BufReader::new(file);
    let mut signs = (false, false);
    let mut line = Vec::new();
    loop {
        line.clear();
        match reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line) {
            Ok(0) => return Some(Some(signs)),
            Ok(_) => {}
            Err(_) => return Some(None),
        }
        let (has_error, has_marker) = rule.signs.signs(String::from_utf8_lossy(&line).trim_end());
        signs = (signs.0 || has_error, signs.1 || has_marker);
        if stop.load(Ordering::Relaxed) {
            return None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict, and how many criteria were met of how many, of a task that left these files.
    fn checked(files: &[(&str, &str)], rule: &str) -> (String, usize, usize) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::replace(&folder.path().join(name), text.as_bytes()).unwrap();
        }
        let claim = Claim {
            task: "t".to_owned(),
            attempt: 1,
            folder: folder.path().to_owned(),
            exit_code: Some(0),
            ran_ms: Some(95_500),
        };
        let rule = Rule::of(&toml::from_str(rule).unwrap()).unwrap();
        let checked = check(&rule, &claim, &AtomicBool::new(false)).unwrap();
        let met = checked.criteria.iter().filter(|criterion| criterion.ok).count();
        (checked.verdict, met, checked.criteria.len())
    }

    const ALL: &str = "exit_code = 0\nfiles = [\"app.js\", \"*.map\"]\nlog = \"build.log\"\nmarker = \"DONE\"\n\
                       no_error_pattern = [\"^FATAL\"]\nmax_duration_ms = 100000\ncommand = \"test -f app.js\"";

    fn said(verdict: &str, met: usize, total: usize) -> (String, usize, usize) {
        (verdict.to_owned(), met, total)
    }

    #[test]
    fn a_task_that_left_all_that_is_asked_for_meets_all_criteria() {
        let files =
            [("app.js", ""), ("app.js.map", ""), ("build.log", "ERROR is no fatal one\n\u{1b}[1mDONE")];
        assert_eq!(checked(&files, ALL), said("All criteria met", 6, 6));
    }

    #[test]
    fn each_criterion_says_by_itself_what_is_missing() {
        let files = |log: &'static str| [("app.js", ""), ("app.js.map", ""), ("build.log", log)];
        assert_eq!(checked(&files("FATAL: no space\n"), ALL), said("Error patterns detected in logs", 4, 6));
        assert_eq!(checked(&files("UNDONE\n"), ALL), said("Completion marker not found", 5, 6));
        assert_eq!(checked(&files("DONE\n")[1..], ALL), said("Missing required file: app.js", 4, 6));
        assert_eq!(checked(&files("")[..2], ALL), said("Missing required file: build.log", 3, 4));
        assert_eq!(checked(&[], "max_duration_ms = 90000"), said("Took 95.5 s, more than 90 s", 0, 1));
        assert_eq!(checked(&[], "exit_code = 3"), said("Exit code 0, not 3", 0, 1));
    }
}
