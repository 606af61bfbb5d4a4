//! SWE-agent: its trajectories (`<instance>.traj`), documents that are rewritten after every step.
//!
//! A trajectory is a task called after its instance and the place where it lies, for it has no id of its own. Its steps have
//! no times: the last one ended when the file was written, and each one before it ended when the next one began, as if the
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
