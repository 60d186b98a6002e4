//! Imports of files that the tests write: one test program, so that it links once.

mod build;
mod export;
mod hostile;
mod judge;
mod judged;
mod qdq;
mod qonnx;
mod residual;
mod watch;
