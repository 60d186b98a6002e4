//! Implements `dq bench`: measures how fast the engine, its gradient and attacks run here.

use crate::shared::args::GradArg;
use crate::shared::circuit::verilated;
use crate::shared::libtorch::LibtorchArg;
use crate::shared::model;
use crate::shared::table::{table, thousands};
use crate::shared::ui::Ui;
use anyhow::{Context, Result, bail};
use dq_hdl::design::Design;
use dq_hdl::plan::Output;
use dq_hdl::stalls::Stalls;
use dq_hdl::verilator::Simulator;
use dq_hdl::{emit, plan};
use dq_net::{Network, random, topology};
use dq_sim::attack::suite::Circuit;
use dq_sim::attack::{Budget, Norm, clip, square};
use dq_sim::{Engine, Kernel, Loss, WhiteBox};
use ndarray::{Array4, ArrayView4, Axis, Zip, s};
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::time::Instant;

/// Number of images in a batch.
const BATCH: usize = 128;
/// Number of measurements, of which the median is taken.
const RUNS: usize = 5;
/// Number of steps of the PGD that is measured.
const STEPS: usize = 20;
/// Number of frames in a run of the emitted Verilog.
const FRAMES: usize = 2;
/// Most queries per image of the Square attack that is measured.
const QUERIES: usize = 20;
/// Radius of the attacks.
const EPS: u8 = 8;

/// Measure simulation and attacks on this machine
///
/// Batches of 128 random images: forward (scores), FGSM (one gradient), PGD of 20 steps, each
/// in images per second, and Square in queries per second; on all threads, and on one. Medians
/// of five runs after one that is not counted. Random numbers, clipping and all else that the
/// attacks do is within. benches/peers.py measures PyTorch and torchattacks on the same
/// networks in the same way. --verilator adds the emitted Verilog, on one thread, frames back
/// to back under the plan that `dq emit` takes, and how many times faster forward is.
///
/// Examples:
///   dq bench models/signs-tiny-dq/model.json --verilator
///   dq bench cnn60
///   dq bench cnn10 --wbits 2 --abits 2 --json
///   dq bench model.json --kernel avx2
///   dq bench wrn-16-4:w4a4 --libtorch cuda
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Integer network's file, or a built-in topology with random weights (`cnn10`, `cnn60`, `cnv`, …).
    model: PathBuf,
    /// Bits of the topology's weights.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=8))]
    wbits: Option<u8>,
    /// Bits of the topology's activations.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=8))]
    abits: Option<u8>,
    /// Instructions: `portable`, `avx2`, `avx512-vnni` (default: the best that there are here).
    #[arg(long, value_name = "NAME", conflicts_with = "libtorch")]
    kernel: Option<String>,
    /// Numbers that gradients are summed in.
    #[arg(long, value_enum, default_value_t, conflicts_with = "libtorch")]
    grad: GradArg,
    #[command(flatten)]
    pub libtorch: LibtorchArg,
    /// Measure the emitted Verilog in Verilator as well.
    #[arg(long, conflicts_with = "libtorch")]
    verilator: bool,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let network = open(ui, args)?;
    let kernel = kernel(args)?;
    let white_box = WhiteBox::from(Engine::with_kernel(&network, kernel)).with_gradients(args.grad.into());
    let shape = network.input_shape();
    let mut images = Array4::zeros((BATCH, shape.height, shape.width, shape.channels));
    for (seed, mut image) in images.axis_iter_mut(Axis(0)).enumerate() {
        image.assign(&random::image(ui.seed() + seed as u64, network.input()));
    }
    let labels: Vec<u8> =
        white_box.engine().labels(images.view()).into_iter().map(|label| label as u8).collect();
    let libtorch = args.libtorch.circuit(ui, &network)?;
    let measured = libtorch.as_deref().unwrap_or(&white_box);
    let engine = measured.engine().unwrap_or_else(|| kernel.name().to_owned());
    let circuit = args.verilator.then(|| Emitted::new(&network)).transpose()?;
    let single = rayon::ThreadPoolBuilder::new().num_threads(1).build().context("starting a thread")?;
    let (mut found, mut rows) = (Map::new(), vec![]);
    let bar = ui.bar("bench", 8, "measurements");
    // libtorch has threads of its own, which stay as they are.
    let threads = if libtorch.is_some() { &[("", false)][..] } else { &[("", false), ("_core", true)] };
    for (name, unit, run) in measurements(measured, &images, &labels) {
        let mut row = vec![format!("{name}, {unit}")];
        for &(suffix, alone) in threads {
            ui.check_stop("nothing was written")?;
            let rate = if alone { single.install(|| rate(&run)) } else { rate(&run) };
            found.insert(format!("{name}{suffix}"), json!(rate.round()));
            row.push(thousands(rate.round() as u64));
            bar.inc(1);
        }
        rows.push(row);
    }
    if let Some(circuit) = circuit {
        let rate = circuit.rate(images.slice(s![..FRAMES, .., .., ..]))?;
        let times = found["forward_core"].as_f64().expect("measured") / rate;
        found.insert("verilator_core".into(), json!(rate));
        found.insert("forward_to_verilator".into(), json!(times));
        rows.push(vec!["verilator, images".into(), String::new(), format!("{rate:.2}")]);
        rows.push(vec!["forward / verilator".into(), String::new(), thousands(times.round() as u64)]);
    }
    bar.finish_and_clear();
    let all = format!("{} threads", rayon::current_num_threads());
    let head =
        if libtorch.is_some() { &["per second", &engine][..] } else { &["per second", &all, "1 thread"] };
    let macs: u64 = (0..network.nodes().len()).map(|i| network.macs(i)).sum();
    let text =
        format!("{}, {} MACs per image, {}\n\n{}", network.name, thousands(macs), engine, table(head, &rows));
    found.insert("model".into(), json!(network.name));
    found.insert("kernel".into(), json!(engine));
    found.insert("grad".into(), json!(measured.precision().name()));
    ui.result(|| Value::Object(found), text)
}

