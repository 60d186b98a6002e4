//! Compares the reference meaning of every kind of layer with results worked out by hand or by a second,
//! differently written formula.

use dq_net::layer::{
    BitDepth, Concat, Conv, Dense, GlobalSum, Input, Kind, Layer, Logits, MaxPool, Median, Mix, Rescale,
    Step, Sum, SumPool, Surrogate,
};
use dq_net::{Network, Node, Range, Shape, Wire, random};
use ndarray::{Array2, Array3, Array4, ArrayView3, array, s};

fn wire(height: usize, width: usize, channels: usize, lo: i64, hi: i64) -> Wire {
    Wire { shape: Shape::new(height, width, channels), range: Range::new(lo, hi) }
}

fn surrogate(gain: Vec<f64>) -> Surrogate {
    let channels = gain.len();
    Surrogate { gain, open_lo: vec![0; channels], open_hi: vec![0; channels], unit: 1.0 }
}

/// Computes a convolution by copying the input into a padded array first and slicing whole windows out of it.
fn conv_by_windows(conv: &Conv, x: ArrayView3<i32>) -> Array3<i32> {
    let [top, bottom, left, right] = conv.pad;
    let (height, width, channels) = x.dim();
    let dim = (height + top + bottom, width + left + right, channels);
    let mut padded = Array3::from_elem(dim, conv.pad_level);
    padded.slice_mut(s![top..top + height, left..left + width, ..]).assign(&x);
    let (outputs, rows, columns, per_group) = conv.weights.dim();
    let out_height = (padded.dim().0 - rows) / conv.stride[0] + 1;
    let out_width = (padded.dim().1 - columns) / conv.stride[1] + 1;
    Array3::from_shape_fn((out_height, out_width, outputs), |(oy, ox, o)| {
        let (y, x0) = (oy * conv.stride[0], ox * conv.stride[1]);
        let first = o * conv.groups / outputs * per_group;
        let window = padded.slice(s![y..y + rows, x0..x0 + columns, first..first + per_group]);
        let weights = conv.weights.slice(s![o, .., .., ..]).mapv(i32::from);
        (&window * &weights).sum()
    })
}

#[test]
fn convolution_with_stride_padding_and_groups() {
    let x = Array3::from_shape_fn((7, 6, 4), |(y, c0, c)| ((y * 31 + c0 * 17 + c * 7) % 16) as i32);
    let mut cases = 0;
    for groups in [1, 2, 4] {
        for stride in [[1, 1], [2, 1], [3, 2]] {
            for pad in [[0; 4], [1, 1, 1, 1], [2, 0, 1, 2]] {
                for kernel in [(1, 1), (3, 3), (3, 4)] {
                    if pad.iter().any(|&p| p >= kernel.0.min(kernel.1)) {
                        continue;
                    }
                    let shape = (8, kernel.0, kernel.1, 4 / groups);
                    let weights = Array4::from_shape_fn(shape, |(o, y, x, c)| {
                        ((o * 11 + y * 5 + x * 3 + c) % 15) as i8 - 7
                    });
                    for pad_level in [0, 11] {
                        let weights = weights.clone();
                        let conv = Conv { weights, weight_bits: 4, stride, pad, pad_level, groups };
                        assert_eq!(
                            conv.eval(&[x.view()]),
                            conv_by_windows(&conv, x.view()),
                            "{groups} {stride:?} {pad:?} {pad_level}"
                        );
                        cases += 1;
                    }
                }
            }
        }
    }
    assert_eq!(cases, 3 * 3 * (1 + 3 + 3) * 2);
}

