//! Operators over windows, in plain loops over whole numbers: convolution, matrix product and pools.

use super::tensor::Tensor;
use crate::graph::Op;
use crate::number::{Q, Real, whole};
use crate::quantizer::Constants;
use crate::tensor::{Constant, integers};
use rayon::prelude::*;
use std::cmp::Ordering;
use std::collections::HashMap;

/// The windows of an operator over batch × channels × height × width.
struct Windows {
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    /// Padding before: rows and columns.
    before: [usize; 2],
    input: [usize; 2],
    output: [usize; 2],
}

/// Returns the spatial sizes of a tensor; one axis is one row.
fn spatial(dims: &[usize]) -> Result<[usize; 2], String> {
    match dims {
        [_, _, w] => Ok([1, *w]),
        [_, _, h, w] => Ok([*h, *w]),
        _ => Err(format!("expected 3 or 4 axes, found {dims:?}")),
    }
}

impl Windows {
    fn read(op: &Op, input: [usize; 2], kernel: [usize; 2], flat: bool) -> Result<Self, String> {
        let axes = if flat { 1 } else { 2 };
        let two = |v: Vec<usize>, one| if flat { [one, v[0]] } else { [v[0], v[1]] };
        let stride = two(op.sizes("strides", axes, 1)?, 1);
        let dilation = two(op.sizes("dilations", axes, 1)?, 1);
        let pads = op.sizes("pads", 2 * axes, 0)?;
        let (mut before, mut after) =
            if flat { ([0, pads[0]], [0, pads[1]]) } else { ([pads[0], pads[1]], [pads[2], pads[3]]) };
        let auto = op.text("auto_pad", "NOTSET");
        let mut output = [0; 2];
        for a in 0..2 {
            let span = (kernel[a] - 1) * dilation[a] + 1;
            if auto.starts_with("SAME") {
                let total = ((input[a].div_ceil(stride[a]) - 1) * stride[a] + span).saturating_sub(input[a]);
                before[a] = if auto == "SAME_UPPER" { total / 2 } else { total - total / 2 };
                after[a] = total - before[a];
            }
            let room =
                (input[a] + before[a] + after[a]).checked_sub(span).ok_or("window larger than its input")?;
            output[a] = room / stride[a] + 1;
            let began_within = output[a] * stride[a] < input[a] + before[a];
            if op.int("ceil_mode", 0) != 0 && !room.is_multiple_of(stride[a]) && began_within {
                output[a] += 1;
            }
        }
        Ok(Windows { kernel, stride, dilation, before, input, output })
    }

    /// Returns, for a tap along axis `a`, the outputs that read it within the input: `(output, input)`.
    fn reads(&self, a: usize, tap: usize) -> impl Iterator<Item = (usize, usize)> + Clone + '_ {
        (0..self.output[a]).filter_map(move |o| {
            let at = (o * self.stride[a] + tap * self.dilation[a]).checked_sub(self.before[a])?;
            (at < self.input[a]).then_some((o, at))
        })
    }

    fn dims(&self, channels: usize, flat: bool) -> Vec<usize> {
        let [h, w] = self.output;
        if flat { vec![1, channels, w] } else { vec![1, channels, h, w] }
    }
}

/// Convolves.
pub fn conv(op: &Op, x: &Tensor, weight: &Constant, bias: Option<&Constant>) -> Result<Tensor, String> {
    let input = spatial(&x.dims)?;
    let flat = x.dims.len() == 3;
    let (outputs, per_group) = (weight.dims[0], weight.dims[1]);
    let kernel = if flat { [1, weight.dims[2]] } else { [weight.dims[2], weight.dims[3]] };
    let windows = Windows::read(op, input, kernel, flat)?;
    let groups = op.int("group", 1) as usize;
    let (values, unit) = x.integers()?;
    let (pixels, taps) = (input[0] * input[1], kernel[0] * kernel[1]);
    let largest = values.iter().map(|v| v.unsigned_abs()).max().unwrap_or(0);
    // Sums of 64 bits are faster, where they hold them.
    let narrow: Option<Vec<i64>> = (largest < 1 << 31).then(|| values.iter().map(|&v| v as i64).collect());
    let rows: Vec<(Vec<i128>, Q)> = (0..outputs)
        .into_par_iter()
        .map(|o| {
            let per = per_group * taps;
            let indices: Vec<usize> = (o * per..(o + 1) * per).collect();
            let (ints, weight_unit) =
                integers(weight, &indices).ok_or("weights that are no whole numbers")?;
            let size: u128 = ints.iter().map(|w| u128::from(w.unsigned_abs())).sum();
            let first = o / (outputs / groups) * per_group * pixels;
            let sums = match &narrow {
                Some(narrow) if size * largest < 1 << 62 => {
                    let sums = weighted(&windows, &ints, &narrow[first..], taps);
                    sums.into_iter().map(i128::from).collect()
                }
                _ if size.checked_mul(largest).is_none_or(|n| n >= 1 << 126) => {
                    return Err("sums that do not fit".to_string());
                }
                _ => weighted(&windows, &ints, &values[first..], taps),
            };
            Ok((sums, &unit * weight_unit))
        })
        .collect::<Result<_, _>>()?;
    let bias = bias.map(Constant::values);
    let keys = rows.iter().enumerate().flat_map(|(o, row)| row.0.iter().map(move |&sum| (o, sum)));
    Tensor::of_keys(windows.dims(outputs, flat), keys, |&(o, sum)| {
        let product = &rows[o].1 * whole(sum);
        Ok(bias.as_ref().map_or(product.clone(), |b| product + &b[if b.len() == 1 { 0 } else { o }]).into())
    })
}

