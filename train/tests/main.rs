//! All integration tests of this crate, in one program that is linked once.

mod common;
mod export;
mod recipes;
mod tensorboard;
mod training;
