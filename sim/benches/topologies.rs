//! Images per second of the engine and of its gradient on built-in topologies with random weights, on the best kernel of
//! the machine: `cargo bench -p dq-sim --bench topologies`, or for those whose names are given (`… -- cnv wrn-16-4:w2a2`).
//! Prints the median of a few runs, and how long the network took to build.

use dq_net::{random, topology};
use dq_sim::{Engine, GradientSource, Loss};
use ndarray::{Array4, Axis, s};
use std::time::Instant;

const RUNS: usize = 5;
const BATCH: usize = 64;
const FEW: usize = 16;

fn main() {
    let named: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let all = || topology::ALL.iter().map(|topology| topology.name.to_owned()).collect();
    println!("{} threads, median of {RUNS} runs, images/s", rayon::current_num_threads());
    for name in if named.is_empty() { all() } else { named } {
        let start = Instant::now();
        let network = topology::build(&name, 1).unwrap_or_else(|error| panic!("{error}"));
        let built = start.elapsed().as_secs_f64();
        let engine = Engine::new(&network);
        let shape = network.input_shape();
        let mut images = Array4::zeros((BATCH, shape.height, shape.width, shape.channels));
        for (seed, mut image) in images.axis_iter_mut(Axis(0)).enumerate() {
            image.assign(&random::image(seed as u64, shape));
        }
        let few = images.slice(s![..FEW, .., .., ..]);
        let forward = median(BATCH, || drop(engine.scores(images.view())));
        let gradient = median(FEW, || drop(engine.loss_gradient(few, &[0; FEW], Loss::CrossEntropy)));
        println!("{name:16} built in {built:.2} s   scores {forward:8.1}   gradient {gradient:8.1}");
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
