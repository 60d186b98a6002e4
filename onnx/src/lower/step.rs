//! Makes a Step of a chain that ends in a quantizer: every threshold by exact bisection over the range of the
//! wire.

use super::builder::Builder;
use super::stream::Stream;
use crate::chain::{Chain, add_whole};
use crate::merged::Merged;
use crate::number::Q;
use dq_net::layer::{Layer, Step, Surrogate};
use dq_net::{Range, Wire};
use ndarray::Array2;
use num_traits::{ToPrimitive, Zero};
use rayon::prelude::*;

/// A Step of the network and the chain that it stands for.
#[derive(Clone, Debug)]
pub struct Staircase {
    /// Name of the Step.
    pub name: String,
    /// The chain of the graph; it ends in a whole number.
    pub chain: Chain,
    /// The whole number that is level 0.
    pub base: i64,
    /// Range of the wire that it reads.
    pub input: Range,
    /// The Step.
    pub step: Step,
}

/// Most levels of a Step.
const MAX_LEVELS: i64 = 256;

/// Makes the Step of a stream whose chain has a quantizer, and returns the stream over its levels. `zero` is
/// the whole number that stands for 0, where the quantizer says it; else it follows from the chain.
pub fn quantized(
    builder: &mut Builder,
    made: &mut Vec<Staircase>,
    name: &str,
    (stream, zero): (&Stream, Option<i64>),
) -> Result<Stream, String> {
    let (inner, outer) = stream.chain.split().ok_or("expected a quantizer")?;
    let wire = builder.wire(stream.node);
    let rows = channels(&inner, wire)?;
    let mut low = rows.iter().map(|r| r.ends.0).min().expect("at least one channel");
    let mut high = rows.iter().map(|r| r.ends.1).max().expect("at least one channel");
    // The level that stands for 0, which paddings of later layers read.
    if let Some(zero) = zero.map_or_else(|| zero_level(&outer, rows.len()), |zero| Ok(Some(zero)))?
        && high.max(zero) - low.min(zero) < MAX_LEVELS
    {
        (low, high) = (low.min(zero), high.max(zero));
    }
    let levels = high - low + 1;
    if levels > MAX_LEVELS {
        let reason = "expected at most 256 levels (8 bits) of the values that occur, found";
        return Err(format!("{reason} {levels}: quantize to 8 bits or fewer"));
    }
    let chain =
        Chain(if low == 0 { outer.0.clone() } else { [vec![add_whole(low)], outer.0.clone()].concat() });
    let bits = (64 - (levels - 1).leading_zeros()).max(1) as u8;
    let count = (1usize << bits) - 1;
    let mut thresholds = Array2::zeros((rows.len(), count));
    for (c, row) in rows.iter().enumerate() {
        let range = wire.range.directed(row.dir);
        for k in 0..count {
            thresholds[[c, k]] = row.first_at(low + 1 + k as i64, range) as i32;
        }
    }
    let dir: Vec<i8> = rows.iter().map(|r| r.dir).collect();
    if is_identity(&thresholds, &dir, wire) {
        return Ok(Stream { chain, ..stream.clone() });
    }
    let surrogate = surrogate(&inner, &outer, &rows, wire.range);
    let step = Step { bits, dir, thresholds, surrogate };
    let node = builder.push(name, Layer::Step(step.clone()), &[stream.node])?;
    let name = builder.name(node).to_string();
    made.push(Staircase { name, chain: inner, base: low, input: wire.range, step });
    Ok(Stream { node, chain, ..stream.clone() })
}

/// The staircase of one channel.
struct Row {
    dir: i8,
    /// Smallest and largest whole number.
    ends: (i64, i64),
    /// Where the whole numbers above the smallest begin, in units of `dir·acc`: `(number, first)`, ascending.
    rises: Vec<(i64, i64)>,
}

impl Row {
    fn first_at(&self, number: i64, range: Range) -> i64 {
        if number <= self.ends.0 {
            return range.lo;
        }
        let at = self.rises.partition_point(|r| r.0 < number);
        self.rises.get(at).map_or(range.hi + 1, |r| r.1)
    }
}

