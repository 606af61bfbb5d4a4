//! Parse, run, exit code. Nothing else.

use agentlog::app;
use agentlog::cli::Cli;
use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(app::run(&Cli::parse()).code())
}
