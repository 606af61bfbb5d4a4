//! The corpus of `fuzz/`, and random changes of it, through the functions that the fuzzers call.
//!
//! `AGENTLOG_FUZZ_SECONDS=60` goes on with changes for that long per target; without it each target gets some hundred.

#![expect(clippy::indexing_slicing, reason = "a panic is how a test says no")]

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "there it is the root of a library")]
mod targets;

use proptest::test_runner::{RngAlgorithm, TestRng};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

const CHANGES: usize = 300;
/// Bytes that mean something in a line.
const MEANINGFUL: &[u8] = b"{}[]\",:\\\n\r\0 u0e9-+.\xff\xc2\x80";

#[test]
fn any_line_decodes_to_what_it_says() {
    replay("decode", targets::decode);
}

#[test]
fn any_file_is_accounted_for_to_the_last_byte() {
    replay("read", targets::read);
}

#[test]
fn whatever_is_typed_is_taken_or_refused() {
    replay("query", targets::query);
}

#[test]
fn any_lines_fold_to_one_state_whole_or_in_pieces() {
    replay("fold", targets::fold);
}

fn replay(target: &str, check: fn(&[u8])) {
    let seeds = seeds(target);
    assert!(seeds.len() > 5, "the corpus of {target} is not there");
    let attempt = |what: &str, bytes: &[u8]| {
        let shown = bytes.get(..bytes.len().min(2000)).unwrap_or_default().escape_ascii();
        let result = std::panic::catch_unwind(|| check(bytes));
        assert!(result.is_ok(), "{target} fails on {what}: {shown}");
    };
    for (name, bytes) in &seeds {
        attempt(name, bytes);
    }
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let seconds = std::env::var("AGENTLOG_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut count = 0;
    while until.map_or(count < CHANGES, |until| Instant::now() < until) {
        let (name, seed) = &seeds[below(&mut random, seeds.len())];
        let other = &seeds[below(&mut random, seeds.len())].1;
        attempt(&format!("a change of {name}"), &changed(seed, other, &mut random));
        count += 1;
    }
}

/// The corpus of a target and, for those that read lines, the examples of the schemas.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("fuzz/corpus").join(target)];
    if target == "decode" {
        folders.extend([root.join("schemas/examples"), root.join("schemas/rejected")]);
    }
    let mut seeds: Vec<(String, Vec<u8>)> = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .collect();
    seeds.sort();
    seeds
}

/// One to four random edits.
fn changed(seed: &[u8], other: &[u8], random: &mut TestRng) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=below(random, 4) {
        let place = below(random, bytes.len() + 1);
        let length = below(random, 40).min(bytes.len() - place);
        match below(random, 6) {
            0 if place < bytes.len() => bytes[place] ^= 1 << below(random, 8),
            1 => drop(bytes.drain(place..place + length)),
            2 => bytes.insert(place, MEANINGFUL[below(random, MEANINGFUL.len())]),
            3 => {
                let repeated = bytes[place..place + length].to_vec();
                bytes.splice(place..place, repeated);
            }
            4 => {
                let from = below(random, other.len() + 1);
                let until = (from + below(random, 400)).min(other.len());
                bytes.splice(place..place, other[from..until].to_vec());
            }
            _ => bytes.truncate(place),
        }
    }
    bytes
}

fn below(random: &mut TestRng, bound: usize) -> usize {
    use proptest::prelude::Rng as _;
    usize::try_from(random.next_u64() % u64::try_from(bound.max(1)).unwrap()).unwrap()
}
