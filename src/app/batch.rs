//! Events on their way to the log: redacted, encoded, and short enough to be lines.

use crate::base::limits::LINE_BYTES_MAX;
use crate::event::codec;
use crate::event::envelope::{Event, Stream};
use crate::event::redact::{self, KnownSecrets};
use std::borrow::Cow;
use std::ffi::OsString;
use std::sync::LazyLock;

/// The secrets in the environment of this process.
#[must_use]
pub fn known_secrets() -> &'static KnownSecrets {
    static KNOWN: LazyLock<KnownSecrets> = LazyLock::new(|| {
        let text =
            |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        KnownSecrets::of_environment(std::env::vars_os().filter_map(text))
    });
    &KNOWN
}

/// A longer object would not fit into a line together with its frame.
const OBJECT_BYTES_MAX: usize = LINE_BYTES_MAX - 1024;
/// How much of each text stays in an event that would be too long.
const TEXT_BYTES_KEPT: usize = 1024;

/// Encoded events waiting to be appended, by stream.
#[derive(Debug, Default)]
pub struct Batch {
    pub(in crate::app) objects: [Vec<Vec<u8>>; Stream::ALL.len()],
}

impl Batch {
    /// Redacts, encodes and keeps an event until the batch is written.
    pub fn push(&mut self, event: Event<'_>) {
        let (stream, object) = encoded(event);
        self.push_encoded(stream, object);
    }

    /// Keeps an event that is redacted and encoded already.
    pub fn push_encoded(&mut self, stream: Stream, object: Vec<u8>) {
        if let Some(objects) = self.objects.get_mut(stream.index()) {
            objects.push(object);
        }
    }

    /// The objects waiting for a stream.
    #[must_use]
    pub fn objects(&self, stream: Stream) -> &[Vec<u8>] {
        self.objects.get(stream.index()).map_or(&[], Vec::as_slice)
    }
}

/// The stream of an event, and the event redacted and encoded.
pub(in crate::app) fn encoded(mut event: Event<'_>) -> (Stream, Vec<u8>) {
    redact::redact_event_knowing(&mut event, known_secrets());
    let mut object = Vec::with_capacity(384);
    codec::encode(&event, &mut object);
    if object.len() > OBJECT_BYTES_MAX {
        // A name of hundreds of kilobytes is none; what is left of it must not stop the events behind it.
        event.visit_texts(&mut |_, text| {
            if text.len() > TEXT_BYTES_KEPT {
                let kept = text.floor_char_boundary(TEXT_BYTES_KEPT);
                *text = Cow::Owned(format!("{}…", text.get(..kept).unwrap_or_default()));
            }
        });
        object.clear();
        codec::encode(&event, &mut object);
    }
    (event.body.stream(), object)
}
