//! Links the program at a fixed address on Linux.
//!
//! polars brings some hundred thousand relocations that a position-independent program resolves at every start; at a
//! fixed address the linker does it once. `agentlog --help` starts in half the time.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is_linux = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "linux");
    let is_gnu = std::env::var("CARGO_CFG_TARGET_ENV").is_ok_and(|env| env == "gnu");
    if is_linux && is_gnu {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
