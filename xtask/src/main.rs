//! Set-up and the two main jobs: `cargo xtask demo`, `cargo xtask test`.
fn main() {}
