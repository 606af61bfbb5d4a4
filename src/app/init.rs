//! `agentlog init`: `.agents/`, a commented configuration, a line in `.gitignore`.

use crate::app::Context;
use crate::app::config;
use crate::app::exit::{Exit, Failure};
use crate::base::fs;
use std::io::Write as _;
use std::path::Path;

const IGNORED: &str = ".agents/";

/// Makes what is missing and leaves alone what is there.
///
/// # Errors
/// When a directory or file cannot be made.
pub fn run(context: &Context) -> anyhow::Result<Exit> {
    let root = match (&context.directory, &context.project.root) {
        (start, Some(_)) => start.clone(),
        (_, None) => return Err(Failure::new(Exit::Usage, "init makes a project; leave out --global").into()),
    };
    let agents = root.join(".agents");
    let cannot = |path: &Path, error: std::io::Error| {
        Failure::new(Exit::Io, format!("{}: {error}", path.display()))
            .hint("is the directory writable for you?")
    };
    let mut out = context.out();
    for folder in [agents.clone(), agents.join("logs"), agents.join("state")] {
        fs::create_private_dir(&folder).map_err(|error| cannot(&folder, error))?;
    }
    let file = agents.join("agentlog.toml");
    if file.exists() {
        writeln!(out, "{} is there already and stays as it is", file.display())?;
    } else {
        fs::replace(&file, config::TEMPLATE.as_bytes()).map_err(|error| cannot(&file, error))?;
        writeln!(out, "made {}", file.display())?;
    }
    if root.join(".git").exists() && ignore(&root.join(".gitignore")).map_err(|error| cannot(&root, error))? {
        writeln!(out, "added {IGNORED} to {}", root.join(".gitignore").display())?;
    }
    context.hint("next: `agentlog watch` records what the agents of this project do; `agentlog doctor` shows what it finds");
    Ok(Exit::Done)
}

/// Adds our line to a `.gitignore` unless it is there; tells whether it was added.
fn ignore(path: &Path) -> std::io::Result<bool> {
    let mut text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        other => other?,
    };
    if text.lines().any(|line| [IGNORED, ".agents", "/.agents", "/.agents/"].contains(&line.trim())) {
        return Ok(false);
    }
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(IGNORED);
    text.push('\n');
    fs::replace(path, text.as_bytes())?;
    Ok(true)
}
