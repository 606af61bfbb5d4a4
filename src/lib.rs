//! The flight recorder of AI coding agents: it watches what agents already write, appends typed events to
//! `.agents/logs/*.jsonl`, folds them into the health of every task, and aggregates them into a weekly review.
//!
//! ```text
//!  world ─▶ source ─▶ event ─▶ journal ═▶ .agents/logs/*.jsonl ═▶ journal ─▶ event ─▶ projection ─▶ view ─▶ terminal
//!                                                                                  └▶ report ─────▶ view ─▶ reports/
//! ```
//!
//! The modules below stand in the order of the pipeline; each imports only from those above it.

pub mod base;
pub mod event;
pub mod journal;
pub mod source;
pub mod projection;
pub mod alert;
pub mod query;
pub mod summary;
pub mod report;
pub mod view;
pub mod cli;
pub mod app;
