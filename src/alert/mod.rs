//! Whom to tell of which change of health, and when: rules, quiet hours, and the state machine over both. It delivers
//! nothing and asks no clock.

pub mod quiet;
pub mod router;
pub mod rule;
