//! Where trajectories lie: below the folder `trajectories` of the project, or wherever a person says.

use crate::source::Env;
use crate::source::finder::{Format, Found, Head, Home, marks};
use crate::source::swe_agent::SOURCE;
use crate::source::work::Work;
use std::io;
use std::path::Path;

/// `trajectories/<user>/<run>/<instance>/<instance>.traj`.
const DEPTH_MAX: usize = 4;
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
const MARKS_MIN: usize = 4;

/// The trajectories of SWE-agent.
#[derive(Debug, Default)]
pub struct Files;

impl Format for Files {
    const SOURCE: &'static str = SOURCE;
    type Context = Work;

    fn homes(env: &Env) -> Vec<Home> {
        let is_known = !env.base.as_os_str().is_empty();
        let home = || Home { folder: env.base.join("trajectories"), depth: DEPTH_MAX };
        is_known.then(home).into_iter().collect()
    }

    fn is_candidate(path: &Path) -> bool {
        path.extension().is_some_and(|extension| extension == "traj")
    }

    fn is_at_home(path: &Path) -> bool {
        Self::is_candidate(path)
    }

    fn recognises(head: &[u8]) -> bool {
        marks(head, &MARKS) >= MARKS_MIN
    }

    fn look(path: &Path, _: &Head, env: &Env) -> io::Result<Option<Found<Work>>> {
        let is_ours = !env.base.as_os_str().is_empty() && path.starts_with(&env.base);
        let base = env.base.to_string_lossy();
        let mut found = Work::found(SOURCE, None, Some(&*base).filter(|_| is_ours), path, env);
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("run");
        let file = found.identity.file(0);
        let task = format!("{stem}-{}", file.get(..8).unwrap_or(&file));
        found.identity.session = Some(task.clone());
        found.context.task = task;
        Ok(Some(found))
    }
}
