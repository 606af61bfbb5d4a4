//! The document form: `{sessionId, projectHash, startTime, lastUpdated, messages: […]}`, rewritten as a whole.

use crate::event::scan;
use crate::source::chat_recording::{Context, Judgement, Recording};
use crate::source::documents::{Misfit, Sheet};
use crate::source::text::{elements, member, members, word};

/// Says everything that a document says.
pub(crate) fn read_document(context: &Context, bytes: &[u8], out: &mut Sheet<'_>) -> Result<(), Misfit> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Misfit::Unfinished(format!("no text from byte {}", error.valid_up_to())))?;
    let mut entries = Vec::new();
    scan::object(text, &mut entries)
        .map_err(|error| Misfit::Unfinished(format!("byte {}: expected {}", error.at, error.expected)))?;
    let mut recording = Recording::default();
    recording.metadata(&entries);
    let messages = member(&entries, "messages").map(elements);
    let messages = messages.ok_or_else(|| Misfit::Drifted("there are no messages".to_owned()))?;
    if member(&entries, "sessionId").and_then(word).is_none() {
        out.drifted("the id of the session is missing");
    }
    for message in messages {
        let message = members(message);
        if let Some(id) = member(&message, "id").and_then(word) {
            out.begins_with(id);
            out.record(id);
        }
        let judged = recording.message(context, &message, out);
        out.met(judged != Judgement::Unknown);
        if let Judgement::Lacks(what) = judged {
            out.drifted(&format!("{what} is missing"));
        }
    }
    Ok(())
}
