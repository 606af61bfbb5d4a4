//! Bytes of the log → events, in memory: the codec alone, per thread. Peer: `serde_json` into a borrowing struct.

use crate::support::generator::{self, Journal};
use crate::support::measure::{self, compare, timed};
use crate::support::program;
use agentlog::event::codec::{Decoded, Decoder};
use serde::Deserialize;
use std::borrow::Cow;

/// The fields that every query needs, and no others: the least that a general parser can be asked to do.
#[derive(Deserialize)]
struct Needed<'a> {
    #[serde(rename = "type", borrow)]
    type_name: Cow<'a, str>,
    #[serde(borrow)]
    ts: Option<Cow<'a, str>>,
    #[serde(borrow)]
    task: Option<Cow<'a, str>>,
    #[serde(borrow)]
    agent: Option<Cow<'a, str>>,
    #[serde(borrow)]
    tool: Option<Cow<'a, str>>,
}

/// Prints GB/s of one thread and of two.
pub(crate) fn run() {
    let megabytes = program::megabytes();
    let journal = generator::journal(&program::kept(&format!("journal-{megabytes}")), megabytes * 1_000_000);
    println!(
        "  {} bytes in {} lines, {} per line",
        journal.bytes,
        journal.lines,
        journal.bytes / journal.lines
    );
    let files = load(&journal);
    let halves: Vec<&[u8]> = files.iter().flat_map(|file| split(file)).collect();
    let (first, second): (Vec<&[u8]>, Vec<&[u8]>) = files.iter().map(|file| split(file).into()).unzip();
    let contenders = vec![
        timed("decode, 1 thread", || {
            assert_eq!(halves.iter().map(|part| decode(part)).sum::<u64>(), journal.lines);
        }),
        timed("decode, 2 threads", || {
            std::thread::scope(|scope| {
                let other = scope.spawn(|| second.iter().map(|part| decode(part)).sum::<u64>());
                let own: u64 = first.iter().map(|part| decode(part)).sum();
                assert_eq!(own + other.join().unwrap(), journal.lines);
            });
        }),
        timed("peer: serde_json, needed fields, 1 thread", || {
            halves.iter().map(|part| parse(part)).sum::<usize>()
        }),
    ];
    compare(5, contenders, measure::gigabytes_per_second(journal.bytes));
}

fn load(journal: &Journal) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        std::fs::read_dir(&journal.logs).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// Two parts of about the same size, cut after a newline.
fn split(bytes: &[u8]) -> [&[u8]; 2] {
    let middle = bytes.len() / 2;
    let newline = memchr::memchr(b'\n', bytes.get(middle..).unwrap()).unwrap_or(0);
    let (first, second) = bytes.split_at(middle + newline + 1);
    [first, second]
}

fn decode(bytes: &[u8]) -> u64 {
    let mut decoder = Decoder::new("bench");
    let (mut start, mut known) = (0, 0);
    for newline in memchr::memchr_iter(b'\n', bytes) {
        let line = bytes.get(start..newline).unwrap();
        known += u64::from(matches!(decoder.decode(line, start as u64), Decoded::Known(_)));
        start = newline + 1;
    }
    known
}

fn parse(bytes: &[u8]) -> usize {
    bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Needed<'_>>(line).ok())
        .map(|needed| {
            let lengths = [&needed.ts, &needed.task, &needed.agent, &needed.tool];
            needed.type_name.len() + lengths.into_iter().flatten().map(|text| text.len()).sum::<usize>()
        })
        .sum()
}
