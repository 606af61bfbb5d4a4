//! What the integration tests share: the sandbox, waiting, and the repository's own files.

pub(crate) mod repository;
pub(crate) mod rust_text;
pub(crate) mod sandbox;
pub(crate) mod transcript;
pub(crate) mod wait;
