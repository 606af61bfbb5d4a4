//! A window of events → rates one can believe. Pure.

pub mod backtest;
pub mod coverage;
pub mod metric;
pub mod outcome;
pub mod rate;
pub mod template;
pub mod weekly;
pub mod window;
