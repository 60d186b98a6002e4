//! `dq faults`: what the circuit withstands when bits of its memory or its datapath flip.

use crate::args::DataArg;
use crate::attack::percent;
use crate::data::first;
use crate::sim::{labels, right};
use crate::table::{table, thousands};
use crate::ui::Ui;
use crate::{data, model, report};
use anyhow::{Context, Result};
use clap::ValueEnum;
use dq_data::{Images, Split};
use dq_net::Network;
use dq_sim::Engine;
use dq_sim::attack::suite::Judge;
use dq_sim::faults::{datapath, memory, search};
use dq_sim::report::{Data, Model, Tally};
use serde::Serialize;
use std::path::PathBuf;

/// Measure what networks withstand when bits of their circuit flip
///
/// flips: every bit of the weights' memory flips with some probability, on its own.
/// search: the progressive bit-flip search names the few flips that do most harm, until
/// accuracy is chance. upsets: one bit of one register of each node flips once an image.
/// stuck: one bit of one channel of each node sticks. Give several networks to compare,
/// e.g. one trained with Defensive Quantization and one without.
///
/// Examples:
///   dq faults model.json --data signs
///   dq faults dq.json vanilla.json --data cifar10=data/cifar-10 --fault search --count 1000 -o faults.json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Integer networks' files.
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// Data set whose test images are classified, e.g. `signs` or `cifar10=DIR`.
    #[arg(long, value_name = "SET[=DIR]")]
    data: DataArg,
    /// First N test images.
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Faults to inject.
    #[arg(long = "fault", value_enum, value_delimiter = ',', default_value = "flips,search,upsets,stuck")]
    faults: Vec<Kind>,
    /// Probabilities of a flip of each stored bit (flips).
    #[arg(long, value_delimiter = ',', default_value = "1e-4,1e-3,1e-2", value_parser = probability)]
    rates: Vec<f64>,
    /// Draws of each rate (flips), of each node's bit (stuck).
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    trials: u64,
    /// Most flips of the search.
    #[arg(long, value_name = "N", default_value_t = 50)]
    flips: usize,
    /// Training images that the search looks at.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u64).range(1..))]
    batch: u64,
    /// Write all figures (JSON).
    #[arg(short, long = "output", value_name = "REPORT")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Stored bits of the weights, at random.
    Flips,
    /// Stored bits of the weights, where they do most harm.
    Search,
    /// A bit of a register, once an image.
    Upsets,
    /// A bit of a channel, for good.
    Stuck,
}

/// What one network withstood.
#[derive(Serialize)]
struct Found {
    model: Model,
    /// Bits of the weights' memory.
    stored_bits: usize,
    clean: Tally,
    flips: Vec<Rate>,
    search: Vec<Flip>,
    /// Flips of the search until accuracy was chance; none where they did not suffice.
    flips_to_chance: Option<usize>,
    upsets: Vec<Upset>,
    stuck: Vec<Stuck>,
}

#[derive(Serialize)]
struct Rate {
    rate: f64,
    /// Bits flipped and accuracy, a trial each.
    bits: Vec<usize>,
    accuracy: Vec<f64>,
}

#[derive(Serialize)]
struct Flip {
    node: String,
    weight: usize,
    bit: u8,
    /// Mean loss of the images that the search sees.
    loss: f64,
    accuracy: Tally,
}

#[derive(Serialize)]
struct Upset {
    node: String,
    kind: &'static str,
    bits: u32,
    registers: usize,
    /// Images whose label one upset changed, of all.
    changed: Tally,
}