/// Returns the sums of one output: weights, input channel by channel, times the planes of these.
fn weighted<T: Copy + From<i32> + std::ops::Mul<Output = T> + std::ops::AddAssign>(
    windows: &Windows,
    weights: &[i32],
    planes: &[T],
    taps: usize,
) -> Vec<T> {
    let [height, width] = windows.input;
    let mut sums = vec![T::from(0); windows.output[0] * windows.output[1]];
    for (tap, &w) in weights.iter().enumerate().filter(|(_, w)| **w != 0) {
        let (c, ky, kx) = (tap / taps, tap % taps / windows.kernel[1], tap % windows.kernel[1]);
        for (oy, y) in windows.reads(0, ky) {
            let line = &planes[c * height * width + y * width..][..width];
            let out = &mut sums[oy * windows.output[1]..][..windows.output[1]];
            windows.reads(1, kx).for_each(|(ox, x)| out[ox] += T::from(w) * line[x]);
        }
    }
    sums
}

/// Multiplies the rows of `x` with a matrix given by the positions of each output's weights.
pub fn product(
    x: &Tensor,
    weight: &Constant,
    outputs: usize,
    indices: impl Fn(usize) -> Vec<usize> + Sync,
) -> Result<Tensor, String> {
    let (values, unit) = x.integers()?;
    let inputs = *x.dims.last().ok_or("expected a vector")?;
    let columns: Vec<(Vec<i32>, Q)> = (0..outputs)
        .map(|o| integers(weight, &indices(o)).ok_or_else(|| "weights that are no whole numbers".to_string()))
        .collect::<Result<_, _>>()?;
    let mut keys = vec![];
    for row in values.chunks(inputs) {
        for (o, (ints, _)) in columns.iter().enumerate() {
            let sum: i128 = row.iter().zip(ints).map(|(&x, &w)| x * i128::from(w)).sum();
            keys.push((o, sum));
        }
    }
    let mut dims = x.dims.clone();
    *dims.last_mut().expect("checked") = outputs;
    Tensor::of_keys(dims, keys.into_iter(), |&(o, sum)| Ok((&unit * &columns[o].1 * whole(sum)).into()))
}

/// Takes the largest number of each window.
pub fn max_pool(op: &Op, x: &Tensor) -> Result<Tensor, String> {
    let (windows, flat) = pool_windows(op, x)?;
    let [h, w] = windows.input;
    let mut ids = vec![];
    for c in 0..x.dims[1] {
        let plane = &x.ids[c * h * w..(c + 1) * h * w];
        let ranks = ranks(plane, &x.table)?;
        let mut best: Vec<Option<u32>> = vec![None; windows.output[0] * windows.output[1]];
        for ky in 0..windows.kernel[0] {
            for kx in 0..windows.kernel[1] {
                for (oy, y) in windows.reads(0, ky) {
                    for (ox, column) in windows.reads(1, kx) {
                        let found = plane[y * w + column];
                        let slot = &mut best[oy * windows.output[1] + ox];
                        if slot.is_none_or(|old| ranks[&old] < ranks[&found]) {
                            *slot = Some(found);
                        }
                    }
                }
            }
        }
        ids.extend(best.into_iter().collect::<Option<Vec<u32>>>().ok_or("a window in the padding")?);
    }
    Ok(Tensor { dims: windows.dims(x.dims[1], flat), ids, table: x.table.clone() })
}

