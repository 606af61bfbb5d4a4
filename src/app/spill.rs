//! Blocks of bytes that need not stay in memory: the first ones do, the others lie compressed in a file without a name.
//!
//! It knows nothing of what the blocks hold. The file is made when the first block needs it, is readable by its owner only,
//! and is gone with the program, however that ends.

use crate::base::fs;
use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// The fastest of zstd's usual levels: a journal becomes an eighth of its size.
const LEVEL: i32 = 1;

/// Where blocks are kept.
pub struct Spill {
    folder: PathBuf,
    file: Option<File>,
    end: u64,
    /// How many more bytes may stay in memory.
    memory_left: usize,
    compressor: zstd::bulk::Compressor<'static>,
}

/// One block that was kept.
#[derive(Clone, Debug)]
pub struct Block(Kept);

#[derive(Clone, Debug)]
enum Kept {
    InMemory(Vec<u8>),
    /// Small, because there may be many.
    InFile {
        offset: u64,
        length: u32,
        plain_length: u32,
    },
}

impl Spill {
    /// Keeps up to `memory` bytes in memory, what is more in a file in `folder`, or, where that cannot be written, in the
    /// system's folder for temporary files.
    ///
    /// # Errors
    /// When zstd is not usable.
    pub fn new(folder: &Path, memory: usize) -> io::Result<Self> {
        let compressor = zstd::bulk::Compressor::new(LEVEL)?;
        Ok(Self { folder: folder.to_owned(), file: None, end: 0, memory_left: memory, compressor })
    }

    /// Keeps a block.
    ///
    /// # Errors
    /// When the file cannot be made or written.
    pub fn put(&mut self, plain: &[u8]) -> io::Result<Block> {
        if let Some(left) = self.memory_left.checked_sub(plain.len()) {
            self.memory_left = left;
            return Ok(Block(Kept::InMemory(plain.to_vec())));
        }
        self.memory_left = 0;
        let packed = self.compressor.compress(plain)?;
        let file = match &self.file {
            Some(file) => file,
            None => self.file.insert(file_in(&self.folder)?),
        };
        file.write_all_at(&packed, self.end)
            .map_err(|error| fs::describe(error, "cannot write a temporary file in", &self.folder))?;
        let too_large = |_| io::Error::from(io::ErrorKind::FileTooLarge);
        let length = u32::try_from(packed.len()).map_err(too_large)?;
        let plain_length = u32::try_from(plain.len()).map_err(too_large)?;
        let block = Kept::InFile { offset: self.end, length, plain_length };
        self.end += u64::from(length);
        Ok(Block(block))
    }

    /// The bytes of a block that was kept here.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn get<'b>(&self, block: &'b Block) -> io::Result<Cow<'b, [u8]>> {
        match &block.0 {
            Kept::InMemory(bytes) => Ok(Cow::Borrowed(bytes)),
            Kept::InFile { offset, length, plain_length } => {
                let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
                let [length, plain_length] =
                    [*length, *plain_length].map(|length| usize::try_from(length).unwrap_or(usize::MAX));
                let mut packed = vec![0; length];
                file.read_exact_at(&mut packed, *offset)?;
                zstd::bulk::decompress(&packed, plain_length).map(Cow::Owned)
            }
        }
    }
}

/// The compressor shows nothing.
impl std::fmt::Debug for Spill {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Spill")
            .field("folder", &self.folder)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

fn file_in(folder: &Path) -> io::Result<File> {
    let made = fs::create_private_dir(folder).and_then(|()| fs::nameless(folder));
    made.or_else(|error| fs::nameless(&std::env::temp_dir()).map_err(|_| error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_is_given_back_from_memory_and_from_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let mut spill = Spill::new(&state, 2500).unwrap();
        let plain: Vec<Vec<u8>> = (0..6_u8).map(|byte| vec![byte; 1000]).collect();
        let blocks: Vec<Block> = plain.iter().map(|bytes| spill.put(bytes).unwrap()).collect();
        let in_memory = blocks.iter().filter(|block| matches!(block.0, Kept::InMemory(_))).count();
        assert_eq!(in_memory, 2);
        for (block, plain) in blocks.iter().zip(&plain) {
            assert_eq!(&*spill.get(block).unwrap(), plain);
        }
        assert_eq!(std::fs::read_dir(&state).unwrap().count(), 0, "the file has no name");
    }

    #[test]
    fn without_a_folder_to_write_to_another_one_serves() {
        let folder = tempfile::tempdir().unwrap();
        let occupied = folder.path().join("state");
        std::fs::File::create(&occupied).unwrap();
        let mut spill = Spill::new(&occupied, 0).unwrap();
        let block = spill.put(b"a block").unwrap();
        assert_eq!(&*spill.get(&block).unwrap(), b"a block");
    }
}
