//! Whether a job that claims its end has what a completed one must have. Pure: what was seen is given.

use crate::event::body::Criterion;
use crate::event::field::Text;

/// What was seen of a job at its end. What does not apply to it is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The job declares an exit-code file.
    pub declares_exit_code: bool,
    /// The exit code, where it is known.
    pub exit_code: Option<i64>,
    /// The word of the status file, as it stands there; `None`: the job declares none.
    pub status: Option<Status>,
    /// The required files, each with whether it is there.
    pub required_files: Vec<(String, bool)>,
    /// Whether the log has errors; `None`: there is no log.
    pub has_errors: Option<bool>,
    /// Whether the marker was seen; `None`: none is asked for.
    pub has_marker: Option<bool>,
    /// How long it took, and how long it may take.
    pub seconds: Option<(f64, f64)>,
    /// The exit code that its result must have, where somebody asks for one.
    pub expected_exit_code: Option<i64>,
    /// A command that was run to check it, and how that ended; `None`: there is none.
    pub command: Option<(String, CommandEnd)>,
}

/// How a command ended that was run to check something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandEnd {
    /// With this status.
    Code(i32),
    /// Killed by this signal.
    Signal(i32),
    /// It did not end within so many seconds, and was stopped.
    TimedOut(u64),
    /// It could not be started, for this reason.
    NotStarted(String),
}

/// What a status file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// `None`: there is no such file.
    pub word: Option<String>,
    /// Whether that means a good end.
    pub is_completed: bool,
}

/// The criteria in their order, and the first reason that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What was checked, each with its result.
    pub criteria: Vec<Criterion<'static>>,
    /// The reason of the end.
    pub verdict: String,
}

impl Checked {
    /// Checks all criteria that apply.
    #[must_use]
    pub fn of(seen: &Seen) -> Self {
        let all = [
            exit_code(seen).map(|result| ("exit code", result)),
            required_files(seen).map(|result| ("required files", result)),
            seen.has_errors.map(|has| ("error patterns", unless(has, "Error patterns detected in logs"))),
            seen.has_marker.map(|has| ("completion marker", unless(!has, "Completion marker not found"))),
            seen.seconds.map(|(took, limit)| {
                (
                    "duration",
                    if took <= limit { Ok(()) } else { Err(format!("Took {took} s, more than {limit} s")) },
                )
            }),
            seen.command.as_ref().map(|(line, end)| ("command", command(line, end))),
        ];
        let results: Vec<_> = all.into_iter().flatten().collect();
        let failed = results.iter().find_map(|(_, result)| result.as_ref().err());
        let verdict = failed.cloned().unwrap_or_else(|| "All criteria met".to_owned());
        let criterion = |(name, result): (&'static str, Result<(), String>)| Criterion {
            name: Text::Borrowed(name),
            ok: result.is_ok(),
            message: result.err().map(Text::Owned),
        };
        Self { criteria: results.into_iter().map(criterion).collect(), verdict }
    }
}

/// Exit code 0, or the status COMPLETED where there is no code; or the very code that is asked for.
fn exit_code(seen: &Seen) -> Option<Result<(), String>> {
    if let Some(expected) = seen.expected_exit_code {
        return Some(match seen.exit_code {
            Some(code) if code == expected => Ok(()),
            Some(code) if expected == 0 => Err(format!("Exit code non-zero: {code}")),
            Some(code) => Err(format!("Exit code {code}, not {expected}")),
            None => Err("Exit code not known".to_owned()),
        });
    }
    let is_completed = seen.status.as_ref().is_some_and(|status| status.is_completed);
    match (seen.exit_code, &seen.status) {
        (Some(0), _) => Some(Ok(())),
        (Some(code), _) => Some(Err(format!("Exit code non-zero: {code}"))),
        (None, _) if is_completed => Some(Ok(())),
        (None, _) if seen.declares_exit_code => Some(Err("Exit code file not found".to_owned())),
        (None, Some(Status { word: Some(word), .. })) => Some(Err(format!("Status is {word}"))),
        (None, Some(Status { word: None, .. })) => Some(Err("Status file not found".to_owned())),
        (None, None) => None,
    }
}

fn required_files(seen: &Seen) -> Option<Result<(), String>> {
    let missing = seen.required_files.iter().find(|(_, is_there)| !is_there);
    let result = missing.map_or(Ok(()), |(name, _)| Err(format!("Missing required file: {name}")));
    (!seen.required_files.is_empty()).then_some(result)
}

fn command(line: &str, end: &CommandEnd) -> Result<(), String> {
    let how = match end {
        CommandEnd::Code(0) => return Ok(()),
        CommandEnd::Code(code) => format!("Command failed with exit code {code}"),
        CommandEnd::Signal(signal) => format!("Command was killed by signal {signal}"),
        CommandEnd::TimedOut(seconds) => format!("Command took more than {seconds} s"),
        CommandEnd::NotStarted(reason) => format!("Command could not be started ({reason})"),
    };
    Err(format!("{how}: {line}"))
}

