//! Jobs as a whole.
