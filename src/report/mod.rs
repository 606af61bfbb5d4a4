//! A window of events → rates one can believe. Pure.

pub mod metric;
pub mod outcome;
pub mod rate;
pub mod weekly;
pub mod window;
