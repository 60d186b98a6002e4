//! Whole weights of convolutions and dense layers. A layer holds weights of 8 bits; wider ones are sums of
//! layers, digit by digit.

use super::builder::Builder;
use crate::number::{Q, common_unit, to_f64, whole};
use crate::tensor::{Constant, integers};
use dq_net::layer::{Layer, Sum};
use num_integer::Integer;
use num_traits::{One, ToPrimitive};
use std::collections::BTreeMap;

/// Largest size of a whole weight: 16 bits.
const MOST: u32 = 1 << 15;

/// Whole weights, output by output in the order of the given indices, and the unit per output.
pub(super) struct Weights {
    /// The whole numbers.
    pub ints: Vec<i32>,
    /// Real value of a weight of 1, per output.
    pub units: Vec<Q>,
}

/// Returns the weights as whole numbers of at most 16 bits.
pub(super) fn whole_weights(
    constant: &Constant,
    outputs: usize,
    indices: &dyn Fn(usize) -> Vec<usize>,
) -> Result<Weights, String> {
    let refused = || {
        "weights: expected whole numbers of at most 16 bits times one scale per output (quantize the weights \
         with Quant or DequantizeLinear)"
    };
    let mut rows: Vec<(Vec<i32>, Q)> = vec![];
    for o in 0..outputs {
        rows.push(integers(constant, &indices(o)).ok_or_else(refused)?);
    }
    // One unit for all outputs, where the weights stay small: scores need it.
    if let Some(common) = common_unit(rows.iter().map(|r| &r.1)) {
        let factor = |unit: &Q| (unit / &common).to_i32().filter(|&f| f < 128);
        let factors: Option<Vec<i32>> = rows.iter().map(|r| factor(&r.1)).collect();
        let small = |f: &[i32]| rows.iter().zip(f).all(|(r, &f)| largest(&r.0) as u64 * f as u64 <= 127);
        if let Some(factors) = factors.filter(|f| small(f)) {
            for ((ints, unit), factor) in rows.iter_mut().zip(factors) {
                ints.iter_mut().for_each(|w| *w *= factor);
                *unit = common.clone();
            }
        }
    }
    let divisor = |ints: &mut dyn Iterator<Item = i32>| ints.fold(0i32, |g, w| g.gcd(&w)).max(1);
    let whole_tensor = divisor(&mut rows.iter().flat_map(|r| r.0.iter().copied()));
    for (ints, unit) in &mut rows {
        let fits = largest(ints) / whole_tensor as u32 <= 127;
        let by = if fits { whole_tensor } else { divisor(&mut ints.iter().copied()) };
        ints.iter_mut().for_each(|w| *w /= by);
        *unit *= whole(by);
    }
    if rows.iter().any(|(ints, _)| largest(ints) > MOST) {
        return Err(refused().into());
    }
    let (ints, units): (Vec<Vec<i32>>, Vec<Q>) = rows.into_iter().unzip();
    Ok(Weights { ints: ints.concat(), units })
}

fn largest(ints: &[i32]) -> u32 {
    ints.iter().map(|w| w.unsigned_abs()).max().unwrap_or(0)
}

impl Weights {
    /// Takes scale and offset of the inputs' levels into the weights: weight `i` of output `o` reads those at
    /// `read(o, i)`. Returns what the offsets add to each output.
    pub(super) fn scaled(
        &mut self,
        scales: &[(Q, Q)],
        read: &dyn Fn(usize, usize) -> usize,
    ) -> Result<Vec<Q>, String> {
        let per = (self.ints.len() / self.units.len().max(1)).max(1);
        let rows = self.ints.chunks_mut(per).zip(&mut self.units);
        if scales.iter().all(|s| *s == scales[0]) {
            let (scale, offset) = &scales[0];
            let one = |(ints, unit): (&mut [i32], &mut Q)| {
                let sum: i64 = ints.iter().map(|&w| i64::from(w)).sum();
                let added = offset * &*unit * whole(sum);
                *unit *= scale;
                added
            };
            return Ok(rows.map(one).collect());
        }
        let mut offsets = vec![];
        for (o, (ints, unit)) in rows.enumerate() {
            let mut sums: BTreeMap<usize, i64> = BTreeMap::new();
            ints.iter().enumerate().for_each(|(i, &w)| *sums.entry(read(o, i)).or_default() += i64::from(w));
            offsets.push(sums.iter().map(|(&s, &sum)| &scales[s].1 * whole(sum)).sum::<Q>() * &*unit);
            let common = common_unit(sums.keys().map(|&s| &scales[s].0)).unwrap_or_else(Q::one);
            let within = |w: &i64| w.unsigned_abs() <= u64::from(MOST);
            let factor = |s: usize| (&scales[s].0 / &common).to_i64().filter(within);
            let factors: BTreeMap<usize, Option<i64>> = sums.keys().map(|&s| (s, factor(s))).collect();
            for (i, weight) in ints.iter_mut().enumerate() {
                let product = factors[&read(o, i)].map(|f| f * i64::from(*weight)).filter(within);
                *weight = product.ok_or_else(|| several(scales))? as i32;
            }
            *unit *= common;
        }
        Ok(offsets)
    }
}

