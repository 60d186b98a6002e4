//! Computes Lipschitz norms of layers for people: the largest singular value of each quantized layer, with
//! batch norm merged into it, as it really runs, with its stride and its padding (whose level moves results,
//! but never how far apart two of them lie). A norm is never a certificate: steps round, and rounding is
//! expansive (paper, A.1).

mod lanczos;

use crate::linear::RealLinear;
use dq_net::Network;
use dq_net::layer::Layer;
use lanczos::Operator;
use ndarray::{Array2, ArrayView2, Axis};

/// Relative error below which a norm is accepted.
pub const TOLERANCE: f64 = 1e-6;

/// Holds the norm of one layer with weights.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerNorm {
    /// The Conv's or Dense's name.
    pub node: String,
    /// Largest singular value of `real input → real output before rounding`: weights, BN gain and units
    /// together.
    pub norm: f64,
    /// Estimate of the norm's relative error (the norm itself is a lower bound); above [`TOLERANCE`] only
    /// where the iterations ran out.
    pub error: f64,
    /// Number of Lanczos iterations.
    pub iterations: usize,
    /// How far the bare weight matrix is from orthonormal rows or columns; see [`orthonormality_defect`].
    /// Grouped convolutions have none.
    pub defect: Option<f64>,
}

/// Computes the norms of every Conv and Dense whose result goes to a Step, a Rescale or the Logits, in node
/// order. `diag(|gain|)·Wq·unit_out / unit_in` before a Step (a Rescale: `|mul| / 2^shift` for the gain),
/// `Wq·scale / unit_in` before the Logits.
pub fn layers(network: &Network) -> Vec<LayerNorm> {
    let mut found = Vec::new();
    for reader in 0..network.nodes().len() {
        let outer: Box<dyn Fn(usize) -> f64> = match &network.nodes()[reader].layer {
            Layer::Step(step) => Box::new(|c| step.surrogate.gain[c].abs() * step.surrogate.unit),
            Layer::Rescale(rescale) => {
                let whole = f64::from(rescale.shift).exp2();
                Box::new(move |c| f64::from(rescale.mul[c]).abs() / whole * rescale.unit)
            }
            Layer::Logits(logits) => Box::new(|_| logits.scale),
            _ => continue,
        };
        let i = network.sources(reader)[0];
        let Some(&source) = network.sources(i).first() else { continue };
        let Some(unit) = network.unit(source) else { continue };
        let (from, to) = (network.wire(source).shape, network.wire(i).shape);
        let factor = |o: usize| outer(o) / unit;
        let (operator, defect) = match &network.nodes()[i].layer {
            Layer::Conv(conv) => {
                let mut weights = conv.weights.mapv(f64::from);
                let rows = (weights.dim().0, weights.len() / weights.dim().0);
                let matrix = weights.to_shape(rows).expect("counted").into_owned();
                weights.outer_iter_mut().enumerate().for_each(|(o, mut row)| row *= factor(o));
                let (axes, groups) = (conv.axes(), conv.groups);
                let operator = Operator {
                    forward: RealLinear::conv(weights.view(), from, to, axes, groups),
                    transposed: RealLinear::conv_transposed(weights.view(), from, to, axes, groups),
                    from,
                    to,
                };
                (operator, (groups == 1).then(|| orthonormality_defect(matrix.view())))
            }
            Layer::Dense(dense) => {
                let matrix = dense.weights.mapv(f64::from);
                let mut weights = matrix.clone();
                weights.outer_iter_mut().enumerate().for_each(|(o, mut row)| row *= factor(o));
                let operator = Operator {
                    forward: RealLinear::dense(weights.view()),
                    transposed: RealLinear::dense(weights.t()),
                    from,
                    to,
                };
                (operator, Some(orthonormality_defect(matrix.view())))
            }
            _ => continue,
        };
        let (norm, error, iterations) = operator.norm();
        found.push(LayerNorm { node: network.nodes()[i].name.clone(), norm, error, iterations, defect });
    }
    found
}

