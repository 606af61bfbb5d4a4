//! One name, one meaning, one JSON type.
