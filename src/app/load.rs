//! The state of all tasks: from the checkpoint and what was appended since, or from the whole log.
//!
//! The checkpoint is a cache. Whatever does not fit exactly (another program version, a segment that is not as it was)
//! makes it worthless, never wrong: then the log is folded from its start.

use crate::app::Context;
use crate::app::family::kin::Kin;
use crate::app::family::{self, Families};
use crate::app::fold::{self, Folded};
use crate::app::log::{Counts, Place, Places, Reader};
use crate::app::quarantine;
use crate::app::states::{BoundedStates, States};
use crate::base::clock::Timestamp;
use crate::base::lock::FileLock;
use crate::base::{fs, text};
use crate::event::body::Body;
use crate::event::codec::{Decoded, Decoder};
use crate::event::envelope::{Event, Stream};
use crate::journal::segment;
use crate::projection::checkpoint::{Checkpoint, Encoded, SegmentPosition};
use crate::projection::edge::{Edge, Edges};
use crate::projection::policy::Policy;
use crate::projection::state::Projection;
use crate::projection::status::TaskStatus;
use anyhow::Context as _;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

const HOT_FILE: &str = "checkpoint.hot";
/// A checkpoint is written anew when this much was appended since the last one: below, folding is cheaper than writing.
const CHECKPOINT_AFTER_BYTES: u64 = 1024 * 1024;
/// A log of so many bytes is folded in bounded memory: so many tasks per thread, and groups of what so much of a log has.
const BOUNDED_FROM_BYTES: u64 = 32 << 20;
const TASKS_MAX: usize = 1500;
const GROUP_BYTES: u64 = 32 << 20;
const GROUPS_MAX: u64 = 128;

/// The state as it is now, and the place in the log from which it goes on.
pub struct Live<'a> {
    context: &'a Context,
    checkpoint: Checkpoint,
    reader: Reader,
    /// How many of the bytes that were read are in the stored state.
    stored_bytes: u64,
}

