//! `agentlog hooks`: puts our hooks into the agents' settings, takes them out, and says how they stand.
//!
//! A settings file belongs to someone else: it is changed only where our hooks stand, never when it cannot be read, and with a
//! copy beside it. Links are followed, so that a file kept elsewhere stays there.

pub mod settings;
pub mod tool;

use crate::app::Context;
use crate::app::environment::variable;
use crate::app::exit::{Exit, Failure};
use crate::app::hooks::settings::{Standing, Wanted};
use crate::base::{fs, text};
use crate::cli::command::TextOutput;
use crate::cli::hooks::{HookChange, HookScope, HookedAgent, Hooks, HooksAction};
use crate::view::difference::difference;
use serde::Serialize;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// The names of copies, the first that is free is taken: a copy that someone else made stays.
const COPIES: [&str; 5] = ["bak", "bak2", "bak3", "bak4", "bak5"];

/// Does what was asked.
///
/// # Errors
/// When there is no agent, or a settings file cannot be read, understood or written.
pub fn run(context: &Context, arguments: &Hooks) -> anyhow::Result<Exit> {
    let places = Places::new(context)?;
    match &arguments.action {
        HooksAction::Install(change) => apply(context, &places, change, true),
        HooksAction::Uninstall(change) => apply(context, &places, change, false),
        HooksAction::Status => status(context, &places, arguments.output),
    }
}

/// Where settings lie, and what our hooks call.
struct Places {
    home: PathBuf,
    project: PathBuf,
    program: String,
}

impl Places {
    fn new(context: &Context) -> anyhow::Result<Self> {
        let home = variable("HOME").ok_or_else(|| Failure::new(Exit::Configuration, "HOME is not set"))?;
        let project = context.project.root.clone().unwrap_or_else(|| context.directory.clone());
        Ok(Self { home, project, program: program()? })
    }

    fn user_folder(&self, agent: HookedAgent) -> PathBuf {
        agent.home(&self.home, &variable)
    }

    fn settings(&self, agent: HookedAgent, scope: HookScope) -> Option<PathBuf> {
        agent.settings(scope, &self.user_folder(agent), &self.project)
    }
}

/// `agentlog`, if that is found on the path and is this program; else where this program lies.
fn program() -> anyhow::Result<String> {
    let own = std::env::current_exe()?;
    let own = std::fs::canonicalize(&own).unwrap_or(own);
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).map(|folder| folder.join("agentlog")).find(|path| {
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    });
    if found.and_then(|path| std::fs::canonicalize(path).ok()).as_ref() == Some(&own) {
        return Ok("agentlog".to_owned());
    }
    let path = own.into_os_string().into_string();
    path.map_err(|path| {
        let path = text::path(Path::new(&path));
        Failure::new(Exit::Io, format!("{path}: the path of this program is no text")).into()
    })
}

fn apply(context: &Context, places: &Places, change: &HookChange, is_install: bool) -> anyhow::Result<Exit> {
    let scope = change.scope.scope();
    let agents = if change.agents.is_empty() { present(places, scope)? } else { change.agents.clone() };
    let mut failed = None;
    for agent in agents {
        let Some(path) = places.settings(agent, scope) else {
            context.note(&format!("{} has no such settings file", agent.name()));
            continue;
        };
        let wanted = agent.wanted(&places.program);
        let done =
            File::read(&path).and_then(|file| file.apply(context, &wanted, is_install, change.dry_run));
        match done {
            Ok(true) if is_install && !change.dry_run => {
                agent.afterwards().into_iter().for_each(|advice| context.hint(advice));
            }
            Ok(_) => {}
            Err(failure) => {
                // The others are done all the same.
                context.warn(&failure.message);
                failed.get_or_insert(failure.exit);
            }
        }
    }
    Ok(failed.unwrap_or(Exit::Done))
}

