//! Which of the log's files a file on disk is: the one read before, the same under another name, a rewritten one, a new one.
//!
//! The bytes decide, names only where bytes cannot: a file is one of the log's if its first bytes and the bytes before the
//! greatest offset ever read still have the hashes that the log holds. What fits none of the known generations is a new
//! one; what merely lags behind a file that begins alike is its copy. Nothing is emitted here.

use crate::base::defence::Defence;
use crate::base::fs::{self, FileIdentity};
use crate::source::follower::prefix::share_beginning;
use crate::source::follower::sink::{Identity, generations};
use crate::source::{Emit, KnownFile};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A file as it lies there now, open.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnDisk<'f> {
    pub(super) path: &'f Path,
    pub(super) file: &'f File,
    pub(super) size: u64,
    pub(super) identity: FileIdentity,
    /// Whether a carriage return ends a line, too.
    pub(super) returns: bool,
}

/// Which file of the log it is.
#[derive(Debug)]
pub(super) struct Place {
    /// Whether the path has to be part of its identity.
    pub(super) qualified: bool,
    /// How often it was replaced or rewritten before.
    pub(super) generation: u64,
    /// What led to that.
    pub(super) finding: Finding,
    /// All files that the log knows under its identity: what they hold is not to be recorded again.
    pub(super) relatives: Vec<String>,
}

/// What comparing with the log gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// The log has no file of this identity.
    New,
    /// It is the log's file, or a copy of it.
    Same,
    /// It is the log's file, which the log believes to lie elsewhere.
    Moved(KnownFile),
    /// It is none of the log's files any more; this one was cut or rewritten.
    Rewritten(KnownFile),
}

/// How a file that fits the log's stands to the path that the log names.
enum Relation {
    Same,
    Moved,
    /// They began alike and went different ways.
    Parted,
}

impl OnDisk<'_> {
    /// Whether the bytes just before `offset` have this hash.
    pub(super) fn holds(&self, offset: u64, tail_hash: &str) -> io::Result<bool> {
        Ok(self.size >= offset && fs::tail_hash(self.file, offset)? == tail_hash)
    }

    /// Whether everything that the log says of a file is true of this one.
    fn fits(&self, known: &KnownFile) -> io::Result<bool> {
        if let Some(at) = known.at
            && (at >= self.size || !self.begins_a_line(at)?)
        {
            return Ok(false);
        }
        if let Some((bytes, hash)) = &known.head
            && (self.size < *bytes || fs::head_hash(self.file, *bytes)? != *hash)
        {
            return Ok(false);
        }
        match &known.advanced {
            Some((offset, Some(hash))) => self.holds(*offset, hash),
            Some((offset, None)) => Ok(self.size >= *offset),
            None => Ok(true),
        }
    }

    /// Whether a line begins at `at`: after a crash the log may hold events beyond the last place it holds a hash for.
    fn begins_a_line(&self, at: u64) -> io::Result<bool> {
        let mut before = [b'\n'];
        if let Some(place) = at.checked_sub(1).filter(|_| Defence::TailHash.is_on()) {
            self.file.read_exact_at(&mut before, place)?;
        }
        Ok(before == [b'\n'] || self.returns && before == [b'\r'])
    }

    /// The path under which the log knows a file, if another file lies there.
    fn elsewhere<'k>(&self, known: &'k KnownFile) -> Option<(&'k Path, File, OnDiskMeta)> {
        let path = known.path.as_deref().filter(|_| !known.is_at(self.path)).map(Path::new)?;
        let file = fs::open_read_regular(path).ok()?;
        let metadata = file.metadata().ok()?;
        let meta = OnDiskMeta { size: metadata.len(), identity: FileIdentity::of(&metadata) };
        (meta.identity != self.identity).then_some((path, file, meta))
    }

    fn relation(&self, known: &KnownFile) -> io::Result<Relation> {
        if known.path.is_none() || known.is_at(self.path) {
            return Ok(Relation::Same);
        }
        let Some((path, file, meta)) = self.elsewhere(known) else {
            let is_link = known.path.as_deref().is_some_and(|path| {
                FileIdentity::of_path(Path::new(path)).ok().flatten() == Some(self.identity)
            });
            return Ok(if is_link { Relation::Same } else { Relation::Moved });
        };
        if share_beginning(path, self.path) {
            // Of two that tell the same story the longer one is the file: the other is behind it and cannot prove more.
            return Ok(if self.size > meta.size { Relation::Moved } else { Relation::Same });
        }
        let other = OnDisk { path, file: &file, size: meta.size, identity: meta.identity, ..*self };
        Ok(if other.fits(known)? { Relation::Parted } else { Relation::Moved })
    }
}

struct OnDiskMeta {
    size: u64,
    identity: FileIdentity,
}

/// Finds the file of the log that this is. `except`: the id of a file that it is known not to be any more.
///
/// # Errors
/// The file cannot be read.
pub(super) fn find(
    native: &Identity,
    on_disk: &OnDisk<'_>,
    except: Option<&str>,
    out: &dyn Emit,
) -> io::Result<Place> {
    let mut relatives = Vec::new();
    let mut place = None;
    for qualified in [false, true] {
        let known = generations(&native.qualified(qualified.then_some(on_disk.path)), out);
        relatives.extend(known.iter().map(|known| known.file.clone()));
        if place.is_none() {
            place =
                among(&known, on_disk, except)?.map(|(generation, finding)| (qualified, generation, finding));
        }
    }
    let (qualified, generation, finding) = place.unwrap_or((true, 0, Finding::New));
    Ok(Place { qualified, generation, finding, relatives })
}

/// Which of the generations it is; `None`: another file has this identity.
fn among(
    known: &[KnownFile],
    on_disk: &OnDisk<'_>,
    except: Option<&str>,
) -> io::Result<Option<(u64, Finding)>> {
    let Some(newest) = known.last() else { return Ok(Some((0, Finding::New))) };
    let is_excepted = |known: &KnownFile| except == Some(known.file.as_str());
    for (generation, candidate) in (0..).zip(known).collect::<Vec<_>>().into_iter().rev() {
        if is_excepted(candidate) || !on_disk.fits(candidate)? {
            continue;
        }
        match on_disk.relation(candidate)? {
            Relation::Same => return Ok(Some((generation, Finding::Same))),
            Relation::Moved => return Ok(Some((generation, Finding::Moved(candidate.clone())))),
            Relation::Parted => {}
        }
    }
    let next = u64::try_from(known.len()).unwrap_or(u64::MAX);
    if let Some((other, ..)) = on_disk.elsewhere(newest) {
        // What lags behind its copy cannot show the bytes the log asks for, but says nothing else either.
        let is_behind = !is_excepted(newest) && share_beginning(other, on_disk.path);
        return Ok(is_behind.then(|| (next.saturating_sub(1), Finding::Same)));
    }
    let lost = known.iter().find(|known| is_excepted(known)).unwrap_or(newest);
    Ok(Some((next, Finding::Rewritten(lost.clone()))))
}
