//! Whether two files tell the same story as far as both go.

use crate::base::fs;
use std::io::{self, Read};
use std::path::Path;

/// Whether one of two files is the beginning of the other. A file that is gone contradicts nothing.
pub(super) fn share_beginning(one: &Path, other: &Path) -> bool {
    let (Ok(one), Ok(other)) = (fs::open_read_regular(one), fs::open_read_regular(other)) else {
        return true;
    };
    let (mut one, mut other) = (io::BufReader::new(one), io::BufReader::new(other));
    let (mut left, mut right) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    loop {
        let (Ok(one_length), Ok(other_length)) = (fill(&mut one, &mut left), fill(&mut other, &mut right))
        else {
            return true;
        };
        let common = one_length.min(other_length);
        if left.get(..common) != right.get(..common) {
            return false;
        }
        if common < left.len() {
            return true;
        }
    }
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest)? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}