#[derive(Serialize)]
struct Stuck {
    node: String,
    kind: &'static str,
    bits: u32,
    /// Accuracy with a bit stuck at 0 or 1 in turn, a trial each.
    accuracy: Vec<f64>,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let networks =
        args.models.iter().map(|path| model::open(path, ui.seed())).collect::<Result<Vec<Network>>>()?;
    let images = first(data::images(&args.data, Split::Test)?, Some(args.count));
    let seen = match args.faults.contains(&Kind::Search) {
        true => Some(first(data::images(&args.data, Split::Train)?, Some(args.batch))),
        false => None,
    };
    for network in &networks {
        data::check_fit(&images, network.input_shape(), network.classes())?;
    }
    if let Some(path) = &args.output {
        dq_net::atomic::check(path)
            .with_context(|| format!("{}: the place of what is written", path.display()))?;
    }
    let bar = ui.bar("injecting", networks.iter().map(|network| steps(network, args)).sum(), "faults");
    let tick = || -> Result<()> {
        bar.inc(1);
        ui.check_stop("nothing was written")
    };
    let found = networks
        .iter()
        .map(|network| measure(network, &images, seen.as_ref(), args, ui.seed(), &tick))
        .collect::<Result<Vec<Found>>>()?;
    bar.finish_and_clear();
    let data = Data { name: images.name.clone(), digest: images.digest(), images: images.len() };
    let json = serde_json::json!({"format": "dq-faults", "version": 1, "data": data, "seed": ui.seed(),
        "trials": args.trials, "batch": args.batch, "networks": found});
    if let Some(path) = &args.output {
        report::write(&json, path)?;
    }
    ui.result(&json, found.iter().map(|found| text(found, &images)).collect::<Vec<_>>().join("\n"))
}

/// Faults that will be injected, for the bar.
fn steps(network: &Network, args: &Args) -> u64 {
    let nodes = network.nodes().len() as u64;
    let of = |kind: &Kind| match kind {
        Kind::Flips => args.rates.len() as u64 * args.trials,
        Kind::Search => args.flips as u64,
        Kind::Upsets => nodes,
        Kind::Stuck => nodes * args.trials,
    };
    args.faults.iter().map(of).sum()
}

fn measure(
    network: &Network,
    images: &Images,
    seen: Option<&Images>,
    args: &Args,
    seed: u64,
    tick: &dyn Fn() -> Result<()>,
) -> Result<Found> {
    let engine = Engine::new(network);
    let clean_labels = engine.labels(images.pixels.view());
    let mut found = Found {
        model: engine.model(),
        stored_bits: memory::stored_bits(network),
        clean: right(&clean_labels, images),
        flips: vec![],
        search: vec![],
        flips_to_chance: None,
        upsets: vec![],
        stuck: vec![],
    };
    if args.faults.contains(&Kind::Flips) {
        for &rate in &args.rates {
            let mut row = Rate { rate, bits: vec![], accuracy: vec![] };
            for trial in 0..args.trials {
                tick()?;
                let flips = memory::random_flips(network, rate, seed, trial);
                row.bits.push(flips.len());
                row.accuracy.push(accuracy(&memory::flipped(network, &flips), images).accuracy);
            }
            found.flips.push(row);
        }
    }
    if let Some(seen) = seen {
        let chance = 1.0 / network.classes() as f64 + 0.01;
        let (mut faulty, mut taken) = (network.clone(), vec![]);
        while found.search.len() < args.flips {
            tick()?;
            let Some(next) = search::next(&faulty, seen.pixels.view(), &seen.labels, &taken) else { break };
            let accuracy = accuracy(&next.network, images);
            taken.push(next.bit);
            found.search.push(Flip {
                node: network.nodes()[next.bit.node].name.clone(),
                weight: next.bit.weight,
                bit: next.bit.bit,
                loss: next.loss,
                accuracy,
            });
            faulty = next.network;
            if accuracy.accuracy <= chance {
                found.flips_to_chance = Some(found.search.len());
                break;
            }
        }
    }
    let indices: Vec<usize> = (0..images.len()).collect();
    let faulty_labels = |node: usize, fault: datapath::Fault, trial: u64| {
        let scores = datapath::scores(&engine, images.pixels.view(), &indices, node, fault, seed, trial);
        labels(&scores)
    };
    for (i, node) in network.nodes().iter().enumerate() {
        let (kind, bits) = (node.layer.kind().name(), network.wire(i).range.bits());
        if args.faults.contains(&Kind::Upsets) {
            tick()?;
            let changed = faulty_labels(i, datapath::Fault::Upset, 0);
            let changed = changed.iter().zip(&clean_labels).filter(|(a, b)| a != b).count();
            found.upsets.push(Upset {
                node: node.name.clone(),
                kind,
                bits,
                registers: network.wire(i).shape.len(),
                changed: Tally::new(changed, images.len()),
            });
        }
        if args.faults.contains(&Kind::Stuck) {
            let mut row = Stuck { node: node.name.clone(), kind, bits, accuracy: vec![] };
            for trial in 0..args.trials {
                tick()?;
                let labels = faulty_labels(i, datapath::Fault::Stuck(trial % 2 == 1), trial);
                row.accuracy.push(right(&labels, images).accuracy);
            }
            found.stuck.push(row);
        }
    }
    Ok(found)
}

