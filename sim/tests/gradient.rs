//! Compares the straight-through gradient with plain loops in f64, written here from the definition.

use dq_net::layer::{Conv, Layer, Logits, MaxPool};
use dq_net::random::{self, Options};
use dq_net::{Network, Shape};
use dq_sim::{Engine, GradientSource, Kernel, Loss, Precision, WhiteBox};
use ndarray::{Array3, Array4, Axis};
use std::collections::BTreeSet;

/// Loss and ∂ loss / ∂ pixel of one image, node by node, with naive loops. With `part` = |·| the gradient is
/// the sum of the magnitudes of all its terms: what rounding errors are relative to.
fn naive(
    network: &Network,
    image: ndarray::ArrayView3<u8>,
    label: usize,
    part: fn(f64) -> f64,
) -> (f64, Array3<f64>) {
    let values = network.eval_nodes(image);
    let Logits { scale, .. } = network.logits();
    let logits: Vec<f64> = values.last().unwrap().iter().map(|&s| f64::from(s) * scale).collect();
    let most = logits.iter().copied().fold(f64::MIN, f64::max);
    let total: f64 = logits.iter().map(|z| (z - most).exp()).sum();
    // The slope is p_j for the others; for the label it is 1 − p, computed as the sum of the others, since p
    // may be 1 to the last bit.
    let p: Vec<f64> = logits.iter().map(|z| (z - most).exp() / total).collect();
    let others: f64 = p.iter().enumerate().filter(|(j, _)| *j != label).map(|(_, p)| p).sum();
    let slopes = p.iter().enumerate().map(|(j, p)| part(if j == label { -others } else { *p }) * scale);
    let mut gradients: Vec<Array3<f64>> = values.iter().map(|v| Array3::zeros(v.dim())).collect();
    let last = values.len() - 1;
    gradients[last].iter_mut().zip(slopes).for_each(|(to, slope)| *to = slope);
    for i in (1..=last).rev() {
        let source = network.sources(i)[0];
        let slope = gradients[i].clone();
        let from = network.wire(source).shape;
        let layer = &network.nodes()[i].layer;
        if let Layer::Mix(mix) = layer {
            let other = network.sources(i)[1];
            for (source, share) in [(source, mix.a), (other, mix.b)] {
                let share = f64::from(share) / f64::from(mix.shift).exp2();
                for ((at, &s), (&x, &y)) in
                    slope.indexed_iter().zip(values[network.sources(i)[0]].iter().zip(&values[other]))
                {
                    let sum = mix.sum(x, y) >> mix.shift;
                    if i64::from(mix.value(x, y)) == sum {
                        gradients[source][at] += s * part(share);
                    }
                }
            }
            continue;
        }
        if let Layer::Sum(sum) = layer {
            for (&source, factor) in network.sources(i).iter().zip(sum.factors) {
                gradients[source] += &(&slope * part(factor.into()));
            }
            continue;
        }
        if let Layer::Concat(_) = layer {
            let (own, other) = slope.view().split_at(Axis(2), from.channels);
            gradients[source] += &own;
            gradients[network.sources(i)[1]] += &other;
            continue;
        }
        let into = backward(layer, &values[source], &slope, from, part);
        gradients[source] += &into;
    }
    (total.ln() + most - logits[label], gradients.swap_remove(0))
}

