//! What the README shows is what the program does.

use crate::support::sandbox::{Sandbox, run};
use agentlog::cli::EXIT_CODES;
use std::path::Path;

#[test]
fn every_console_block_of_the_readme_is_what_the_program_prints() {
    let sandbox = Sandbox::new();
    let kept = sandbox.home().join("demo");
    let demo = run(&mut sandbox.command(&["demo", "--keep", kept.to_str().unwrap()]));
    assert_eq!(demo.status, Some(0), "{}", demo.stderr);
    // The folder beside the document, by its name, is where its commands run.
    let readme = sandbox.home().join("README.md");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"), &readme).unwrap();
    std::fs::rename(kept.join("shop"), sandbox.home().join("README.in")).unwrap();
    let case = trycmd::TestCases::new();
    case.register_bin("agentlog", Path::new(env!("CARGO_BIN_EXE_agentlog")))
        .env("__AGENTLOG_NOW", "2026-11-20T16:40:00Z")
        .env("HOME", sandbox.home().to_str().unwrap())
        .env("XDG_STATE_HOME", sandbox.home().join("state").to_str().unwrap())
        .env("CLAUDE_CONFIG_DIR", sandbox.claude().to_str().unwrap())
        .env("TZ", "UTC")
        .env("COLUMNS", "100")
        .env("NO_COLOR", "1")
        .case(&readme);
    case.run();
}

#[test]
fn the_exit_codes_of_the_readme_are_those_of_the_help() {
    let readme = include_str!("../../README.md");
    for word in EXIT_CODES.split_whitespace().filter(|word| word.parse::<u8>().is_ok()) {
        assert!(readme.contains(&format!("| {word} |")), "README.md has no exit code {word}");
    }
}

#[test]
fn the_demo_ends_with_status_events_an_explanation_and_the_review_and_is_the_same_every_time() {
    let sandbox = Sandbox::new();
    let outputs: Vec<_> = (0..2).map(|_| sandbox.run(&["demo"])).collect();
    assert_eq!(outputs[0].status, Some(0), "{}", outputs[0].stderr);
    let without_scratch = |text: &str| {
        text.lines().filter(|line| !line.contains("agentlog-demo-")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(without_scratch(&outputs[0].stdout), without_scratch(&outputs[1].stdout));
    for wanted in ["⚠ Struggling", "What would change it", "95 % interval", "tool.started"] {
        assert!(outputs[0].stdout.contains(wanted), "no `{wanted}` in\n{}", outputs[0].stdout);
    }
}
