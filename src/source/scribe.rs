//! Gives the events of one native record their ids, task and agent.
//!
//! The id of an event is made of the native record it stands in, so that the same record replayed in a fork, or read again
//! from a rewritten document, gives the same id; where the record has none, of the file and the place in it.

use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::ids::EventId;

/// One fact that a source found; where it was found is added by what takes it.
#[derive(Clone, Debug)]
pub struct Fact<'a> {
    /// The same wherever the same fact is read.
    pub id: EventId,
    /// When it happened.
    pub ts: Timestamp,
    /// About which task.
    pub task: Option<&'a str>,
    /// Who works.
    pub agent: Option<&'a str>,
    /// What it says.
    pub body: Body<'a>,
}

/// Takes facts and adds their provenance: the lines of a file that grows ([`crate::source::follower::Sink`]) or the
/// records of a document that is rewritten ([`crate::source::documents::Sheet`]).
pub trait TakeFact {
    /// Takes one fact.
    fn take(&mut self, fact: Fact<'_>);

    /// The id of the file, as in provenance.
    fn file(&self) -> &str;

    /// Our clock when the file was read.
    fn now(&self) -> Timestamp;
}

/// Writes down what one record says.
pub(crate) struct Scribe<'r> {
    out: &'r mut dyn TakeFact,
    source: &'static str,
    task: &'r str,
    agent: &'r str,
    ts: Timestamp,
    record: Vec<String>,
    /// How many events of each type this record gave so far.
    said: Vec<(&'static str, u64)>,
}

impl<'r> Scribe<'r> {
    /// For a record of this source, about its task and by its agent. `record`: what identifies the record among all records
    /// of the source, wherever it is repeated.
    pub(crate) fn new(
        out: &'r mut dyn TakeFact,
        source: &'static str,
        (task, agent): (&'r str, &'r str),
        ts: Timestamp,
        record: &[&str],
    ) -> Self {
        let record = record.iter().map(|part| (*part).to_owned()).collect();
        Self { out, source, task, agent, ts, record, said: Vec::new() }
    }

    /// When the record was written.
    pub(crate) const fn ts(&self) -> Timestamp {
        self.ts
    }

    /// The task whose record this is.
    pub(crate) const fn task(&self) -> &'r str {
        self.task
    }

    /// An event that the record itself identifies.
    pub(crate) fn say(&mut self, body: Body<'_>) {
        let id = self.record_id(body.type_name());
        self.write(id, self.ts, (self.task, self.agent), body);
    }

    /// An event about the record's task that something else identifies.
    pub(crate) fn say_of(&mut self, native: &[&str], detail: &str, body: Body<'_>) {
        self.say_of_at(self.ts, native, detail, body);
    }

    /// The same, where it happened at another time than the record says.
    pub(crate) fn say_of_at(&mut self, ts: Timestamp, native: &[&str], detail: &str, body: Body<'_>) {
        let id = self.native_id(native, body.type_name(), detail);
        self.write(id, ts, (self.task, self.agent), body);
    }

    /// An event about another task, by another agent, at another time, that the record identifies.
    pub(crate) fn say_about(&mut self, whom: (&str, &str), ts: Timestamp, body: Body<'_>) {
        let id = self.record_id(body.type_name());
        self.write(id, ts, whom, body);
    }

    /// An event about another task, by another agent, at another time, that something else identifies.
    pub(crate) fn say_of_about(
        &mut self,
        whom: (&str, &str),
        ts: Timestamp,
        native: &[&str],
        detail: &str,
        body: Body<'_>,
    ) {
        let id = self.native_id(native, body.type_name(), detail);
        self.write(id, ts, whom, body);
    }

    /// An event about another task whose agent the record does not tell, that something else identifies.
    pub(crate) fn say_of_task(
        &mut self,
        (task, ts): (&str, Timestamp),
        native: &[&str],
        detail: &str,
        body: Body<'_>,
    ) {
        let id = self.native_id(native, body.type_name(), detail);
        self.out.take(Fact { id, ts, task: Some(task), agent: None, body });
    }

    fn record_id(&mut self, type_name: &'static str) -> EventId {
        let seen = self.said.iter_mut().find(|(name, _)| *name == type_name);
        let nth = seen.map_or(0, |(_, nth)| {
            *nth += 1;
            *nth
        });
        if nth == 0 {
            self.said.push((type_name, 0));
        }
        let record: Vec<&str> = self.record.iter().map(String::as_str).collect();
        self.native_id(&record, type_name, &nth.to_string())
    }

    fn write(&mut self, id: EventId, ts: Timestamp, (task, agent): (&str, &str), body: Body<'_>) {
        self.out.take(Fact { id, ts, task: Some(task), agent: Some(agent), body });
    }

    fn native_id(&self, native: &[&str], type_name: &str, detail: &str) -> EventId {
        let mut parts = vec![self.source.as_bytes()];
        parts.extend(native.iter().map(|part| part.as_bytes()));
        parts.extend([type_name.as_bytes(), detail.as_bytes()]);
        EventId::of(&parts)
    }
}
