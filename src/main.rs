//! Parse, run, exit code. Nothing else.

use agentlog::app;
use agentlog::cli::Cli;
use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = Cli::try_parse().map_or_else(app::refuse, |cli| app::run(&cli));
    ExitCode::from(exit.code())
}
