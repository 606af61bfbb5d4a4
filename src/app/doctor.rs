//! `agentlog doctor`: is the set-up right, is the log whole, are the sources there and understood?
//!
//! It reads and reports; it mends nothing. Each finding says what to do about it.

use crate::app::alert::outbox;
use crate::app::environment;
use crate::app::exit::Exit;
use crate::app::log::Reader;
use crate::app::{Context, ingest};
use crate::base::text;
use crate::cli::command::{Doctor, TextOutput};
use crate::event::body::Body;
use crate::event::codec::Decoded;
use crate::source::{Contact, Scope};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Grade {
    Good,
    Note,
    Bad,
}

/// One thing looked at.
#[derive(Debug, Serialize)]
struct Finding {
    grade: Grade,
    subject: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

/// Looks at everything and prints it.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(context: &Context, arguments: &Doctor) -> anyhow::Result<Exit> {
    let mut findings = vec![project(context), log_folder(context)];
    let log = log(context);
    findings.extend(log.findings);
    let sources_start = findings.len();
    findings.extend(log.drifted);
    findings.extend(sources(context, &log.failures)?);
    findings.extend(foreign_program());
    findings.extend(alerts(context));
    let broken = findings.iter().skip(sources_start).any(|finding| finding.grade == Grade::Bad);
    match arguments.output {
        TextOutput::Json => {
            let document = serde_json::json!({
                "findings": findings,
            });
            context.print_document(document)?;
        }
        TextOutput::Text => print_text(context, &findings)?,
    }
    Ok(match (log.is_damaged, broken, findings.iter().any(|finding| finding.grade == Grade::Bad)) {
        (true, ..) => Exit::Damaged,
        (_, true, _) => Exit::SourceUnavailable,
        (.., true) => Exit::Io,
        _ => Exit::Done,
    })
}

fn print_text(context: &Context, findings: &[Finding]) -> anyhow::Result<()> {
    let mut out = context.out();
    let count = |grade| findings.iter().filter(|finding| finding.grade == grade).count() as u64;
    match count(Grade::Bad) {
        0 => writeln!(out, "all is well, {}", text::plural(count(Grade::Note), "note"))?,
        bad => writeln!(
            out,
            "{} to look at, {}",
            text::plural(bad, "problem"),
            text::plural(count(Grade::Note), "note")
        )?,
    }
    for finding in findings {
        let symbol = match (finding.grade, context.style.ascii) {
            (Grade::Good, false) => "✓",
            (Grade::Note, false) => "·",
            (Grade::Bad, false) => "✗",
            (Grade::Good, true) => "[ok]",
            (Grade::Note, true) => "[--]",
            (Grade::Bad, true) => "[xx]",
        };
        writeln!(out, "{symbol} {}: {}", text::sanitize(&finding.subject), text::sanitize(&finding.message))?;
        if let Some(advice) = &finding.advice {
            writeln!(out, "    {}", text::sanitize(advice))?;
        }
    }
    Ok(())
}

fn finding(grade: Grade, subject: &str, message: impl Into<String>) -> Finding {
    Finding { grade, subject: subject.to_owned(), message: message.into(), advice: None }
}

fn project(context: &Context) -> Finding {
    match &context.project.root {
        None => finding(Grade::Good, "project", "the log of all projects"),
        Some(root) if root.join(".agents").is_dir() => {
            finding(Grade::Good, "project", root.display().to_string())
        }
        Some(root) => Finding {
            advice: Some("`agentlog init` makes it; `agentlog watch` and `agentlog import` do so too".into()),
            ..finding(Grade::Note, "project", format!("{} has no .agents yet", root.display()))
        },
    }
}

fn log_folder(context: &Context) -> Finding {
    let logs = &context.project.logs;
    let existing = logs.ancestors().find(|folder| folder.exists()).unwrap_or(logs);
    let writable = rustix::fs::access(existing, rustix::fs::Access::WRITE_OK).is_ok();
    if writable && crate::base::fs::is_on_network(logs) {
        Finding {
            advice: Some("put the log on a local disk with --log-dir, or set AGENTLOG_LOG_DIR".into()),
            ..finding(
                Grade::Note,
                "log folder",
                format!("{} is on the network: every writer has a file of its own there", logs.display()),
            )
        }
    } else if writable {
        finding(Grade::Good, "log folder", logs.display().to_string())
    } else {
        Finding {
            advice: Some("give yourself write permission, or name another folder with --log-dir".into()),
            ..finding(Grade::Bad, "log folder", format!("{} is not writable", existing.display()))
        }
    }
}

