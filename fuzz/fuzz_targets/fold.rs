//! Any bytes, as `targets::fold` takes them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::fold(data));
