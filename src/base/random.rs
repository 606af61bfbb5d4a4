//! The only door to randomness: the operating system's generator. Nothing here is reproducible, so nothing here is used
//! by a pure module.

use std::io;

/// The lower-case alphabet of base 32, RFC 4648 §6.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Fills `buffer` with random bytes. Fails only where the system has no generator at all.
pub fn fill(buffer: &mut [u8]) -> io::Result<()> {
    getrandom::fill(buffer).map_err(|error| io::Error::other(format!("no random bytes: {error}")))
}

/// A new identity of a writer or a segment: 80 random bits as 16 lower-case letters and digits.
pub fn identity() -> io::Result<String> {
    let mut bytes = [0_u8; 10];
    fill(&mut bytes)?;
    Ok(base32(bytes))
}

/// The identity of a writer (`w`), new at every start of a process and never used again.
pub fn writer_id() -> io::Result<String> {
    identity()
}

fn base32(bytes: [u8; 10]) -> String {
    let bits = bytes.iter().fold(0_u128, |bits, byte| bits << 8 | u128::from(*byte));
    (0..16)
        .rev()
        .filter_map(|place| usize::try_from(bits >> (5 * place) & 31).ok())
        .filter_map(|digit| ALPHABET.get(digit).copied().map(char::from))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_the_base_32_of_its_bytes() {
        assert_eq!(base32([0; 10]), "aaaaaaaaaaaaaaaa");
        assert_eq!(base32([0xff; 10]), "7777777777777777");
        assert_eq!(base32(*b"helloworld"), "nbswy3dpo5xxe3de");
    }

    #[test]
    fn two_identities_differ() {
        assert_ne!(identity().unwrap(), identity().unwrap());
    }
}
