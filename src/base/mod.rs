//! What the standard library could have had. Knows no word of agentlog.

pub mod clock;
pub mod defence;
pub mod digits;
pub mod frame;
pub mod fs;
pub mod harmless;
pub mod limits;
pub mod lines;
pub mod lock;
pub mod random;
pub mod text;
pub mod zone;