fn accuracy(network: &Network, images: &Images) -> Tally {
    right(&Engine::new(network).labels(images.pixels.view()), images)
}

fn text(found: &Found, images: &Images) -> String {
    let mut text = format!(
        "{}, {} test images of {}: {} without faults; {} bits of weights\n",
        found.model.name,
        images.len(),
        images.name,
        percent(&found.clean),
        thousands(found.stored_bits as u64)
    );
    let hundred = |share: f64| format!("{:.2}", 100.0 * share);
    let spread = |all: &[f64]| {
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let (least, most) = all.iter().fold((f64::MAX, f64::MIN), |(a, b), &v| (a.min(v), b.max(v)));
        [hundred(mean), hundred(least), hundred(most)]
    };
    if !found.flips.is_empty() {
        let rows: Vec<Vec<String>> = found
            .flips
            .iter()
            .map(|row| {
                let bits = row.bits.iter().sum::<usize>() as f64 / row.bits.len() as f64;
                let [mean, least, most] = spread(&row.accuracy);
                vec![format!("{:e}", row.rate), format!("{bits:.1}"), mean, least, most]
            })
            .collect();
        text +=
            &format!("\n{}", table(&["random flips at", "bits", "accuracy in %", "least", "most"], &rows));
    }
    if !found.search.is_empty() {
        let rows: Vec<Vec<String>> = found
            .search
            .iter()
            .enumerate()
            .map(|(n, flip)| {
                let place = format!("{}[{}] bit {}", flip.node, flip.weight, flip.bit);
                vec![(n + 1).to_string(), place, format!("{:.3}", flip.loss), percent(&flip.accuracy)]
            })
            .collect();
        text += &format!("\n{}", table(&["searched flip", "where", "loss", "accuracy in %"], &rows));
        text += &match found.flips_to_chance {
            Some(flips) => format!("{flips} searched flips until accuracy is chance\n"),
            None => format!("{} searched flips do not bring accuracy to chance\n", found.search.len()),
        };
    }
    if !found.upsets.is_empty() {
        let row = |row: &Upset| {
            let kind = row.kind.to_owned();
            vec![
                row.node.clone(),
                kind,
                row.bits.to_string(),
                thousands(row.registers as u64),
                percent(&row.changed),
            ]
        };
        let rows: Vec<Vec<String>> = found.upsets.iter().map(row).collect();
        text += &format!(
            "\n{}",
            table(&["one upset at", "kind", "bits", "values", "labels changed in %"], &rows)
        );
    }
    if !found.stuck.is_empty() {
        let row = |row: &Stuck| {
            let [mean, least, most] = spread(&row.accuracy);
            vec![row.node.clone(), row.kind.to_owned(), row.bits.to_string(), mean, least, most]
        };
        let rows: Vec<Vec<String>> = found.stuck.iter().map(row).collect();
        text += &format!(
            "\n{}",
            table(&["stuck bit at", "kind", "bits", "accuracy in %", "least", "most"], &rows)
        );
    }
    text + "In brackets: Wilson 95 % intervals.\n"
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.0..=1.0).contains(&rate) => Ok(rate),
        _ => Err("expected a probability, 0 to 1".into()),
    }
}
