//! All integration tests of this crate, in one program that is linked once.

mod attack;
mod certify;
mod detector;
mod engine;
mod float;
mod fuzz;
mod gradient;
mod graph;
mod hostile;