/// Computes `min over s of ‖s·G − I‖ / √n`, where G is the smaller Gram matrix (n × n) of `weights` (output ×
/// taps) with rows scaled to length 1: 0 for orthonormal rows (or columns, where there are fewer) up to
/// scale, towards 1 for a matrix of rank one. The scales removed are what per-channel and per-tensor
/// quantization are free to choose.
pub fn orthonormality_defect(weights: ArrayView2<f64>) -> f64 {
    let mut rows: Array2<f64> = weights.to_owned();
    for mut row in rows.axis_iter_mut(Axis(0)) {
        let length = row.dot(&row).sqrt();
        if length > 0.0 {
            row /= length;
        }
    }
    let gram = if rows.dim().0 <= rows.dim().1 { rows.dot(&rows.t()) } else { rows.t().dot(&rows) };
    let (trace, square) = (gram.diag().sum(), gram.iter().map(|g| g * g).sum::<f64>());
    if square == 0.0 {
        return 1.0;
    }
    // At the best s = trace / ‖G‖², ‖s·G − I‖² = n − trace² / ‖G‖².
    (1.0 - trace * trace / square / gram.dim().0 as f64).max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dq_net::Shape;
    use dq_net::random::{self, Options};

    /// Computes the layer's matrix, column by column, from the reference, and returns its largest singular
    /// value by power iteration.
    fn dense_norm(network: &Network, i: usize, reader: usize) -> f64 {
        let source = network.sources(i)[0];
        let (from, unit) = (network.wire(source).shape, network.unit(source).unwrap());
        // What the padding alone gives.
        let still = network.nodes()[i].layer.kind().eval(&[ndarray::Array3::zeros(from.dim()).view()]);
        let columns: Vec<Vec<f64>> = (0..from.len())
            .map(|at| {
                let mut x = ndarray::Array3::<i32>::zeros(from.dim());
                *x.iter_mut().nth(at).unwrap() = 1;
                let y = network.nodes()[i].layer.kind().eval(&[x.view()]) - &still;
                let real = |((_, _, c), &acc): ((usize, usize, usize), &i32)| {
                    let outer = match &network.nodes()[reader].layer {
                        Layer::Step(step) => step.surrogate.gain[c] * step.surrogate.unit,
                        Layer::Rescale(rescale) => {
                            f64::from(rescale.mul[c]) / f64::from(rescale.shift).exp2() * rescale.unit
                        }
                        Layer::Logits(logits) => logits.scale,
                        _ => unreachable!(),
                    };
                    f64::from(acc) * outer / unit
                };
                y.indexed_iter().map(real).collect()
            })
            .collect();
        let mut x: Vec<f64> = (0..from.len()).map(|i| ((i * 37 + 11) as f64).sin() + 0.1).collect();
        let mut value = 0.0;
        for _ in 0..20_000 {
            let mut y = vec![0.0; columns[0].len()];
            columns.iter().zip(&x).for_each(|(c, x)| y.iter_mut().zip(c).for_each(|(y, c)| *y += c * x));
            let z: Vec<f64> = columns.iter().map(|c| c.iter().zip(&y).map(|(c, y)| c * y).sum()).collect();
            let length = z.iter().map(|z| z * z).sum::<f64>().sqrt();
            if length == 0.0 {
                return 0.0;
            }
            x = z.iter().map(|z| z / length).collect();
            value = length.sqrt();
        }
        value
    }

    #[test]
    fn norms_are_those_of_the_explicit_matrix() {
        let mut checked = 0;
        let mut rescaled = 0;
        for seed in 0..60 {
            let options =
                Options { max_side: 6, max_channels: 5, residuals: seed % 3 == 2, ..Options::default() };
            let network = random::network(seed, &options);
            let found = layers(&network);
            for layer in &found {
                let i = network.position(&layer.node).unwrap();
                let reader = network.readers(i)[0];
                rescaled += usize::from(matches!(network.nodes()[reader].layer, Layer::Rescale(_)));
                let wanted = dense_norm(&network, i, reader);
                assert!(layer.error <= TOLERANCE, "seed {seed}, {layer:?}");
                let close = (layer.norm - wanted).abs() <= 3e-6 * wanted;
                assert!(close, "seed {seed}, {layer:?}: {wanted}");
                checked += 1;
            }
        }
        assert!(checked > 40 && rescaled > 10, "{checked}, {rescaled} before a rescale");
    }

    #[test]
    fn defects_are_zero_for_orthonormal_rows_and_columns_at_any_scale() {
        let rows = ndarray::arr2(&[[3.0, 0.0, 0.0, 0.0], [0.0, 0.0, -5.0, 0.0], [0.0, 2.0, 0.0, 2.0]]);
        assert!(orthonormality_defect(rows.view()) < 1e-9);
        let tall = ndarray::arr2(&[[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, -1.0]]);
        assert!(orthonormality_defect(tall.view()) < 1e-9);
        let same = Array2::from_elem((4, 9), 1.0);
        assert!((orthonormality_defect(same.view()) - 0.75f64.sqrt()).abs() < 1e-12);
    }

    /// A box filter's norm is known in closed form on a padded map.
    #[test]
    fn a_box_filters_norm_is_the_closed_form() {
        use dq_net::Node;
        use dq_net::layer::{Conv, GlobalSum, Input, Logits, Step, Surrogate};
        let weights = ndarray::Array4::from_elem((2, 3, 3, 1), 1i8);
        let surrogate = Surrogate {
            gain: vec![1.0 / 3.0; 2],
            open_lo: vec![0; 2],
            open_hi: vec![9; 2],
            unit: 1.0 / 255.0,
        };
        let layers_of = |side: usize| {
            let mut nodes: Vec<Node> = vec![];
            let step = Step {
                bits: 1,
                dir: vec![1; 2],
                thresholds: Array2::from_elem((2, 1), 5),
                surrogate: surrogate.clone(),
            };
            for (name, layer) in [
                ("input", Layer::Input(Input::pixels(Shape::new(side, side, 1)))),
                (
                    "conv",
                    Layer::Conv(Conv {
                        weights: weights.clone(),
                        weight_bits: 2,
                        stride: [1, 1],
                        pad: [1; 4],
                        pad_level: 0,
                        groups: 1,
                    }),
                ),
                ("step", Layer::Step(step)),
                ("sum", Layer::GlobalSum(GlobalSum)),
                ("logits", Layer::Logits(Logits { bias: vec![0, 0], scale: 1.0 })),
            ] {
                let inputs = nodes.last().map(|n| n.name.clone()).into_iter().collect();
                nodes.push(Node { name: name.into(), layer, inputs });
            }
            layers(&Network::new("box", nodes).unwrap())
        };
        let found = layers_of(32);
        // Along an axis of 32 points the window is a tridiagonal matrix of ones, whose norm is 1 + 2
        // cos(π/33); two axes square it, and two equal output channels multiply it by √2.
        let axis = 1.0 + 2.0 * (std::f64::consts::PI / 33.0).cos();
        let wanted = axis * axis / 3.0 * 2f64.sqrt();
        assert!((found[0].norm - wanted).abs() < 3e-6 * wanted, "{:?} {wanted}", found[0]);
    }
}
