//! Defines logits: the scores of the classes, with one scale for the tensor and a bias of whole accumulator
//! units.
//!
//! Logits only adds the biases. The weights before it are a Dense node of their own (`classifier`), so
//! that they have one scale.

use super::kind::{Kind, own_form};
use crate::draw::Draw;
use crate::motion::{Motion, Moves};
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array3, ArrayView3};
use serde::{Deserialize, Serialize};

/// Computes `score = acc + bias`. The label is the arg max of the scores, the lowest index on ties
/// ([`Logits::label`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logits {
    /// Bias per class, in accumulator units.
    pub bias: Vec<i32>,
    /// Real logit of one accumulator unit. People and the loss of gradients read it; the label never depends
    /// on it.
    pub scale: f64,
}

impl Logits {
    /// Returns the label of `scores`: arg max, lowest index on ties.
    pub fn label(scores: impl IntoIterator<Item = i32>) -> usize {
        let mut best = (0, i32::MIN);
        for (class, score) in scores.into_iter().enumerate() {
            if score > best.1 {
                best = (class, score);
            }
        }
        best.0
    }
}

impl Kind for Logits {
    fn name(&self) -> &'static str {
        "logits"
    }

    fn check(&self) -> Result<(), Fault> {
        if self.bias.len() < 2 {
            return Err(Fault::new("bias", "at least 2 classes", self.bias.len()));
        }
        if !(self.scale.is_finite() && self.scale > 0.0) {
            return Err(Fault::new("scale", "finite and above 0", self.scale));
        }
        Ok(())
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, Fault> {
        let wanted = Shape::new(1, 1, self.bias.len());
        if inputs[0] != wanted {
            return Err(Fault::new(
                "bias",
                format!("one per class for an input of {}", inputs[0]),
                self.bias.len(),
            ));
        }
        Ok(wanted)
    }

    fn range(&self, inputs: &[Wire]) -> Result<Range, Fault> {
        let Range { lo, hi } = inputs[0].range;
        let least = i64::from(*self.bias.iter().min().expect("checked: not empty"));
        let most = i64::from(*self.bias.iter().max().expect("checked: not empty"));
        Ok(Range::new(lo + least, hi + most))
    }

    fn eval(&self, inputs: &[ArrayView3<i32>]) -> Array3<i32> {
        let mut scores = inputs[0].to_owned();
        scores.iter_mut().zip(&self.bias).for_each(|(score, bias)| *score += bias);
        scores
    }

    fn moves(&self, motion: &Motion) -> Option<Moves> {
        Some(motion.first().clone())
    }

    fn unit(&self, _: &[Option<f64>], _: Shape) -> Option<f64> {
        Some(self.scale)
    }
}

own_form!(Logits, 1);

impl Logits {
    /// Draws scores of all that the input holds.
    pub(crate) fn draw(draw: &mut Draw) -> Self {
        let bias = (0..draw.input.values.len()).map(|_| draw.random.within(0, 60) as i32 - 30).collect();
        Logits { bias, scale: 1.0 / 64.0 }
    }
}
