//! Defines what bounds a node's output over boxes of images, in training, and how bounds pass what many nodes
//! are made of: rising functions, and sums of products. Never touches a parameter.
//!
//! Bounds are fp32. Levels and their sums of products are whole or half numbers below 2^23, so that the
//! bounds of accumulators are exact where a box's ends are whole pixels; the functions behind them rise with
//! their argument in floats too. So bounds hold for the network that computes in fp32, rounding included.

use tch::{Kind, Tensor, no_grad};

use crate::tensor::along_channels;

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

    /// Returns bounds of a function that rises in channels whose `slopes` are not negative, and falls in the
    /// others.
    pub fn monotone(&self, slopes: &Tensor, function: impl Fn(&Tensor) -> Tensor) -> Ends {
        let falls = no_grad(|| slopes.lt(0.0));
        if bool::try_from(falls.any()).expect("one element") {
            let falls = falls.reshape(along_channels(&self.low));
            let exchanged = |a: &Tensor, b: &Tensor| function(&a.where_self(&falls, b));
            return Ends::new(exchanged(&self.high, &self.low), exchanged(&self.low, &self.high));
        }
        self.rising(function)
    }

    /// Returns bounds of sums of products with weights, where `sums` computes them from `levels`: those of the
    /// middle, and on both sides those of half the width with the `magnitudes` of the levels. The
    /// weights are halved and not the bounds, because they are fewer.
    pub fn sums(
        &self,
        (levels, magnitudes): (&Tensor, &Tensor),
        sums: impl Fn(&Tensor, &Tensor) -> Tensor,
    ) -> Ends {
        let middle = sums(&(&self.low + &self.high), &(levels * 0.5));
        let half = sums(&(&self.high - &self.low), &(magnitudes * 0.5));
        Ends::new(&middle - &half, middle + half)
    }

    /// Returns the middle and half the width.
    pub fn middle(&self) -> (Tensor, Tensor) {
        ((&self.low + &self.high) * 0.5, (&self.high - &self.low) * 0.5)
    }

    /// Returns the mean distance between the bounds.
    pub fn mean_width(&self) -> Tensor {
        (self.high.sum(Kind::Float) - self.low.sum(Kind::Float)) * (1.0 / self.low.numel() as f64)
    }
}