#[test]
fn a_convolution_by_hand() {
    // A 2×2 box filter and a difference to the right, on a 2×3 image, padded by one on the right only.
    let weights = Array4::from_shape_vec((2, 1, 2, 1), vec![1, 1, -1, 1]).unwrap();
    let conv = Conv { weights, weight_bits: 2, stride: [1, 1], pad: [0, 0, 0, 1], pad_level: 0, groups: 1 };
    let x = array![[[1], [2], [5]], [[0], [3], [4]]];
    let expected = array![[[3, 1], [7, 3], [5, -5]], [[3, 3], [7, 1], [4, -4]]];
    assert_eq!(conv.eval(&[x.view()]), expected);
    assert_eq!(conv.shape(&[Shape::new(2, 3, 1)]).unwrap(), Shape::new(2, 3, 2));
    assert_eq!(conv.range(&[wire(2, 3, 1, 0, 5)]).unwrap(), Range::new(-5, 10));
    assert_eq!(conv.macs(Shape::new(2, 3, 1), Shape::new(2, 3, 2)), 24);
}

#[test]
fn a_padding_level_by_hand() {
    // The same filters and image, padded with level 4 instead of 0: 1·4 more, for both.
    let weights = Array4::from_shape_vec((2, 1, 2, 1), vec![1, 1, -1, 1]).unwrap();
    let (stride, pad) = ([1, 1], [0, 0, 0, 1]);
    let conv = Conv { weights, weight_bits: 2, stride, pad, pad_level: 4, groups: 1 };
    let x = array![[[1], [2], [5]], [[0], [3], [4]]];
    assert_eq!(conv.eval(&[x.view()]), array![[[3, 1], [7, 3], [9, -1]], [[3, 3], [7, 1], [8, 0]]]);
    // It is one of the input's levels, and adds nothing to the range.
    assert_eq!(conv.range(&[wire(2, 3, 1, 0, 5)]).unwrap(), Range::new(-5, 10));
    let fault = conv.range(&[wire(2, 3, 1, 0, 3)]).unwrap_err();
    assert_eq!((fault.field.as_str(), fault.found.as_str()), ("pad_level", "4"));
    assert!(conv.range(&[wire(2, 3, 1, 5, 9)]).is_err());
    // Level 0 is always allowed: the range counts it in.
    let conv = Conv { pad_level: 0, ..conv };
    assert_eq!(conv.range(&[wire(2, 3, 1, 5, 9)]).unwrap(), Range::new(-9, 18));
}

#[test]
fn a_sum_is_exact_and_its_range_is_that_of_intervals() {
    let sum = Sum { factors: [3, -2] };
    let (x, y) = (array![[[1, -4], [100, 0]]], array![[[5, 6], [-7, 0]]]);
    assert_eq!(sum.eval(&[x.view(), y.view()]), array![[[-7, -24], [314, 0]]]);
    let wire = |lo, hi| wire(1, 2, 2, lo, hi);
    assert_eq!(sum.range(&[wire(-4, 100), wire(-7, 6)]).unwrap(), Range::new(-12 - 12, 300 + 14));
    assert_eq!(sum.range(&[wire(2, 3), wire(5, 7)]).unwrap(), Range::new(6 - 14, 9 - 10));
    let sum = Sum { factors: [-1, -1] };
    assert_eq!(sum.range(&[wire(-4, 100), wire(0, 6)]).unwrap(), Range::new(-106, 4));
    let sum = Sum { factors: [1 << 20, 1] };
    assert_eq!(sum.range(&[wire(0, 1), wire(-1, 1)]).unwrap(), Range::new(-1, (1 << 20) + 1));
    assert_eq!(sum.shape(&[Shape::new(1, 2, 3); 2]).unwrap(), Shape::new(1, 2, 3));
    assert!(sum.shape(&[Shape::new(1, 2, 3), Shape::new(1, 3, 3)]).is_err());
    let fault = Sum { factors: [0, 1] }.check().unwrap_err();
    assert_eq!(fault.field, "factors[0]");
}

