//! Events → the state of all tasks → their health. Pure and total.
//!
//! [`apply`] folds events into a [`state::Projection`]; [`health`] judges a task of it at an instant under a
//! [`policy::Policy`]; [`status`] is what the views show; [`edge`] lists the changes of health over time;
//! [`checkpoint`] turns state into bytes and back. Nothing here opens a file, asks a clock or draws a number.

pub mod apply;
pub mod checkpoint;
pub mod cursor;
pub mod difference;
pub mod edge;
mod facts;
mod forest;
pub mod health;
pub mod inbox;
mod judge;
mod monitoring;
mod piece;
pub mod policy;
mod register;
mod repeats;
pub mod replay;
mod results;
pub mod state;
pub mod status;
mod suspension;
mod tools;
mod usage;

#[cfg(test)]
pub(crate) mod fixture;
