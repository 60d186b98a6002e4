//! Bit-accurate engine, straight-through gradients and adversarial attacks on integer networks. Never decides what a
//! layer means ([`dq_net`] does), needs neither libtorch nor an EDA tool, and has no float in an integer network's
//! forward pass.
//!
//! - [`Engine`]: [`Engine::scores`], [`Engine::labels`], [`Engine::nodes`] for batches of uint8 images (batch × height ×
//!   width × channels), equal to [`dq_net::Network::eval`] on every input. It runs on rayon's current pool.
//! - [`GradientSource`]: loss, gradient and logits; implemented by [`Engine`] (integer forward, straight-through
//!   backward) and [`FloatEngine`] (float networks: the float column, substitutes for transfer attacks).
//! - [`attack`]: the attacks ([`attack::ALL`]) and their driver ([`attack::suite::run`]), which judges by the network
//!   under attack ([`attack::suite::Judge`]) and fills a [`report::Report`].
//! - [`certify`]: proofs that no image of a ball changes the label, by integer bounds and complete search.
//! - [`amplify::distances`]: how far an adversary is from its image at every node.
//! - [`corrupt`]: natural corruptions of the kinds of CIFAR-10-C.
//! - [`faults`]: bits that flip in the weights' memory and in the datapath.
//! - [`twin::twin`]: the float twin, a second source of gradients.
//! - [`scene`]: turned and shifted images, and patches.
//! - [`landscape::around`]: the loss around an image; [`saturate::search`]: how far accumulators reach.
//! - [`norms::layers`]: exact Lipschitz norms of a network's layers, for people.

pub mod amplify;
pub mod attack;
pub mod certify;
pub mod corrupt;
mod engine;
pub mod faults;
mod float;
mod gradient;
mod kernel;
pub mod landscape;
pub mod merge;
pub mod norms;
mod random;
pub mod report;
pub mod saturate;
pub mod scene;
pub mod twin;
mod windows;

pub use engine::Engine;
pub use float::FloatEngine;
pub use gradient::{GradientSource, Loss, LossGradient, Precision};
pub use kernel::Kernel;
