//! A follower takes its place: what it is going to read continues what was read, or begins anew under another id.

use crate::base::clock::Timestamp;
use crate::base::fs::FileIdentity;
use crate::event::body::Body;
use crate::event::envelope::{Event, VERSION};
use crate::event::field::Text;
use crate::event::ids::EventId;
use crate::source::follower::lines::Lines;
use crate::source::follower::place::{self, Finding, OnDisk, Place};
use crate::source::follower::sink::{Identity, Opening, link, reopen};
use crate::source::follower::{Adapter, Follower, Reported};
use crate::source::{Emit, KnownFile};
use std::fs::File;
use std::io;

impl<A: Adapter> Follower<A> {
    /// Makes sure that what is going to be read continues what was read: at the first look and whenever a file grew that
    /// the log knows under another path, by the log; at every look by the bytes before the offset.
    pub(super) fn settle(
        &mut self,
        file: &File,
        size: u64,
        identity: FileIdentity,
        now: Timestamp,
        out: &mut dyn Emit,
    ) -> io::Result<()> {
        let path = self.path.clone();
        let on_disk = OnDisk { path: &path, file, size, identity, returns: A::RETURNS_END_LINES };
        let known = out.known(&self.file);
        let continues = match &self.tail_hash {
            _ if self.offset == 0 => true,
            Some(tail_hash) => on_disk.holds(self.offset, tail_hash)?,
            None => false,
        };
        let grew = self.seen.is_some();
        let is_elsewhere = || known.as_ref().is_some_and(|known| !known.is_at(&path));
        if self.placed && continues && !(grew && is_elsewhere()) {
            return Ok(());
        }
        // A position that the log cannot vouch for is worth nothing; a file that changed under our eyes is another one.
        let is_vouched_for = self.placed
            || self.offset == 0
            || match &known {
                Some(known) => known.advanced.as_ref().is_some_and(|(offset, _)| *offset >= self.offset),
                None => !self.opening.opened,
            };
        let except = (self.placed && !continues).then_some(self.file.as_str()).filter(|_| known.is_some());
        let found = place::find(&self.native, &on_disk, except, out)?;
        let is_first = !std::mem::replace(&mut self.placed, true);
        self.move_to(found, continues && is_vouched_for, size, now, out);
        if is_first && self.offset > 0 {
            link(out, &self.identity, &self.file, &self.opening);
        }
        Ok(())
    }

    /// Goes on as this file of the log; from the start, unless it is the one being read and that `continues`.
    fn move_to(&mut self, place: Place, continues: bool, size: u64, now: Timestamp, out: &mut dyn Emit) {
        let Place { qualified, generation, finding, relatives } = place;
        let identity = self.native.qualified(qualified.then_some(&*self.path));
        let file = identity.file(generation);
        if let Finding::Rewritten(lost) = &finding {
            self.tell_truncated(lost, size, now, out);
        }
        if !continues || file != self.file {
            self.start_over(identity, qualified, generation);
        }
        if let Finding::Moved(known) = &finding {
            reopen(out, &self.identity, known, &self.path, now);
        }
        for relative in relatives.iter().filter(|relative| **relative != self.file) {
            out.exclude(&self.file, relative);
            out.exclude(relative, &self.file);
        }
    }

    /// Says once that a file was cut or rewritten. What stands there now is read from the start, under a new id.
    pub(super) fn tell_truncated(&self, lost: &KnownFile, size: u64, now: Timestamp, out: &mut dyn Emit) {
        if lost.truncated {
            return;
        }
        let own = (lost.file == self.file).then_some(self.offset).filter(|offset| *offset > 0);
        let offset_bytes = own.or(lost.advanced.as_ref().map(|(offset, _)| *offset)).or(lost.at);
        out.emit(Event {
            v: VERSION,
            id: EventId::of(&[self.identity.source.as_bytes(), b"source.truncated", lost.file.as_bytes()]),
            ts: now,
            observed_at: None,
            task: None,
            agent: None,
            source: Some(Text::Borrowed(self.identity.source)),
            body: Body::SourceTruncated {
                file: Text::Borrowed(&lost.file),
                path: Some(self.path.to_string_lossy()),
                offset_bytes,
                size_bytes: Some(size),
            },
            from: None,
            written: None,
        });
    }

    pub(super) fn start_over(&mut self, identity: Identity, qualified: bool, generation: u64) {
        self.file = identity.file(generation);
        self.identity = identity;
        self.qualified = qualified;
        self.generation = generation;
        self.offset = 0;
        self.tail_hash = None;
        self.opening = Opening::default();
        self.lines = Lines::default();
        self.adapter = A::default();
        self.reported = Reported::default();
    }
}
