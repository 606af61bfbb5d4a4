//! Peers that may or may not be installed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

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
        command.args([
            "-c",
            "import sys, duckdb; duckdb.sql('SET enable_progress_bar = false'); \
             duckdb.sql(sys.argv[1]).write_csv('/dev/stdout')",
            sql,
        ]);
        return Some(command);
    }
    None
}

/// Inserts texts of a length into a new SQLite database, so many per transaction, and gives how long that took without
/// the start of the program. WAL mode, `synchronous = NORMAL`.
pub(crate) fn sqlite_inserts(
    database: &Path,
    rows: u64,
    per_transaction: u64,
    length: usize,
) -> Result<Duration, String> {
    const SCRIPT: &str = "
import sqlite3, sys, time
path, rows, batch, length = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
db = sqlite3.connect(path, isolation_level=None)
db.execute('PRAGMA journal_mode = WAL')
db.execute('PRAGMA synchronous = NORMAL')
db.execute('CREATE TABLE IF NOT EXISTS events (line TEXT)')
line, insert = ('x' * length,), 'INSERT INTO events VALUES (?)'
start = time.perf_counter()
for _ in range(rows // batch):
    if batch == 1:
        db.execute(insert, line)
    else:
        db.execute('BEGIN')
        db.executemany(insert, [line] * batch)
        db.execute('COMMIT')
print(time.perf_counter() - start)
";
    let output = Command::new("python3")
        .args(["-c", SCRIPT])
        .arg(database)
        .args([rows.to_string(), per_transaction.to_string(), length.to_string()])
        .output()
        .map_err(|error| format!("python3: {error}"))?;
    let seconds = String::from_utf8_lossy(&output.stdout).trim().parse();
    seconds.map(Duration::from_secs_f64).map_err(|_| String::from_utf8_lossy(&output.stderr).into_owned())
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
