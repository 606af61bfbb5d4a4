//! Sealed bytes: independent zstd frames and a table of where they lie.
//!
//! The format is zstd's *seekable format* (facebook/zstd, `contrib/seekable_format/zstd_seekable_compression_format.md`,
//! version 0.1.0) without the optional checksums of the table, since each frame has its own: any zstd tool reads the file
//! as one stream. A frame holds at most four megabytes and ends at the end of a line wherever there is one, so that a
//! damaged frame costs whole lines. What a table claims beyond that is refused before anything is allocated.

mod scan;

use crate::base::fs::ReadAt as _;
use std::fs::File;
use std::io;

/// The most plain bytes of one frame.
const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Segments are rotated at megabytes; a file that claims more than this many frames (16 GiB) is none of ours.
const FRAMES_MAX: u32 = 1 << 12;
/// 5.5 : 1 on typical events; higher levels cost much more time for little less space.
const LEVEL: i32 = 3;
const SKIPPABLE_MAGIC: u32 = 0x184D_2A5E;
const TABLE_MAGIC: u32 = 0x8F92_EAB1;
const ENTRY_BYTES: u64 = 8;
const HEADER_BYTES: u64 = 8;
const FOOTER_BYTES: u64 = 9;

/// One frame: where it lies, and which plain bytes it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The place of its first byte in the file.
    pub(crate) at: u64,
    /// Its bytes in the file.
    pub(crate) size: u64,
    /// The place of its first plain byte.
    pub(crate) start: u64,
    /// Its plain bytes.
    pub(crate) length: u64,
}

/// The table of a sealed file.
#[derive(Debug)]
pub(crate) struct Frames(Vec<Frame>);

impl Frames {
    /// The frames of a sealed file: as its table says; where that is damaged, as the frames themselves say; where they say
    /// nothing that can be read either, the file as one damaged place, so that it costs nothing but itself.
    pub(crate) fn read(file: &File) -> io::Result<Self> {
        match Self::read_table(file) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {}
            result => return result,
        }
        let size = file.metadata()?.len();
        let mut frames = scan::frames(file, size)?;
        let (at, start) =
            frames.last().map_or((0, 0), |frame| (frame.at + frame.size, frame.start + frame.length));
        // What is left is the damaged table, or nothing that we wrote: it cannot be decompressed.
        let mut magic = [0; 4];
        let is_table = file.read_at(&mut magic, at)? == 4 && magic == SKIPPABLE_MAGIC.to_le_bytes();
        if frames.is_empty() || !is_table {
            frames.extend(unreadable(at, size, start));
        }
        Ok(Self(frames))
    }

    /// Reads the table at the end of a file. An error of kind `InvalidData`: there is none, or it is damaged.
    fn read_table(file: &File) -> io::Result<Self> {
        let size = file.metadata()?.len();
        let mut footer = [0; 9];
        let footer_at = size.checked_sub(FOOTER_BYTES).ok_or_else(no_table)?;
        file.read_exact_at(&mut footer, footer_at)?;
        let [a, b, c, d, descriptor, magic @ ..] = footer;
        let count = u32::from_le_bytes([a, b, c, d]);
        if u32::from_le_bytes(magic) != TABLE_MAGIC || descriptor != 0 || count > FRAMES_MAX {
            return Err(no_table());
        }
        let table_bytes = u64::from(count) * ENTRY_BYTES;
        let table_at = footer_at.checked_sub(table_bytes).ok_or_else(no_table)?;
        let mut table = vec![0; usize::try_from(table_bytes).map_err(|_| no_table())?];
        file.read_exact_at(&mut table, table_at)?;
        let frames = Self::parse(&table)?;
        let end = frames.0.last().map_or(0, |frame| frame.at + frame.size);
        if end + HEADER_BYTES != table_at {
            return Err(no_table());
        }
        for frame in &frames.0 {
            if scan::plain_bytes(file, frame.at)? != Some(frame.length) {
                return Err(no_table());
            }
        }
        Ok(frames)
    }

    /// The frame that holds a plain byte.
    pub(crate) fn at(&self, offset: u64) -> Option<Frame> {
        let after = self.0.partition_point(|frame| frame.start <= offset);
        let frame = self.0.get(after.checked_sub(1)?)?;
        (offset < frame.start + frame.length).then_some(*frame)
    }

    /// All frames in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Frame> {
        self.0.iter()
    }

    /// The plain bytes of all frames.
    pub(crate) fn plain_bytes(&self) -> u64 {
        self.0.last().map_or(0, |frame| frame.start + frame.length)
    }

    fn parse(table: &[u8]) -> io::Result<Self> {
        let (mut at, mut start) = (0, 0);
        let mut frames = Vec::with_capacity(table.len() / 8);
        for entry in table.as_chunks::<4>().0.as_chunks::<2>().0 {
            let [size, length] = entry.map(u32::from_le_bytes);
            if usize::try_from(length).map_or(true, |length| length > FRAME_BYTES_MAX)
                || usize::try_from(size)
                    .map_or(true, |size| size > zstd::zstd_safe::compress_bound(FRAME_BYTES_MAX))
            {
                return Err(no_table());
            }
            let frame = Frame { at, size: u64::from(size), start, length: u64::from(length) };
            at += frame.size;
            start += frame.length;
            frames.push(frame);
        }
        Ok(Self(frames))
    }
}