/// The agents whose settings the user has, where none was named.
fn present(places: &Places, scope: HookScope) -> Result<Vec<HookedAgent>, Failure> {
    let is_there =
        |agent: &HookedAgent| places.user_folder(*agent).is_dir() && places.settings(*agent, scope).is_some();
    let found: Vec<HookedAgent> = HookedAgent::ALL.into_iter().filter(is_there).collect();
    if found.is_empty() {
        let names = HookedAgent::ALL.map(HookedAgent::name).join(", ");
        return Err(Failure::new(Exit::NothingMatched, format!("none of {names} is set up here"))
            .hint("name the agent: `agentlog hooks install claude-code`"));
    }
    Ok(found)
}

/// A settings file as it was read.
struct File {
    path: PathBuf,
    /// `None`: there is none.
    text: Option<String>,
}

impl File {
    fn read(path: &Path) -> Result<Self, Failure> {
        // A link is followed to the end, and what it names is replaced: the link stays one.
        let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        match fs::read_regular_text(&path) {
            Ok(text) => Ok(Self { path, text: Some(text) }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self { path, text: None }),
            Err(error) => Err(Failure::new(Exit::Io, error.to_string())),
        }
    }

    /// Tells whether something was, or would be, changed.
    fn apply(
        &self,
        context: &Context,
        wanted: &Wanted,
        is_install: bool,
        dry_run: bool,
    ) -> Result<bool, Failure> {
        let before = self.text.as_deref().unwrap_or_default();
        let shown = text::path(&self.path);
        let changed =
            if is_install { settings::install(before, wanted) } else { self.without(before, wanted) };
        let after = changed.map_err(|error| {
            let colon = if matches!(error, settings::SettingsError::NotJson { .. }) { ":" } else { ": " };
            Failure::new(Exit::Configuration, format!("{shown}{colon}{error}; it stays as it is"))
        })?;
        let mut out = context.out();
        let mut say =
            |line: String| writeln!(out, "{line}").map_err(|error| Failure::new(Exit::Io, error.to_string()));
        if after == before {
            let state = if is_install { "has our hooks already" } else { "has none of our hooks" };
            say(format!("{shown} {state}"))?;
            return Ok(false);
        }
        if dry_run {
            say(format!("--- {shown}\n+++ {shown}\n{}", difference(before, &after).trim_end()))?;
            return Ok(true);
        }
        let copy =
            self.write(&after, is_install).map_err(|error| Failure::new(Exit::Io, error.to_string()))?;
        let did = if is_install { "hooks installed into" } else { "hooks removed from" };
        let beside = copy.map_or_else(String::new, |copy| format!(" (before: {})", text::path(&copy)));
        say(format!("{did} {shown}{beside}"))?;
        Ok(true)
    }

    /// The text as it was before our hooks came, if nothing else has changed since; else without them.
    fn without(&self, before: &str, wanted: &Wanted) -> Result<String, settings::SettingsError> {
        let removed = settings::uninstall(before, wanted.agent)?;
        if removed == before {
            return Ok(removed);
        }
        let copies = self.copies().filter_map(|(_, copy)| copy);
        let is_origin =
            |copy: &String| settings::install(copy, wanted).is_ok_and(|installed| installed == before);
        Ok(copies.into_iter().find(is_origin).unwrap_or(removed))
    }

    /// The possible copies beside it, with what is in them.
    fn copies(&self) -> impl Iterator<Item = (PathBuf, Option<String>)> {
        COPIES.iter().map(|ending| {
            let mut name = self.path.clone().into_os_string();
            name.push(".");
            name.push(ending);
            let path = PathBuf::from(name);
            let text = fs::read_regular_text(&path).ok();
            (path, text)
        })
    }

