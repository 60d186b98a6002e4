//! Holds Winograd's sums against those of windows: whole numbers exactly, reals bit for bit in every kernel.

use super::*;
use crate::tensor::spread;
use dq_net::layer::{Conv, Kind as _};
use dq_net::{Range, Shape};
use ndarray::{Array3, Array4};

fn conv(weights: Array4<i8>, pad: [usize; 4], pad_level: i32) -> Conv {
    Conv { weights, weight_bits: 8, stride: [1, 1], pad, pad_level, groups: 1 }
}

/// Sides are odd and even, maps narrower than a vector and wider; levels and weights reach the ends of what
/// bytes hold after the transform, of either sign.
#[test]
fn points_of_tiles_give_the_sums_of_windows_in_every_kernel() {
    for (at, (side, channels, outputs)) in
        [([4, 4], 1, 1), ([5, 3], 3, 17), ([3, 8], 64, 32), ([7, 6], 70, 40), ([1, 2], 33, 70)]
            .into_iter()
            .enumerate()
    {
        for hi in [1, 15, 63] {
            // Nine weights of 14 make 126; a corner of 31 makes 124.
            let weight = |o: usize, tap: usize, c: usize| match (o + c) % 4 {
                0 => 14,
                1 => -14,
                2 if tap == 8 => 31 - 62 * (o % 2) as i8,
                2 => 0,
                _ => (o * 31 + tap * 7 + c * 5) as i8 % 15,
            };
            let weights =
                Array4::from_shape_fn((outputs, 3, 3, channels), |(o, y, x, c)| weight(o, 3 * y + x, c));
            let conv = conv(weights, [1, at % 2 + 1, 1, 1], (hi * at as i32 / 4).min(hi));
            let shape = Shape::new(side[0], side[1], channels);
            let output = conv.shape(&[shape]).unwrap();
            let levels = spread(Range::new(0, hi.into()), 3 * shape.len());
            let wanted: Vec<i32> = levels
                .chunks_exact(shape.len())
                .flat_map(|image| {
                    conv.eval(&[Array3::from_shape_vec(shape.dim(), image.to_vec()).unwrap().view()])
                })
                .collect();
            let bytes: Vec<u8> = levels.iter().map(|&level| level as u8).collect();
            for kernel in Kernel::available() {
                let windows = Windows::conv(shape, output, conv.axes(), 1);
                let weight = |o: usize, y: usize, x: usize, c: usize| conv.weights[[o, y, x, c]];
                let by_points = Winograd::exact(kernel, &windows, hi.into(), weight).expect("it fits");
                let frame = &by_points.windows().frame;
                let framed = frame.lay(&bytes, conv.pad_level as u8, |level| level);
                let case = format!("{kernel:?}: {side:?} x {channels}, levels to {hi}");
                let mut found = vec![i32::MIN; wanted.len()];
                let mut rows = |first: usize, sums: &[i32]| {
                    found[first * outputs..][..sums.len()].copy_from_slice(sums);
                };
                by_points.run(&mut Session::new(kernel), &framed, 3, Target::Rows(&mut rows));
                assert_eq!(found, wanted, "{case}");
                found.fill(i32::MIN);
                by_points.run(&mut Session::new(kernel), &framed, 3, Target::Map(&mut found));
                assert_eq!(found, wanted, "{case}");
            }
        }
    }
}

/// One level, one weight or one sum beyond what fits goes by windows.
#[test]
fn what_bytes_cannot_hold_goes_by_windows() {
    let shape = Shape::new(4, 4, 2);
    let fits = |hi: i64, weights: [i8; 9], stride: usize| {
        let conv = Conv {
            stride: [stride, 1],
            ..conv(Array4::from_shape_fn((1, 3, 3, 2), |(_, y, x, _)| weights[3 * y + x]), [1; 4], 0)
        };
        let windows = Windows::conv(shape, conv.shape(&[shape]).unwrap(), conv.axes(), 1);
        Winograd::exact(Kernel::Portable, &windows, hi, |o, y, x, c| conv.weights[[o, y, x, c]]).is_some()
    };
    assert!(fits(63, [14; 9], 1));
    assert!(!fits(64, [14; 9], 1), "four levels of 64 are no byte");
    assert!(!fits(63, [15; 9], 1), "nine weights of 15 are no byte");
    assert!(!fits(63, [14; 9], 2));
    let corner = |weight: i8| std::array::from_fn(|tap| if tap == 2 { weight } else { 0 });
    assert!(fits(63, corner(31), 1) && fits(63, corner(-32), 1));
    assert!(!fits(63, corner(32), 1), "four times 32 is no byte");
}

