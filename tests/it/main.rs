//! The one integration binary: the real program as a process, and the repository itself as a subject.
//!
//! One binary because every test binary links everything again. Each file beside this one is a module below; a test in
//! `layers` fails when one is forgotten.

#![expect(
    clippy::unwrap_used,
    reason = "a panic is how a test says no; clippy allows it in #[test] bodies only"
)]
#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

mod alerts;
mod bad_input;
mod configuration;
mod crowd;
mod docs;
mod completion;
mod emit_stdin;
mod explain;
mod fork;
mod fuzz_corpus;
mod hooks;
mod independent_reader;
mod foreign_lines;
mod hostile;
mod import_stdin;
mod keeping;
mod layers;
mod past;
mod positions;
mod readme;
mod real_claude;
mod rotation;
mod run;
mod schemas;
mod status;
mod summaries;
mod support;
mod wait;
mod watch;
