//! The cold part of a checkpoint, made piece by piece: so that it need not fit into memory.
//!
//! The bytes are those of the cold part made at once, but for the order of the tasks. Nothing is written here: the caller
//! puts the pieces one after the other, and at last the head over the first [`HEAD_BYTES`].

use crate::projection::checkpoint::{CODE_VERSION, Checkpoint, ColdIndex, MAGIC, cold_name};
use crate::projection::register::fingerprint;
use crate::projection::state::Projection;

/// How long the head is.
pub const HEAD_BYTES: usize = 20;

/// A cold part that is being made.
#[derive(Debug)]
pub struct ColdPart {
    json: crc32fast::Hasher,
    length: u64,
    hashes: Vec<u64>,
}

/// A cold part that was made.
#[derive(Debug)]
pub struct MadeCold {
    /// To be put over the first bytes.
    pub head: Vec<u8>,
    /// To be put at the end, before that.
    pub end: Vec<u8>,
    /// The name that the file must have.
    pub name: String,
    index: ColdIndex,
}

impl ColdPart {
    /// The part without a task, and the first bytes of the file.
    #[must_use]
    pub fn start() -> (Self, Vec<u8>) {
        let mut part = Self { json: crc32fast::Hasher::new(), length: 0, hashes: Vec::new() };
        let mut bytes = vec![0; HEAD_BYTES];
        bytes.extend(part.count(format!("[\"cold\",\"{CODE_VERSION}\",[null,[],[").into_bytes()));
        (part, bytes)
    }

    /// Takes the tasks out that nobody heard of for long (at the instant `now`, see [`Checkpoint::encode`]), and gives the bytes
    /// to be put next. The tasks must be whole families, and none may come twice.
    #[must_use]
    pub fn take_from(&mut self, projection: &mut Projection, now: crate::base::clock::Timestamp) -> Vec<u8> {
        let cold = projection.split_cold(now);
        let mut bytes = Vec::new();
        for (id, task) in cold.sorted() {
            if !self.hashes.is_empty() {
                bytes.push(b',');
            }
            self.hashes.push(fingerprint(&[id]));
            // As for the whole part: were it to fail, the reader would refuse what is there.
            let _ = serde_json::to_writer(&mut bytes, &(id, task));
        }
        self.count(bytes)
    }

    /// The rest of the file. `None`: there was no cold task, and there should be no file.
    #[must_use]
    pub fn finish(mut self) -> Option<MadeCold> {
        if self.hashes.is_empty() {
            return None;
        }
        let end = self.count(b"]]]".to_vec());
        let length = self.length.to_le_bytes();
        let mut body = crc32fast::Hasher::new();
        body.update(&length);
        body.combine(&self.json);
        let mut head = MAGIC.to_vec();
        head.extend_from_slice(&body.finalize().to_le_bytes());
        head.extend_from_slice(&length);
        let mut whole = crc32fast::Hasher::new();
        whole.update(&head);
        whole.combine(&self.json);
        let checksum = whole.finalize();
        self.hashes.sort_unstable();
        let hashes = self.hashes.into_iter().flat_map(u64::to_le_bytes).collect();
        let index = ColdIndex { checksum: Some(checksum), hashes };
        Some(MadeCold { head, end, name: cold_name(checksum), index })
    }

    fn count(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        self.json.update(&bytes);
        self.length += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        bytes
    }
}

impl Checkpoint {
    /// A checkpoint of the hot tasks of a state, the others being in `cold`, which must be stored under its name.
    #[must_use]
    pub fn with_cold(hot: Projection, cold: MadeCold) -> Self {
        Self { positions: Vec::new(), projection: hot, cold: cold.index, joined: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::fixture::any::any_event;
    use crate::projection::fixture::{folded, instant};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_cold_part_made_in_pieces_joins_like_one_made_at_once(
            events in prop::collection::vec((any_event(), 0_usize..4, any::<bool>()), 1..60),
        ) {
            let mut families: Vec<Vec<_>> = vec![Vec::new(); 4];
            for (mut event, family, recent) in events {
                if let crate::event::body::Body::TaskCreated { parent, .. } = &mut event.body {
                    *parent = None;
                }
                event.task = event.task.map(|task| format!("{task}{family}").into());
                if recent && family > 1 {
                    event.ts = event.ts.plus_millis(48 * 3_600_000);
                }
                families[family].push(event);
            }
            let now = instant("+2d12:00");
            let (mut part, mut bytes) = ColdPart::start();
            let mut hot = Projection::default();
            for family in &families {
                let mut projection = folded(family);
                bytes.extend(part.take_from(&mut projection, now));
                hot.merge(projection);
            }
            let whole = folded(families.iter().flatten());
            match part.finish() {
                None => prop_assert_eq!(hot, whole),
                Some(made) => {
                    bytes.extend_from_slice(&made.end);
                    bytes[..HEAD_BYTES].copy_from_slice(&made.head);
                    let mut checkpoint = Checkpoint::with_cold(hot, made);
                    let expected = Checkpoint::of(whole.clone(), Vec::new()).encode(now);
                    let stored = Checkpoint::decode(&checkpoint.clone().encode(now).hot).unwrap();
                    prop_assert_eq!(&stored.projection, &Checkpoint::decode(&expected.hot).unwrap().projection);
                    checkpoint.join_cold(&bytes).unwrap();
                    prop_assert_eq!(checkpoint.projection, whole);
                }
            }
        }
    }
}