/// A source file in which nothing, or not enough, was recognised.
struct Drifted {
    file: String,
    path: String,
    message: String,
}

/// What the log says of itself and of the sources.
struct Log {
    findings: Vec<Finding>,
    drifted: Vec<Finding>,
    is_damaged: bool,
    /// By path: what could not be read when it was last tried.
    failures: BTreeMap<String, String>,
}

fn log(context: &Context) -> Log {
    let mut reader = Reader::new(&context.project.logs);
    let mut drifted: Vec<Drifted> = Vec::new();
    let mut failures = BTreeMap::new();
    let read = reader.advance(&mut |_, decoded, _| {
        let Decoded::Known(line) = decoded else { return };
        match &line.event.body {
            Body::SourceDrifted { file, path, text, .. } => {
                let message = text.as_deref().unwrap_or("nothing in it is recognised any more").to_owned();
                let path = path.as_deref().unwrap_or("a source").to_owned();
                drifted.push(Drifted { file: file.clone().into_owned(), path, message });
            }
            // What stands there now is another file, to be judged by itself.
            Body::SourceOpened { file, path: Some(path), .. } => {
                failures.remove(&**path);
                drifted.retain(|known| known.path != **path || known.file == **file);
            }
            Body::SourceFailed { path: Some(path), error, .. } => {
                failures.insert(path.to_string(), error.message.as_deref().unwrap_or_default().to_owned());
            }
            Body::SourceTruncated { file, .. } => drifted.retain(|known| known.file != **file),
            _ => {}
        }
    });
    drifted.retain(|known| !Path::new(&known.path).is_absolute() || Path::new(&known.path).exists());
    let mut drifted: Vec<(String, String)> =
        drifted.into_iter().map(|known| (known.path, known.message)).collect();
    let counts = &reader.counts;
    let mut findings = Vec::new();
    match read {
        Err(error) => findings.push(finding(Grade::Bad, "log", error.to_string())),
        Ok(()) if counts.damaged > 0 => findings.push(Finding {
            advice: Some("`agentlog verify` lists the places; every other line is readable".into()),
            ..finding(
                Grade::Bad,
                "log",
                format!(
                    "{}, first {}",
                    text::plural(counts.damaged, "damaged line"),
                    counts.damages.first().map_or_else(|| "?".to_owned(), ToString::to_string)
                ),
            )
        }),
        Ok(()) => findings.push(finding(
            Grade::Good,
            "log",
            format!("{}, none damaged", text::plural(counts.known, "event")),
        )),
    }
    if counts.unknown > 0 {
        findings.push(finding(
            Grade::Note,
            "log",
            format!("{} of types this version does not know", text::plural(counts.unknown, "event")),
        ));
    }
    drifted.sort();
    drifted.dedup();
    let drifted = drifted.into_iter().map(|(path, message)| Finding {
        advice: Some("its format may have changed: please report it, with the version of the agent".into()),
        ..finding(Grade::Bad, &path, message)
    });
    Log { findings, drifted: drifted.collect(), is_damaged: counts.damaged > 0, failures }
}

