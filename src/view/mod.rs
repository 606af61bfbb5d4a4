//! Model → bytes. Reads no file, asks no clock.

pub mod explain;
pub mod page;
pub mod palette;
pub mod report_json;
pub mod report_markdown;
pub mod show;
pub mod status;
pub mod status_json;
pub mod table;
pub mod tail;
