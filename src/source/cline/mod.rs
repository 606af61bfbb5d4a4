//! Cline, and Roo Code and Kilo Code, which came from it: the messages of each task, `tasks/<id>/ui_messages.json`, in the
//! storage of the editor or below `~/.cline/data`.
//!
//! | task | id | end |
//! |---|---|---|
//! | a task | the name of its folder | every `completion_result`; feedback after it begins the next attempt |
//!
//! Messages are rewritten while they stream; the last one counts once it is not partial. Results of tools stand only in the
//! request that follows, so a call ends with it, and fails by what the request says first. What a request used is told once
//! something followed it that is no part of its answer. Messages have no ids; they are known by their time and kind.
//!
//! What it refuses: `api_conversation_history.json`, which says the same without times.

mod discovery;
mod message;
mod task;
#[cfg(test)]
mod tests;

use crate::source::cline::discovery::Files;
use crate::source::cline::task::Task;
use crate::source::documents::Documents;

/// The name in `source` fields.
const SOURCE: &str = "cline";

/// Reads the tasks of Cline and what came from it.
pub type Cline = Documents<Files, Task>;
