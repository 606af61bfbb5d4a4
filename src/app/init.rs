//! `agentlog init`: `.agents/`, a commented configuration, a line in `.gitignore`.

use crate::app::Context;
use crate::app::config;
use crate::app::exit::{Exit, Failure};
use crate::base::{fs, text};
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
        Failure::new(Exit::Io, format!("{}: {error}", text::path(path)))
            .hint("is the directory writable for you?")
    };
    let mut out = context.out();
    for folder in [agents.clone(), agents.join("logs"), agents.join("state")] {
        fs::create_private_dir(&folder).map_err(|error| cannot(&folder, error))?;
    }
    let file = agents.join("agentlog.toml");
    if file.exists() {
        writeln!(out, "{} is there already and stays as it is", text::path(&file))?;
    } else {
        fs::replace(&file, config::TEMPLATE.as_bytes()).map_err(|error| cannot(&file, error))?;
        writeln!(out, "made {}", text::path(&file))?;
    }
    if root.join(".git").exists() && ignore(&root.join(".gitignore")).map_err(|error| cannot(&root, error))? {
        writeln!(out, "added {IGNORED} to {}", text::path(&root.join(".gitignore")))?;
    }
    context.hint("next: `agentlog watch` records what the agents of this project do; `agentlog doctor` shows what it finds");
    Ok(Exit::Done)
}

/// Adds our line to a `.gitignore` unless it is there; tells whether it was added.
fn ignore(path: &Path) -> std::io::Result<bool> {
    let mut text = match fs::read_regular_text(path) {
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
    fs::replace_document(path, text.as_bytes())?;
    Ok(true)
}
