//! `agentlog tail`: the last events of all streams as one, then new ones as they come.
//!
//! The end is read backwards, so the cost does not depend on the size of the log. The followed part begins exactly where
//! the first part ended: no line is shown twice, none is left out.

use crate::app::exit::{Exit, Failure};
use crate::app::log::Reader;
use crate::app::{Context, interrupt, load};
use crate::base::clock::Timestamp;
use crate::base::{limits, text};
use crate::cli::command::Tail;
use crate::event::body::Body;
use crate::event::codec::{Decoded, Decoder};
use crate::event::envelope::Stream;
use crate::journal::follow::{Follower, Start};
use crate::journal::reverse::ReverseLines;
use crate::journal::segment::{self, Segment};
use crate::query::expression::Expression;
use crate::query::filter::{Filter, TaskSelector};
use crate::view::empty;
use crate::view::tail as view;
use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;

const COUNT_DEFAULT: usize = 10;
/// How much of the end of each stream is put into the order of time.
const WINDOW_BYTES: u64 = 4 * 1024 * 1024;

/// One line chosen for showing.
struct Shown {
    ts: Timestamp,
    line: Vec<u8>,
}

/// Which lines are shown.
struct Wanted {
    filter: Filter,
    raw: bool,
}

/// Where the part that is followed begins, by segment: the first part ends there.
struct Ends(Option<HashMap<String, u64>>);

impl Ends {
    fn of(logs: &Path, follower: Option<&Follower>) -> Self {
        let Some(follower) = follower else { return Self(None) };
        let mut ends: HashMap<String, u64> =
            follower.positions().into_iter().map(|position| (position.seg, position.offset)).collect();
        // An active file that the follower does not know was born after it began: all of it is followed.
        for stream in Stream::ALL {
            let active = segment::active_path(logs, stream.name());
            for segment in segment::segments(logs, stream.name()).unwrap_or_default() {
                if segment.path == active {
                    ends.entry(segment.seg).or_insert(0);
                }
            }
        }
        Self(Some(ends))
    }

    fn end(&self, seg: &str, otherwise: u64) -> u64 {
        self.0.as_ref().and_then(|ends| ends.get(seg)).copied().unwrap_or(otherwise)
    }
}

/// Shows the end of the log, and follows it with `-f`.
///
/// # Errors
/// When a condition makes no sense, the log cannot be read, or nothing matches.
pub fn run(context: &Context, arguments: &Tail) -> anyhow::Result<Exit> {
    let wanted = Wanted { filter: filter(context, arguments)?, raw: arguments.raw };
    let logs = &context.project.logs;
    let follower = arguments.follow.then(|| Follower::new(logs, None, &Start::End));
    let ends = Ends::of(logs, follower.as_ref());
    let count = arguments.count.unwrap_or(if arguments.since.is_some() { usize::MAX } else { COUNT_DEFAULT });
    let mut shown = if arguments.since.is_some() || count == usize::MAX {
        forward(context, &wanted, &ends)?
    } else {
        backward(context, &wanted, count, &ends)?
    };
    shown.sort_by_key(|shown| shown.ts);
    shown.drain(..shown.len().saturating_sub(count));
    let mut out = output(context, arguments.raw);
    for shown in &shown {
        print(context, arguments.raw, &shown.line, shown.ts, &mut out)?;
    }
    out.flush()?;
    drop(out);
    match follower {
        Some(follower) => follow(context, &wanted, follower),
        None if shown.is_empty() => {
            let said = if segment::streams(logs)?.is_empty() {
                empty::no_events(&logs.display().to_string(), &context.style)
            } else {
                format!("no event in {} matches", text::path(logs))
            };
            context.note(said.trim_end());
            Ok(Exit::NothingMatched)
        }
        None => Ok(Exit::Done),
    }
}

fn filter(context: &Context, arguments: &Tail) -> Result<Filter, Failure> {
    let instant = |text: &Option<String>| text.as_ref().map(|text| context.instant(text)).transpose();
    let expressions = arguments
        .conditions
        .iter()
        .map(|condition| Expression::parse(condition))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
    Ok(Filter {
        tasks: arguments.task.iter().cloned().map(TaskSelector::Prefix).collect(),
        agents: arguments.agent.clone(),
        tools: arguments.tool.clone(),
        types: arguments.types.clone(),
        expressions,
        since: instant(&arguments.since)?,
        until: instant(&arguments.until)?,
    })
}

/// All matching lines, oldest first per stream.
fn forward(context: &Context, wanted: &Wanted, ends: &Ends) -> anyhow::Result<Vec<Shown>> {
    let mut shown = Vec::new();
    let mut reader = Reader::new(&context.project.logs);
    reader.advance(&mut |location, decoded, line| {
        if location.offset < ends.end(location.seg, u64::MAX)
            && let Some(ts) = matching(decoded, wanted)
        {
            shown.push(Shown { ts, line: line.to_vec() });
        }
    })?;
    load::mention_damage(context, &reader.counts);
    Ok(shown)
}

