//! Any bytes, as `targets::read` takes them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::read(data));
