//! Defines how far a wire moves: an ellipsoid, one axis for each channel.

use crate::wire::Wire;

/// Bits behind the point of a square.
pub const FRACTION: u32 = 16;

/// Bounds the differences Δ of a wire's values between any two images of which one lies in the ball around the
/// other: Σ over channels c of ‖Δ_c‖² / squares\[c\] ≤ 1, where ‖Δ_c‖ is over the positions of the map; a channel
/// whose square is 0 does not move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moves {
    /// Squares of the axes, in units of 2^−[`FRACTION`].
    squares: Vec<u128>,
}

/// Says how staircases are bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steps {
    /// By the levels that they can really move.
    Whole,
    /// By their slope, which is no bound.
    Slope,
}

impl Moves {
    /// Returns a ball of this radius over `channels`.
    pub fn ball(channels: usize, radius: u64) -> Moves {
        Moves::even(channels, (u128::from(radius) * u128::from(radius)) << FRACTION)
    }

    /// Returns a ball of this squared radius, in units of 2^−[`FRACTION`].
    pub fn even(channels: usize, square: u128) -> Moves {
        Moves { squares: vec![square; channels] }
    }

    /// Returns an ellipsoid of these axes, whose squares are in units of 2^−[`FRACTION`].
    pub fn of(squares: Vec<u128>) -> Moves {
        Moves { squares }
    }

    /// Returns the number of channels.
    pub fn channels(&self) -> usize {
        self.squares.len()
    }

    /// Returns the square of a channel's axis, in units of 2^−[`FRACTION`].
    pub fn square(&self, channel: usize) -> u128 {
        self.squares[channel]
    }

    /// Returns the square of the longest axis: that of a ball around the ellipsoid.
    pub fn most(&self) -> u128 {
        self.squares.iter().copied().max().unwrap_or(0)
    }

    /// Returns the most that one whole value of `channel` can move.
    pub fn reach(&self, channel: usize) -> u64 {
        u64::try_from((self.squares[channel] >> FRACTION).isqrt()).expect("the root of 112 bits")
    }

    /// Returns the ellipsoid whose squares are `factor` times as large; none past 128 bits.
    pub fn times(&self, factor: usize) -> Option<Moves> {
        let squares = self.squares.iter().map(|square| square.checked_mul(factor as u128));
        Some(Moves { squares: squares.collect::<Option<_>>()? })
    }

    /// Returns a bound of any map within `wire`, whatever moves.
    fn anything(wire: Wire) -> Moves {
        let width = u128::from(wire.range.hi.abs_diff(wire.range.lo));
        Moves::even(wire.shape.channels, (wire.shape.len() as u128 * width * width) << FRACTION)
    }

    /// Returns `found`, or what the values of `wire` can move at all where that is less.
    pub fn within(found: Option<Moves>, wire: Wire) -> Moves {
        let all = Moves::anything(wire);
        found.filter(|found| found.most() <= all.most()).unwrap_or(all)
    }
}