/// The matching lines at the end of each stream: at least `count`, if there are so many, and all within the last
/// [`WINDOW_BYTES`], because imported history lies in the log by file and not by time.
fn backward(context: &Context, wanted: &Wanted, count: usize, ends: &Ends) -> anyhow::Result<Vec<Shown>> {
    let mut shown = Vec::new();
    for stream in Stream::ALL {
        let mut own = Vec::new();
        for segment in segment::segments(&context.project.logs, stream.name())?.iter().rev() {
            let end = ends.end(&segment.seg, segment.bytes);
            backward_segment(&context.project.logs, segment, end, wanted, count, &mut own)?;
            if own.len() >= count && segment.bytes >= WINDOW_BYTES {
                break;
            }
        }
        own.reverse();
        shown.append(&mut own);
    }
    Ok(shown)
}

fn backward_segment(
    logs: &Path,
    segment: &Segment,
    end: u64,
    wanted: &Wanted,
    count: usize,
    shown: &mut Vec<Shown>,
) -> io::Result<()> {
    let content = segment.open(logs)?;
    // Lines without a time of their own wait for the nearest earlier line that has one.
    let mut waiting: Vec<(u64, Vec<u8>)> = Vec::new();
    for line in ReverseLines::new(content, end, limits::LINE_BYTES_MAX) {
        let (offset, line) = line?;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let mut decoder = Decoder::new(&segment.seg);
        let decoded = decoder.decode(&line, offset);
        if let Decoded::Malformed(crate::event::codec::Malformed::Field { field: "ts" }) = decoded {
            waiting.push((offset, line));
            continue;
        }
        // `decoder` now knows the time of this line, and so can read those that waited for it.
        for (offset, line) in waiting.drain(..) {
            if let Some(ts) = matching(&decoder.decode(&line, offset), wanted) {
                shown.push(Shown { ts, line });
            }
        }
        if let Some(ts) = matching(&Decoder::new(&segment.seg).decode(&line, offset), wanted) {
            shown.push(Shown { ts, line });
        }
        if shown.len() >= count && end - offset >= WINDOW_BYTES {
            break;
        }
    }
    Ok(())
}

fn follow(context: &Context, wanted: &Wanted, mut follower: Follower) -> anyhow::Result<Exit> {
    let stop = interrupt::flag()?;
    let mut decoders = load::Decoders::default();
    let mut shown_count = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let mut out = output(context, wanted.raw);
        for line in follower.next(Duration::from_millis(500)) {
            let decoded = decoders.decode(&line.seg, &line.bytes, line.offset);
            if let Some(ts) = matching(&decoded, wanted) {
                print(context, wanted.raw, &line.bytes, ts, &mut out)?;
                shown_count += 1;
            }
        }
        out.flush()?;
        for problem in follower.take_problems() {
            context.warn(&problem.to_string());
        }
    }
    context.note(&text::plural(shown_count, "event"));
    Ok(Exit::Interrupted)
}

/// The instant of a line that the filter lets through. How far a source was read is bookkeeping: it is shown where the
/// lines are asked for as they stand, or where a type or a condition is asked for.
fn matching(decoded: &Decoded<'_>, Wanted { filter, raw }: &Wanted) -> Option<Timestamp> {
    match decoded {
        Decoded::Known(line) => {
            let is_hidden = matches!(line.event.body, Body::SourceAdvanced { .. })
                && !raw
                && filter.types.is_empty()
                && filter.expressions.is_empty();
            (!is_hidden && filter.matches(&line.event)).then_some(line.event.ts)
        }
        Decoded::Unknown(unknown) => filter.is_empty().then_some(unknown.ts).flatten(),
        Decoded::Malformed(_) => None,
    }
}

/// Raw lines go into a pipe or a file as they stand in the log; a terminal, which would obey them, gets them harmless.
fn output(context: &Context, raw: bool) -> Box<dyn Write> {
    if raw && !io::stdout().is_terminal() { Box::new(context.bytes_out()) } else { Box::new(context.out()) }
}

fn print(context: &Context, raw: bool, line: &[u8], ts: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    if raw {
        out.write_all(line)?;
        return out.write_all(b"\n");
    }
    match Decoder::after("", ts).decode(line, 0) {
        Decoded::Known(line) => view::event(&line.event, &context.style, out),
        Decoded::Unknown(unknown) => view::unknown(&unknown, &context.style, out),
        Decoded::Malformed(_) => Ok(()),
    }
}
