//! What leaves the first kernel of a unit, wherever its weights come from: levels, weights and flags.

use super::shape::Mvau;
use crate::rtl::{Expr, Kernel, Sig, Value};
use crate::stage::site::Site;

/// Holds the outputs: levels `x`, a word of weights `w<p>` for each PE, `spend` where a beat takes a place of
/// the results, and the flags of the beat that leaves.
pub struct Outlets {
    x: Sig,
    w: Vec<Sig>,
    spend: Sig,
    flags: [Sig; 3],
    /// Bits of a PE's word of weights.
    bits: usize,
}

impl Outlets {
    /// Adds the ports to `k`.
    pub fn new(k: &mut Kernel, site: &Site, mvau: &Mvau) -> Self {
        let bits = mvau.simd * mvau.weight_bits;
        let x = k.output("x", site.input.width());
        let w = (0..mvau.pe).map(|p| k.output(&format!("w{p}"), bits)).collect();
        let ports = ["spend", "dot_valid", "dot_first", "dot_last"].map(|name| k.output(name, 1));
        let [spend, flags @ ..] = ports;
        Outlets { x, w, spend, flags, bits }
    }

    /// Drives `spend`.
    pub fn spend(&self, k: &mut Kernel, spend: Expr) {
        k.drive(self.spend, spend);
    }

    /// Drives the levels, the weights in `word` and the flags valid, first and last, all of the same beat.
    pub fn drive(&self, k: &mut Kernel, x: Sig, word: Sig, flags: [Sig; 3]) {
        for (p, &port) in self.w.iter().enumerate() {
            k.drive(port, word.lane(p, self.bits));
        }
        k.drive(self.x, x);
        for (&port, flag) in self.flags.iter().zip(flags) {
            k.drive(port, flag);
        }
    }
}
