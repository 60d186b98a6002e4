//! Defines what bounds a node's output over boxes of images, in training, and how bounds pass what many nodes
//! are made of: rising functions, and sums of products. Never touches a parameter.
//!
//! Bounds are fp32. Levels and their sums of products are whole or half numbers below 2^23, so that the
//! bounds of accumulators are exact where a box's ends are whole pixels; the functions behind them rise with
//! their argument in floats too. So bounds hold for the network that computes in fp32, rounding included.

use tch::{Kind, Tensor};

/// Bounds a node's output over a batch of boxes.
#[derive(Debug)]
pub struct Ends {
    /// Lower bounds, batch × channels (× height × width).
    pub low: Tensor,
    /// Upper bounds, of the same shape.
    pub high: Tensor,
    /// Mean distance between the bounds of what the node normalized, where it normalizes: in standard
    /// deviations, times the learned gain.
    pub width: Option<Tensor>,
}

impl Ends {
    /// Makes bounds of what is not normalized.
    pub fn new(low: Tensor, high: Tensor) -> Ends {
        Ends { low, high, width: None }
    }

    /// Returns bounds of a function of these values that falls nowhere.
    pub fn rising(&self, function: impl Fn(&Tensor) -> Tensor) -> Ends {
        Ends::new(function(&self.low), function(&self.high))
    }

    /// Returns bounds of a function that rises everywhere or falls everywhere, for each channel.
    pub fn monotone(&self, function: impl Fn(&Tensor) -> Tensor) -> Ends {
        let (a, b) = (function(&self.low), function(&self.high));
        Ends::new(a.minimum(&b), a.maximum(&b))
    }

    /// Returns bounds of sums of products with weights, where `sums` computes them from `levels`: those of the
    /// middle, and on both sides those of half the width with the `magnitudes` of the levels.
    pub fn sums(
        &self,
        (levels, magnitudes): (&Tensor, &Tensor),
        sums: impl Fn(&Tensor, &Tensor) -> Tensor,
    ) -> Ends {
        let (middle, half) = self.middle();
        let (middle, half) = (sums(&middle, levels), sums(&half, magnitudes));
        Ends::new(&middle - &half, middle + half)
    }

    /// Returns the middle and half the width.
    pub fn middle(&self) -> (Tensor, Tensor) {
        ((&self.low + &self.high) * 0.5, (&self.high - &self.low) * 0.5)
    }

    /// Returns the mean distance between the bounds.
    pub fn mean_width(&self) -> Tensor {
        (&self.high - &self.low).mean(Kind::Float)
    }
}
