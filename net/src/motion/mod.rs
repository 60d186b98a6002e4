//! Bounds how far a wire moves while the image moves within a ball: what each kind of layer answers for
//! [`crate::proved`]. All of it is arithmetic on whole numbers, rounded to the safe side.

mod moves;
pub(crate) mod root;
pub(crate) mod staircase;

pub(crate) use moves::FRACTION;
pub use moves::{Moves, Steps};

use crate::wire::Wire;
use root::root_up;
use staircase::Line;

/// Describes a node whose output is to be bounded.
pub struct Motion<'a> {
    /// Its inputs, and how far they move.
    pub from: Vec<(Wire, &'a Moves)>,
    /// Its output.
    pub to: Wire,
    /// How staircases are bounded.
    pub steps: Steps,
}

impl Motion<'_> {
    /// Returns how far the first input moves.
    pub fn first(&self) -> &Moves {
        self.from[0].1
    }

    /// Returns how far `Σ factors[i]·input i` moves: lengths add up.
    pub fn sum(&self, factors: &[u64]) -> Option<Moves> {
        let lengths = self.from.iter().zip(factors).map(|((_, moves), &factor)| {
            let square = u128::from(factor) * u128::from(factor);
            Some(root_up(moves.most().checked_mul(square)?))
        });
        let length = lengths.sum::<Option<u128>>()?;
        Some(Moves::even(self.to.shape.channels, length.checked_mul(length)?))
    }

    /// Returns how far the output moves of a staircase per channel over `moves`, whose lines are `lines`.
    pub(crate) fn staircase(&self, moves: &Moves, lines: &[Vec<Line>]) -> Option<Moves> {
        let positions = self.to.shape.height * self.to.shape.width;
        staircase::levels(moves, positions, lines)
    }
}
