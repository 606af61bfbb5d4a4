//! What the benchmarks share: measuring, data, the program as a process, and the peers.

pub(crate) mod generator;
pub(crate) mod measure;
pub(crate) mod peer;
pub(crate) mod program;
pub(crate) mod random;
pub(crate) mod transcript;