impl<'a> Live<'a> {
    /// The present state.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn load(context: &'a Context) -> anyhow::Result<Self> {
        let logs = &context.project.logs;
        let mut live = match stored_checkpoint(context) {
            Some(checkpoint) => {
                let reader = Reader::from_places(logs, places(&checkpoint.positions));
                Self { context, checkpoint, reader, stored_bytes: 0 }
            }
            None => Self::fold_bounded(context)?,
        };
        live.advance()?;
        mention_damage(context, &live.reader.counts);
        live.save_if_due();
        Ok(live)
    }

    /// Folds what was appended since.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn advance(&mut self) -> anyhow::Result<()> {
        self.advance_seeing(&mut |_| {}).map(|_is_anew| ())
    }

    /// Folds what was appended since, and shows each event of it to `see`. Where the whole log has to be folded anew, none
    /// is shown, and `true` comes back: whatever was kept of events may be gone from the log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn advance_seeing(&mut self, see: &mut dyn FnMut(&Event<'_>)) -> anyhow::Result<bool> {
        let mut is_anew =
            self.reader.lost_its_place().with_context(|| unreadable(&self.context.project.logs))?;
        if is_anew {
            *self = Self::fold_all(self.context)?;
        }
        let projection = &mut self.checkpoint.projection;
        let mut was_rewritten = false;
        self.reader
            .advance(&mut |_, decoded, _| {
                if let Decoded::Known(line) = decoded {
                    was_rewritten |=
                        matches!(line.event.body, Body::LogScrubbed { .. } | Body::LogRepaired { .. });
                    projection.apply(&line.event);
                    see(&line.event);
                }
            })
            .with_context(|| unreadable(&self.context.project.logs))?;
        // What was taken out of the log must not live on here, and be stored again.
        let is_stale = was_rewritten || self.reader.has_lost_its_place();
        if is_stale || (self.checkpoint.needs_cold() && !self.join_cold()) {
            *self = Self::fold_all(self.context)?;
            is_anew = true;
        }
        Ok(is_anew)
    }

    /// Adds the tasks that ended long ago, which are kept apart.
    ///
    /// # Errors
    /// When they have to be folded from the log and that cannot be read.
    pub fn with_all(mut self) -> anyhow::Result<Self> {
        if self.checkpoint.cold_task_count() > 0 && !self.join_cold() {
            self = Self::fold_all(self.context)?;
        }
        Ok(self)
    }

    /// All tasks at an instant, by id.
    #[must_use]
    pub fn tasks(&self, now: Timestamp) -> Vec<TaskStatus> {
        self.checkpoint.projection.tasks(now, &self.context.config.health)
    }

    /// Stores the state, so that the next start folds only what comes after. A failure costs time, nothing else.
    pub fn save(&mut self) {
        let places = self.reader.places();
        let Some(positions) = positions(&self.context.project.logs, &places) else { return };
        let now = self.context.now();
        if self.checkpoint.should_move(now) && !self.join_cold() {
            return;
        }
        self.checkpoint.positions = positions;
        let encoded = if self.checkpoint.is_whole() {
            self.checkpoint.clone().encode(now)
        } else {
            Encoded { hot: self.checkpoint.encode_hot(), cold: None }
        };
        let cold_name = encoded.cold.as_ref().map(|(name, _)| name.clone()).or(self.checkpoint.cold_name());
        if store(&self.context.project.state, &encoded, cold_name.as_deref()).is_ok() {
            self.stored_bytes = self.reader.read_bytes;
        }
    }

    fn save_if_due(&mut self) {
        if self.reader.read_bytes - self.stored_bytes >= CHECKPOINT_AFTER_BYTES {
            self.save();
        }
    }

    /// Folds the whole log; of a large one with many tasks the cold ones are left in the cold part, which is stored.
    fn fold_bounded(context: &'a Context) -> anyhow::Result<Self> {
        let (logs, state) = (&context.project.logs, &context.project.state);
        let bytes = log_bytes(logs).with_context(|| unreadable(logs))?;
        if bytes < BOUNDED_FROM_BYTES {
            return Self::fold_all(context);
        }
        let kin =
            Kin::read(logs, bytes.div_ceil(GROUP_BYTES).min(GROUPS_MAX)).with_context(|| unreadable(logs))?;
        let new = || BoundedStates::new(&kin, state, TASKS_MAX);
        let Folded { fold, counts, places, bytes } =
            fold::fold(logs, threads(), new).with_context(|| unreadable(logs))?;
        // Where no temporary file can be written, memory must do.
        let Ok(checkpoint) = fold.finish(state, context.now()) else { return Self::fold_all(context) };
        Ok(Self::at_the_end(context, checkpoint, (counts, places, bytes)))
    }

    fn fold_all(context: &'a Context) -> anyhow::Result<Self> {
        let logs = &context.project.logs;
        let Folded { fold, counts, places, bytes } =
            fold::fold(logs, threads(), States::default).with_context(|| unreadable(logs))?;
        let checkpoint = Checkpoint::of(fold.projection, Vec::new());
        Ok(Self::at_the_end(context, checkpoint, (counts, places, bytes)))
    }

    /// A state that was folded from the whole log: what was met on the way, where each stream was left, how much was read.
    fn at_the_end(
        context: &'a Context,
        checkpoint: Checkpoint,
        (counts, places, bytes): (Counts, Places, u64),
    ) -> Self {
        let mut reader = Reader::from_places(&context.project.logs, places);
        reader.counts = counts;
        reader.read_bytes = bytes;
        Self { context, checkpoint, reader, stored_bytes: 0 }
    }

    /// Joins the cold part; tells whether that was possible.
    fn join_cold(&mut self) -> bool {
        let Some(name) = self.checkpoint.cold_name() else { return true };
        fs::read_regular(&self.context.project.state.join(name))
            .is_ok_and(|bytes| self.checkpoint.join_cold(&bytes).is_ok())
    }
}

/// The state now, or as it was at `at` (the fold, in log order, of the events up to it), and how many tasks ended so long ago
/// that they were left in the cold part; none if `all`.
///
/// # Errors
/// When the log cannot be read.
pub fn state(context: &Context, at: Option<Timestamp>, all: bool) -> anyhow::Result<(Projection, usize)> {
    let Some(at) = at else {
        let live = Live::load(context)?;
        let live = if all { live.with_all()? } else { live };
        let cold_count = live.checkpoint.cold_task_count();
        return Ok((live.checkpoint.projection, cold_count));
    };
    let logs = &context.project.logs;
    let new = || States { until: Some(at), ..States::default() };
    let folded = fold::fold(logs, threads(), new).with_context(|| unreadable(logs))?;
    mention_damage(context, &folded.counts);
    Ok((folded.fold.projection, 0))
}