#[test]
fn a_concat_puts_channels_behind_each_other_pixel_by_pixel() {
    let (x, y) = (array![[[1, 2], [3, 4]]], array![[[-5], [600]]]);
    assert_eq!(Concat.eval(&[x.view(), y.view()]), array![[[1, 2, -5], [3, 4, 600]]]);
    assert_eq!(Concat.range(&[wire(1, 2, 2, 0, 7), wire(1, 2, 1, -5, 600)]).unwrap(), Range::new(-5, 600));
    assert_eq!(Concat.shape(&[Shape::new(1, 2, 2), Shape::new(1, 2, 1)]).unwrap(), Shape::new(1, 2, 3));
    let fault = Concat.shape(&[Shape::new(1, 2, 2), Shape::new(2, 1, 2)]).unwrap_err();
    assert_eq!((fault.field.as_str(), fault.found.as_str()), ("inputs", "1×2×2 and 2×1×2"));
    let unit = |x, y| Concat.unit(&[x, y], Shape::new(1, 2, 2));
    assert_eq!(
        (unit(Some(0.5), Some(0.5)), unit(Some(0.5), Some(0.25)), unit(None, None)),
        (Some(0.5), None, None)
    );
}

#[test]
fn an_input_has_its_levels_and_no_others() {
    let input = Input { levels: 3, lowest: -1.0, unit: 0.25, shape: Shape::new(1, 2, 1) };
    assert_eq!(input.range(&[]).unwrap(), Range::new(0, 2));
    let images = |levels: [u8; 4]| ndarray::Array4::from_shape_vec((2, 1, 2, 1), levels.to_vec()).unwrap();
    assert_eq!(input.check_images(images([0, 1, 2, 2]).view()), Ok(()));
    let fault = input.check_images(images([0, 1, 2, 3]).view()).unwrap_err();
    assert_eq!(fault.to_string(), "images[1]: expected levels of 0 to 2, found 3");
    assert_eq!(Input::pixels(input.shape).check_images(images([0, 255, 2, 3]).view()), Ok(()));
    for seed in 0..50 {
        let drawn = random::image(seed, input);
        assert!(drawn.iter().all(|&level| level < 3), "{drawn}");
    }
}

#[test]
fn dense_reads_in_stream_order() {
    let dense = Dense { weights: array![[1, 2, 3, 4], [0, 0, 0, -1]], weight_bits: 4 };
    let x = array![[[1, 10], [100, 1000]]];
    assert_eq!(dense.eval(&[x.view()]), array![[[1 + 20 + 300 + 4000, -1000]]]);
    assert_eq!(dense.range(&[wire(1, 2, 2, 0, 10)]).unwrap(), Range::new(-10, 100));
}

#[test]
fn a_step_counts_crossed_thresholds_in_its_direction() {
    // With 2 bits, channel 0 rises at −3, 0, 9; channel 1 falls as the accumulator grows: −acc ≥ −5, 0, 2.
    let step = Step {
        bits: 2,
        dir: vec![1, -1],
        thresholds: array![[-3, 0, 9], [-5, 0, 2]],
        surrogate: surrogate(vec![0.2, -0.2]),
    };
    let levels = |acc: i32| {
        let out = step.eval(&[array![[[acc, acc]]].view()]);
        (out[[0, 0, 0]], out[[0, 0, 1]])
    };
    assert_eq!(levels(-4), (0, 3));
    assert_eq!(levels(-3), (1, 3));
    assert_eq!(levels(-1), (1, 2));
    assert_eq!(levels(0), (2, 2));
    assert_eq!(levels(1), (2, 1));
    assert_eq!(levels(5), (2, 1));
    assert_eq!(levels(6), (2, 0));
    assert_eq!(levels(9), (3, 0));
    assert_eq!(step.range(&[wire(1, 1, 2, -10, 10)]).unwrap(), Range::new(0, 3));
}

#[test]
fn always_and_never_are_the_ends_of_the_range() {
    let input = Range::new(-8, 20);
    let wanted = Array2::from_shape_vec((2, 1), vec![i64::MIN, i64::MAX]).unwrap();
    let clipped = Step::clip_thresholds(&wanted, &[1, -1], input);
    assert_eq!(clipped, array![[-8], [9]]);
    let step = Step { bits: 1, dir: vec![1, -1], thresholds: clipped, surrogate: surrogate(vec![0.0, -0.0]) };
    step.check().unwrap();
    step.range(&[Wire { shape: Shape::new(1, 1, 2), range: input }]).unwrap();
    for acc in input.lo..=input.hi {
        assert_eq!((step.level(0, acc as i32), step.level(1, acc as i32)), (1, 0), "{acc}");
    }
    // A threshold one beyond the ends is refused: it could not be told from always or never.
    let step = Step { thresholds: array![[-9], [9]], ..step };
    assert!(step.range(&[Wire { shape: Shape::new(1, 1, 2), range: input }]).is_err());
}

