//! Residuals of any scales and zero points.

use crate::build::{Attr, Builder, Random};
use crate::qdq::{Linear, weights};
use dq_net::Layer;

/// Seed, type of element, and zero points of the residuals that are tested.
const RESIDUALS: [(u64, i32, [i64; 3]); 3] =
    [(1, 2, [0, 128, 117]), (2, 3, [-128, 0, 5]), (3, 3, [7, -3, -100])];

/// Builds a residual network and returns it with its scores.
fn residual((seed, element, zeros): (u64, i32, [i64; 3])) -> (Builder, String) {
    let mut random = Random(seed);
    let mut b = Builder::new(1, &[1, 3, 6, 6]);
    let first = Linear::new(&mut b, 0.0039, element, zeros[0]);
    let x = first.both(&mut b, "x");
    let w = weights(&mut b, &mut random, &[4, 3, 3, 3]);
    let bias = b.floats(&[4], &random.floats(4));
    let x = b.node("Conv", &[&x, &w, &bias], &[("pads", Attr::Ints(&[1, 1, 1, 1]))]);
    let second = Linear::new(&mut b, 0.0171, element, zeros[1]);
    let x = second.both(&mut b, &x);
    let w = weights(&mut b, &mut random, &[4, 4, 3, 3]);
    let y = b.node("Conv", &[&x, &w], &[("pads", Attr::Ints(&[1, 1, 1, 1]))]);
    let third = Linear::new(&mut b, 0.0293, element, zeros[2]);
    let y = third.both(&mut b, &y);
    let x = b.node(if seed == 2 { "Sub" } else { "Add" }, &[&x, &y], &[]);
    let x = b.node("Relu", &[&x], &[]);
    let x = third.both(&mut b, &x);
    let x = b.node("GlobalAveragePool", &[&x], &[]);
    let x = second.both(&mut b, &x);
    let x = b.node("Flatten", &[&x], &[]);
    let w = b.ints(3, &[4, 5], &(0..20).map(|i| i * 7 % 23 - 11).collect::<Vec<_>>());
    let (scale, zero) = (b.float(0.01), b.ints(3, &[], &[0]));
    let w = b.node("DequantizeLinear", &[&w, &scale, &zero], &[]);
    let x = b.node("MatMul", &[&x, &w], &[]);
    let last = Linear::new(&mut b, 0.001, 3, 3);
    let y = last.both(&mut b, &x);
    (b, y)
}

#[test]
pub fn residuals_of_any_scales_and_zero_points_are_imported_and_proved() {
    for tested in RESIDUALS {
        let (b, y) = residual(tested);
        let import = b.import(&y).unwrap_or_else(|e| panic!("{tested:?}: {e}"));
        let count = import.network.nodes().iter().filter(|n| matches!(n.layer, Layer::Sum(_))).count();
        assert_eq!(count, 1, "{tested:?}");
    }
}

#[test]
pub fn float_biases_of_the_scores_leave_every_label() {
    let mut random = Random(5);
    let mut b = Builder::new(1, &[1, 2, 3, 3]);
    let x = b.quant("x", 1.0 / 255.0, 8, false);
    let x = b.node("Flatten", &[&x], &[]);
    let w = b.floats(&[4, 18], &(0..72).map(|i| (i * 5 % 7) as f32 - 3.0).collect::<Vec<_>>());
    let bias = b.floats(&[4], &random.floats(4));
    let y = b.node("Gemm", &[&x, &w, &bias], &[("transB", Attr::Int(1))]);
    let import = b.import(&y).unwrap();
    assert_eq!(import.report.tolerance, 4);
}

#[test]
pub fn scales_of_a_small_ratio_become_whole_factors() {
    let mut b = Builder::new(1, &[1, 2, 3, 3]);
    let (x, y) = (b.quant("x", 0.25, 2, false), b.quant("x", 0.375, 1, false));
    let x = b.node("Add", &[&x, &y], &[]);
    let w = b.floats(&[3, 2, 3, 3], &(0..54).map(|i| (i % 5) as f32 - 2.0).collect::<Vec<_>>());
    let y = b.node("Conv", &[&x, &w], &[]);
    let import = b.import(&y).unwrap();
    let sums = import.network.nodes().iter().filter_map(|n| match &n.layer {
        Layer::Sum(sum) => Some(sum.factors),
        _ => None,
    });
    assert_eq!(sums.collect::<Vec<_>>(), [[2, 3]]);
}