fn backward(
    layer: &Layer,
    x: &Array3<i32>,
    slope: &Array3<f64>,
    from: Shape,
    part: fn(f64) -> f64,
) -> Array3<f64> {
    let mut into = Array3::<f64>::zeros(from.dim());
    match layer {
        Layer::Input(_) => unreachable!(),
        Layer::Conv(conv) => conv_backward(conv, slope, from, part, &mut into),
        Layer::Dense(dense) => {
            for (i, to) in into.iter_mut().enumerate() {
                *to = slope.iter().enumerate().map(|(o, s)| s * part(dense.weights[[o, i]].into())).sum();
            }
        }
        Layer::Step(step) => {
            for ((y, column, c), &s) in slope.indexed_iter() {
                let surrogate = &step.surrogate;
                let acc = x[[y, column, c]];
                if surrogate.open_lo[c] <= acc && acc <= surrogate.open_hi[c] {
                    into[[y, column, c]] = s * part(surrogate.gain[c]);
                }
            }
        }
        Layer::MaxPool(pool) => max_backward(pool, x, slope, &mut into),
        Layer::SumPool(pool) => {
            for ((oy, ox, c), &s) in slope.indexed_iter() {
                for (y, dx) in (0..pool.window[0]).flat_map(|y| (0..pool.window[1]).map(move |x| (y, x))) {
                    into[[oy * pool.stride[0] + y, ox * pool.stride[1] + dx, c]] += s;
                }
            }
        }
        Layer::GlobalSum(_) => {
            into.indexed_iter_mut().for_each(|((_, _, c), to)| *to = slope[[0, 0, c]]);
        }
        Layer::Mix(_) | Layer::Sum(_) | Layer::Concat(_) => unreachable!("it has two inputs"),
        Layer::Rescale(rescale) => {
            for ((y, column, c), &s) in slope.indexed_iter() {
                let value = rescale.sum(c, x[[y, column, c]].into()) >> rescale.shift;
                if value == i64::from(rescale.value(c, x[[y, column, c]])) {
                    let slope = f64::from(rescale.mul[c]) / f64::from(rescale.shift).exp2();
                    into[[y, column, c]] = s * part(slope);
                }
            }
        }
        Layer::BitDepth(depth) => {
            let slope_of_one = f64::from((1i32 << depth.bits) - 1) / 255.0;
            into.assign(&(slope * slope_of_one));
        }
        Layer::Median(_) => median_backward(x, slope, &mut into),
        Layer::Logits(_) => into.assign(slope),
    }
    into
}

fn conv_backward(
    conv: &Conv,
    slope: &Array3<f64>,
    from: Shape,
    part: fn(f64) -> f64,
    into: &mut Array3<f64>,
) {
    let (outputs, rows, columns, per_group) = conv.weights.dim();
    let (ys, xs) = conv.axes();
    for ((oy, ox, o), &s) in slope.indexed_iter() {
        for (ky, kx) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
            if let (Some(y), Some(x)) = (ys.tap(oy, ky, from.height), xs.tap(ox, kx, from.width)) {
                for c in 0..per_group {
                    let group = o / (outputs / conv.groups);
                    into[[y, x, group * per_group + c]] += s * part(conv.weights[[o, ky, kx, c]].into());
                }
            }
        }
    }
}

fn max_backward(pool: &MaxPool, x: &Array3<i32>, slope: &Array3<f64>, into: &mut Array3<f64>) {
    for ((oy, ox, c), &s) in slope.indexed_iter() {
        let mut best = (oy * pool.stride[0], ox * pool.stride[1]);
        for y in 0..pool.window[0] {
            for dx in 0..pool.window[1] {
                let at = (oy * pool.stride[0] + y, ox * pool.stride[1] + dx);
                if x[[at.0, at.1, c]] > x[[best.0, best.1, c]] {
                    best = at;
                }
            }
        }
        into[[best.0, best.1, c]] += s;
    }
}

fn median_backward(x: &Array3<i32>, slope: &Array3<f64>, into: &mut Array3<f64>) {
    for ((y, column, c), &s) in slope.indexed_iter() {
        let places = [(1, 1), (1, 0), (0, 1), (0, 0)];
        let places = places.map(|(up, left)| (y.saturating_sub(up), column.saturating_sub(left)));
        let mut order: Vec<usize> = (0..4).collect();
        order.sort_by_key(|&i| (x[[places[i].0, places[i].1, c]], i));
        // The lower middle value counts, wherever it comes first.
        let value = x[[places[order[1]].0, places[order[1]].1, c]];
        let first = places.iter().find(|p| x[[p.0, p.1, c]] == value).unwrap();
        into[[first.0, first.1, c]] += s;
    }
}

/// Largest error of a slope of 16-bit fixed point, as a part of the image's largest sum of magnitudes.
const FIXED: f64 = 1e-3;
/// The same where a step's gains lie thousands apart from channel to channel: the small slopes, which alone
/// may live on, are rounded as the large ones are.
const COARSE: f64 = 5e-2;

