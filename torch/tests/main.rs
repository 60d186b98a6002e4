//! Holds libtorch against the reference and the engine, as one test program.

mod gradient;
mod scores;
