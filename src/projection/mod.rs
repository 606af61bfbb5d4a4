//! Events → the state of all tasks → their health. Pure and total.

pub mod apply;
pub mod checkpoint;
pub mod cursor;
pub mod edge;
pub mod health;
pub mod policy;
pub mod state;
pub mod status;
