//! SWE-agent: its trajectories (`<instance>.traj`), documents that are rewritten after every step.
//!
//! mini-SWE-agent writes its own (`<instance>.traj.json`, the messages of one run), see [`mini`].
//!
//! A trajectory is a task called after its instance and a mark of its run, for it has no id of its own. The mark is a hash of
//! the first step, if that says how long it took (of mini-SWE-agent: of the time and the answer of its first request): a copy
//! has the same, another run of the same instance has not, for no two take the same time to the digits of a machine. Where the
//! time has few digits the name of the instance counts too; where there is none the place where the file lies decides, and a
//! copy is another run. Before its first step nothing is told of a run that goes on. Steps have no times: the last one
//! ended when the file was written, and each one before it ended when the next one began, as if the
//! model had taken no time; what a step took is the trajectory's own measurement. While a run is followed, its steps so
//! appear when they were written.
//!
//! Exit codes are not recorded, so a step fails only by what SWE-agent's own tools and its shell say first; other failures
//! of commands go unnoticed. An `exit_status` of `submitted` is a completion, `submitted (exit_…)`, which is what SWE-agent
//! makes of a run that ran into an error or a limit, is none. Tokens are SWE-agent's own count of texts, so `estimated`;
//! they and the cost are told at the end.
//!
//! What it refuses: taking `history` for anything, which repeats the steps.

mod discovery;
mod mini;
#[cfg(test)]
mod tests;
mod trajectory;

use crate::source::documents::Documents;
use crate::source::swe_agent::discovery::Files;
use crate::source::swe_agent::trajectory::Trajectory;

/// The name in `source` fields.
const SOURCE: &str = "swe-agent";

/// Reads the trajectories of SWE-agent.
pub type SweAgent = Documents<Files, Trajectory>;
