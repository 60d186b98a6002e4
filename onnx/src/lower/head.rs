//! Makes the scores: the graph's output as accumulators with one scale.

use super::builder::Builder;
use super::scores::{Scaled, exact_factors, rounded_factors, several};
use super::stream::Stream;
use crate::number::{Q, Real, to_f64, whole};
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
    /// numbers of it, or what the rounding of several scales makes.
    pub tolerance: i32,
    /// Whether every order of two scores, and with it every label, is that of the graph.
    pub in_order: bool,
    /// Whether the graph has one output: it is score 1 then, and score 0 is always that of the real value 0.
    pub beside_zero: bool,
}

/// Adds the logits that read `stream`, the tensor called `tensor`. `round` says whether scores of several
/// scales may be rounded so that close ones change places.
pub fn head(builder: &mut Builder, tensor: String, stream: &Stream, round: bool) -> Result<Head, String> {
    let shape = builder.wire(stream.node).shape;
    let classes = shape.channels;
    if shape.height * shape.width != 1 {
        return Err(format!("output: expected one score per class, found shape {:?}", stream.dims));
    }
    if stream.place.len() != classes || !stream.place.iter().enumerate().all(|(i, &p)| i == p as usize) {
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
    let mut node = stream.node;
    let beside_zero = classes == 1;
    if beside_zero {
        node = builder.beside_zero(node)?;
        scores.insert(0, (scores[0].0.clone(), Real::whole(0)));
    }
    if scores[0].0.sign() != Ordering::Greater || scores.iter().any(|s| s.0 != scores[0].0) {
        let (other, unit) = match of_several(builder, node, &scores, round)? {
            Several::Exact(node, unit) => (node, unit),
            Several::Rounded(found) => return rounded(builder, tensor, &found, beside_zero),
        };
        node = other;
        scores.iter_mut().for_each(|s| s.0 = unit.clone());
    }
    let scale = scores[0].0.clone();
    let offset = common_offset(&scores, &scale)?;
    let bias = biases(&scores, &offset, &scale)?;
    let (factor, bias) =
        whole_biases(&bias).ok_or("output: expected biases within ±2^30 units of the sums")?;
    if factor > 1 {
        let sum = Layer::Sum(Sum { factors: [factor / 2, factor - factor / 2] });
        node = builder.push("scaled", sum, &[node, node])?;
    }
    let scale = scale.times(&whole(factor).recip());
    push_logits(builder, node, bias, scale.to_f64())?;
    let tolerance = if factor > 1 { factor } else { 0 };
    Ok(Head { tensor, scale, offset, tolerance, in_order: true, beside_zero })
}

fn push_logits(builder: &mut Builder, node: usize, bias: Vec<i32>, scale: f64) -> Result<(), String> {
    let scale = Some(scale).filter(|s| s.is_finite() && *s > 0.0).unwrap_or(1.0);
    builder.push("scores", Layer::Logits(Logits { bias, scale }), &[node]).map(drop)
}

/// Scores of several scales, or of one that is not above 0.
enum Several {
    /// A node with the sums times whole factors, and the scale that they then have.
    Exact(usize, Real),
    /// Factors beside the scales.
    Rounded(Scaled),
}

fn of_several(
    builder: &mut Builder,
    node: usize,
    scores: &[(Real, Real)],
    round: bool,
) -> Result<Several, String> {
    let rational = |s: &(Real, Real)| Some((s.0.rational()?.clone(), s.1.rational()?.clone()));
    let rational = scores.iter().map(rational).collect::<Option<Vec<(Q, Q)>>>();
    let rational = rational.ok_or(
        "output: expected one scale for all classes, found roots of several variances: leave the last batch \
         normalization out, or quantize the scores",
    )?;
    let range = builder.wire(node).range;
    let scales: Vec<Q> = rational.iter().map(|s| s.0.clone()).collect();
    if let Some((factors, unit)) = exact_factors(&scales, range) {
        return Ok(Several::Exact(builder.times(node, &factors)?, unit.into()));
    }
    let found = rounded_factors(&rational, range, node).filter(|found| found.in_order || round);
    found.map(Several::Rounded).ok_or_else(|| several(&rational))
}

/// Adds the logits of scores of several scales.
fn rounded(builder: &mut Builder, tensor: String, found: &Scaled, beside_zero: bool) -> Result<Head, String> {
    let node = builder.times(found.node, &found.factors)?;
    push_logits(builder, node, found.bias.clone(), to_f64(&found.unit))?;
    let (scale, offset) = (found.unit.clone().into(), Real::whole(0));
    Ok(Head { tensor, scale, offset, tolerance: found.tolerance, in_order: found.in_order, beside_zero })
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
