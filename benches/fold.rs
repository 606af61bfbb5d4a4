//! Success of tool calls by agent and week over a directory of streams: read, decode, group. Peers: DuckDB on the same
//! files with explicit columns, and `wc -l`, which looks once at every byte.

use crate::support::generator::{self, Journal};
use crate::support::measure::{self, compare, contender, timed};
use crate::support::{peer, program};
use agentlog::base::limits::LINE_BYTES_MAX;
use agentlog::base::lines::{LineReader, Piece};
use agentlog::event::body::Body;
use agentlog::event::codec::{Decoded, Decoder};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const MICROS_PER_DAY: i64 = 86_400_000_000;

/// (succeeded, counted failures) by agent and by weeks since the epoch.
type Rates = HashMap<String, BTreeMap<i64, (u64, u64)>>;

/// A part of a file that begins and ends at a line.
struct Part {
    path: PathBuf,
    start: u64,
    end: u64,
}

/// Prints GB/s and the ratio to DuckDB.
pub(crate) fn run() {
    let megabytes = program::megabytes();
    let journal = generator::journal(&program::kept(&format!("journal-{megabytes}")), megabytes * 1_000_000);
    let parts = parts(&journal);
    let query = query(&journal.logs);
    check_against_duckdb(&parts, &query);
    let contenders = vec![
        timed("fold, 2 threads", || fold_all(&parts, 2)),
        timed("fold, 1 thread", || fold_all(&parts, 1)),
        contender("peer: DuckDB, read_json, explicit columns", || {
            program::wall_time(&mut peer::duckdb(&query).ok_or("DuckDB is not installed")?)
        }),
        contender("floor: wc -l", || program::wall_time(&mut peer::count_lines(&journal.logs))),
    ];
    compare(5, contenders, measure::gigabytes_per_second(journal.bytes));
}

fn parts(journal: &Journal) -> Vec<Part> {
    let mut parts = Vec::new();
    for entry in std::fs::read_dir(&journal.logs).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            let bytes = path.metadata().unwrap().len();
            let middle = line_start(&path, bytes / 2);
            parts.push(Part { path: path.clone(), start: 0, end: middle });
            parts.push(Part { path, start: middle, end: bytes });
        }
    }
    // The longest first, so that the threads end together.
    parts.sort_by_key(|part| std::cmp::Reverse(part.end - part.start));
    parts
}

/// The start of the first line that begins behind `offset`.
fn line_start(path: &Path, offset: u64) -> u64 {
    let mut file = File::open(path).unwrap();
    file.seek(SeekFrom::Start(offset)).unwrap();
    let mut bytes = Vec::new();
    file.take(LINE_BYTES_MAX as u64).read_to_end(&mut bytes).unwrap();
    memchr::memchr(b'\n', &bytes).map_or(offset, |newline| offset + newline as u64 + 1)
}

fn fold_all(parts: &[Part], threads: usize) -> Rates {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        let mut rates = Rates::new();
        while let Some(part) = parts.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
            fold(part, &mut rates);
        }
        rates
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut rates = work();
        for other in others {
            merge(&mut rates, other.join().unwrap());
        }
        rates
    })
}

fn fold(part: &Part, rates: &mut Rates) {
    let mut file = File::open(&part.path).unwrap();
    file.seek(SeekFrom::Start(part.start)).unwrap();
    let mut lines = LineReader::new(file.take(part.end - part.start), part.start, LINE_BYTES_MAX);
    let mut decoder = Decoder::new("bench");
    while let Some(piece) = lines.next().unwrap() {
        let Piece::Line { offset, bytes } = piece else { continue };
        let Decoded::Known(line) = decoder.decode(bytes, offset) else { continue };
        let (succeeded, failed) = match &line.event.body {
            Body::ToolSucceeded { .. } => (1, 0),
            Body::ToolFailed { error, .. } if !error.is_neutral() => (0, 1),
            _ => continue,
        };
        let agent = line.event.agent.as_deref().unwrap_or_default();
        // 1970-01-01 was a Thursday: three days after a Monday.
        let week = (line.event.ts.micros().div_euclid(MICROS_PER_DAY) + 3).div_euclid(7);
        if !rates.contains_key(agent) {
            rates.insert(agent.to_owned(), BTreeMap::new());
        }
        let tally = rates.get_mut(agent).unwrap().entry(week).or_default();
        *tally = (tally.0 + succeeded, tally.1 + failed);
    }
}

fn merge(rates: &mut Rates, other: Rates) {
    for (agent, weeks) in other {
        let own = rates.entry(agent).or_default();
        for (week, (succeeded, failed)) in weeks {
            let tally = own.entry(week).or_default();
            *tally = (tally.0 + succeeded, tally.1 + failed);
        }
    }
}

fn query(logs: &Path) -> String {
    format!(
        "SELECT agent, date_trunc('week', ts) AS week, count(*) FILTER (type = 'tool.succeeded') AS succeeded, \
         count(*) FILTER (type = 'tool.failed' AND error.kind NOT IN ('user_rejected', 'sibling_cancelled', \
         'interrupted', 'rate_limited')) AS failed FROM read_json('{}/*.jsonl', format = 'newline_delimited', \
         columns = {{type: 'VARCHAR', ts: 'TIMESTAMP', agent: 'VARCHAR', error: 'STRUCT(kind VARCHAR)'}}) \
         WHERE type IN ('tool.succeeded', 'tool.failed') GROUP BY ALL ORDER BY ALL",
        logs.display()
    )
}

/// Both must find the same numbers, or the comparison means nothing.
fn check_against_duckdb(parts: &[Part], query: &str) {
    let totals =
        format!("SELECT sum(succeeded)::BIGINT AS s, sum(failed)::BIGINT AS f, count(*) AS n FROM ({query})");
    let Some(mut command) = peer::duckdb(&totals) else { return };
    let output = command.output().unwrap();
    let theirs = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
    let rates = fold_all(parts, 2);
    let tallies: Vec<(u64, u64)> = rates.values().flat_map(|weeks| weeks.values().copied()).collect();
    let (succeeded, failed) = tallies.iter().fold((0, 0), |sum, tally| (sum.0 + tally.0, sum.1 + tally.1));
    assert_eq!(
        format!("{succeeded},{failed},{}", tallies.len()),
        theirs,
        "DuckDB counts otherwise: {output:?}"
    );
}
