//! The form of lines: what the session is, then messages, of which one that comes again replaces the earlier.

use crate::event::scan;
use crate::source::chat_recording::{Context, Judgement, Recording};
use crate::source::follower::{Recognition, Sink};
use crate::source::text::{elements, member, members, word};
use std::borrow::Cow;

/// Names of which a line that begins a recording has some.
const OF_SESSION: [&str; 4] = ["sessionId", "projectHash", "startTime", "lastUpdated"];
/// Names of which a message has some.
const OF_MESSAGE: [&str; 4] = ["id", "timestamp", "type", "content"];

/// Takes one line.
pub(crate) fn read_line(
    recording: &mut Recording,
    context: &Context,
    bytes: &[u8],
    out: &mut Sink<'_>,
) -> Recognition {
    let text = String::from_utf8_lossy(bytes);
    let mut entries = Vec::new();
    if scan::object(&text, &mut entries).is_err() {
        return Recognition::Garbage;
    }
    let has = |name: &str| entries.iter().any(|entry| entry.key == name);
    let count = |names: &[&str]| names.iter().filter(|name| has(name)).count();
    let judged = if let Some(set) = member(&entries, "$set") {
        let set = members(set);
        recording.metadata(&set);
        // A checkpoint repeats what was written before, unless nothing was.
        let is_new = !recording.has_messages();
        let messages = member(&set, "messages").filter(|_| is_new).map(elements).unwrap_or_default();
        messages.into_iter().fold(Judgement::Whole, |judged, message| {
            judged.and(told(recording, context, &members(message), out))
        })
    } else if has("$rewindTo") || has("$patch") {
        Judgement::Whole
    } else if count(&OF_MESSAGE) >= 2 {
        told(recording, context, &entries, out)
    } else if count(&OF_SESSION) >= 1 {
        recording.metadata(&entries);
        let messages = member(&entries, "messages").map(elements).unwrap_or_default();
        let known = Judgement::of(member(&entries, "sessionId").and_then(word).is_some(), "the session's id");
        messages
            .into_iter()
            .fold(known, |judged, message| judged.and(told(recording, context, &members(message), out)))
    } else {
        Judgement::Unknown
    };
    match judged {
        Judgement::Whole if matches!(text, Cow::Owned(_)) => Recognition::Mended,
        Judgement::Whole => Recognition::Known,
        Judgement::Lacks(_) => Recognition::Misshapen,
        Judgement::Unknown => Recognition::Unknown,
    }
}

fn told(
    recording: &mut Recording,
    context: &Context,
    message: &[scan::Entry<'_>],
    out: &mut Sink<'_>,
) -> Judgement {
    if let Some(id) = member(message, "id").and_then(word) {
        out.record(id);
    }
    recording.message(context, message, out)
}