    /// Writes the new text; tells where the old one is kept.
    fn write(&self, after: &str, is_install: bool) -> std::io::Result<Option<PathBuf>> {
        let now = match fs::read_regular_text(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            other => Some(other?),
        };
        if now != self.text {
            let path = text::path(&self.path);
            return Err(std::io::Error::other(format!("{path} was changed just now; try again")));
        }
        let origin = self.copies().find(|(_, copy)| copy.as_deref() == Some(after));
        match (&self.text, origin) {
            (None, _) => {
                if let Some(folder) = self.path.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                fs::replace_document(&self.path, after.as_bytes())?;
                Ok(None)
            }
            // Back to what the copy holds: it is not needed any more.
            (Some(_), Some((copy, _))) if !is_install => {
                fs::replace_document(&self.path, after.as_bytes())?;
                std::fs::remove_file(copy)?;
                Ok(None)
            }
            // We made the file, and nothing else came into it.
            (Some(_), None) if !is_install && settings::is_empty(after) => {
                std::fs::remove_file(&self.path)?;
                Ok(None)
            }
            (Some(before), _) => {
                let is_free = |(path, copy): &(PathBuf, Option<String>)| {
                    copy.as_ref() == Some(before) || std::fs::symlink_metadata(path).is_err()
                };
                let copy = self.copies().find(is_free).map(|(path, _)| path);
                let copy = copy.ok_or_else(|| {
                    let path = text::path(&self.path);
                    std::io::Error::other(format!(
                        "{path}.bak and four more copies are there; move them away"
                    ))
                })?;
                // Settings may hold secrets: the copy is the owner's alone.
                fs::replace(&copy, before.as_bytes())?;
                fs::replace_document(&self.path, after.as_bytes())?;
                Ok(Some(copy))
            }
        }
    }
}

/// How our hooks stand in one file, as `hooks status -o json` prints it.
#[derive(Debug, Serialize)]
struct Row {
    agent: &'static str,
    scope: HookScope,
    path: String,
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Installed,
    Outdated,
    Disabled,
    Absent,
    Unreadable,
}

fn status(context: &Context, places: &Places, output: TextOutput) -> anyhow::Result<Exit> {
    let mut rows = Vec::new();
    for agent in HookedAgent::ALL {
        for scope in [HookScope::User, HookScope::Project, HookScope::Local] {
            if let Some(path) = places.settings(agent, scope) {
                rows.push(row(agent, scope, &path, &agent.wanted(&places.program)));
            }
        }
    }
    if output == TextOutput::Json {
        context.print_document(serde_json::json!({ "files": rows }))?;
        return Ok(Exit::Done);
    }
    let mut out = context.out();
    for Row { agent, path, state, message, .. } in &rows {
        let word = match state {
            State::Installed => "installed",
            State::Outdated => "outdated",
            State::Disabled => "disabled",
            State::Absent => "-",
            State::Unreadable => "unreadable",
        };
        let message = message.as_ref().map_or_else(String::new, |message| format!(": {message}"));
        writeln!(out, "{agent:<12} {word:<10} {path}{message}")?;
    }
    out.flush()?;
    let is_outdated = rows.iter().any(|row| row.state == State::Outdated);
    if is_outdated {
        context.hint("`agentlog hooks install` renews them");
    } else if rows.iter().all(|row| row.state == State::Absent) {
        context.hint("without hooks `agentlog watch` sees everything too; with them it is told at once");
    }
    Ok(Exit::Done)
}

fn row(agent: HookedAgent, scope: HookScope, path: &Path, wanted: &Wanted) -> Row {
    let row = |state, message| Row { agent: agent.name(), scope, path: text::path(path), state, message };
    let text = match File::read(path) {
        Ok(file) => file.text.unwrap_or_default(),
        Err(failure) => return row(State::Unreadable, Some(failure.message)),
    };
    match settings::standing(&text, wanted) {
        Err(error) => row(State::Unreadable, Some(error.to_string())),
        Ok(standing) if !standing.is_any() => row(State::Absent, None),
        Ok(Standing { disabled: true, .. }) => {
            row(State::Disabled, Some("disableAllHooks is set".to_owned()))
        }
        Ok(standing) if standing.current.len() == wanted.events.len() => row(State::Installed, None),
        Ok(standing) => {
            let gone = standing
                .programs
                .iter()
                .find(|program| program.contains('/') && !Path::new(program).exists());
            let message = match gone {
                Some(program) => format!("{} is not there any more", text::path(Path::new(program))),
                None => {
                    format!(
                        "{} of {} events are as they should be",
                        standing.current.len(),
                        wanted.events.len()
                    )
                }
            };
            row(State::Outdated, Some(message))
        }
    }
}
