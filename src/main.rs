//! `dq`: the command line.
fn main() {}
