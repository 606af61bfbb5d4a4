//! Interleaved rounds and their medians.

use std::time::{Duration, Instant};

/// One way to do the work. Gives how long it took, or why it could not be done.
pub(crate) struct Contender<'a> {
    /// What is printed.
    pub(crate) name: String,
    /// One round.
    pub(crate) run: Box<dyn FnMut() -> Result<Duration, String> + 'a>,
}

/// A contender that measures itself.
pub(crate) fn contender<'a>(name: &str, run: impl FnMut() -> Result<Duration, String> + 'a) -> Contender<'a> {
    Contender { name: name.to_owned(), run: Box::new(run) }
}

/// A contender that cannot fail, measured from call to return.
pub(crate) fn timed<'a, T>(name: &str, mut run: impl FnMut() -> T + 'a) -> Contender<'a> {
    contender(name, move || {
        let start = Instant::now();
        std::hint::black_box(run());
        Ok(start.elapsed())
    })
}

/// Runs all contenders once to warm up, then `rounds` times in turn, and prints a line for each: its median as
/// `figure` says it, and its ratio to the first one.
pub(crate) fn compare(
    rounds: usize,
    mut contenders: Vec<Contender<'_>>,
    figure: impl Fn(Duration) -> String,
) {
    let mut times: Vec<Result<Vec<Duration>, String>> =
        contenders.iter_mut().map(|contender| (contender.run)().map(|_| Vec::new())).collect();
    for _ in 0..rounds {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            if let Ok(rounds) = times {
                match (contender.run)() {
                    Ok(time) => rounds.push(time),
                    Err(reason) => *times = Err(reason),
                }
            }
        }
    }
    let medians: Vec<Result<Duration, String>> =
        times.into_iter().map(|times| times.map(|times| percentile(times, 50))).collect();
    let first = medians.first().and_then(|median| median.as_ref().ok()).map(Duration::as_secs_f64);
    for (contender, median) in contenders.iter().zip(medians) {
        match median {
            Ok(median) => {
                let ratio = first.map_or(f64::NAN, |first| median.as_secs_f64() / first);
                println!("  {:<44} {:>16}  {ratio:>8.2} × the first", contender.name, figure(median));
            }
            Err(reason) => println!("  {:<44} {:>16}", contender.name, format!("– ({reason})")),
        }
    }
}

/// The value that `percent` of the times do not exceed (nearest rank); zero without times.
pub(crate) fn percentile(mut times: Vec<Duration>, percent: usize) -> Duration {
    times.sort_unstable();
    let rank = (times.len() * percent).div_ceil(100);
    times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// Bytes in a time, as GB/s.
pub(crate) fn gigabytes_per_second(bytes: u64) -> impl Fn(Duration) -> String {
    move |time| format!("{:.2} GB/s", as_float(bytes) / 1e9 / time.as_secs_f64())
}

/// Bytes in a time, as MB/s.
pub(crate) fn megabytes_per_second(bytes: u64) -> impl Fn(Duration) -> String {
    move |time| format!("{:.0} MB/s", as_float(bytes) / 1e6 / time.as_secs_f64())
}

/// A count in a time, as events per second.
pub(crate) fn events_per_second(count: u64) -> impl Fn(Duration) -> String {
    move |time| format!("{:.0} events/s", as_float(count) / time.as_secs_f64())
}

/// A time in milliseconds.
pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1e3)
}

#[expect(clippy::cast_precision_loss, reason = "figures are printed with three digits")]
fn as_float(number: u64) -> f64 {
    number as f64
}