fn channels(chain: &Chain, wire: Wire) -> Result<Vec<Row>, String> {
    (0..wire.shape.channels).into_par_iter().map(|c| row(chain, c, wire.range)).collect()
}

fn row(chain: &Chain, c: usize, range: Range) -> Result<Row, String> {
    let merged = Merged::new(chain, c)?;
    let dir: i8 = if chain.direction(c) < 0 { -1 } else { 1 };
    let range = range.directed(dir);
    let number = |v: i64| merged.level(i64::from(dir) * v);
    let ends = (number(range.lo)?, number(range.hi)?);
    if ends.1 - ends.0 >= MAX_LEVELS {
        return Ok(Row { dir, ends, rises: vec![] });
    }
    let mut rises = vec![];
    // Intervals whose ends differ, the leftmost on top.
    let mut open = vec![((range.lo, ends.0), (range.hi, ends.1))];
    while let Some((left, right)) = open.pop() {
        if left.1 == right.1 {
            continue;
        }
        if left.0 + 1 == right.0 {
            rises.push((right.1, right.0));
            continue;
        }
        let middle = left.0 + (right.0 - left.0) / 2;
        let middle = (middle, number(middle)?);
        open.push((middle, right));
        open.push((left, middle));
    }
    Ok(Row { dir, ends, rises })
}

/// Returns the whole number that stands for 0 in all channels, where there is one.
fn zero_level(outer: &Chain, channels: usize) -> Result<Option<i64>, String> {
    let mut found = None;
    for c in 0..channels {
        let Some((slope, offset)) = outer.affine(c)? else { return Ok(None) };
        let (Some(slope), Some(offset)) = (slope.rational(), offset.rational()) else { return Ok(None) };
        if slope.is_zero() {
            return Ok(None);
        }
        let zero: Q = -offset / slope;
        let zero = if zero.is_integer() { zero.to_i64() } else { None };
        if zero.is_none() || found.is_some_and(|f| f != zero) {
            return Ok(None);
        }
        found = Some(zero);
    }
    Ok(found.flatten())
}

/// Returns whether the levels are the wire's values, so that no Step is needed.
fn is_identity(thresholds: &Array2<i32>, dir: &[i8], wire: Wire) -> bool {
    wire.range.lo == 0
        && wire.range.hi <= thresholds.dim().1 as i64
        && dir.iter().all(|&d| d == 1)
        && thresholds.indexed_iter().all(|((_, k), &t)| i64::from(t) == (k as i64 + 1).min(wire.range.hi + 1))
}

/// Returns the real function behind the Step, for gradients and norms.
fn surrogate(inner: &Chain, outer: &Chain, rows: &[Row], range: Range) -> Surrogate {
    let mut surrogate = Surrogate { gain: vec![], open_lo: vec![], open_hi: vec![], unit: 1.0 };
    for (c, row) in rows.iter().enumerate() {
        let slope = inner.slope(c).abs();
        let mut gain = if slope.is_finite() { slope } else { 0.0 };
        if let ([first, .., last], true) = (&row.rises[..], row.rises.len() > 1) {
            gain = (last.0 - first.0) as f64 / (last.1 - first.1).max(1) as f64;
        }
        let range = range.directed(row.dir);
        let margin = if gain > 0.0 { (1.0 / gain).min(1e9) as i64 } else { 0 };
        let (lo, hi) = match (row.rises.first(), row.rises.last()) {
            (Some(first), Some(last)) if gain > 0.0 => (first.1 - margin, last.1 + margin),
            _ => (1, 0),
        };
        let (lo, hi) = (lo.max(range.lo), hi.min(range.hi));
        let (lo, hi) = if lo > hi {
            (1, 0)
        } else if row.dir < 0 {
            (-hi, -lo)
        } else {
            (lo, hi)
        };
        surrogate.gain.push(gain * f64::from(row.dir));
        surrogate.open_lo.push(lo as i32);
        surrogate.open_hi.push(hi as i32);
    }
    let unit = outer.slope(0).abs();
    if unit.is_finite() && unit > 0.0 {
        surrogate.unit = unit;
    }
    surrogate
}