impl Frame {
    /// The plain bytes; `None` if the frame is damaged. An error: it cannot even be read.
    pub(crate) fn decompress(&self, file: &File) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; usize::try_from(self.size).unwrap_or(0)];
        match file.read_exact_at(&mut bytes, self.at) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            result => result?,
        }
        let length = usize::try_from(self.length).unwrap_or(0);
        // The capacity is the bound: a frame that holds more than it claims is damaged.
        let plain = zstd::bulk::decompress(&bytes, length).ok();
        Ok(plain.filter(|plain| plain.len() == length))
    }
}

/// Compresses `plain` into the sealed form.
#[cfg(test)]
pub(crate) fn compress(mut plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let mut writer = FrameWriter::new(out)?;
    while !plain.is_empty() {
        let (frame, rest) = plain.split_at(cut(plain));
        writer.frame(frame)?;
        plain = rest;
    }
    writer.finish()
}

/// How many of the first bytes make a frame: up to the last newline within the limit, or the whole limit.
pub(crate) fn cut(plain: &[u8]) -> usize {
    let room = plain.len().min(FRAME_BYTES_MAX);
    if plain.len() <= FRAME_BYTES_MAX {
        return room;
    }
    plain.get(..room).and_then(|head| memchr::memrchr(b'\n', head)).map_or(room, |newline| newline + 1)
}

/// How many bytes to have at hand before a frame is cut, so that all but the last are full.
pub(crate) const CUT_BYTES: usize = FRAME_BYTES_MAX + 1;

/// Writes frames one after the other, and the table at the end.
pub(crate) struct FrameWriter<W: io::Write> {
    out: W,
    compressor: zstd::bulk::Compressor<'static>,
    table: Vec<u8>,
    count: u32,
}

impl<W: io::Write> FrameWriter<W> {
    /// A writer at the beginning of a file.
    pub(crate) fn new(out: W) -> io::Result<Self> {
        let mut compressor = zstd::bulk::Compressor::new(LEVEL)?;
        compressor.include_checksum(true)?;
        Ok(Self { out, compressor, table: Vec::new(), count: 0 })
    }

    /// Writes plain bytes, as [`cut`] gives them, as one frame.
    pub(crate) fn frame(&mut self, plain: &[u8]) -> io::Result<()> {
        let compressed = self.compressor.compress(plain)?;
        self.out.write_all(&compressed)?;
        for length in [compressed.len(), plain.len()] {
            let length = u32::try_from(length).map_err(io::Error::other)?;
            self.table.extend_from_slice(&length.to_le_bytes());
        }
        self.count += 1;
        Ok(())
    }

    /// Writes the table.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let size = u32::try_from(self.table.len() + 9).map_err(io::Error::other)?;
        self.out.write_all(&SKIPPABLE_MAGIC.to_le_bytes())?;
        self.out.write_all(&size.to_le_bytes())?;
        self.out.write_all(&self.table)?;
        self.out.write_all(&self.count.to_le_bytes())?;
        self.out.write_all(&[0])?;
        self.out.write_all(&TABLE_MAGIC.to_le_bytes())?;
        self.out.flush()
    }
}

/// The bytes of a file from `at` on, as damaged plain bytes of the same number, in pieces that fit into memory.
fn unreadable(at: u64, size: u64, start: u64) -> impl Iterator<Item = Frame> {
    let piece_bytes = u64::try_from(FRAME_BYTES_MAX).unwrap_or(u64::MAX);
    let count = (size - at).div_ceil(piece_bytes);
    (0..count).map(move |piece| {
        let offset = piece * piece_bytes;
        let length = piece_bytes.min(size - at - offset);
        // No frame has no bytes, so this one is found damaged.
        Frame { at: at + offset, size: 0, start: start + offset, length }
    })
}

