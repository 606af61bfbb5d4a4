//! By how much a log has grown, as far as its lines have not said that themselves.
//!
//! A line that tells its own time says at most every half minute of that time how much came since, which is a function of
//! the log alone. Of lines without times nobody knows when they were written; what they add is said when it is observed:
//! every half minute, when the log has come to rest, and when the job has ended. What was said stands in the log of events
//! under keys that tell up to which byte, so the bytes said are those of the log, whoever began again in between.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::envelope::Stream;
use crate::source::Emit;
use crate::source::documents::Sheet;
use crate::source::follower::Identity;
use crate::source::output::GREW_EVERY_MS;
use crate::source::scribe::Scribe;
use std::path::PathBuf;

/// A log that was not written to for so long has come to rest.
const REST_MS: i64 = 5000;

/// How far a log has grown.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Growth {
    /// Its id as a file, and where it lies.
    pub(crate) file: String,
    pub(crate) path: PathBuf,
    /// Up to which byte it was read.
    pub(crate) read_to: u64,
    /// Up to which byte its lines have said it, and when.
    pub(crate) said_to: u64,
    pub(crate) said_at: Option<Timestamp>,
    /// When its last line was written, by the line itself where it tells.
    pub(crate) written_at: Option<Timestamp>,
    /// When it was written to last.
    pub(crate) modified_at: Option<Timestamp>,
}

/// Up to which byte the log of events knows the growth of a file beside what lines said, and when that was.
pub(crate) fn told(last_key: Option<&str>) -> Option<(u64, Timestamp)> {
    let (to, micros) = last_key?.strip_prefix("grew:")?.split_once(':')?;
    Some((to.parse().ok()?, Timestamp::from_micros(micros.parse().ok()?)))
}

impl Growth {
    /// Says what is left to be said, if it is time. `is_over`: the job has ended.
    pub(crate) fn say(
        &self,
        identity: &Identity,
        whom: (&str, &str),
        is_over: bool,
        (now, out): (Timestamp, &mut dyn Emit),
    ) {
        let told = told(out.last_key(Stream::BackgroundMonitoring, &self.file).as_deref());
        let (told_to, told_at) = told.unzip();
        let from = self.said_to.max(told_to.unwrap_or_default());
        // A log is introduced to the log of events by its first line, not by this.
        let known = out.known(&self.file).filter(|_| self.read_to > from);
        let (Some(modified_at), Some(known)) = (self.modified_at, known) else { return };
        let at = self.written_at.unwrap_or(modified_at).min(now);
        let is_at_rest = now.millis_since(modified_at) >= REST_MS;
        // Of lines without times a new reader does not know when they said it: the log does.
        let said_at = match self.written_at {
            Some(_) => self.said_at.max(told_at),
            None => told_at.max(Some(known.opened_at)),
        };
        let is_long_ago = said_at.is_none_or(|said| at.millis_since(said) >= GREW_EVERY_MS);
        if is_over || is_at_rest || is_long_ago {
            let key = format!("grew:{}:{}", self.read_to, at.micros());
            let mut sheet = Sheet::of(identity, &self.file, &self.path, now, out);
            sheet.record(&key);
            Scribe::new(&mut sheet, identity.source, whom, at, &[&self.file, &key])
                .say(Body::OutputGrew { output_bytes: Some(self.read_to - from) });
        }
    }
}
