//! Gives the events of one record their ids, task and agent.
//!
//! The id of an event is made of the native record it stands in, so that the same line replayed in a fork gives the same
//! id; where the record has none, of the file and the place in it.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::ids::EventId;
use crate::source::claude_code::SOURCE;
use crate::source::follower::{Fact, Sink};

/// Writes down what one record says.
pub(super) struct Scribe<'r, 's> {
    out: &'r mut Sink<'s>,
    task: &'r str,
    agent: &'r str,
    ts: Timestamp,
    record: [String; 3],
    /// How many events of each type this record gave so far.
    said: Vec<(&'static str, u64)>,
}

impl<'r, 's> Scribe<'r, 's> {
    /// For the `ordinal`th record of a line, about its task and by its agent.
    pub(super) fn new(
        out: &'r mut Sink<'s>,
        (task, agent): (&'r str, &'r str),
        ts: Timestamp,
        uuid: Option<&str>,
        ordinal: u64,
    ) -> Self {
        let record = match uuid {
            Some(uuid) => ["record".to_owned(), uuid.to_owned(), String::new()],
            None => [out.file().to_owned(), out.at().to_string(), ordinal.to_string()],
        };
        Self { out, task, agent, ts, record, said: Vec::new() }
    }

    /// When the record was written.
    pub(super) const fn ts(&self) -> Timestamp {
        self.ts
    }

    /// The task whose transcript this is.
    pub(super) const fn task(&self) -> &'r str {
        self.task
    }

    /// An event that the record itself identifies.
    pub(super) fn say(&mut self, body: Body<'_>) {
        let id = self.record_id(body.type_name());
        self.write(id, self.ts, (self.task, self.agent), body);
    }

    /// An event about the record's task that something else identifies.
    pub(super) fn say_of(&mut self, native: &[&str], detail: &str, body: Body<'_>) {
        let id = native_id(native, body.type_name(), detail);
        self.write(id, self.ts, (self.task, self.agent), body);
    }

    /// An event about another task, by another agent, at another time, that the record identifies.
    pub(super) fn say_about(&mut self, whom: (&str, &str), ts: Timestamp, body: Body<'_>) {
        let id = self.record_id(body.type_name());
        self.write(id, ts, whom, body);
    }

    fn record_id(&mut self, type_name: &'static str) -> EventId {
        let nth = match self.said.iter_mut().find(|(name, _)| *name == type_name) {
            Some((_, nth)) => {
                *nth += 1;
                *nth
            }
            None => {
                self.said.push((type_name, 0));
                0
            }
        };
        let [one, two, three] = &self.record;
        native_id(&[one, two, three], type_name, &nth.to_string())
    }

    fn write(&mut self, id: EventId, ts: Timestamp, (task, agent): (&str, &str), body: Body<'_>) {
        self.out.emit(Fact { id, ts, task: Some(task), agent: Some(agent), body });
    }
}

fn native_id(native: &[&str], type_name: &str, detail: &str) -> EventId {
    let mut parts = vec![SOURCE.as_bytes()];
    parts.extend(native.iter().map(|part| part.as_bytes()));
    parts.extend([type_name.as_bytes(), detail.as_bytes()]);
    EventId::of(&parts)
}