/// Whole numbers, which floats hold exactly, give the same by points as by windows; any reals give the same
/// bits in every kernel.
#[test]
fn reals_by_points_are_those_of_windows_and_of_every_kernel() {
    let (shape, output) = (Shape::new(7, 6, 37), Shape::new(7, 6, 50));
    let axis = dq_net::layer::window::Axis { kernel: 3, stride: 1, before: 1, after: 1 };
    let windows = Windows::conv(shape, output, (axis, axis), 1);
    let number = |i: usize| (i * 7_919 % 23) as f32 - 11.0;
    let weight = |o: usize, y: usize, x: usize, c: usize| number(o * 53 + y * 19 + x * 11 + c);
    let by_points = Winograd::<Packed<f32>, f32, f32>::real(&windows, weight).expect("it pays");
    let run = |kernel: Kernel, values: &[f32]| {
        let frame = &by_points.windows().frame;
        let framed = frame.lay(values, 0.0, |value| value);
        let mut found = vec![f32::NAN; 2 * output.len()];
        by_points.run(&mut Session::new(kernel), &framed, 2, Target::Map(&mut found));
        found
    };
    let whole: Vec<f32> = (0..2 * shape.len()).map(|i| number(i + 5)).collect();
    let conv =
        conv(Array4::from_shape_fn((50, 3, 3, 37), |(o, y, x, c)| weight(o, y, x, c) as i8), [1; 4], 0);
    let wanted: Vec<f32> = whole
        .chunks_exact(shape.len())
        .flat_map(|image| {
            let image = image.iter().map(|&value| value as i32).collect();
            conv.eval(&[Array3::from_shape_vec(shape.dim(), image).unwrap().view()])
        })
        .map(|sum| sum as f32)
        .collect();
    let real: Vec<f32> = whole.iter().enumerate().map(|(i, value)| value * 0.1 + i as f32 * 1e-4).collect();
    let portable = run(Kernel::Portable, &real);
    for kernel in Kernel::available() {
        assert_eq!(run(kernel, &whole), wanted, "{kernel:?}");
        assert_eq!(run(kernel, &real), portable, "{kernel:?}");
    }
}

/// Attacks read signs: what windows would sum to exactly zero is no rounding error by points.
#[test]
fn a_pixel_without_a_slope_gets_none() {
    let (shape, output) = (Shape::new(6, 6, 37), Shape::new(6, 6, 20));
    let axis = dq_net::layer::window::Axis { kernel: 3, stride: 1, before: 1, after: 1 };
    let windows = Windows::conv(shape, output, (axis, axis), 1);
    let middle = |o: usize, y: usize, x: usize, c: usize| match (y, x) {
        (1, 1) => 0.3 + (o * 7 + c * 3) as f32 / 11.0,
        _ => 0.0,
    };
    let by_points = Winograd::<Packed<f32>, f32, f32>::real(&windows, middle).expect("it pays");
    let value = |i: usize| if i.is_multiple_of(5) { 0.1 + i as f32 * 1e-3 } else { 0.0 };
    let at = |pixel: usize| if pixel % 4 == 1 { 1.0 } else { 0.0 };
    let values: Vec<f32> = (0..shape.len()).map(|i| value(i) * at(i / shape.channels)).collect();
    for kernel in Kernel::available() {
        let framed = by_points.windows().frame.lay(&values, 0.0, |value| value);
        let mut found = vec![f32::NAN; output.len()];
        by_points.run(&mut Session::new(kernel), &framed, 1, Target::Map(&mut found));
        for (i, sum) in found.into_iter().enumerate() {
            let pixel = i / output.channels;
            assert_eq!(sum != 0.0, at(pixel) > 0.0, "{kernel:?}, pixel {pixel}: {sum}");
        }
    }
}
