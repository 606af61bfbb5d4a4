//! `agentlog demo`: hand-written sample sessions, played through the real sources, journal, projection and report.
//!
//! The clock stands still at the end of the samples, so the output is the same every time and everywhere. Nothing outside
//! the scratch directory is read or written.

mod samples;

use crate::app::exit::Exit;
use crate::app::ingest::Ingest;
use crate::app::project::Project;
use crate::app::writer::Syncing;
use crate::app::{Context, explain, report, status, tail};
use crate::base::clock::{FixedClock, Timestamp};
use crate::base::zone::Zone;
use crate::base::{fs, random, text};
use crate::cli::command::{Demo, Explain, Report, ReportOutput, Status, Tail, TextOutput};
use crate::source::claude_code::ClaudeCode;
use crate::source::worktree::Worktree;
use crate::source::{Env, Scope, Source};
use crate::view::palette::Paint;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The instant at which the samples are looked at: their last one and a few seconds.
const NOW: Timestamp = Timestamp::from_millis(1_795_192_800_000);
/// The sample session that struggles.
const STRUGGLING: &str = "22c47da3";

/// Plays the samples and shows what agentlog says about them.
///
/// # Errors
/// When the scratch directory cannot be written.
pub fn run(context: &Context, arguments: &Demo) -> anyhow::Result<Exit> {
    let directory = match &arguments.keep {
        Some(directory) => {
            std::fs::create_dir_all(directory)?;
            std::fs::canonicalize(directory)?
        }
        None => std::env::temp_dir().join(format!("agentlog-demo-{}", random::writer_id()?)),
    };
    let shown = play(context, &directory);
    if arguments.keep.is_none() {
        // The scratch directory is ours alone; what cannot be removed is left to the system's cleaning.
        let _left = std::fs::remove_dir_all(&directory);
    }
    shown?;
    let mut out = context.out();
    match &arguments.keep {
        Some(_) => writeln!(out, "\nThe log lies in {}", text::path(&directory.join("shop/.agents/logs")))?,
        None => {
            writeln!(out, "\nThat was sample work. On your own: `agentlog doctor`, then `agentlog watch`.")?;
        }
    }
    out.flush()?;
    Ok(Exit::Done)
}

fn play(context: &Context, directory: &Path) -> anyhow::Result<()> {
    let root = directory.join("shop");
    unpack(directory)?;
    let demo = Context {
        clock: Box::new(FixedClock(NOW)),
        directory: root.clone(),
        project: Project::in_directory(&root),
        config: crate::app::config::Config::default(),
        zone: Zone::Utc,
        style: crate::view::palette::Style { zone: Zone::Utc, ..context.style },
        quiet: true,
    };
    let claude: (PathBuf, Box<dyn Source>) =
        (directory.join("claude/projects"), Box::new(ClaudeCode::default()));
    let worktrees: (PathBuf, Box<dyn Source>) = (root, Box::new(Worktree::new()));
    for (path, source) in [claude, worktrees] {
        let env = Env { scope: Scope::Paths(vec![path]), hash_key: [7; 32], ..Env::default() };
        Ingest::new(demo.clock.as_ref(), &demo.project, env, vec![source], Syncing::AtTheEnd)?.catch_up()?;
    }
    section(&demo, "agentlog status")?;
    status::run(&demo, &Status::default())?;
    section(&demo, "agentlog tail -n 8")?;
    tail::run(&demo, &last_events(8))?;
    section(&demo, &format!("agentlog explain {STRUGGLING}"))?;
    let subject = vec![STRUGGLING.to_owned()];
    explain::run(&demo, &Explain { subject, at: None, source: false, output: TextOutput::Text })?;
    section(&demo, "agentlog report -o md")?;
    report::run(&demo, &Report { week: None, output: Some(ReportOutput::Md), into: None })?;
    Ok(())
}

fn section(context: &Context, command: &str) -> anyhow::Result<()> {
    let mut out = context.out();
    writeln!(out, "\n{}\n", context.style.paint(Paint::Bold, &format!("$ {command}")))?;
    out.flush()?;
    Ok(())
}

fn last_events(count: usize) -> Tail {
    Tail {
        conditions: Vec::new(),
        follow: false,
        count: Some(count),
        since: None,
        until: None,
        task: Vec::new(),
        agent: Vec::new(),
        tool: Vec::new(),
        types: vec!["tool.*".into(), "task.*".into(), "turn.*".into(), "progress.*".into()],
        raw: false,
    }
}

/// Writes the samples where the sources look for them: transcripts below `claude/`, status files in worktrees of `shop/`.
fn unpack(directory: &Path) -> anyhow::Result<()> {
    for (path, text) in samples::FILES {
        let path = match path.strip_prefix("worktrees/") {
            Some(worktree) => directory.join("shop/.worktrees").join(worktree),
            None => directory.join(path),
        };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        fs::replace(&path, text.as_bytes())?;
    }
    Ok(())
}
