//! Model → bytes. Reads no file, asks no clock.

pub mod alert;
pub mod backtest;
pub mod changes;
pub mod difference;
pub mod empty;
pub mod errors;
pub mod evidence;
pub mod explain;
pub mod inbox;
pub mod message;
pub mod palette;
pub mod report_json;
pub mod report_markdown;
pub mod rule;
pub mod show;
pub mod status;
pub mod status_json;
pub mod summary;
pub mod table;
pub mod tail;
pub mod watch;

#[cfg(test)]
pub(crate) mod fixture;
