//! Peers that may or may not be installed.

use std::path::Path;
use std::process::{Command, Stdio};

/// A command that runs `sql` in DuckDB and prints CSV: the command line tool, else the Python module; `None` without
/// either.
pub(crate) fn duckdb(sql: &str) -> Option<Command> {
    if runs(Command::new("duckdb").arg("--version")) {
        let mut command = Command::new("duckdb");
        command.args(["-csv", "-c", sql]);
        return Some(command);
    }
    let python = std::env::var_os("AGENTLOG_BENCH_PYTHON").unwrap_or_else(|| "python3".into());
    if runs(Command::new(&python).args(["-c", "import duckdb"])) {
        let mut command = Command::new(python);
        command.args(["-c", "import sys, duckdb; duckdb.sql(sys.argv[1]).write_csv('/dev/stdout')", sql]);
        return Some(command);
    }
    None
}

/// `wc -l` over every stream of a log.
pub(crate) fn count_lines(logs: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "wc -l \"$1\"/*.jsonl", "sh"]).arg(logs);
    command
}

fn runs(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
