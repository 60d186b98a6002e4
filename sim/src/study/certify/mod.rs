//! Certifies: proves on integers that no image of a ball changes the label, for one image ([`Certifier`]) and
//! for a data set beside an attack ([`Certificates`]): certified ≤ true robust accuracy ≤ attacked.
//!
//! Certificates bound each node by its own integer arithmetic on the ends of its inputs' bounds, or by linear
//! functions in whole numbers, so they are sound without an argument about rounding; the search cuts the ball
//! (at quantizers' stairs, then at pixels) until bounds or an image decide.

mod campaign;
mod search;
mod smt;
mod trail;

pub use campaign::{BoundsBy, Campaign, Certificates, Proof, Radius};
pub use search::{Certifier, Found, Outcome};
pub use smt::question;
pub use trail::{Certificate, Trail, Trails};
