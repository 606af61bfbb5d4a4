//! Parse, run, exit code. Nothing else.

use agentlog::app::{self, hook};
use agentlog::cli::Cli;
use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    if hook::is_asked() {
        // An agent may wait for it: before anything else is set up, and 0 whatever happens.
        hook::receive();
        return ExitCode::SUCCESS;
    }
    let exit = Cli::try_parse().map_or_else(app::refuse, |cli| app::run(&cli));
    ExitCode::from(exit.code())
}
