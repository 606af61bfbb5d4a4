//! The state of all tasks as a fold over the log, in bounded memory: when there are many tasks, what was folded of them is
//! put away, and merged group by group of families at the end.

use crate::app::family::kin::{Joined, Kin};
use crate::app::fold::Fold;
use crate::app::log::Location;
use crate::app::spill::{Block, Spill};
use crate::base::clock::Timestamp;
use crate::base::fs;
use crate::event::body::Body;
use crate::event::codec::Decoded;
use crate::event::envelope::Stream;
use crate::projection::checkpoint::{Checkpoint, ColdPart, HEAD_BYTES, MadeCold};
use crate::projection::state::Projection;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// A block of what is put away.
const BLOCK_BYTES: usize = 8 << 10;

/// A fold of everything into one projection.
#[derive(Debug, Default)]
pub struct States {
    /// The state.
    pub projection: Projection,
    /// Events after this instant are passed over.
    pub until: Option<Timestamp>,
}

impl Fold for States {
    fn take(&mut self, _: &Location<'_>, decoded: &Decoded<'_>) {
        if let Decoded::Known(line) = decoded
            && self.until.is_none_or(|until| line.event.ts <= until)
        {
            self.projection.apply(&line.event);
        }
    }

    fn merge(&mut self, later: Self) {
        self.projection.merge(later.projection);
    }
}

/// A fold of which never more than some tasks are in memory.
#[derive(Debug)]
pub struct BoundedStates<'k> {
    kin: &'k Kin,
    tasks_max: usize,
    projection: Projection,
    joined: Joined,
    /// What was put away: ours, and what came later in the log.
    away: Vec<Away>,
    error: Option<io::Error>,
    /// The stream that is being read, once something was put away.
    stream: Option<Stream>,
}

/// Tasks that were put away, in the order of the log.
#[derive(Debug)]
struct Away {
    spill: Spill,
    groups: Vec<(Vec<u8>, Vec<Block>)>,
}

impl<'k> BoundedStates<'k> {
    /// At most `tasks_max` tasks stay in memory; the others lie in a temporary file in `folder`, in the groups of `kin`.
    #[must_use]
    pub fn new(kin: &'k Kin, folder: &Path, tasks_max: usize) -> Self {
        let away = Away::new(folder, kin.group_count());
        let (away, error) = away.map_or_else(|error| (Vec::new(), Some(error)), |away| (vec![away], None));
        let joined = Joined::none(kin.group_count());
        Self { kin, tasks_max, projection: Projection::default(), joined, away, error, stream: None }
    }

    /// The state: as it is, if nothing had to be put away; else hot tasks in memory and cold ones in a file in `state`.
    ///
    /// # Errors
    /// When a file could not be written or read.
    pub fn finish(mut self, state: &Path, now: Timestamp) -> io::Result<Checkpoint> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if self.away.iter().all(Away::is_empty) {
            return Ok(Checkpoint::of(self.projection, Vec::new()));
        }
        self.put_away(true);
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        self.away.iter_mut().try_for_each(Away::finish)?;
        fs::create_private_dir(state)?;
        let mut made = None;
        let staged =
            fs::stage_with(&state.join("cold"), |file| self.write_cold(file, now).map(|cold| made = cold))?;
        let Some(made) = made else {
            std::fs::remove_file(staged)?;
            return Ok(Checkpoint::of(self.projection, Vec::new()));
        };
        fs::put(&staged, &state.join(&made.name))?;
        Ok(Checkpoint::with_cold(self.projection, made))
    }

    /// Merges group by group; writes what is cold, and keeps what is hot.
    fn write_cold(&mut self, file: &mut File, now: Timestamp) -> io::Result<Option<MadeCold>> {
        let (mut part, bytes) = ColdPart::start();
        file.write_all(&bytes)?;
        let count = self.kin.group_count();
        for group in (0..count).filter(|group| self.joined.first(*group) == *group) {
            let mut projection = Projection::default();
            for member in (group..count).filter(|member| self.joined.first(*member) == group) {
                self.away.iter().try_for_each(|away| away.merge_into(member, &mut projection))?;
            }
            file.write_all(&part.take_from(&mut projection, now))?;
            self.projection.merge(projection);
        }
        let Some(made) = part.finish() else { return Ok(None) };
        file.write_all(&made.end)?;
        file.write_all_at(made.head.get(..HEAD_BYTES).unwrap_or_default(), 0)?;
        Ok(Some(made))
    }

    /// Puts all tasks away, or the half that has been quiet for longer.
    fn put_away(&mut self, all: bool) {
        let Some(away) = self.away.last_mut() else { return };
        let (kin, error) = (self.kin, &mut self.error);
        let put = |id: &str, bytes: &[u8]| {
            if let Err(failed) = away.put(kin.group(id), bytes) {
                error.get_or_insert(failed);
            }
        };
        if all {
            self.projection.drain_tasks(put);
        } else {
            self.projection.drain_quiet_tasks(put);
        }
    }
}

