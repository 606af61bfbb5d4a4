//! Whether a file is still the one that is being read: it may be rewritten under our eyes.

use crate::base::fs;
use crate::base::limits::HEAD_HASH_BYTES;
use std::fs::File;
use std::io;

/// Bytes that must not change while the file is read.
pub(super) struct Landmarks {
    head: (u64, String),
    tail: (u64, String),
}

impl Landmarks {
    pub(super) fn of(file: &File, size: u64, offset: u64) -> io::Result<Self> {
        let head_bytes = size.min(HEAD_HASH_BYTES);
        Ok(Self {
            head: (head_bytes, fs::head_hash(file, head_bytes)?),
            tail: (offset, fs::tail_hash(file, offset)?),
        })
    }

    pub(super) fn hold(&self, file: &File) -> bool {
        let Self { head: (head_bytes, head_hash), tail: (offset, tail_hash) } = self;
        fs::head_hash(file, *head_bytes).is_ok_and(|hash| hash == *head_hash)
            && fs::tail_hash(file, *offset).is_ok_and(|hash| hash == *tail_hash)
    }
}
