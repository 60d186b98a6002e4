//! Certificates: proofs on integers that no image of a ball changes the label, for one image ([`Certifier`])
//! and for a data set beside an attack ([`Certificates`]): certified ≤ true robust accuracy ≤ attacked.

mod campaign;
mod search;

pub use campaign::{Campaign, Certificates, Proof, Radius};
pub use search::{Certifier, Outcome};
