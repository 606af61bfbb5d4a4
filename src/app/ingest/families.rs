//! Which source files tell of the same, so that what one says after another is recorded once.

use crate::event::body::Body;
use crate::event::envelope::Event;
use crate::event::ids::{EventId, file_id};
use crate::projection::cursor::Cursors;
use std::collections::{HashMap, HashSet};

/// Files that begin alike (a session and its forks, a file and its copy), with the ids of all their events, so that what
/// one repeats of another is recorded once, in whatever order and in whatever portions they are read.
#[derive(Default)]
pub(super) struct Families {
    of_file: HashMap<String, usize>,
    ids: Vec<HashSet<u128>>,
    /// Files whose events were not looked for in the log yet.
    pub(super) unheard: Vec<String>,
}

impl Families {
    /// Puts two files into one family.
    pub(super) fn join(&mut self, file: &str, other: &str) {
        let known = (self.of_file.get(file).copied(), self.of_file.get(other).copied());
        let family = match known {
            (Some(mine), Some(theirs)) if mine != theirs => {
                let moved = self.ids.get_mut(theirs).map(std::mem::take).unwrap_or_default();
                self.of_file
                    .values_mut()
                    .filter(|family| **family == theirs)
                    .for_each(|family| *family = mine);
                if let Some(ids) = self.ids.get_mut(mine) {
                    ids.extend(moved);
                }
                mine
            }
            (Some(family), _) | (None, Some(family)) => family,
            (None, None) => {
                self.ids.push(HashSet::new());
                self.ids.len() - 1
            }
        };
        let fresh = [file, other].into_iter().filter(|file| !self.of_file.contains_key(*file));
        let fresh: Vec<String> = fresh.map(str::to_owned).collect();
        self.of_file.extend(fresh.iter().map(|file| (file.clone(), family)));
        self.unheard.extend(fresh);
    }

    /// Takes note of a stream that tells of a session (its first record) whose transcript is known: another process may
    /// read it, while this one reads the transcript.
    pub(super) fn opened(&mut self, event: &Event<'_>, cursors: &Cursors) {
        if let Body::SourceOpened { file, first_record: Some(session), .. } = &event.body
            && let Some(source) = &event.source
        {
            let transcript = file_id(&[source, session, "0"]);
            if transcript != **file && cursors.known(&transcript).is_some() {
                self.join(&transcript, file);
            }
        }
    }

    /// Whether a file belongs to a family.
    pub(super) fn has(&self, file: &str) -> bool {
        self.of_file.contains_key(file)
    }

    /// Whether an event of a file is the first of its family to say this.
    pub(super) fn is_new(&mut self, file: &str, id: EventId) -> bool {
        let family = self.of_file.get(file).copied();
        family.and_then(|family| self.ids.get_mut(family)).is_none_or(|ids| ids.insert(id.as_u128()))
    }

    /// Takes note of an event in the log.
    pub(super) fn recorded(&mut self, event: &Event<'_>) {
        if !self.of_file.is_empty()
            && let Some(from) = &event.from
        {
            self.is_new(&from.file, event.id);
        }
    }

    /// Takes note of an event, if it is of one of these files.
    pub(super) fn heard(&mut self, event: &Event<'_>, files: &[String]) {
        if event.from.as_ref().is_some_and(|from| files.iter().any(|file| *file == from.file)) {
            self.recorded(event);
        }
    }
}
