//! Makes the scores: the graph's output as accumulators with one scale.

use super::builder::Builder;
use super::stream::Stream;
use crate::number::{Q, Real, whole};
use dq_net::layer::{Layer, Logits, Sum};
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
    /// Units that a score may lie off the graph's: 0, or one unit of the last sums where biases are no whole
    /// numbers of it. Labels are exact all the same.
    pub tolerance: i32,
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
    let bias = biases(&scores, &offset, &scale)?;
    let (factor, bias) =
        whole_biases(&bias).ok_or("output: expected biases within ±2^30 units of the sums")?;
    let mut node = stream.node;
    if factor > 1 {
        let sum = Layer::Sum(Sum { factors: [factor / 2, factor - factor / 2] });
        node = builder.push("scaled", sum, &[node, node])?;
    }
    let scale = scale.times(&whole(factor).recip());
    let real_scale = Some(scale.to_f64()).filter(|s| s.is_finite() && *s > 0.0).unwrap_or(1.0);
    builder.push("scores", Layer::Logits(Logits { bias, scale: real_scale }), &[node])?;
    Ok(Head { tensor, scale, offset, tolerance: if factor > 1 { factor } else { 0 } })
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

/// Returns the bias per class in units of the sums.
fn biases(scores: &[(Real, Real)], offset: &Real, scale: &Real) -> Result<Vec<Q>, String> {
    let unit = scale.reciprocal();
    let one = |score: &(Real, Real)| {
        let units = score.1.add(&offset.negative())?.mul(&unit)?;
        units.rational().cloned().ok_or_else(|| "output: expected rational biases of the classes".to_string())
    };
    scores.iter().map(one).collect()
}

/// Returns a factor of the sums, and biases with which the order of all scores is that of the exact biases
/// `units`, whatever the sums: each bias's whole part times the factor, then the rank of what is left of it.
///
/// Sums differ by whole numbers, so that two classes compare by the whole parts first, and where these leave
/// a tie by what is left.
fn whole_biases(units: &[Q]) -> Option<(i32, Vec<i32>)> {
    let rest = |u: &Q| u - u.floor();
    let mut rests: Vec<Q> = units.iter().map(rest).collect();
    rests.sort();
    rests.dedup();
    let factor = i32::try_from(rests.len()).ok()?;
    let bias = |u: &Q| {
        let rank = rests.binary_search(&rest(u)).expect("among them");
        (u.floor() * whole(factor) + whole(rank as i64)).to_i32().filter(|b| b.unsigned_abs() < 1 << 30)
    };
    Some((factor, units.iter().map(bias).collect::<Option<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_biases_leave_every_order() {
        let q = |n: i64, d: i64| Q::new(n.into(), d.into());
        assert_eq!(whole_biases(&[q(0, 1), q(-7, 1)]), Some((1, vec![0, -7])));
        let units = [q(0, 1), q(1, 3), q(-7, 5), q(1, 3), q(5, 2), q(31, 10)];
        let (factor, bias) = whole_biases(&units).unwrap();
        assert_eq!(factor, 5);
        for n in -8i64..8 {
            for i in 0..units.len() {
                for j in 0..units.len() {
                    let exact = (whole(n) + &units[i]).cmp(&units[j]);
                    let rounded = (n * i64::from(factor) + i64::from(bias[i])).cmp(&bias[j].into());
                    assert_eq!(exact, rounded, "{n} {i} {j}");
                }
            }
        }
        // However close two biases are.
        assert_eq!(whole_biases(&[q(0, 1), q(1, 1 << 40)]), Some((2, vec![0, 1])));
    }
}
