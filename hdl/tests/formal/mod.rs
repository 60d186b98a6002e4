//! Proofs of what is emitted, and that they can fail: every injected fault is caught.

mod faults;
mod proofs;
