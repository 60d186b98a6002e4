//! Gradients with respect to weights, in plain loops: the search for harmful bit flips asks for them a few times a flip.

use crate::engine::Tensor;
use dq_net::Shape;
use dq_net::layer::{Conv, Dense};

/// `Σ slope · input` over all output pixels of a block, for each weight (row-major).
pub(super) fn conv(conv: &Conv, input: &Tensor, slopes: &[f32], from: Shape, to: Shape) -> Vec<f32> {
    let (outputs, kernel_rows, kernel_columns, per_group) = conv.weights.dim();
    let (rows, columns) = conv.axes();
    let levels: Vec<f32> = input.words().iter().map(|&v| v as f32).collect();
    let mut found = vec![0.0; conv.weights.len()];
    let window = kernel_rows * kernel_columns * per_group;
    for (slopes, levels) in slopes.chunks_exact(to.len()).zip(levels.chunks_exact(from.len())) {
        for (pixel, slopes) in slopes.chunks_exact(outputs).enumerate() {
            let (oy, ox) = (pixel / to.width, pixel % to.width);
            let taps = (0..kernel_rows).flat_map(|ky| (0..kernel_columns).map(move |kx| (ky, kx)));
            for (tap, (ky, kx)) in taps.enumerate() {
                let place = rows.tap(oy, ky, from.height).zip(columns.tap(ox, kx, from.width));
                let Some((y, x)) = place else { continue };
                let levels = &levels[(y * from.width + x) * from.channels..][..from.channels];
                for (o, &slope) in slopes.iter().enumerate().filter(|(_, slope)| **slope != 0.0) {
                    let group = o / (outputs / conv.groups) * per_group;
                    let into = &mut found[o * window + tap * per_group..][..per_group];
                    into.iter_mut().zip(&levels[group..]).for_each(|(to, &level)| *to += slope * level);
                }
            }
        }
    }
    found
}

/// As [`conv`], of a dense layer.
pub(super) fn dense(dense: &Dense, input: &Tensor, slopes: &[f32]) -> Vec<f32> {
    let (outputs, inputs) = dense.weights.dim();
    let levels: Vec<f32> = input.words().iter().map(|&v| v as f32).collect();
    let mut found = vec![0.0; outputs * inputs];
    for (slopes, levels) in slopes.chunks_exact(outputs).zip(levels.chunks_exact(inputs)) {
        for (into, &slope) in found.chunks_exact_mut(inputs).zip(slopes) {
            into.iter_mut().zip(levels).for_each(|(to, &level)| *to += slope * level);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use dq_net::layer::Layer;
    use dq_net::random::{self, Options};
    use ndarray::Array3;

    #[test]
    fn slopes_are_what_one_more_of_a_weight_adds() {
        let mut seen = [0, 0];
        for seed in 0..60 {
            let network = random::network(seed, &Options { max_side: 5, ..Options::default() });
            let values = network.eval_nodes(random::image(seed, network.input_shape()).view());
            for (i, node) in network.nodes().iter().enumerate() {
                let Some(&source) = network.sources(i).first() else { continue };
                let (from, to) = (network.wire(source).shape, network.wire(i).shape);
                let input = Tensor::Words(values[source].iter().copied().collect());
                let slopes: Vec<f32> = (0..to.len()).map(|n| ((n * 7 + 3) % 11) as f32 - 5.0).collect();
                let sum = |layer: &Layer| -> f64 {
                    let found: Array3<i32> = layer.kind().eval(&[values[source].view()]);
                    found.iter().zip(&slopes).map(|(&v, &slope)| f64::from(v) * f64::from(slope)).sum()
                };
                let found = match &node.layer {
                    Layer::Conv(layer) => conv(layer, &input, &slopes, from, to),
                    Layer::Dense(layer) => dense(layer, &input, &slopes),
                    _ => continue,
                };
                let before = sum(&node.layer);
                for (at, &slope) in found.iter().enumerate() {
                    let mut other = node.layer.clone();
                    let weight = match &mut other {
                        Layer::Conv(conv) => &mut conv.weights.as_slice_mut().unwrap()[at],
                        Layer::Dense(dense) => &mut dense.weights.as_slice_mut().unwrap()[at],
                        _ => unreachable!(),
                    };
                    let step = if *weight > 0 { -1 } else { 1 };
                    *weight += step;
                    let wanted = f64::from(step) * (sum(&other) - before);
                    assert!((f64::from(slope) - wanted).abs() <= 1e-4 * wanted.abs().max(1.0), "seed {seed}");
                }
                seen[usize::from(matches!(node.layer, Layer::Dense(_)))] += 1;
            }
        }
        assert!(seen.iter().all(|&n| n > 20), "{seen:?}");
    }
}