fn several(scales: &[(Q, Q)]) -> String {
    let other = scales.iter().find(|s| s.0 != scales[0].0).unwrap_or(&scales[0]);
    format!(
        "input: expected one scale for all channels that are summed, or scales in ratios of small whole \
         numbers, found {:.6e} beside {:.6e} (quantize activations per tensor, the result of a Concat once \
         more; for an image, give one std for all channels)",
        to_f64(&scales[0].0),
        to_f64(&other.0)
    )
}

/// Returns the bits of whole weights: 1 where all are −1 or +1.
fn bits(ints: &[i32]) -> u8 {
    if ints.iter().all(|w| w.abs() == 1) {
        return 1;
    }
    let fits = |b: &u8| ints.iter().all(|&w| (-(1i64 << (b - 1))..1 << (b - 1)).contains(&w.into()));
    (2..32).find(fits).unwrap_or(32)
}

impl Builder {
    /// Adds a layer of whole weights that reads node `input`. `layer` makes it of weights of at most 8 bits
    /// and their bits. Wider weights become two layers and the sum of the first, times a power of two, and
    /// the second.
    pub(super) fn push_weights(
        &mut self,
        name: &str,
        input: usize,
        ints: &[i32],
        layer: &dyn Fn(&[i8], u8) -> Layer,
    ) -> Result<usize, String> {
        let bits = bits(ints);
        if bits <= 8 {
            let narrow: Vec<i8> = ints.iter().map(|&w| w as i8).collect();
            return self.push(name, layer(&narrow, bits), &[input]);
        }
        let shift = (bits - 8).min(7);
        let high: Vec<i32> = ints.iter().map(|w| w >> shift).collect();
        let low: Vec<i32> = ints.iter().map(|w| w & ((1 << shift) - 1)).collect();
        let high = self.push_weights(&format!("{name}_high"), input, &high, layer)?;
        let low = self.push_weights(&format!("{name}_low"), input, &low, layer)?;
        self.push(name, Layer::Sum(Sum { factors: [1 << shift, 1] }), &[high, low])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dq_net::layer::{Dense, Input, Logits};
    use dq_net::{Shape, random};
    use ndarray::Array2;

    #[test]
    fn wide_weights_are_sums_of_layers() {
        for most in [127i64, 128, 300, 5_000, 32_767, 3_000_000] {
            let mut builder = Builder::default();
            let image = builder.push("image", Layer::Input(Input::pixels(Shape::new(1, 2, 1))), &[]).unwrap();
            let ints: Vec<i32> = [most, -most - 1, 1, most / 3, -most / 2, 0].map(|w| w as i32).into();
            let dense = |w: &[i8], weight_bits: u8| {
                let weights = Array2::from_shape_vec((3, 2), w.to_vec()).unwrap();
                Layer::Dense(Dense { weights, weight_bits })
            };
            let node = builder.push_weights("wide", image, &ints, &dense).unwrap();
            builder.push("scores", Layer::Logits(Logits { bias: vec![0; 3], scale: 1.0 }), &[node]).unwrap();
            let network = builder.network("wide").unwrap();
            for seed in 0..20 {
                let image = random::image(seed, network.input());
                let pixel: Vec<i64> = image.iter().map(|&p| p.into()).collect();
                let wanted = ints.chunks(2).map(|w| i64::from(w[0]) * pixel[0] + i64::from(w[1]) * pixel[1]);
                let found: Vec<i64> = network.eval(image.view()).iter().map(|&s| s.into()).collect();
                assert_eq!(found, wanted.collect::<Vec<_>>(), "{most}");
            }
        }
    }
}
