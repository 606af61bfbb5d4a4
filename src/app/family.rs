//! The log family by family, so that what is computed of tasks and their relatives needs the memory of a few families and
//! not that of the whole history.
//!
//! One pass over the log sorts the lines of tasks into groups: relatives (by any parent that was ever named) are always in
//! one group, and a group is small. A log that is small itself is one group and stays in memory; of a large one the lines
//! are spilled. Nothing is computed here.

pub mod kin;
mod record;

use crate::app::family::kin::{Joined, Kin};
use crate::app::family::record::{Lines, Record};
use crate::app::log::{Counts, Location, Reader};
use crate::app::spill::{Block, Spill};
use crate::base::clock::Timestamp;
use crate::event::body::Body;
use crate::event::codec::Decoded;
use crate::event::envelope::{Event, Stream};
use crate::journal::segment;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::path::{Path, PathBuf};

#[cfg(test)]
mod tests;

/// The sizes that decide how much memory is used.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// A log that is no larger stays in memory.
    pub memory_bytes: usize,
    /// What the lines of a group should have, and the most of which events are held at once.
    pub group_bytes: u64,
    /// The most groups.
    pub groups_max: u64,
    /// A group's lines are kept in blocks of this size.
    pub block_bytes: usize,
}

/// What the program uses: at most 32 MiB of lines in memory, or 16 MiB of blocks that are being filled.
pub const SIZES: Sizes =
    Sizes { memory_bytes: 32 << 20, group_bytes: 24 << 20, groups_max: 256, block_bytes: 64 << 10 };

/// A time in which the host slept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sleep {
    /// When it was recorded.
    pub ts: Timestamp,
    /// When it fell asleep.
    pub from: Timestamp,
    /// When it woke.
    pub until: Timestamp,
}

/// The lines of all tasks, in groups.
#[derive(Debug)]
pub struct Families {
    /// What was met while reading.
    pub counts: Counts,
    /// When the host slept.
    pub sleeps: Vec<Sleep>,
    /// Whether all `task.created` of a group come before its other lines, as they do where each type is in its own stream.
    pub creations_first: bool,
    sizes: Sizes,
    folder: PathBuf,
    lines: Lines,
    spill: Spill,
    groups: Vec<Group>,
}

/// Lines of families that are nobody else's relatives.
#[derive(Debug, Default)]
pub struct Group {
    blocks: Vec<Block>,
    bytes: u64,
    filling: Vec<u8>,
}

