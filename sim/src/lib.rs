//! Runs a bit-accurate engine, straight-through gradients and adversarial attacks on integer networks. Never
//! decides what a layer means ([`dq_net`] does), needs neither libtorch nor an EDA tool, and has no float in
//! an integer network's forward pass.
//!
//! - [`Engine`]: [`Engine::scores`], [`Engine::labels`], [`Engine::nodes`] for batches of uint8 images (batch
//!   × height × width × channels), equal to [`dq_net::Network::eval`] on every input. It runs on rayon's
//!   current pool.
//! - [`GradientSource`]: loss, gradient and logits; implemented by [`WhiteBox`] (an engine and a
//!   straight-through backward pass) and [`FloatEngine`] (float networks: the float column, substitutes for
//!   transfer attacks).
//! - [`twin`]: the float twin, another source of gradients.
//! - [`attack`]: the attacks ([`attack::ALL`]) and their driver ([`attack::suite::run`]), which judges by the
//!   network under attack ([`attack::suite::Judge`]) and fills a [`report::Report`].
//! - [`Detector`]: a network that flags images whose squeezed form has another label, under attack like any
//!   other.
//! - [`study`]: experiments: certificates, faults of the circuit, natural corruptions, turned images and
//!   patches, the loss around an image, how far accumulators reach, how noise grows from layer to layer.
//! - [`nodes`]: what each node is, as tables show it.
//! - [`norms::layers`]: exact Lipschitz norms of a network's layers, for people.
//!
//! Data flows one way: `kernel` and `linear` know numbers alone, `kind` holds one file per kind of layer,
//! `engine` runs them forward and knows no gradient, `gradient` adds the way back, `attack` and `study` use
//! both, and `report` is plain data.

pub mod attack;
mod ball;
mod buffers;
mod detector;
mod engine;
mod float;
mod gradient;
mod kernel;
mod kind;
mod lattice;
mod linear;
pub mod nodes;
pub mod norms;
mod random;
mod region;
pub mod report;
mod rows;
pub mod study;
mod tensor;

pub use detector::{Detector, Guard};
pub use engine::{Difference, Engine};
pub use float::{FloatEngine, twin};
pub use gradient::{GradientSource, Loss, LossGradient, Near, Precision, WhiteBox};
pub use kernel::Kernel;
