//! What batch jobs have in common wherever they run: their logs, their small files, the course that follows from both.
//!
//! Used by the jobs of this machine ([`crate::source::job`]) and by those of others ([`crate::source::remote`]); parts of it
//! by what reads lines ([`crate::source::tmux`], [`crate::source::slurm`]) or small files ([`crate::source::worktree`]). It
//! reaches no files but those it is given, and says of a job what follows from them ([`teller`]).

pub(crate) mod checklist;
pub(crate) mod course;
pub(crate) mod files;
pub(crate) mod growth;
pub(crate) mod log;
pub(crate) mod teller;
pub(crate) mod template;