/// The tasks of a [`state`].
///
/// # Errors
/// When the log cannot be read.
pub fn tasks(
    context: &Context,
    at: Option<Timestamp>,
    all: bool,
) -> anyhow::Result<(Vec<TaskStatus>, usize)> {
    let (projection, cold_count) = state(context, at, all)?;
    let now = at.unwrap_or_else(|| context.now());
    Ok((projection.tasks(now, &context.config.health), cold_count))
}

/// All changes of health up to an instant.
///
/// # Errors
/// When the log cannot be read.
pub fn edges(context: &Context, until: Timestamp) -> anyhow::Result<Vec<Edge>> {
    let under = edges_under(context, until, &[&context.config.health])?;
    Ok(under.into_iter().next().unwrap_or_default())
}

/// All changes of health up to an instant as each of these policies has them; the log is read once.
///
/// # Errors
/// When the log cannot be read.
pub fn edges_under(
    context: &Context,
    until: Timestamp,
    policies: &[&Policy],
) -> anyhow::Result<Vec<Vec<Edge>>> {
    let (logs, state) = (&context.project.logs, &context.project.state);
    let families = Families::gather(logs, state, family::SIZES, &mut |_| Ok(()))?;
    let mut all: Vec<Vec<Edge>> = policies.iter().map(|_| Vec::new()).collect();
    for group in 0..families.count() {
        let sleeps = || families.sleeps.iter().map(|sleep| (sleep.from, sleep.until));
        let mut under: Vec<Edges<'_>> =
            policies.iter().map(|policy| Edges::new(sleeps(), until, policy)).collect();
        families.visit(group, &mut |_| {}, &mut |event| {
            for edges in &mut under {
                edges.take(event);
            }
        })?;
        for (all, edges) in all.iter_mut().zip(under) {
            all.extend(edges.finish());
        }
    }
    if families.count() > 1 {
        for edges in &mut all {
            edges.sort_by(|a, b| (a.ts, &a.task).cmp(&(b.ts, &b.task)));
        }
    }
    Ok(all)
}

/// Says once, on standard error, that something in the log was passed over.
pub fn mention_damage(context: &Context, counts: &Counts) {
    if counts.damaged > 0 {
        let lines = text::plural(counts.damaged, "damaged line");
        let first = counts.damages.first().map_or_else(String::new, ToString::to_string);
        context.note(&format!("note: {lines} passed over, first in {first}; `agentlog verify` lists all"));
        quarantine::note(context, &counts.damages);
    }
}

/// Removes the stored state, because the log is not what it was made from any more.
pub fn forget(context: &Context) {
    // It is a cache that does not fit: even if it stays, it is not used.
    let _ = std::fs::remove_file(context.project.state.join(HOT_FILE));
}

/// So often the stored state is compared while others write.
const COMPARISONS_MAX: usize = 20;

/// How the stored state stands to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckpointState {
    /// There is none.
    Absent,
    /// It is of another log, or another program: it is not used.
    Outdated,
    /// With what came after it, it is what the whole log says.
    Fits,
    /// It would be used, and says something else than the log.
    Differs,
    /// The log grew faster than it could be compared.
    NotCompared,
}

/// Compares the stored state, continued to the end of the log, with the fold of the whole log.
///
/// # Errors
/// When the log cannot be read.
pub fn compare_checkpoint(context: &Context) -> anyhow::Result<CheckpointState> {
    let Some(checkpoint) = stored_checkpoint(context) else {
        let is_there = context.project.state.join(HOT_FILE).exists();
        return Ok(if is_there { CheckpointState::Outdated } else { CheckpointState::Absent });
    };
    let reader = Reader::from_places(&context.project.logs, places(&checkpoint.positions));
    let mut live = Live { context, checkpoint, reader, stored_bytes: 0 };
    live.advance()?;
    let mut live = live.with_all()?;
    let mut replayed = Live::fold_all(context)?.with_all()?;
    // Others may be writing: both must stand at the same place.
    for _ in 0..COMPARISONS_MAX {
        live.advance()?;
        replayed.advance()?;
        if live.reader.places() == replayed.reader.places() {
            let same = live.checkpoint.projection == replayed.checkpoint.projection;
            return Ok(if same { CheckpointState::Fits } else { CheckpointState::Differs });
        }
    }
    Ok(CheckpointState::NotCompared)
}

