//! Makes the scores: the graph's output as accumulators with one scale.

use super::builder::Builder;
use super::stream::Stream;
use crate::number::{Q, Real};
use dq_net::layer::{Layer, Logits};
use num_traits::ToPrimitive;
use std::cmp::Ordering;

/// The scores: the graph's value of class `c` is `scale · score[c] + offset`.
#[derive(Clone, Debug)]
pub struct Head {
    /// Tensor of the graph that holds the scores.
    pub tensor: String,
    /// Real value of one unit of a score.
    pub scale: Real,
    /// What all scores lack.
    pub offset: Real,
}

/// Adds the logits that read `stream`, the tensor called `tensor`.
pub fn head(builder: &mut Builder, tensor: String, stream: &Stream) -> Result<Head, String> {
    let shape = builder.wire(stream.node).shape;
    let classes = shape.channels;
    if shape.height * shape.width != 1 || classes < 2 {
        return Err(format!("output: expected scores of 2 or more classes, found shape {:?}", stream.dims));
    }
    if !stream.place.iter().enumerate().all(|(i, &p)| i == p as usize) {
        return Err("output: expected the classes in the order of the last layer's outputs".into());
    }
    let mut scores = vec![];
    for c in 0..classes {
        let affine = stream.chain.affine(c)?;
        scores.push(affine.ok_or(
            "output: expected sums with a scale, found another function of them: choose the \
                                  scores before it with --output-tensor",
        )?);
    }
    let scale = scores[0].0.clone();
    if scale.sign() != Ordering::Greater {
        return Err("output: expected scores that rise with the last sums".into());
    }
    if let Some(c) = (0..classes).find(|&c| scores[c].0 != scale) {
        return Err(format!(
            "output: expected one scale for all classes, found {:.6e} for class 0 and {:.6e} for class {c}: quantize \
             the last weights per tensor",
            scale.to_f64(),
            scores[c].0.to_f64()
        ));
    }
    let offset = common_offset(&scores, &scale)?;
    let unit = scale.reciprocal();
    let mut bias = vec![];
    for (c, score) in scores.iter().enumerate() {
        let units = score.1.add(&offset.negative())?.mul(&unit)?;
        let whole = units.rational().filter(|u| u.is_integer()).and_then(Q::to_i32);
        bias.push(whole.filter(|b| b.unsigned_abs() < 1 << 30).ok_or_else(|| {
            format!(
                "output: expected biases that are whole numbers of the sums' unit {:.6e}, found {:.6e} for class {c}: \
                 quantize the last bias with scale input · weight",
                scale.to_f64(),
                score.1.to_f64()
            )
        })?);
    }
    let real_scale = Some(scale.to_f64()).filter(|s| s.is_finite() && *s > 0.0).unwrap_or(1.0);
    builder.push("scores", Layer::Logits(Logits { bias, scale: real_scale }), &[stream.node])?;
    Ok(Head { tensor, scale, offset })
}

/// Returns the offset that all scores share beside whole units: 0 where there is none, else that of class 0.
fn common_offset(scores: &[(Real, Real)], scale: &Real) -> Result<Real, String> {
    let unit = scale.reciprocal();
    for (_, offset) in scores {
        let units = offset.mul(&unit)?;
        if units.rational().is_none_or(|u| !u.is_integer()) {
            return Ok(scores[0].1.clone());
        }
    }
    Ok(Real::whole(0))
}
