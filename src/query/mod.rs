//! Text → predicate, events → columns, SQL over them. Pure.

pub mod expression;
pub mod filter;
pub mod frame;
pub mod instant;
pub mod sql;
pub mod table;
