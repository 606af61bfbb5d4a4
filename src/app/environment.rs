//! What sources may know of this machine, and the key of keyed hashes.

use crate::app::config::Config;
use crate::app::project::Project;
use crate::base::clock::Timestamp;
use crate::base::zone::Zone;
use crate::base::{fs, random};
use crate::source::aider::Aider;
use crate::source::amp::Amp;
use crate::source::both::Both;
use crate::source::claude_code::{ClaudeCode, ClaudeStream};
use crate::source::cline::Cline;
use crate::source::codex::{Codex, ExecStreams, Rollouts};
use crate::source::copilot_cli::CopilotCli;
use crate::source::copilot_vs::CopilotVs;
use crate::source::cursor_agent::CursorAgent;
use crate::source::gemini_cli::{GeminiCli, GeminiCliDocuments, GeminiStream};
use crate::source::generic_jsonl::{GenericJsonl, Section};
use crate::source::gptme::Gptme;
use crate::source::job::Jobs;
use crate::source::madrox;
use crate::source::opencode::omo::Omo;
use crate::source::opencode::{OpenCode, OpenCodeRun};
use crate::source::openhands::OpenHands;
use crate::source::pi::Pi;
use crate::source::piped::PipedFormat;
use crate::source::qwen_code::{QwenCode, QwenCodeDocuments, QwenStream};
use crate::source::remote::Remote;
use crate::source::slurm::Slurm;
use crate::source::swe_agent::SweAgent;
use crate::source::tmux::Tmux;
use crate::source::worktree::Worktree;
use crate::source::{Env, Scope, Source};
use anyhow::Context as _;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const KEY_FILE: &str = "hash_key";

/// All sources. A new kind of thing to watch is one more line here.
#[must_use]
pub fn sources(config: &Config) -> Vec<Box<dyn Source>> {
    let mut sources: Vec<Box<dyn Source>> = vec![
        Box::new(Both::<ClaudeCode, ClaudeStream>::default()),
        Box::new(Codex::default()),
        Box::new(OpenCode::default()),
        Box::new(Omo::default()),
        Box::new(Both::<GeminiCli, Both<GeminiCliDocuments, GeminiStream>>::default()),
        Box::new(Both::<QwenCode, Both<QwenCodeDocuments, QwenStream>>::default()),
        Box::new(CopilotCli::default()),
        Box::new(CursorAgent::default()),
        Box::new(Amp::default()),
        Box::new(Pi::default()),
        Box::new(OpenHands::default()),
        Box::new(SweAgent::default()),
        Box::new(Aider::default()),
        Box::new(Cline::default()),
        Box::new(Gptme::default()),
        Box::new(CopilotVs::default()),
        Box::new(Worktree::new()),
        Box::new(Jobs::new(&config.job)),
        Box::new(Tmux::new(&config.tmux)),
        Box::new(Remote::new(&config.remote)),
        Box::new(Slurm::new(&config.slurm, [])),
    ];
    sources.extend(madrox::sources());
    // The sections were checked when the configuration was read.
    let sections = config.jsonl.iter().filter_map(|section| Section::check(section).ok());
    sources.extend(sections.map(|section| Box::new(GenericJsonl::new(section)) as Box<dyn Source>));
    sources
}

/// All formats that `import -` reads as they come: first what agents write to their standard output, then transcripts. A
/// new one is one more line here.
#[must_use]
pub fn piped_formats() -> Vec<Box<dyn PipedFormat>> {
    vec![
        ClaudeStream::piped(),
        ExecStreams::piped(),
        OpenCodeRun::piped(),
        ClaudeCode::piped(),
        Rollouts::piped(),
        GeminiStream::piped(),
        GeminiCli::piped(),
        QwenStream::piped(),
        QwenCode::piped(),
        CopilotCli::piped(),
        CursorAgent::piped(),
        Pi::piped(),
        Gptme::piped(),
    ]
}

/// The environment of the sources for this scope.
///
/// # Errors
/// When the hash key can be neither read nor made.
pub fn env(project: &Project, scope: Scope, modified_since: Option<Timestamp>) -> anyhow::Result<Env> {
    Ok(Env {
        home: variable("HOME").unwrap_or_default(),
        variables: variables(),
        taken: BTreeSet::new(),
        base: project.root.clone().map_or_else(|| std::env::current_dir().unwrap_or_default(), PathBuf::from),
        host: host(),
        scope,
        is_live: false,
        modified_since,
        hash_key: hash_key(project)?,
        zone: Zone::Local,
    })
}

/// The name of this machine.
#[must_use]
pub fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// All variables that are set, not empty and of a name that is text.
fn variables() -> BTreeMap<String, PathBuf> {
    std::env::vars_os()
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, value)| Some((name.into_string().ok()?, PathBuf::from(value))))
        .collect()
}

/// A path-valued variable that is set and not empty.
#[must_use]
pub fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The key of this installation: hashes of the same input are equal in all its projects, and cannot be guessed from
/// outside. Where the user's state directory is not writable the key belongs to the project.
fn hash_key(project: &Project) -> anyhow::Result<[u8; 32]> {
    let user = variable("XDG_STATE_HOME")
        .or_else(|| variable("HOME").map(|home| home.join(".local/state")))
        .map(|state| state.join("agentlog"));
    let folders = user.into_iter().chain([project.state.clone()]);
    let mut first_error = None;
    for folder in folders {
        match key_in(&folder) {
            Ok(key) => return Ok(key),
            Err(error) => {
                first_error.get_or_insert((folder, error));
            }
        }
    }
    let (folder, error) = first_error.context("there is no directory for the hash key")?;
    Err(error).with_context(|| format!("{}", folder.join(KEY_FILE).display()))
}

fn key_in(folder: &Path) -> std::io::Result<[u8; 32]> {
    let path = folder.join(KEY_FILE);
    match fs::read_regular(&path) {
        Ok(bytes) => {
            bytes.try_into().map_err(|_| std::io::Error::other("not a key of 32 bytes; remove the file"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut key = [0; 32];
            random::fill(&mut key)?;
            fs::create_private_dir(folder)?;
            fs::replace(&path, &key)?;
            // Another process may have made one at the same moment: what is on disk now is the key.
            fs::read_regular(&path)?
                .try_into()
                .map_err(|_| std::io::Error::other("not a key of 32 bytes; remove the file"))
        }
        Err(error) => Err(error),
    }
}
