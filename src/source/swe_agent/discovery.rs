//! Where trajectories lie: below the folder `trajectories` of the project, where mini-SWE-agent keeps its last run, or
//! wherever a person says.

use crate::source::Env;
use crate::source::documents::DOCUMENT_BYTES_MAX;
use crate::source::finder::{Format, Found, Head, Home, marks};
use crate::source::node::{Node, text_of};
use crate::source::swe_agent::SOURCE;
use crate::source::work::Work;
use std::io;
use std::path::Path;

/// `trajectories/<user>/<run>/<instance>/<instance>.traj`.
const DEPTH_MAX: usize = 4;
/// What the files of mini-SWE-agent end in.
const MINI_ENDING: &str = ".traj.json";
/// Names that stand in every trajectory, of which a renamed one is not missed.
const MARKS: [&str; 8] = [
    "\"trajectory\"",
    "\"action\"",
    "\"observation\"",
    "\"thought\"",
    "\"response\"",
    "\"execution_time\"",
    "\"exit_status\"",
    "\"model_stats\"",
];
/// The same of mini-SWE-agent.
const MINI_MARKS: [&str; 8] = [
    "\"trajectory_format\"",
    "\"mini-swe-agent-1",
    "\"mini_version\"",
    "\"model_stats\"",
    "\"instance_cost\"",
    "\"api_calls\"",
    "\"exit_status\"",
    "minisweagent.",
];
const MARKS_MIN: usize = 4;

/// The trajectories of SWE-agent.
#[derive(Debug, Default)]
pub struct Files;

impl Format for Files {
    const SOURCE: &'static str = SOURCE;
    type Context = Work;

    fn homes(env: &Env) -> Vec<Home> {
        let project = Some(&env.base).filter(|base| !base.as_os_str().is_empty());
        let project = project.map(|base| Home { folder: base.join("trajectories"), depth: DEPTH_MAX });
        let mini = env.variables.get("MSWEA_GLOBAL_CONFIG_DIR").cloned();
        let mini = mini.unwrap_or_else(|| env.folder("XDG_CONFIG_HOME", ".config").join("mini-swe-agent"));
        project.into_iter().chain([Home { folder: mini, depth: 0 }]).collect()
    }

    fn is_candidate(path: &Path) -> bool {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        path.extension().is_some_and(|extension| extension == "traj") || name.ends_with(MINI_ENDING)
    }

    fn is_at_home(path: &Path) -> bool {
        Self::is_candidate(path)
    }

    fn recognises(head: &[u8]) -> bool {
        marks(head, &MARKS) >= MARKS_MIN || marks(head, &MINI_MARKS) >= MARKS_MIN
    }

    fn look(path: &Path, head: &Head, env: &Env) -> io::Result<Option<Found<Work>>> {
        let is_ours = !env.base.as_os_str().is_empty() && path.starts_with(&env.base);
        let base = Some(env.base.to_string_lossy().into_owned()).filter(|_| is_ours);
        let cwd = if is_ours { base } else { local_folder(path, head)? };
        let mut found = Work::found(SOURCE, None, cwd.as_deref(), path, env);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("run");
        let stem = [MINI_ENDING, ".traj", ".json"].iter().find_map(|ending| name.strip_suffix(ending));
        let file = found.identity.file(0);
        let task = format!("{}-{}", stem.unwrap_or(name), file.get(..8).unwrap_or(&file));
        found.identity.session = Some(task.clone());
        found.context.task = task;
        Ok(Some(found))
    }
}

/// The folder in which mini-SWE-agent worked, where it did so on this machine and says which.
fn local_folder(path: &Path, head: &Head) -> io::Result<Option<String>> {
    if marks(&head.bytes, &["minisweagent.environments.local"]) == 0 {
        return Ok(None);
    }
    let head = if head.is_whole { head.clone() } else { Head::read(path, DOCUMENT_BYTES_MAX)? };
    let (text, _) = text_of(&head.bytes);
    let document = Node::parse(&text).unwrap_or_default();
    let folder = document.at(&["info", "config", "environment", "cwd"]).text();
    Ok(Some(folder).filter(|folder| Path::new(folder).is_absolute()))
}
