//! agentlog
fn main() {}