/// Holds the emitted Verilog, built.
struct Emitted {
    design: Design,
    simulator: Simulator,
}

impl Emitted {
    fn new(network: &Network) -> Result<Emitted> {
        let design = Design::new(network, &plan::default(network, Output::Scores)?).context("the circuit")?;
        let simulator = verilated(&emit::emit(&design))?;
        Ok(Emitted { design, simulator })
    }

    /// Returns images per second at the design's interval: the median clocks per second of a few runs, over
    /// it.
    fn rate(&self, images: ArrayView4<u8>) -> Result<f64> {
        let mut clocks = vec![];
        for _ in 0..RUNS {
            let start = Instant::now();
            let found = self.simulator.run(&self.design, images, &Stalls::NONE)?;
            let cycles = found.beats.last().context("a frame has beats")?.cycle;
            clocks.push(cycles as f64 / start.elapsed().as_secs_f64());
        }
        Ok(median(clocks) / self.design.timing().interval as f64)
    }
}

fn open(ui: &Ui, args: &Args) -> Result<Network> {
    if args.wbits.is_none() && args.abits.is_none() {
        return model::open(&args.model, ui.seed());
    }
    let name = args.model.to_str().filter(|name| topology::is_named(name) && !name.contains(':'));
    let Some(name) = name else {
        bail!("{}: --wbits and --abits go with a built-in topology alone", args.model.display())
    };
    let (weights, levels) = (args.wbits.unwrap_or(4), args.abits.unwrap_or(4));
    Ok(topology::build(&format!("{name}:w{weights}a{levels}"), ui.seed())?)
}

fn kernel(args: &Args) -> Result<Kernel> {
    let Some(name) = &args.kernel else { return Ok(Kernel::best()) };
    let available = Kernel::available();
    match available.iter().find(|kernel| kernel.name() == name) {
        Some(kernel) => Ok(*kernel),
        None => {
            let names: Vec<&str> = available.iter().map(|kernel| kernel.name()).collect();
            bail!("--kernel {name}: this machine has {}", names.join(", "))
        }
    }
}

/// A run of what is measured, which returns how much it has made.
type Measured<'a> = Box<dyn Fn() -> usize + Sync + 'a>;

/// Lists what is measured: name, unit, and the run.
fn measurements<'a>(
    network: &'a dyn Circuit,
    images: &'a Array4<u8>,
    labels: &'a [u8],
) -> Vec<(&'static str, &'static str, Measured<'a>)> {
    let top = network.input().top();
    let step = move |adversaries: &mut Array4<u8>, by: u8| {
        let found = network.loss_gradient(adversaries.view(), labels, Loss::CrossEntropy);
        Zip::from(&mut *adversaries).and(&found.gradient).for_each(|pixel, &slope| {
            let to = if slope > 0.0 { pixel.saturating_add(by).min(top) } else { pixel.saturating_sub(by) };
            *pixel = if slope == 0.0 { *pixel } else { to };
        });
        clip(Norm::Linf, adversaries, images.view(), EPS, top);
    };
    let forward = move || {
        network.scores(images.view());
        BATCH
    };
    let fgsm = move || {
        step(&mut images.clone(), EPS);
        BATCH
    };
    let pgd = move || {
        let mut adversaries = images.clone();
        (0..STEPS).for_each(|_| step(&mut adversaries, 2));
        BATCH
    };
    // An image that is broken needs no further query: those that are made are counted.
    let budget = Budget { eps: EPS, seed: 1, queries: QUERIES };
    let queries = move || {
        let made = square(network, images.view(), labels, &budget).queries;
        made.into_iter().map(|made| made as usize).sum()
    };
    vec![
        ("forward", "images", Box::new(forward)),
        ("fgsm", "images", Box::new(fgsm)),
        ("pgd20", "images", Box::new(pgd)),
        ("square", "queries", Box::new(queries)),
    ]
}

/// Returns the median rate of a few runs, per second.
fn rate(run: &Measured) -> f64 {
    run();
    let rates = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            let made = run();
            made as f64 / start.elapsed().as_secs_f64()
        })
        .collect();
    median(rates)
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
