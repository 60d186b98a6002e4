//! Measures images per second of the engine, of its gradient and of both forms of bounds at one grey level,
//! and seconds for the norms, on a CIFAR-sized VGG of 38.6 million multiply-accumulates, 4-bit weights and
//! levels: `cargo bench -p dq-sim`. Prints the median of a few runs, for each kernel, or for those whose names
//! are given (`cargo bench -p dq-sim -- avx2`).

use dq_net::layer::{Conv, Dense, GlobalSum, Input, Layer, Logits, MaxPool, Step, Surrogate};
use dq_net::{Network, Node, Range, Shape};
use dq_sim::study::certify::Certifier;
use dq_sim::{Engine, GradientSource, Kernel, Loss, WhiteBox};
use ndarray::{Array2, Array4};
use rayon::prelude::*;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

const RUNS: usize = 7;

fn main() {
    let network = vgg();
    let macs: u64 = (0..network.nodes().len()).map(|i| network.macs(i)).sum();
    let threads = rayon::current_num_threads();
    let start = Instant::now();
    let norms = dq_sim::norms::layers(&network);
    println!("norms of {} layers in {:.2} s", norms.len(), start.elapsed().as_secs_f64());
    println!("{:.1} MMAC, {threads} threads, median of {RUNS} runs, images/s", macs as f64 / 1e6);
    let named: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let wanted = |kernel: &Kernel| named.is_empty() || named.iter().any(|name| name == kernel.name());
    for kernel in Kernel::available().into_iter().filter(wanted) {
        let white_box = WhiteBox::from(Engine::with_kernel(&network, kernel));
        let (batch, few) = if kernel == Kernel::Portable { (64, 16) } else { (1024, 128) };
        let images = Array4::from_shape_fn((batch, 32, 32, 3), |(b, y, x, c)| {
            (b * 131 + y * 37 + x * 17 + c * 91 + x * y * (b + 3)) as u8
        });
        let part = images.slice(ndarray::s![..few, .., .., ..]);
        let forward = median(batch, || drop(white_box.engine().scores(images.view())));
        let labels = vec![0; few];
        let gradient = median(few, || drop(white_box.loss_gradient(part, &labels, Loss::CrossEntropy)));
        let stop = AtomicBool::new(false);
        let certified = |certifier: &Certifier, count: usize| {
            let prove = |image| drop(certifier.certify(image, 0, 1, 1));
            let images: Vec<_> = images.outer_iter().take(count).collect();
            median(count, || images.par_iter().for_each(|&image| prove(image)))
        };
        let intervals = certified(&Certifier::new(&white_box, &stop), few);
        let linear = certified(&Certifier::with_linear_bounds(&white_box, &stop), few / 8);
        println!(
            "{:12} scores {forward:8.0}   gradient {gradient:8.0}   intervals {intervals:8.0}   \
             linear {linear:8.1}",
            kernel.name()
        );
    }
}

fn median(images: usize, mut run: impl FnMut()) -> f64 {
    run();
    let mut rates: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            images as f64 / start.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[RUNS / 2]
}

/// Makes three stages of two 3×3 convolutions (32, 64, 128 channels), each ended by a 2×2 max pool, then sums
/// and a dense layer.
fn vgg() -> Network {
    let mut nodes: Vec<Node> = Vec::new();
    let mut push = |name: String, layer: Layer| {
        let inputs = nodes.last().map(|node| node.name.clone()).into_iter().collect();
        nodes.push(Node { name, layer, inputs });
    };
    push("input".into(), Layer::Input(Input::pixels(Shape::new(32, 32, 3))));
    let mut channels = 3;
    for (stage, width) in [32, 64, 128].into_iter().enumerate() {
        for i in 0..2 {
            let name = format!("{}_{i}", ["a", "b", "c"][stage]);
            let weights = Array4::from_shape_fn((width, 3, 3, channels), |(o, y, x, c)| {
                weight(o * 31 + y * 7 + x * 3 + c)
            });
            let conv = Conv { weights, weight_bits: 4, stride: [1, 1], pad: [1; 4], pad_level: 0, groups: 1 };
            push(format!("conv_{name}"), Layer::Conv(conv));
            push(format!("step_{name}"), Layer::Step(step(width, channels)));
            channels = width;
        }
        push(format!("pool_{stage}"), Layer::MaxPool(MaxPool { window: [2, 2], stride: [2, 2] }));
    }
    push("sum".into(), Layer::GlobalSum(GlobalSum));
    let weights = Array2::from_shape_fn((10, 128), |(o, i)| weight(o * 13 + i));
    push("dense".into(), Layer::Dense(Dense { weights, weight_bits: 4 }));
    push("logits".into(), Layer::Logits(Logits { bias: vec![0; 10], scale: 1e-3 }));
    Network::new("vgg", nodes).expect("a valid network")
}

/// Returns a weight in −7..=7, of a fixed order.
fn weight(i: usize) -> i8 {
    (i * i % 15) as i8 - 7
}

/// Makes an affine step that spreads a layer's accumulators over 4 bits.
fn step(channels: usize, inputs: usize) -> Step {
    let scale = if inputs == 3 { 600.0 } else { 20.0 * (inputs as f64).sqrt() };
    let gain: Vec<f64> = (0..channels).map(|c| (1.0 + c as f64 / 50.0) / scale).collect();
    let thresholds =
        Array2::from_shape_fn((channels, 15), |(c, t)| ((t as f64 - 4.3137) / gain[c]).ceil() as i64);
    let dir = vec![1; channels];
    let input = Range::new(-7 * 255 * 9 * inputs as i64, 7 * 255 * 9 * inputs as i64);
    let thresholds = Step::clip_thresholds(&thresholds, &dir, input);
    let (open_lo, open_hi) = (vec![-1000; channels], vec![4000; channels]);
    Step { bits: 4, dir, thresholds, surrogate: Surrogate { gain, open_lo, open_hi, unit: 0.4 } }
}
