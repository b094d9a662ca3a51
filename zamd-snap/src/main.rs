//! Laid out.
fn main() {}
