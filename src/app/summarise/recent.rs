//! What agents did lately, from the end of the log: what a watcher that begins and a command that ends need to know.
//!
//! Bounded by bytes, not by history: of an agent that has been quiet for longer than so much of the log, nothing is found.

use crate::app::log::Reader;
use crate::base::limits;
use crate::event::codec::{Decoded, Decoder};
use crate::event::envelope::Stream;
use crate::journal::reverse::ReverseLines;
use crate::journal::segment;
use crate::summary::activity::{Activities, Activity};
use std::io;
use std::path::Path;

/// The streams that say what an agent does.
const STREAMS: [Stream; 2] = [Stream::ToolCalls, Stream::BackgroundMonitoring];
/// How much of the end of each is read.
const WINDOW_BYTES: u64 = 4 * 1024 * 1024;

/// What all tasks did, as the end of each stream says.
///
/// # Errors
/// When the log cannot be read.
pub fn activities(logs: &Path) -> io::Result<Activities> {
    let mut activities = Activities::default();
    for stream in STREAMS {
        let mut room = WINDOW_BYTES;
        for segment in segment::segments(logs, stream.name())?.iter().rev() {
            let lines = ReverseLines::new(segment.open(logs)?, segment.bytes, limits::LINE_BYTES_MAX);
            for line in lines {
                let (offset, line) = line?;
                room = room.saturating_sub(u64::try_from(line.len()).unwrap_or(u64::MAX));
                if let Decoded::Known(line) = Decoder::new(&segment.seg).decode(&line, offset) {
                    activities.apply(&line.event);
                }
                if room == 0 {
                    break;
                }
            }
            if room == 0 {
                break;
            }
        }
    }
    Ok(activities)
}

/// What one task did, as the whole log says.
///
/// # Errors
/// When the log cannot be read.
pub fn activity(logs: &Path, task: &str) -> io::Result<Activity> {
    let mut activity = Activity::default();
    Reader::new(logs).advance(&mut |_, decoded, _| {
        if let Decoded::Known(line) = decoded
            && line.event.task.as_deref() == Some(task)
        {
            activity.apply(&line.event);
        }
    })?;
    Ok(activity)
}
