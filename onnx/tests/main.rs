//! Imports of files that the tests write: one test program, so that it links once.

mod build;
mod concat;
mod export;
mod forms;
mod hostile;
mod inputs;
mod judge;
mod judged;
mod layers;
mod qdq;
mod qonnx;
mod residual;
mod watch;
