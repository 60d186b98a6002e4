//! Defines what flows through a network in training: numbers, and what they stand for.

use tch::{Device, Kind, Tensor};

use super::quantizer::learned;

/// Holds a node's output.
#[derive(Debug)]
pub struct Signal {
    /// The numbers, batch × channels (× height × width).
    pub x: Tensor,
    /// What the numbers stand for.
    pub unit: Unit,
}

/// Says what numbers `x` stand for: the real value is `factor·ceiling·x + offset`, where `ceiling` (if it is
/// learned) is a tensor of one element. For an accumulator the weights' scale is left out: batch norm takes
/// it away.
#[derive(Debug)]
pub struct Unit {
    factor: f64,
    ceiling: Option<Tensor>,
    /// Real value of the number 0.
    pub offset: f64,
    /// Lipschitz bound from the image: how many times further than the image (pixels 0…1) the real value
    /// moves at most, in the Euclidean norm, quantizers aside. It is one element without gradient, where
    /// every layer so far is rescaled.
    pub reach: Option<Tensor>,
}

impl Unit {
    /// Returns a unit of a fixed real value, of an unknown reach.
    pub fn plain(factor: f64) -> Unit {
        Unit { factor, ceiling: None, offset: 0.0, reach: None }
    }

    /// Returns a unit of `factor` times a learned ceiling, of an unknown reach.
    pub fn learned(factor: f64, ceiling: &Tensor) -> Unit {
        Unit { ceiling: Some(ceiling.shallow_clone()), ..Unit::plain(factor) }
    }

    /// Returns this unit where 0 stands for `offset`.
    pub fn from(self, offset: f64) -> Unit {
        Unit { offset, ..self }
    }

    /// Returns the unit that is `factor` times this one, of an unknown reach.
    pub fn times(&self, factor: f64) -> Unit {
        let ceiling = self.ceiling.as_ref().map(Tensor::shallow_clone);
        Unit { factor: self.factor * factor, ceiling, offset: self.offset, reach: None }
    }

    /// Returns this unit with a reach.
    pub fn reaching(self, reach: Option<Tensor>) -> Unit {
        Unit { reach, ..self }
    }

    /// Returns this unit with its reach.
    pub fn same(&self) -> Unit {
        self.times(1.0).reaching(self.known_reach())
    }

    /// Returns the reach, where it is known.
    pub fn known_reach(&self) -> Option<Tensor> {
        self.reach.as_ref().map(Tensor::shallow_clone)
    }

    /// Returns the value of one unit, differentiable where it is learned: one element.
    pub fn tensor(&self, device: Device) -> Tensor {
        match &self.ceiling {
            Some(ceiling) => learned(ceiling) * self.factor,
            None => Tensor::full([1], self.factor, (Kind::Float, device)),
        }
    }
}
