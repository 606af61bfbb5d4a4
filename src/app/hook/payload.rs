//! What a hook is told: where the work is done and which transcripts there are. Reads as far as the text goes, so that one
//! that is cut, or that goes on as something else, still says what stood before. Everything else in it is passed over.

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::Value;
use std::fmt;
use std::path::PathBuf;

/// What was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payload {
    /// The working directory, absolute.
    pub cwd: Option<PathBuf>,
    /// The transcripts of the session and of a sub-agent, absolute.
    pub transcripts: Vec<PathBuf>,
}

impl Payload {
    /// Reads it; never fails.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let mut payload = Self::default();
        let mut reader = serde_json::Deserializer::from_slice(bytes);
        // An error says that the text is no whole object: what came before it counts.
        let _cut = reader.deserialize_map(Members(&mut payload));
        payload
    }

    fn take(&mut self, name: &str, value: &Value) {
        let Some(path) = value.as_str().map(PathBuf::from).filter(|path| path.is_absolute()) else { return };
        if name == "cwd" {
            self.cwd = Some(path);
        } else if !self.transcripts.contains(&path) {
            self.transcripts.push(path);
        }
    }
}

struct Members<'p>(&'p mut Payload);

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<Name>()? {
            match name {
                Name::Other => drop(members.next_value::<IgnoredAny>()?),
                Name::Known(name) => self.0.take(name, &members.next_value()?),
            }
        }
        Ok(())
    }
}

enum Name {
    Known(&'static str),
    Other,
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let name = std::borrow::Cow::<str>::deserialize(reader)?;
        let known =
            ["cwd", "transcript_path", "agent_transcript_path"].into_iter().find(|known| *known == name);
        Ok(known.map_or(Self::Other, Self::Known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WHOLE: &str = r#"{"session_id":"s","transcript_path":"/h/t.jsonl","cwd":"/p","hook_event_name":"SubagentStop",
        "agent_transcript_path":"/h/a.jsonl","tool_input":{"cwd":"/other","x":[1,{"transcript_path":"/no"}]}}"#;

    fn expected() -> Payload {
        Payload { cwd: Some("/p".into()), transcripts: vec!["/h/t.jsonl".into(), "/h/a.jsonl".into()] }
    }

    #[test]
    fn directory_and_transcripts_are_read_from_the_top_only() {
        assert_eq!(Payload::read(WHOLE.as_bytes()), expected());
    }

    #[test]
    fn a_cut_text_says_what_stood_before_the_cut() {
        let cut = WHOLE.find("tool_input").unwrap() + 20;
        assert_eq!(Payload::read(&WHOLE.as_bytes()[..cut]), expected());
    }

    #[test]
    fn what_is_no_path_is_passed_over() {
        for text in
            ["", "null", "[]", "{", r#"{"cwd":7,"transcript_path":null}"#, r#"{"cwd":"relative"}"#, "\0\0"]
        {
            assert_eq!(Payload::read(text.as_bytes()), Payload::default(), "{text}");
        }
        let text = r#"{"cwd":7,"transcript_path":null,"agent_transcript_path":"/a"}"#;
        assert_eq!(Payload::read(text.as_bytes()).transcripts, [PathBuf::from("/a")]);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), cut in 0_usize..300, at in 0_usize..300) {
            let mut whole = WHOLE.as_bytes().to_vec();
            whole.truncate(cut);
            let at = at.min(whole.len());
            whole.splice(at..at, bytes);
            let _ = Payload::read(&whole);
        }
    }
}