#[test]
fn gradients_are_those_of_plain_loops_and_equal_bit_for_bit_in_every_kernel() {
    let (mut alive, mut coarse) = (0, BTreeSet::new());
    for seed in 0..300 {
        let max_channels = if seed % 3 == 0 { 36 } else { 8 };
        let options = Options { max_channels, residuals: seed % 2 == 1, ..Options::default() };
        let network = random::network(seed, &options);
        let (height, width, channels) = network.input_shape().dim();
        let mut images = Array4::zeros((10, height, width, channels));
        for (i, mut image) in images.outer_iter_mut().enumerate() {
            image.assign(&random::image(seed * 100 + i as u64, network.input()));
        }
        let labels: Vec<u8> = (0..10).map(|i| (i % network.classes()) as u8).collect();
        let found = WhiteBox::new(&network).loss_gradient(images.view(), &labels, Loss::CrossEntropy);
        let by = |kernel, precision| {
            let engine = WhiteBox::from(Engine::with_kernel(&network, kernel)).with_gradients(precision);
            engine.loss_gradient(images.view(), &labels, Loss::CrossEntropy)
        };
        let fixed = by(Kernel::Portable, Precision::Int16);
        assert_eq!((&fixed.losses, &fixed.logits), (&found.losses, &found.logits), "seed {seed}");
        for kernel in Kernel::available() {
            assert_eq!(by(kernel, Precision::Float), found, "seed {seed}, {kernel:?}");
            assert_eq!(by(kernel, Precision::Int16), fixed, "seed {seed}, {kernel:?}, int16");
        }
        for (b, image) in images.outer_iter().enumerate() {
            let (loss, wanted) = naive(&network, image, labels[b].into(), |v| v);
            let (_, magnitude) = naive(&network, image, labels[b].into(), f64::abs);
            assert!((found.losses[b] - loss).abs() < 1e-9 * (1.0 + loss), "seed {seed}");
            let gradient = found.gradient.index_axis(Axis(0), b);
            alive += usize::from(wanted.iter().any(|v| *v != 0.0));
            let largest = magnitude.iter().copied().fold(0.0, f64::max);
            for (at, &wanted) in wanted.indexed_iter() {
                let error = (f64::from(gradient[at]) - wanted).abs();
                let allowed = 1e-5 * magnitude[at] + 1e-30;
                assert!(error <= allowed, "seed {seed}, image {b}, {at:?}: {error:e} of {wanted:e}");
                let error = (f64::from(fixed.gradient[[b, at.0, at.1, at.2]]) - wanted).abs();
                if error > FIXED * largest + 1e-30 {
                    coarse.insert(seed);
                }
                assert!(
                    error <= COARSE * largest + 1e-30,
                    "seed {seed}, image {b}, {at:?}, int16: {error:e} of {largest:e}"
                );
            }
        }
    }
    assert!(coarse.len() <= 3, "networks {coarse:?} have larger errors than {FIXED} in 16-bit fixed point");
    assert!(alive > 1000, "only {alive} of 3000 gradients are not zero: the test would say little");
}

#[test]
fn a_gradient_does_not_depend_on_its_batch() {
    let network = random::network(11, &Options::default());
    let engine = WhiteBox::new(&network);
    let (height, width, channels) = network.input_shape().dim();
    let images = Array4::from_shape_fn((21, height, width, channels), |(b, y, x, c)| {
        (b * 37 + y * 11 + x * 5 + c) as u8
    });
    let labels = vec![1; 21];
    let all = engine.loss_gradient(images.view(), &labels, Loss::CrossEntropy);
    for b in 0..21 {
        let one =
            engine.loss_gradient(images.slice(ndarray::s![b..b + 1, .., .., ..]), &[1], Loss::CrossEntropy);
        assert_eq!(one.gradient.index_axis(Axis(0), 0), all.gradient.index_axis(Axis(0), b));
        assert_eq!(one.losses[0], all.losses[b]);
    }
}