fn sources(context: &Context, failures: &BTreeMap<String, String>) -> anyhow::Result<Vec<Finding>> {
    let (mut findings, mut absent) = (Vec::new(), Vec::new());
    let horizon = Some(ingest::first_start_horizon(context.now()));
    let here_env = environment::env(&context.project, Scope::Project(context.project.roots()), horizon)?;
    let everywhere = environment::env(&context.project, Scope::Global, None)?;
    for (mut own, mut all) in
        environment::sources(&context.config).into_iter().zip(environment::sources(&context.config))
    {
        let (here, all_found) = (own.discover(&here_env), all.discover(&everywhere));
        let name = own.name();
        let places = |roots: &[PathBuf]| {
            roots.iter().map(|root| root.display().to_string()).collect::<Vec<_>>().join(", ")
        };
        let roots = if all_found.roots.is_empty() {
            places(if here.roots.is_empty() { &here.folders } else { &here.roots })
        } else {
            places(all_found.roots.get(..1).unwrap_or_default())
        };
        let total = all_found.inputs.len().max(here.inputs.len());
        let contacts = own.contacts(&here_env);
        if total == 0 && contacts.is_empty() {
            absent.push(name);
        } else if total > 0 {
            let (files, here) = (text::plural(total as u64, "file"), here.inputs.len());
            let message = format!("{files} in {roots}; {here} of this project and the last 7 days");
            findings.push(finding(Grade::Good, name, message));
        }
        findings.extend(contacts.into_iter().map(|contact| standing(name, contact, failures)));
        let mut problems = here.problems;
        problems
            .extend(all_found.problems.into_iter().filter(|problem| !matches!(problem.message.as_str(), "")));
        problems.sort_by(|a, b| a.path.cmp(&b.path));
        problems.dedup();
        findings.extend(problems.into_iter().map(|problem| Finding {
            advice: Some("is the file readable for you, and written by a supported version?".into()),
            ..finding(Grade::Bad, &problem.path.display().to_string(), problem.message)
        }));
    }
    if !absent.is_empty() {
        absent.dedup();
        let message = format!("nothing found on this machine of {}", absent.join(", "));
        findings.push(finding(Grade::Note, "sources", message));
    }
    Ok(findings)
}

/// How it stands with a server or another machine; where a watcher noticed that before, since when.
fn standing(name: &str, contact: Contact, failures: &BTreeMap<String, String>) -> Finding {
    let Contact { place, state } = contact;
    let subject = if place.starts_with(name) { place.clone() } else { format!("{name} {place}") };
    let why = match state {
        Ok(state) => return finding(Grade::Good, &subject, state),
        Err(why) => why,
    };
    let is_there = |path: &str| path.strip_prefix(&*place).is_some_and(|rest| rest.starts_with(':'));
    let since =
        failures.iter().find(|(path, message)| is_there(path) && message.starts_with("offline since"));
    let since = since.and_then(|(_, message)| message.split_once(": ")).map(|(since, _)| since);
    Finding {
        advice: Some("a running watcher asks again by itself; nothing else waits for it".into()),
        ..finding(Grade::Bad, &subject, since.map_or_else(|| why.clone(), |since| format!("{since}: {why}")))
    }
}

/// Whether people are told, and were.
fn alerts(context: &Context) -> Option<Finding> {
    let rule_count = context.config.alert.len() as u64;
    let waiting_count = outbox::waiting_count(&context.project.state) as u64;
    let undelivered = outbox::undelivered(&context.project.state);
    let rules = text::plural(rule_count, "rule");
    let waiting = match waiting_count {
        0 => String::new(),
        count => {
            format!("; {} waits to be told, by the next `agentlog watch`", text::plural(count, "change"))
        }
    };
    match undelivered.last() {
        Some(last) => Some(Finding {
            advice: Some(
                "`agentlog alert test` tries them; `.agents/state/outbox/failed` may be removed".into(),
            ),
            ..finding(
                Grade::Note,
                "alerts",
                format!(
                    "{rules}; {} could not be delivered, the last at {}: {}{waiting}",
                    text::plural(undelivered.len() as u64, "alert"),
                    context.style.date_time(last.at),
                    last.error
                ),
            )
        }),
        None if rule_count + waiting_count > 0 => {
            Some(finding(Grade::Good, "alerts", format!("{rules}{waiting}")))
        }
        None => None,
    }
}

/// Another program of the same name that a shell would start first.
fn foreign_program() -> Option<Finding> {
    let own = std::env::current_exe().ok()?.canonicalize().ok()?;
    let first = std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join("agentlog"))
        .find(|path| is_executable(path))?;
    (first.canonicalize().ok()? != own).then(|| Finding {
        advice: Some(format!("this program is {}", own.display())),
        ..finding(Grade::Note, "PATH", format!("a shell starts another agentlog: {}", first.display()))
    })
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}
