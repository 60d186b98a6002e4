//! All integration tests of this crate, in one program that is linked once.

mod circuit;
mod formal;
mod rtl;