#[test]
fn pools_by_hand() {
    let x = array![[[1, 9], [2, 8], [7, 0]], [[3, 1], [4, 1], [0, 5]], [[0, 0], [6, 2], [1, 1]]];
    let max = MaxPool { window: [2, 2], stride: [1, 1] };
    assert_eq!(max.eval(&[x.view()]), array![[[4, 9], [7, 8]], [[6, 2], [6, 5]]]);
    // A window that does not fit at the end is dropped.
    let max = MaxPool { window: [2, 2], stride: [2, 2] };
    assert_eq!(max.eval(&[x.view()]), array![[[4, 9]]]);
    let sum = SumPool { window: [2, 3], stride: [1, 1] };
    assert_eq!(sum.eval(&[x.view()]), array![[[17, 24]], [[14, 10]]]);
    assert_eq!(sum.range(&[wire(3, 3, 2, 0, 9)]).unwrap(), Range::new(0, 54));
    assert_eq!(GlobalSum.eval(&[x.view()]), array![[[24, 27]]]);
    assert_eq!(GlobalSum.range(&[wire(3, 3, 2, 0, 9)]).unwrap(), Range::new(0, 81));
}

#[test]
fn the_label_is_the_first_of_the_largest_scores() {
    assert_eq!(Logits::label([3, 7, 7, 1]), 1);
    assert_eq!(Logits::label([-5, -5, -9]), 0);
    assert_eq!(Logits::label([i32::MIN, i32::MIN]), 0);
}

#[test]
fn accumulators_that_do_not_fit_are_refused() {
    let node = |name: &str, layer, input: &str| Node {
        name: name.into(),
        layer,
        inputs: if input.is_empty() { vec![] } else { vec![input.into()] },
    };
    let pixels = 256 * 256;
    let nodes = vec![
        node("input", Layer::Input(Input::pixels(Shape::new(256, 256, 1))), ""),
        node(
            "dense",
            Layer::Dense(Dense { weights: Array2::from_elem((2, pixels), -128), weight_bits: 8 }),
            "input",
        ),
        node("logits", Layer::Logits(Logits { bias: vec![0, 0], scale: 1.0 }), "dense"),
    ];
    // 65,536 · 128 · 255 = 2,139,095,040 > 2^30.
    let error = Network::new("wide", nodes).unwrap_err();
    assert_eq!((error.node.as_str(), error.field.as_str()), ("dense", "range"));
}

#[test]
fn a_mix_is_the_rounded_convex_combination() {
    let mix = Mix { a: 3, b: 1, shift: 2, bits: 8 };
    // The mix is 0.75 x + 0.25 y, rounded to the nearest, halves up.
    for (x, y, wanted) in
        [(4, 8, 5), (5, 5, 5), (-4, -8, -5), (1, 1, 1), (0, 2, 1), (0, -2, 0), (127, 127, 127)]
    {
        assert_eq!(mix.eval(&[array![[[x]]].view(), array![[[y]]].view()]), array![[[wanted]]], "{x} {y}");
        let real = (0.75 * f64::from(x) + 0.25 * f64::from(y) + 0.5).floor() as i32;
        assert_eq!(mix.value(x, y), real);
    }
    // It never leaves the hull of its inputs, and clips what its bits do not hold.
    assert_eq!(mix.range(&[wire(1, 1, 1, -100, 90), wire(1, 1, 1, -20, 60)]).unwrap(), Range::new(-80, 83));
    assert_eq!(
        mix.range(&[wire(1, 1, 1, -900, 90), wire(1, 1, 1, -900, 990)]).unwrap(),
        Range::new(-128, 127)
    );
    assert_eq!(Mix { a: 1, b: 0, shift: 0, bits: 16 }.value(-77, 5), -77);
    assert!(Mix { a: 3, b: 2, ..mix.clone() }.check().is_err());
    assert!(Mix { a: 5, b: -1, ..mix.clone() }.check().is_err());
    assert!(
        Mix { bits: 17, ..mix.clone() }.check().is_err() && Mix { shift: 16, ..mix.clone() }.check().is_err()
    );
    assert!(mix.shape(&[Shape::new(1, 2, 3), Shape::new(1, 3, 3)]).is_err());
}

