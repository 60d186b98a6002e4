//! Trains: the network that learns, what it learns from, and the loop.

pub mod adversary;
pub mod batch;
pub mod certified;
pub mod learner;
pub mod model;
pub mod norms;
pub mod optimizer;
pub mod pass;
pub mod penalty;
pub mod trainer;