fn unless(fails: bool, message: &str) -> Result<(), String> {
    if fails { Err(message.to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job that declares everything and has it.
    fn whole() -> Seen {
        Seen {
            declares_exit_code: true,
            exit_code: Some(0),
            status: Some(Status { word: Some("COMPLETED".into()), is_completed: true }),
            required_files: vec![("output.log".into(), true), (".ctxpack".into(), true)],
            has_errors: Some(false),
            has_marker: Some(true),
            seconds: Some((60.0, 90.0)),
            expected_exit_code: None,
            command: Some(("make check".into(), CommandEnd::Code(0))),
        }
    }

    fn verdict(change: impl Fn(&mut Seen)) -> String {
        let mut seen = whole();
        change(&mut seen);
        let checked = Checked::of(&seen);
        let is_met = checked.criteria.iter().all(|criterion| criterion.ok);
        assert_eq!(is_met, checked.verdict == "All criteria met");
        checked.verdict
    }

    #[test]
    fn all_criteria_stand_in_the_order_of_the_list() {
        let checked = Checked::of(&whole());
        let names: Vec<_> =
            checked.criteria.iter().map(|criterion| (&*criterion.name, criterion.ok)).collect();
        let expected =
            ["exit code", "required files", "error patterns", "completion marker", "duration", "command"]
                .map(|name| (name, true));
        assert_eq!((names, checked.verdict.as_str()), (expected.to_vec(), "All criteria met"));
        assert_eq!(
            Checked::of(&Seen::default()),
            Checked { criteria: vec![], verdict: "All criteria met".into() }
        );
    }

    #[test]
    fn the_verdict_is_the_first_reason_that_fails() {
        assert_eq!(verdict(|seen| seen.exit_code = Some(3)), "Exit code non-zero: 3");
        let absent = |seen: &mut Seen| (seen.exit_code, seen.status) = (None, None);
        assert_eq!(verdict(absent), "Exit code file not found");
        assert_eq!(verdict(|seen| seen.required_files[1].1 = false), "Missing required file: .ctxpack");
        assert_eq!(verdict(|seen| seen.has_errors = Some(true)), "Error patterns detected in logs");
        assert_eq!(verdict(|seen| seen.has_marker = Some(false)), "Completion marker not found");
        assert_eq!(verdict(|seen| seen.seconds = Some((95.5, 90.0))), "Took 95.5 s, more than 90 s");
        let two = |seen: &mut Seen| (seen.has_errors, seen.has_marker) = (Some(true), Some(false));
        assert_eq!(verdict(two), "Error patterns detected in logs");
    }

    #[test]
    fn a_command_that_was_run_to_check_it_must_end_well() {
        let ended =
            |end: CommandEnd| verdict(|seen| seen.command = Some(("make check".to_owned(), end.clone())));
        assert_eq!(ended(CommandEnd::Code(2)), "Command failed with exit code 2: make check");
        assert_eq!(ended(CommandEnd::Signal(9)), "Command was killed by signal 9: make check");
        assert_eq!(ended(CommandEnd::TimedOut(600)), "Command took more than 600 s: make check");
        assert_eq!(
            ended(CommandEnd::NotStarted("no such folder".into())),
            "Command could not be started (no such folder): make check"
        );
    }

    #[test]
    fn the_exit_code_that_is_asked_for_is_the_only_good_one() {
        let of = |code, expected| {
            verdict(|seen| (seen.exit_code, seen.expected_exit_code) = (code, Some(expected)))
        };
        assert_eq!(of(Some(0), 0), "All criteria met");
        assert_eq!(of(Some(3), 0), "Exit code non-zero: 3");
        assert_eq!(of(Some(3), 3), "All criteria met");
        assert_eq!(of(Some(0), 3), "Exit code 0, not 3");
        assert_eq!(of(None, 0), "Exit code not known");
    }

    #[test]
    fn a_status_counts_where_there_is_no_exit_code() {
        assert_eq!(verdict(|seen| seen.exit_code = None), "All criteria met");
        let status = |word: Option<&str>| Some(Status { word: word.map(str::to_owned), is_completed: false });
        let only = |seen: &mut Seen, word| {
            (seen.exit_code, seen.declares_exit_code, seen.status) = (None, false, status(word));
        };
        assert_eq!(verdict(|seen| only(seen, Some("FAILED"))), "Status is FAILED");
        assert_eq!(verdict(|seen| only(seen, None)), "Status file not found");
        let undeclared =
            |seen: &mut Seen| (seen.exit_code, seen.declares_exit_code, seen.status) = (None, false, None);
        assert_eq!(verdict(undeclared), "All criteria met");
    }
}
