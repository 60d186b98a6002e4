//! `dq amplify`: how an adversary's distance from its image grows through the layers.

use crate::args::DataArg;
use crate::attack::one_attack;
use crate::table::table;
use crate::ui::Ui;
use crate::{data, model};
use anyhow::{Result, bail};
use dq_data::Images;
use dq_net::layer::Layer;
use dq_sim::Engine;
use dq_sim::amplify::distances;
use dq_sim::attack::suite::{self, Suite};
use ndarray::Axis;
use serde::Serialize;
use std::path::PathBuf;

/// Measure how adversarial noise grows from layer to layer
///
/// The normalized distance ‖v(x') − v(x)‖ / ‖v(x)‖ between an adversary and its image
/// at the input of each layer with weights and at the scores, mean over the test images
/// that are classified right: figure 3b of the paper, on the integers of the circuit.
///
/// Examples:
///   dq amplify model.json --data signs --eps 2,8
///   dq amplify model.json --data cifar10=data/cifar-10 --attack fgsm --count 1000 --json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Integer network's file.
    model: PathBuf,
    /// Data set whose test images are attacked, e.g. `signs` or `cifar10=DIR`.
    #[arg(long, value_name = "SET[=DIR]")]
    data: DataArg,
    /// First N test images.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// The attack.
    #[arg(long, value_name = "NAME", default_value = "pgd", value_parser = one_attack)]
    attack: String,
    /// Radii in units of a uint8 pixel.
    #[arg(long, value_delimiter = ',', default_value = "2,8,16")]
    eps: Vec<u8>,
}

/// A node's output.
#[derive(Serialize)]
struct Row {
    node: String,
    kind: &'static str,
    /// Layers with weights that read it.
    read_by: Vec<String>,
    /// Mean distance at each radius.
    distance: Vec<f64>,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let network = model::open(&args.model, ui.seed())?;
    let engine = Engine::new(&network);
    let (shape, classes) = (network.input_shape(), network.classes());
    let images = data::test_images(&args.data, Some(args.count), shape, classes)?;
    let labels = engine.labels(images.pixels.view());
    let right: Vec<usize> =
        (0..images.len()).filter(|&i| labels[i] == usize::from(images.labels[i])).collect();
    if right.is_empty() {
        bail!("none of {} test images is classified right: there is nothing to attack", images.len());
    }
    let mut rows: Vec<Row> = (0..network.nodes().len())
        .map(|i| Row {
            node: network.nodes()[i].name.clone(),
            kind: network.nodes()[i].layer.kind().name(),
            read_by: network
                .readers(i)
                .iter()
                .filter(|&&j| matches!(network.nodes()[j].layer, Layer::Conv(_) | Layer::Dense(_)))
                .map(|&j| network.nodes()[j].name.clone())
                .collect(),
            distance: vec![],
        })
        .collect();
    let bar = ui.bar("attacking", (right.len() * args.eps.len()) as u64, "images");
    for &eps in &args.eps {
        let mut sums = vec![0.0; rows.len()];
        for block in right.chunks(64) {
            ui.check_stop("nothing was written")?;
            add(&engine, &images, block, eps, args, ui.seed(), &mut sums);
            bar.inc(block.len() as u64);
        }
        rows.iter_mut().zip(sums).for_each(|(row, sum)| row.distance.push(sum / right.len() as f64));
    }
    bar.finish_and_clear();
    let last = rows.len() - 1;
    let shown = |(i, row): &(usize, &Row)| !row.read_by.is_empty() || *i == last;
    let cells = |(_, row): (usize, &Row)| {
        let place = if row.read_by.is_empty() { "scores".into() } else { row.read_by.join(", ") };
        let distance = row.distance.iter().map(|d| format!("{d:.4}"));
        [place].into_iter().chain(distance).collect()
    };
    let cells: Vec<Vec<String>> = rows.iter().enumerate().filter(shown).map(cells).collect();
    let head: Vec<String> =
        ["input of".to_owned()].into_iter().chain(args.eps.iter().map(|eps| format!("eps {eps}"))).collect();
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let text = format!(
        "{}: normalized distance of {} adversaries from their images, {}\n\n{}",
        network.name,
        right.len(),
        args.attack,
        table(&head, &cells)
    );
    let json = serde_json::json!({"model": network.name, "hash": dq_net::content_hash(&network),
        "data": images.name, "images": right.len(), "attack": args.attack, "eps": args.eps, "nodes": rows});
    ui.result(&json, text)
}

/// Adds the distances of the images of `block` at every node.
fn add(engine: &Engine, images: &Images, block: &[usize], eps: u8, args: &Args, seed: u64, sums: &mut [f64]) {
    let suite = Suite::single(&args.attack, eps, seed);
    let adversaries = suite::adversaries(engine, images, block, &args.attack, eps, &suite);
    let originals = images.pixels.select(Axis(0), block);
    for (sum, node) in sums.iter_mut().zip(distances(engine, originals.view(), adversaries.view())) {
        *sum += node.iter().sum::<f64>();
    }
}