impl Families {
    /// Reads the whole log of `logs` once, hands every line to `take` as it was decoded, and keeps the lines of tasks; what does
    /// not fit into memory, in a temporary file in `folder`.
    ///
    /// # Errors
    /// When the log cannot be read, or the temporary file cannot be written; and what `take` fails with.
    pub fn gather(
        logs: &Path,
        folder: &Path,
        sizes: Sizes,
        take: &mut dyn FnMut(&Decoded<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<Self> {
        let mut gatherer = Gatherer::new(logs, folder, sizes)?;
        let mut reader = Reader::new(logs);
        let mut result = Ok(());
        reader.advance(&mut |location, decoded, line| {
            if result.is_ok() {
                result = take(decoded).and_then(|()| Ok(gatherer.take(location, decoded, line)?));
            }
        })?;
        result?;
        let mut families = gatherer.finish()?;
        families.counts = reader.counts;
        Ok(families)
    }

    /// How many groups there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.groups.len()
    }

    /// Whether the events of a group are more than are held at once.
    #[must_use]
    pub fn is_large(&self, group: usize) -> bool {
        self.groups.get(group).is_some_and(|group| group.bytes > self.large_from())
    }

    /// Gives the events of a group twice: first in the order of the lines within each stream, then by `ts`.
    ///
    /// # Errors
    /// When the temporary file cannot be read or written.
    pub fn visit(
        &self,
        group: usize,
        in_log_order: &mut dyn FnMut(&Event<'_>),
        by_time: &mut dyn FnMut(&Event<'_>),
    ) -> io::Result<()> {
        let Some(blocks) = self.groups.get(group).map(|group| &group.blocks) else { return Ok(()) };
        if self.is_large(group) {
            self.each(blocks, &mut |record, decoders| decoders.decode(record, &mut *in_log_order))?;
            return self.merged(blocks, by_time);
        }
        let held = blocks.iter().map(|block| self.spill.get(block)).collect::<io::Result<Vec<_>>>()?;
        let mut decoders = self.lines.decoders();
        let records = held.iter().flat_map(|bytes| record::records(bytes));
        let events: Vec<Event<'_>> = records.filter_map(|record| decoders.event(&record)).collect();
        events.iter().for_each(in_log_order);
        // An event is large: what is sorted are references.
        let mut events: Vec<&Event<'_>> = events.iter().collect();
        events.sort_by_key(|event| event.ts);
        events.into_iter().for_each(by_time);
        Ok(())
    }

    const fn large_from(&self) -> u64 {
        // The groups of a usual log are about as large as they should be; a single family may be larger than any group.
        self.sizes.group_bytes.saturating_mul(2)
    }

    fn each(
        &self,
        blocks: &[Block],
        take: &mut dyn FnMut(&Record<'_>, &mut record::Decoders<'_>),
    ) -> io::Result<()> {
        let mut decoders = self.lines.decoders();
        for block in blocks {
            let bytes = self.spill.get(block)?;
            record::records(&bytes).for_each(|record| take(&record, &mut decoders));
        }
        Ok(())
    }

    /// Sorts on disk: runs that are sorted in memory, then merged.
    fn merged(&self, blocks: &[Block], take: &mut dyn FnMut(&Event<'_>)) -> io::Result<()> {
        let mut spill = Spill::new(&self.folder, 0)?;
        let mut runs: Vec<Vec<Block>> = Vec::new();
        let mut unsorted: Vec<u8> = Vec::new();
        let run_bytes = usize::try_from(self.sizes.group_bytes).unwrap_or(usize::MAX);
        for block in blocks {
            unsorted.extend_from_slice(&self.spill.get(block)?);
            if unsorted.len() >= run_bytes {
                runs.push(sorted(&unsorted, &mut spill, self.sizes.block_bytes)?);
                unsorted.clear();
            }
        }
        runs.push(sorted(&unsorted, &mut spill, self.sizes.block_bytes)?);
        drop(unsorted);
        let mut cursors = Vec::with_capacity(runs.len());
        for run in runs {
            cursors.push(record::Cursor::new(run, &spill)?);
        }
        let mut decoders = self.lines.decoders();
        let heads = cursors.iter().enumerate();
        let mut next: BinaryHeap<Reverse<(Timestamp, usize)>> =
            heads.filter_map(|(run, cursor)| Some(Reverse((cursor.record()?.ts, run)))).collect();
        while let Some(Reverse((_, run))) = next.pop() {
            let Some(cursor) = cursors.get_mut(run) else { continue };
            if let Some(record) = cursor.record() {
                decoders.decode(&record, &mut *take);
            }
            cursor.advance(&spill)?;
            next.extend(cursor.record().map(|record| Reverse((record.ts, run))));
        }
        Ok(())
    }
}

/// Writes the records by their instants; those of one instant stay as they are.
fn sorted(unsorted: &[u8], spill: &mut Spill, block_bytes: usize) -> io::Result<Vec<Block>> {
    let mut records: Vec<Record<'_>> = record::records(unsorted).collect();
    records.sort_by_key(|record| record.ts);
    let (mut blocks, mut filling) = (Vec::new(), Vec::with_capacity(block_bytes));
    for record in records {
        record.write(&mut filling);
        if filling.len() >= block_bytes {
            blocks.push(spill.put(&filling)?);
            filling.clear();
        }
    }
    blocks.push(spill.put(&filling)?);
    Ok(blocks)
}

/// Sorts lines into groups.
struct Gatherer {
    families: Families,
    kin: Kin,
    joined: Joined,
}

impl Gatherer {
    fn new(logs: &Path, folder: &Path, sizes: Sizes) -> io::Result<Self> {
        let mut bytes = 0;
        for stream in Stream::ALL {
            bytes += segment::segments(logs, stream.name())?.iter().map(|segment| segment.bytes).sum::<u64>();
        }
        let fits = bytes <= u64::try_from(sizes.memory_bytes).unwrap_or(u64::MAX);
        let count = if fits { 1 } else { bytes.div_ceil(sizes.group_bytes).clamp(1, sizes.groups_max) };
        let kin = Kin::read(logs, count)?;
        let families = Families {
            counts: Counts::default(),
            sleeps: Vec::new(),
            creations_first: true,
            sizes,
            folder: folder.to_owned(),
            lines: Lines::default(),
            spill: Spill::new(folder, if fits { sizes.memory_bytes } else { 0 })?,
            groups: (0..count).map(|_| Group::default()).collect(),
        };
        Ok(Self { families, joined: Joined::none(kin.group_count()), kin })
    }

    fn take(&mut self, location: &Location<'_>, decoded: &Decoded<'_>, line: &[u8]) -> io::Result<()> {
        let Decoded::Known(known) = decoded else { return Ok(()) };
        let event = &known.event;
        if let Body::HostSuspended { from_at, until_at } = event.body {
            self.families.sleeps.push(Sleep { ts: event.ts, from: from_at, until: until_at });
        }
        let is_call = matches!(
            event.body,
            Body::ToolStarted { .. } | Body::ToolSucceeded { .. } | Body::ToolFailed { .. }
        );
        if event.task.is_none() && !is_call {
            return Ok(());
        }
        let place = self.kin.group(event.task.as_deref().unwrap_or(""));
        if let Body::TaskCreated { parent, .. } = &event.body {
            self.families.creations_first &= location.stream == Stream::DelegationRequests;
            if let Some(parent) = parent.as_deref() {
                self.joined.join(place, self.kin.group(parent));
            }
        }
        let seg = self.families.lines.number(location.seg);
        let families = &mut self.families;
        let Some(group) = families.groups.get_mut(place) else { return Ok(()) };
        let before = group.filling.len();
        Record { ts: event.ts, seg, offset: location.offset, line }.write(&mut group.filling);
        group.bytes += u64::try_from(group.filling.len() - before).unwrap_or(u64::MAX);
        if group.filling.len() >= families.sizes.block_bytes {
            group.blocks.push(families.spill.put(&group.filling)?);
            group.filling.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<Families> {
        for group in &mut self.families.groups {
            let filling = std::mem::take(&mut group.filling);
            if !filling.is_empty() {
                group.blocks.push(self.families.spill.put(&filling)?);
            }
        }
        for place in (0..self.families.groups.len()).rev() {
            let target = self.joined.first(place);
            if target != place {
                let moved = self.families.groups.get_mut(place).map(std::mem::take).unwrap_or_default();
                if let Some(group) = self.families.groups.get_mut(target) {
                    group.blocks.extend(moved.blocks);
                    group.bytes += moved.bytes;
                }
            }
        }
        self.families.groups.retain(|group| group.bytes > 0);
        Ok(self.families)
    }
}