/// Returns the order of the numbers that occur.
fn ranks(ids: &[u32], table: &[Real]) -> Result<HashMap<u32, usize>, String> {
    let mut distinct = ids.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let mut failed = Ok(());
    distinct.sort_by(|&a, &b| match table[a as usize].add(&table[b as usize].negative()) {
        Ok(difference) => difference.sign(),
        Err(reason) => {
            failed = Err(reason);
            Ordering::Equal
        }
    });
    failed.map(|()| distinct.into_iter().enumerate().map(|(rank, id)| (id, rank)).collect())
}

fn pool_windows(op: &Op, x: &Tensor) -> Result<(Windows, bool), String> {
    let flat = x.dims.len() == 3;
    if op.kind.starts_with("Global") {
        let input = spatial(&x.dims)?;
        return Ok((Windows::read(op, input, input, flat)?, flat));
    }
    let kernel = op.sizes("kernel_shape", if flat { 1 } else { 2 }, 0)?;
    let kernel = if flat { [1, kernel[0]] } else { [kernel[0], kernel[1]] };
    Ok((Windows::read(op, spatial(&x.dims)?, kernel, flat)?, flat))
}

/// Pads the spatial axes with one number.
pub fn pad(op: &Op, x: &Tensor, get: Constants) -> Result<Tensor, String> {
    let list = |name: &str, i: usize| match (op.ints(name), get(i)) {
        (Some(ints), _) => Ok(Some(ints.to_vec())),
        (None, Some(c)) => c.whole_values(name).map(Some),
        (None, None) => Ok(None),
    };
    let rank = x.dims.len();
    let pads = list("pads", 1)?.ok_or("pads: expected constants")?;
    let axes = list("axes", 3)?.unwrap_or_else(|| (0..rank as i64).collect());
    let mut around = vec![(0, 0); rank];
    for (i, &axis) in axes.iter().enumerate() {
        let axis = crate::tensor::axis(axis, rank)?;
        around[axis] = (pads[i] as usize, pads[axes.len() + i] as usize);
    }
    let fill = match get(2) {
        Some(value) => value.scalar("value")?,
        None => op.float("value", 0.0)?,
    };
    let dims: Vec<usize> = x.dims.iter().zip(&around).map(|(d, (a, b))| d + a + b).collect();
    let keys = (0..dims.iter().product()).map(|i: usize| {
        let mut place = Some(0);
        for axis in 0..rank {
            let at = i / crate::tensor::inner(&dims, axis) % dims[axis];
            let at = at.checked_sub(around[axis].0).filter(|&at| at < x.dims[axis]);
            place = place.zip(at).map(|(p, at)| p * x.dims[axis] + at);
        }
        place.map(|p| x.ids[p])
    });
    Tensor::of_keys(dims.clone(), keys, |id| {
        Ok(id.map_or(fill.clone().into(), |id| x.table[id as usize].clone()))
    })
}

/// Takes the mean of each window; padding is 0.
pub fn mean_pool(op: &Op, x: &Tensor) -> Result<Tensor, String> {
    let (windows, flat) = pool_windows(op, x)?;
    let (values, unit) = x.integers()?;
    let [h, w] = windows.input;
    let mut sums = vec![];
    for plane in values.chunks(h * w) {
        let mut total = vec![0i128; windows.output[0] * windows.output[1]];
        for ky in 0..windows.kernel[0] {
            for kx in 0..windows.kernel[1] {
                for (oy, y) in windows.reads(0, ky) {
                    for (ox, column) in windows.reads(1, kx) {
                        total[oy * windows.output[1] + ox] += plane[y * w + column];
                    }
                }
            }
        }
        sums.extend(total);
    }
    let count = whole((windows.kernel[0] * windows.kernel[1]) as i64);
    let dims = windows.dims(x.dims[1], flat);
    Tensor::of_keys(dims, sums.into_iter(), |&sum| Ok((&unit * whole(sum) / &count).into()))
}

/// Takes the mean of each channel.
pub fn global_mean(x: &Tensor, dims: Vec<usize>) -> Result<Tensor, String> {
    let (values, unit) = x.integers()?;
    let pixels: usize = x.dims[2..].iter().product();
    let sums: Vec<i128> = values.chunks(pixels).map(|plane| plane.iter().sum()).collect();
    let count = whole(pixels as i64);
    Tensor::of_keys(dims, sums.into_iter(), |&sum| Ok((&unit * whole(sum) / &count).into()))
}
