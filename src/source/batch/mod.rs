//! What batch jobs have in common wherever they run: their logs, their small files, the course that follows from both.
//!
//! Used by the jobs of this machine ([`crate::source::job`]) and by those of others ([`crate::source::remote`]). It reaches
//! no files but those it is given, and says nothing by itself but what stands in a log.

pub(crate) mod checklist;
pub(crate) mod course;
pub(crate) mod files;
pub(crate) mod log;
pub(crate) mod teller;
pub(crate) mod template;
