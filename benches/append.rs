//! Appending events of a typical size. Floor: a bare `write(2)` on an `O_APPEND` descriptor, which heals nothing, locks
//! nothing and counts nothing; beside it the same under `flock(2)`. Peer: SQLite in WAL mode with `synchronous = NORMAL`,
//! which promises about what our interval does (through Python's module; its loop costs about a microsecond a row).

use crate::support::measure::{self, compare, contender, timed};
use crate::support::peer;
use agentlog::base::clock::{Clock, SystemClock, Timestamp};
use agentlog::base::frame;
use agentlog::base::limits::{LOCK_WAIT, SYNC_INTERVAL};
use agentlog::base::lock::FileLock;
use agentlog::journal::append::{AppendOptions, Appender, Durability};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

const EVENTS: u64 = 20_000;
const WRITER: &str = "x7f2k3q9m4t8b6z0";

/// Prints events per second.
pub(crate) fn run() {
    // Below `target`, because the temporary folder is in memory on some machines.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let logs = folder.path();
    let object = object();
    let now = SystemClock.now();
    let contenders = vec![
        timed("one by one, interval", || {
            one_by_one(&mut appender(logs, "one", Durability::Interval(SYNC_INTERVAL)), &object, now, EVENTS);
        }),
        timed("one by one, none", || {
            one_by_one(&mut appender(logs, "none", Durability::None), &object, now, EVENTS);
        }),
        timed("batches of 100, interval", || {
            let mut appender = appender(logs, "hundred", Durability::Interval(SYNC_INTERVAL));
            let batch = vec![object.as_slice(); 100];
            for _ in 0..EVENTS / 100 {
                appender.append(&batch, now).unwrap();
                appender.sync_if_due(Instant::now()).unwrap();
            }
        }),
        timed("write(2) under flock(2)", || {
            let mut file = OpenOptions::new().create(true).append(true).open(logs.join("locked")).unwrap();
            let line = sealed_line(&object);
            for _ in 0..EVENTS {
                let lock = FileLock::exclusive(&file, LOCK_WAIT).unwrap();
                (&file).write_all(&line).unwrap();
                drop(lock);
            }
            file.flush().unwrap();
        }),
        contender("SQLite WAL, one by one", || {
            peer::sqlite_inserts(&logs.join("one.db"), EVENTS, 1, object.len())
        }),
        contender("SQLite WAL, batches of 100", || {
            peer::sqlite_inserts(&logs.join("hundred.db"), EVENTS, 100, object.len())
        }),
        timed("floor: write(2) of a sealed line", || {
            let mut file = OpenOptions::new().create(true).append(true).open(logs.join("bare")).unwrap();
            let line = sealed_line(&object);
            for _ in 0..EVENTS {
                file.write_all(&line).unwrap();
            }
        }),
    ];
    compare(7, contenders, measure::events_per_second(EVENTS));
    println!("  and synced one by one:");
    let contenders = vec![timed("each", || {
        one_by_one(&mut appender(logs, "each", Durability::Each), &object, now, EVENTS / 100);
    })];
    compare(3, contenders, measure::events_per_second(EVENTS / 100));
}

fn sealed_line(object: &[u8]) -> Vec<u8> {
    let mut line = object.to_vec();
    frame::seal(&mut line, WRITER, 1);
    line.push(b'\n');
    line
}

fn appender(logs: &Path, stream: &str, durability: Durability) -> Appender {
    let options = AppendOptions { durability, ..AppendOptions::new(WRITER.to_owned()) };
    Appender::open(logs, stream, options).unwrap()
}

fn one_by_one(appender: &mut Appender, object: &[u8], now: Timestamp, count: u64) {
    for _ in 0..count {
        appender.append(&[object], now).unwrap();
        appender.sync_if_due(Instant::now()).unwrap();
    }
}

fn object() -> Vec<u8> {
    br#"{"v":1,"id":"0193a1b2-0000-7000-8000-0123456789ab","ts":"2026-11-16T09:00:00.123Z","type":"tool.succeeded","task":"bg_1a2b3c4d","agent":"explore","source":"claude-code","tool":"Bash","call":"toolu_0123456789abcdef","thread":"main","attempt":1,"duration_ms":312,"from":{"file":"0123456789abcdef0123","at":48213,"i":0}}"#.to_vec()
}
