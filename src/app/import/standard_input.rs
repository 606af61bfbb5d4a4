//! `agentlog import -`: what an agent writes to its standard output, recorded as it comes.
//!
//! The first bytes tell the format. What comes within a moment is one batch, so a busy stream costs few writes and a slow one
//! is seen at once. It ends with the input, or with Ctrl-C: then what has come is recorded, and piping the whole again
//! records the rest. Where recording fails the input is read to its end all the same: an agent must not end because its
//! output finds no reader.

mod reader;

use crate::app::environment;
use crate::app::exit::{Exit, Failure};
use crate::app::import::standard_input::reader::Reader;
use crate::app::ingest::Ingest;
use crate::app::writer::Syncing;
use crate::app::{Context, interrupt};
use crate::base::text;
use crate::source::Scope;
use crate::source::piped::{Inlet, StandardInput, Verdict};
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a failure waits for the end of the input before it is told: most inputs end soon.
const NOTICE_TIME: Duration = Duration::from_secs(1);

/// Reads standard input to its end and tells what came of it.
///
/// # Errors
/// When it is in no known format, or the log cannot be written.
pub(super) fn run(context: &Context) -> anyhow::Result<Exit> {
    let stop = interrupt::flag()?;
    let reader = Reader::start(io::stdin())?;
    let recorded = record(context, &reader, &stop);
    if let Err(error) = &recorded
        && !reader.discard(&stop, NOTICE_TIME)
    {
        context.warn(&format!("nothing more is recorded; what is piped in is read to its end: {error}"));
        while !reader.discard(&stop, NOTICE_TIME) {}
    }
    recorded
}

fn record(context: &Context, reader: &Reader, stop: &AtomicBool) -> anyhow::Result<Exit> {
    let env = environment::env(&context.project, Scope::Global, None)?;
    let formats = environment::piped_formats();
    let names: Vec<&str> = formats.iter().map(|format| format.name()).collect();
    let inlet = Inlet::default();
    let source = StandardInput::new(formats, env.clone(), inlet.clone());
    let (clock, project) = (context.clock.as_ref(), &context.project);
    let mut ingest = Ingest::new(clock, project, env, vec![Box::new(source)], Syncing::Live)?;
    let (mut event_count, mut has_problems, mut has_ended) = (0, false, false);
    while !has_ended {
        let (bytes, is_end) = reader.batch(stop)?;
        has_ended = is_end || stop.load(Ordering::Relaxed);
        if !bytes.is_empty() || is_end {
            // After Ctrl-C a line may be cut in its middle, and is not the last.
            inlet.put(&bytes, is_end);
            let outcome = ingest.catch_up()?;
            event_count += outcome.event_count;
            has_problems |= !outcome.problems.is_empty();
            for problem in &outcome.problems {
                context.warn(&problem.to_string());
            }
        }
        if let Some(failure) = ingest.writer().flush(context.now(), Instant::now()).failure {
            return Err(failure.into());
        }
        if inlet.verdict() == Verdict::Unknown {
            let is_stopped = stop.load(Ordering::Relaxed);
            return if is_stopped { Ok(Exit::Interrupted) } else { Err(unknown(&names).into()) };
        }
    }
    ingest.save()?;
    let events = text::plural(event_count, "new event");
    writeln!(context.out(), "{events} from standard input in {}", text::path(&project.logs))?;
    Ok(match (stop.load(Ordering::Relaxed), has_problems) {
        (true, _) => Exit::Interrupted,
        (false, true) => Exit::Io,
        (false, false) => Exit::Done,
    })
}

fn unknown(names: &[&str]) -> Failure {
    Failure::new(Exit::Io, format!("standard input is in no format that is known here: tried {}", names.join(", ")))
        .hint("for example: claude -p --output-format stream-json --verbose \"…\" | tee run.jsonl | agentlog import -")
}