/// How many threads read the log.
#[must_use]
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(8)
}

/// One decoder per segment, for lines that arrive in any order of streams.
#[derive(Default)]
pub struct Decoders {
    decoders: HashMap<String, Decoder>,
}

impl Decoders {
    /// Decodes a line of the segment `seg`.
    pub fn decode<'l>(&mut self, seg: &str, line: &'l [u8], offset: u64) -> Decoded<'l> {
        if !self.decoders.contains_key(seg) {
            self.decoders.insert(seg.to_owned(), Decoder::new(seg));
        }
        match self.decoders.get_mut(seg) {
            Some(decoder) => decoder.decode(line, offset),
            None => Decoder::new(seg).decode(line, offset),
        }
    }
}

/// The stored checkpoint, if it fits the segments as they are.
fn stored_checkpoint(context: &Context) -> Option<Checkpoint> {
    let bytes = fs::read_regular(&context.project.state.join(HOT_FILE)).ok()?;
    let checkpoint = Checkpoint::decode(&bytes).ok()?;
    for stream in Stream::ALL {
        let own = || checkpoint.positions.iter().filter(|position| position.stream == stream.name());
        let segments = segment::segments(&context.project.logs, stream.name()).ok()?;
        for position in own() {
            let segment = segments.iter().find(|segment| segment.seg == position.seg)?;
            let content = segment.open(&context.project.logs).ok()?;
            if fs::tail_hash(&content, position.offset_bytes).ok()? != position.tail_hash {
                return None;
            }
        }
    }
    Some(checkpoint)
}

/// The places as positions with the hashes of the bytes before them, after making these bytes durable: a checkpoint must
/// never be ahead of the log it was made from.
fn positions(logs: &Path, places: &Places) -> Option<Vec<SegmentPosition>> {
    let mut positions = Vec::new();
    for (stream, places) in places {
        let segments = segment::segments(logs, stream.name()).ok()?;
        for place in places {
            let segment = segments.iter().find(|segment| segment.seg == place.seg)?;
            let content = segment.open(logs).ok()?;
            content.file().sync_data().ok()?;
            positions.push(SegmentPosition {
                stream: stream.name().to_owned(),
                seg: place.seg.clone(),
                offset_bytes: place.offset,
                tail_hash: fs::tail_hash(&content, place.offset).ok()?,
            });
        }
    }
    Some(positions)
}

fn places(positions: &[SegmentPosition]) -> Places {
    let mut places = Places::new();
    for position in positions {
        if let Some(stream) = Stream::of_name(&position.stream) {
            let place = Place { seg: position.seg.clone(), offset: position.offset_bytes };
            places.entry(stream).or_default().push(place);
        }
    }
    places
}

/// Writes the cold part first, then the hot one that names it `cold_name`; then removes what no hot part names any more.
fn store(state: &Path, encoded: &Encoded, cold_name: Option<&str>) -> std::io::Result<()> {
    fs::create_private_dir(state)?;
    // Two programs that store at once would remove each other's cold part; the second one leaves it to the first.
    let Some(_guard) = FileLock::acquire(&state.join("checkpoint.lock"), Duration::ZERO)? else {
        return Ok(());
    };
    if let Some((name, bytes)) = &encoded.cold {
        fs::replace(&state.join(name), bytes)?;
    }
    fs::replace(&state.join(HOT_FILE), &encoded.hot)?;
    for entry in std::fs::read_dir(state)?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("cold-") && Some(&*name) != cold_name {
            std::fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn log_bytes(logs: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for stream in Stream::ALL {
        bytes += segment::segments(logs, stream.name())?.iter().map(|segment| segment.bytes).sum::<u64>();
    }
    Ok(bytes)
}

fn unreadable(logs: &Path) -> String {
    format!("cannot read the log in {}", logs.display())
}