fn no_table() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the table of its frames is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fs::replace;
    use proptest::prelude::*;

    fn written(bytes: &[u8]) -> (tempfile::TempDir, File) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sealed");
        replace(&path, bytes).unwrap();
        let file = File::open(&path).unwrap();
        (directory, file)
    }

    fn table(bytes: &[u8]) -> io::Result<Frames> {
        Frames::read_table(&written(bytes).1)
    }

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        compress(plain, &mut out).unwrap();
        out
    }

    #[test]
    fn any_zstd_reader_gets_the_plain_bytes() {
        let plain = b"{\"type\":\"note.logged\"}\n".repeat(400_000);
        let decoded = zstd::stream::decode_all(&sealed(&plain)[..]).unwrap();
        assert!(decoded == plain);
        assert_eq!(zstd::stream::decode_all(&sealed(b"")[..]).unwrap(), b"");
    }

    #[test]
    fn frames_end_at_line_ends_and_are_bounded_even_without_any() {
        let plain =
            [b"{\"type\":\"note.logged\"}\n".repeat(400_000), vec![b'x'; 2 * FRAME_BYTES_MAX + 5]].concat();
        let frames = table(&sealed(&plain)).unwrap();
        let lengths: Vec<u64> = frames.iter().map(|frame| frame.length).collect();
        let first = usize::try_from(lengths[0]).unwrap();
        assert_eq!(plain[first - 1], b'\n');
        assert!(lengths.iter().all(|length| *length <= FRAME_BYTES_MAX as u64), "{lengths:?}");
        assert_eq!(frames.plain_bytes(), plain.len() as u64);
        assert_eq!(frames.at(frames.plain_bytes()), None);
    }

    #[test]
    fn a_table_that_claims_too_much_is_refused() {
        let mut bytes = sealed(b"{}\n");
        let entry = bytes.len() - 9 - 4;
        bytes[entry..entry + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(table(&bytes).unwrap_err().kind(), io::ErrorKind::InvalidData);
        for cut in 0..9 {
            assert!(table(&sealed(b"{}\n")[..cut]).is_err());
        }
    }

    #[test]
    fn without_its_table_the_frames_are_found_one_by_one() {
        let plain = b"{\"type\":\"note.logged\"}\n".repeat(500_000);
        let bytes = sealed(&plain);
        let whole: Vec<Frame> = table(&bytes).unwrap().iter().copied().collect();
        for damage in 1..=9 + 8 * whole.len() {
            let mut damaged = bytes.clone();
            let place = damaged.len() - damage;
            damaged[place] ^= 0x55;
            let found = Frames::read(&written(&damaged).1).unwrap();
            assert_eq!(found.iter().copied().collect::<Vec<_>>(), whole, "{damage} bytes from the end");
        }
        let cut = &bytes[..usize::try_from(whole[2].at).unwrap() + 10];
        let (_directory, file) = written(cut);
        let found: Vec<Frame> = Frames::read(&file).unwrap().iter().copied().collect();
        assert_eq!(found[..2], whole[..2]);
        assert_eq!((found.len(), found[2].length), (3, 10));
        assert_eq!(found[2].decompress(&file).unwrap(), None);
    }

    #[test]
    fn a_file_that_was_never_sealed_is_one_damaged_place() {
        let foreign = zstd::stream::encode_all(&b"{\"type\":\"note.logged\"}\n".repeat(1000)[..], 1).unwrap();
        for bytes in [&foreign[..], b"no zstd at all", b""] {
            let (_directory, file) = written(bytes);
            let frames = Frames::read(&file).unwrap();
            assert_eq!(frames.plain_bytes(), bytes.len() as u64);
            assert!(frames.iter().all(|frame| frame.decompress(&file).unwrap().is_none()));
        }
    }

    #[test]
    fn a_frame_that_holds_more_than_it_claims_is_damaged() {
        let bomb = zstd::bulk::compress(&vec![0; 64 * 1024 * 1024], 1).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bomb");
        replace(&path, &bomb).unwrap();
        let frame = Frame { at: 0, size: bomb.len() as u64, start: 0, length: 100 };
        assert_eq!(frame.decompress(&File::open(&path).unwrap()).unwrap(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn bytes_that_are_no_sealed_file_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), tail in any::<bool>()) {
            let mut bytes = bytes;
            if tail {
                bytes.push(0);
                bytes.extend_from_slice(&TABLE_MAGIC.to_le_bytes());
            }
            if let Ok(frames) = Frames::read(&written(&bytes).1) {
                prop_assert!(frames.plain_bytes() <= frames.iter().count() as u64 * FRAME_BYTES_MAX as u64);
            }
        }
    }
}