impl Fold for BoundedStates<'_> {
    fn take(&mut self, location: &Location<'_>, decoded: &Decoded<'_>) {
        let Decoded::Known(line) = decoded else { return };
        if self.stream.is_some_and(|stream| stream != location.stream) {
            // Another stream begins at an earlier time, so what was heard of last is not what will be heard of next.
            self.put_away(true);
            self.stream = Some(location.stream);
        }
        self.projection.apply(&line.event);
        if let Body::TaskCreated { parent: Some(parent), .. } = &line.event.body
            && let Some(task) = line.event.task.as_deref()
        {
            self.joined.join(self.kin.group(task), self.kin.group(parent));
        }
        if self.projection.task_count() > self.tasks_max {
            self.put_away(false);
            self.stream = Some(location.stream);
        }
    }

    fn merge(&mut self, mut later: Self) {
        self.joined.merge(&later.joined);
        self.error = self.error.take().or(later.error.take());
        if self.away.iter().chain(&later.away).any(|away| !away.is_empty()) {
            self.put_away(true);
            later.put_away(true);
            self.error = self.error.take().or(later.error);
            self.away.extend(later.away);
        }
        self.projection.merge(later.projection);
    }
}

impl Away {
    fn new(folder: &Path, group_count: usize) -> io::Result<Self> {
        let groups = (0..group_count).map(|_| Default::default()).collect();
        Ok(Self { spill: Spill::new(folder, 0)?, groups })
    }

    fn is_empty(&self) -> bool {
        self.groups.iter().all(|(filling, blocks)| filling.is_empty() && blocks.is_empty())
    }

    fn put(&mut self, group: usize, bytes: &[u8]) -> io::Result<()> {
        let Some((filling, blocks)) = self.groups.get_mut(group) else { return Ok(()) };
        // A task is never larger than the memory it came from.
        filling.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        filling.extend_from_slice(bytes);
        if filling.len() >= BLOCK_BYTES {
            blocks.push(self.spill.put(filling)?);
            filling.clear();
        }
        Ok(())
    }

    fn finish(&mut self) -> io::Result<()> {
        for (filling, blocks) in &mut self.groups {
            if !filling.is_empty() {
                blocks.push(self.spill.put(filling)?);
                *filling = Vec::new();
            }
        }
        Ok(())
    }

    fn merge_into(&self, group: usize, projection: &mut Projection) -> io::Result<()> {
        let blocks = self.groups.get(group).map(|(_, blocks)| blocks.as_slice()).unwrap_or_default();
        for block in blocks {
            let bytes = self.spill.get(block)?;
            let mut rest = &*bytes;
            while let Some((length, after)) = rest.split_first_chunk() {
                let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
                let Some((task, after)) = after.split_at_checked(length) else {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                };
                projection.merge_task(task).map_err(io::Error::from)?;
                rest = after;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::codec::{self, Decoder};
    use crate::event::envelope::Event;
    use crate::projection::fixture::any::any_event;
    use crate::projection::fixture::{folded, instant};
    use proptest::prelude::*;

    fn line(event: &Event<'_>) -> Vec<u8> {
        let mut line = Vec::new();
        codec::encode(event, &mut line);
        line
    }

    fn take(states: &mut BoundedStates<'_>, lines: &[Vec<u8>]) {
        for (idx, line) in lines.iter().enumerate() {
            let stream = if idx % 20 < 10 { Stream::ToolCalls } else { Stream::ModelUsage };
            let location = Location { stream, seg: "s", offset: 0 };
            states.take(&location, &Decoder::new("s").decode(line, 0));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn what_was_put_away_is_as_if_it_had_stayed(
            events in prop::collection::vec((any_event(), 0_usize..4, any::<bool>()), 0..60),
            cut in any::<prop::sample::Index>(), tasks_max in 0_usize..12, are_parents_known in any::<bool>(),
        ) {
            let events: Vec<Event<'static>> = events.into_iter().map(|(mut event, family, recent)| {
                event.task = event.task.map(|task| format!("{task}{family}").into());
                if let Body::TaskCreated { parent: Some(parent), .. } = &mut event.body {
                    *parent = format!("{parent}{family}").into();
                }
                if recent && family > 1 {
                    event.ts = event.ts.plus_millis(48 * 3_600_000);
                }
                event
            }).collect();
            let lines: Vec<Vec<u8>> = events.iter().map(line).collect();
            let folder = tempfile::tempdir().unwrap();
            if are_parents_known {
                let requests = events.iter().filter(|event| event.body.stream() == Stream::DelegationRequests);
                let bytes: Vec<u8> = requests.flat_map(|event| [line(event), b"\n".to_vec()].concat()).collect();
                fs::replace(&folder.path().join("delegation_requests.jsonl"), &bytes).unwrap();
            }
            let state = folder.path().join("state");
            let kin = Kin::read(folder.path(), 4).unwrap();
            let (first, second) = lines.split_at(cut.index(lines.len() + 1));
            let [mut states, mut later] = [(); 2].map(|()| BoundedStates::new(&kin, &state, tasks_max));
            take(&mut states, first);
            take(&mut later, second);
            states.merge(later);
            let now = instant("+2d12:00");
            let mut checkpoint = states.finish(&state, now).unwrap();
            let expected = Checkpoint::of(folded(&events), Vec::new());
            if !checkpoint.is_whole() {
                let hot = Checkpoint::decode(&checkpoint.encode_hot()).unwrap();
                let expected = Checkpoint::decode(&expected.clone().encode(now).hot).unwrap();
                prop_assert_eq!(hot.cold_task_count(), expected.cold_task_count());
                prop_assert_eq!(hot.projection, expected.projection);
                let cold = std::fs::read(state.join(checkpoint.cold_name().unwrap())).unwrap();
                checkpoint.join_cold(&cold).unwrap();
            }
            prop_assert_eq!(checkpoint.projection, expected.projection);
        }
    }
}
