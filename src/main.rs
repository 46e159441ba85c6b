//! The `moored` program.
fn main() {}
