//! Every claim about speed, as a measurement that also runs the peer.
//!
//! `cargo bench` runs all, `cargo bench -- decode fold` those. `AGENTLOG_BENCH_MB` sets the size of the data (100 MB).
//! Figures are medians of interleaved rounds on a warm page cache. A peer that is not installed is named as missing. One
//! binary, because every bench binary would link everything again.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on has nothing better to do than to stop"
)]
#![expect(clippy::print_stdout, reason = "the figures are the output")]

mod append;
mod decode;
mod fold;
mod hook;
mod import;
mod judge;
mod start;
mod support;
mod tail;
mod watch;

const BENCHES: [(&str, fn()); 9] = [
    ("decode", decode::run),
    ("fold", fold::run),
    ("judge", judge::run),
    ("append", append::run),
    ("import", import::run),
    ("tail", tail::run),
    ("start", start::run),
    ("hook", hook::run),
    ("watch", watch::run),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --all-targets` starts this binary too, without `--bench`; then there is nothing to prove.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    for (name, run) in BENCHES {
        if wanted.is_empty() || wanted.iter().any(|argument| *argument == name) {
            println!("\n{name}");
            run();
        }
    }
}