#[test]
fn a_rescale_is_its_affine_rounded_down_and_clipped() {
    let rescale = Rescale { mul: vec![5, -3], add: vec![8, 0], shift: 4, bits: 6, unit: 0.1 };
    let x = array![[[0, 0], [10, 10], [-10, -10], [1000, 1000]]];
    // The rescale gives (5 x + 8) / 16 and −3 x / 16.
    assert_eq!(rescale.eval(&[x.view()]), array![[[0, 0], [3, -2], [-3, 1], [31, -32]]]);
    let wire = |lo, hi| wire(1, 4, 2, lo, hi);
    assert_eq!(rescale.range(&[wire(-10, 10)]).unwrap(), Range::new(-3, 3));
    assert_eq!(rescale.range(&[wire(-1000, 10)]).unwrap(), Range::new(-32, 31));
    assert!(Rescale { add: vec![8], ..rescale.clone() }.check().is_err());
    assert!(Rescale { mul: vec![1 << 17, 0], ..rescale.clone() }.check().is_err());
    assert!(Rescale { add: vec![0, -(1 << 47)], ..rescale.clone() }.check().is_err());
    assert!(Rescale { unit: 0.0, ..rescale.clone() }.check().is_err());
    assert!(rescale.shape(&[Shape::new(1, 1, 3)]).is_err());
}

#[test]
fn a_bit_depth_rounds_pixels_to_the_nearest_level() {
    for bits in 1..=8u8 {
        let most = f64::from((1i32 << bits) - 1);
        for pixel in 0..=255 {
            let real = (f64::from(pixel) * most / 255.0).round() as i32;
            assert_eq!(BitDepth { bits }.level(pixel), real, "{bits} bits, {pixel}");
        }
    }
    assert!(BitDepth { bits: 9 }.check().is_err());
    assert!(BitDepth { bits: 5 }.range(&[wire(1, 1, 1, 0, 256)]).is_err());
}

#[test]
fn a_median_is_the_lower_middle_of_its_neighbours() {
    let x = array![[[5], [1], [9]], [[2], [8], [3]]];
    // Windows at the border repeat the nearest pixel.
    assert_eq!(Median.eval(&[x.view()]), array![[[5], [1], [1]], [[2], [2], [3]]]);
    assert_eq!(Median::taps(0, 0), [(0, 0); 4]);
    assert_eq!(Median::choose([7, 2, 7, 2]), 1);
    // Every order of every four of five values is compared with sorting.
    for code in 0..625 {
        let values = [1, 5, 25, 125].map(|place| code / place % 5);
        let mut sorted = values;
        sorted.sort_unstable();
        assert_eq!(
            Median::choose(values),
            values.iter().position(|&v| v == sorted[1]).unwrap(),
            "{values:?}"
        );
    }
    assert_eq!(Median::choose([f32::NAN; 4]), 0);
}

#[test]
fn readers_are_sources_seen_from_the_other_end() {
    for seed in 0..20 {
        let network = random::network(seed, &random::Options { residuals: true, ..Default::default() });
        let nodes = network.nodes().len();
        for (source, reader) in (0..nodes).flat_map(|i| (0..nodes).map(move |j| (i, j))) {
            let reads = network.sources(reader).iter().filter(|&&i| i == source).count();
            assert_eq!(
                network.readers(source).iter().filter(|&&j| j == reader).count(),
                reads,
                "seed {seed}"
            );
        }
        assert!((0..nodes).all(|i| network.readers(i).is_sorted()), "seed {seed}");
    }
}
