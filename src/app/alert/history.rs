//! The changes of health that were announced lately, from the log, read backwards: at a cost that depends on how long ago
//! that is, not on the log.

use crate::app::project::Project;
use crate::base::clock::Timestamp;
use crate::base::limits;
use crate::event::body::Body;
use crate::event::codec::{Decoded, Decoder};
use crate::event::envelope::Stream;
use crate::journal::reverse::ReverseLines;
use crate::journal::segment::{self, Segment};
use crate::projection::health::{Health, Reason};
use std::io;
use std::path::Path;

/// Types that are dated when they are written: the first older one ends the search in a segment.
const OWN_TYPES: [&[u8]; 4] =
    [b"\"health.changed\"", b"\"monitor.started\"", b"\"source.opened\"", b"\"source.advanced\""];

/// A change of health as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The id of its event.
    pub id: String,
    /// When.
    pub ts: Timestamp,
    /// Which task.
    pub task: String,
    /// How it was.
    pub from_health: Option<Health>,
    /// How it is from then on.
    pub health: Health,
    /// Why.
    pub reason: Option<Reason>,
    /// The verdict as a sentence.
    pub text: String,
}

/// All that were announced since an instant, by time.
///
/// # Errors
/// When the log cannot be read.
pub fn since(project: &Project, since: Timestamp) -> io::Result<Vec<Announcement>> {
    let mut all = Vec::new();
    for segment in segment::segments(&project.logs, Stream::BackgroundMonitoring.name())?.iter().rev() {
        of_segment(&project.logs, segment, since, &mut all)?;
    }
    all.sort_by(|a, b| (a.ts, &a.id).cmp(&(b.ts, &b.id)));
    // What was appended again after a failure stands there twice.
    all.dedup_by(|a, b| a.id == b.id);
    Ok(all)
}

fn of_segment(
    logs: &Path,
    segment: &Segment,
    since: Timestamp,
    all: &mut Vec<Announcement>,
) -> io::Result<()> {
    let content = segment.open(logs)?;
    let modified = Timestamp::from_system(content.file().metadata()?.modified()?);
    if modified < since {
        return Ok(());
    }
    let finders = OWN_TYPES.map(memchr::memmem::Finder::new);
    for line in ReverseLines::new(content, segment.bytes, limits::LINE_BYTES_MAX) {
        let (offset, line) = line?;
        if !finders.iter().any(|finder| finder.find(&line).is_some()) {
            continue;
        }
        let Decoded::Known(known) = Decoder::new(&segment.seg).decode(&line, offset) else { continue };
        let event = known.event;
        let Body::HealthChanged { from_health, to_health, reason, text } = event.body else {
            let is_own = matches!(
                event.body,
                Body::MonitorStarted { .. } | Body::SourceOpened { .. } | Body::SourceAdvanced { .. }
            );
            if is_own && event.ts < since {
                return Ok(());
            }
            continue;
        };
        if event.ts < since {
            return Ok(());
        }
        let (Some(task), Some(health)) = (event.task, Health::of_word(&to_health)) else { continue };
        all.push(Announcement {
            id: event.id.to_string(),
            ts: event.ts,
            task: task.into_owned(),
            from_health: from_health.and_then(|word| Health::of_word(&word)),
            health,
            reason: reason.and_then(|word| Reason::of_word(&word)),
            text: text.unwrap_or_default().into_owned(),
        });
    }
    Ok(())
}
