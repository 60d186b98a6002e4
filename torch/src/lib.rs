//! Runs integer networks on libtorch, on a CPU or a GPU, bit for bit as the circuit: [`TorchEngine`] has the
//! engine's own scores, and straight-through gradients that differ from the engine's in rounding alone. Never
//! decides what a layer means ([`dq_net`] does), and needs no training.
//!
//! # Why the scores are exact
//!
//! Every value is a whole number in a float. A sum of products of whole numbers is exact in any order, fused
//! or not, where the sum of the products' magnitudes stays within 2^24 in f32, or within 2^53 in f64: every
//! partial sum is then a whole number that the format holds. [`number`] chooses the format per layer, from the
//! actual weights and the ranges of the wires. f64 is always enough, since [`dq_net::Network::new`] keeps
//! accumulators within 2^30.
//!
//! That holds only for what multiplies and adds as a sum of products does:
//!
//! - No convolution of libtorch is called. Convolutions choose their algorithm by themselves, and Winograd's or
//!   Fourier's divide. Windows are copied into a matrix, and libtorch's matrix product does the rest.
//! - f32 products may run in TF32 on a GPU's tensor cores, where a user has allowed it, or in parts of bfloat16
//!   on a CPU. So f32 is taken only where all operands fit TF32's 11 bits, and 8 bits are what nearly all have.
//!   The accumulators of tensor cores keep 24 bits of the largest addend, so that whole sums within 2^24
//!   lose nothing.
//! - Quotients are taken by powers of two alone, of sums that are whole, and tables hold the others.
//!
//! What a library does with a product in the end cannot be seen from here. So a [`TorchEngine`] compares every
//! node of some images with [`dq_sim::Engine`] before it is handed out, on the device that will compute.

mod engine;
mod kind;
mod number;

pub use engine::{TorchEngine, Unusable};
