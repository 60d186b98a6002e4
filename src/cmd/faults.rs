//! Implements `dq faults`: measures what the circuit withstands when bits of its memory or its datapath flip.

use crate::shared::args::at_least_one;
use crate::shared::data::first;
use crate::shared::data::{TestImages, first_images, images_that};
use crate::shared::files::Files;
use crate::shared::table::{percent, table, thousands};
use crate::shared::ui::Ui;
use crate::shared::{data, model, report};
use anyhow::Result;
use clap::ValueEnum;
use dq_data::{Images, Split};
use dq_net::Network;
use dq_sim::report::Data;
use dq_sim::study::faults::{self, Campaign, Found, Stuck, Upset};
use std::path::PathBuf;

/// Measure what networks withstand when bits of their circuit flip
///
/// flips: every bit of the weights' memory flips with some probability, on its own.
/// search: the progressive bit-flip search names the few flips that do most harm, until
/// accuracy is chance. upsets: one bit of one register of each node flips once per image.
/// stuck: one bit of one channel of each node sticks. Give several networks to compare,
/// e.g. one trained with Defensive Quantization and one without.
///
/// Examples:
///   dq faults model.json --data signs
///   dq faults dq.json vanilla.json --data cifar10=data/cifar-10 --fault search --count 1000 -o faults.json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
#[command(mut_arg("data", images_that("are classified")))]
#[command(mut_arg("count", first_images("500")))]
pub struct Args {
    /// Integer networks' files.
    #[arg(required = true)]
    models: Vec<PathBuf>,
    #[command(flatten)]
    test: TestImages,
    /// Faults to inject.
    #[arg(long = "fault", value_enum, value_delimiter = ',', default_value = "flips,search,upsets,stuck")]
    faults: Vec<Kind>,
    /// Probabilities of a flip of each stored bit (flips).
    #[arg(long, value_delimiter = ',', default_value = "1e-4,1e-3,1e-2", value_parser = probability)]
    rates: Vec<f64>,
    /// Draws of each rate (flips), of each node's bit (stuck).
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = at_least_one())]
    trials: u64,
    /// Most flips of the search.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = at_least_one())]
    flips: u64,
    /// Training images that the search looks at.
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = at_least_one())]
    batch: u64,
    /// Write all figures (JSON).
    #[arg(short, long = "output", value_name = "REPORT")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Stored bits of the weights flip at random.
    Flips,
    /// Stored bits of the weights flip where they do most harm.
    Search,
    /// One bit of one register flips, once per image.
    Upsets,
    /// One bit of one channel sticks, for good.
    Stuck,
}

impl From<Kind> for faults::Kind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Flips => faults::Kind::Flips,
            Kind::Search => faults::Kind::Search,
            Kind::Upsets => faults::Kind::Upsets,
            Kind::Stuck => faults::Kind::Stuck,
        }
    }
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let files = args.models.iter().fold(Files::default(), |files, path| files.read("MODELS", path.as_path()));
    files.written("-o", args.output.as_deref()).check()?;
    let networks =
        args.models.iter().map(|path| model::open(path, ui.seed())).collect::<Result<Vec<Network>>>()?;
    let images = args.test.open_all()?;
    let seen = match args.faults.contains(&Kind::Search) {
        true => Some(first(data::images(&args.test.data, Split::Train)?, Some(args.batch))),
        false => None,
    };
    for network in &networks {
        data::check_fit(&images, network.input(), network.classes())?;
    }
    let campaign = Campaign {
        kinds: args.faults.iter().map(|&kind| kind.into()).collect(),
        rates: args.rates.clone(),
        trials: args.trials,
        flips: args.flips as usize,
        seen: seen.as_ref(),
        seed: ui.seed(),
    };
    let steps = networks.iter().map(|network| faults::steps(network, &campaign)).sum();
    let bar = ui.bar("injecting", steps, "faults");
    let found = ui.study(&bar, |watch| {
        let measure = |network| faults::measure(network, &images, &campaign, watch);
        networks.iter().map(measure).collect::<Result<Vec<Found>, _>>()
    })?;
    let data = Data::from(&images);
    let json = serde_json::json!({"format": "dq-faults", "version": 1, "data": data, "seed": ui.seed(),
        "trials": args.trials, "batch": args.batch, "networks": found});
    let written = args.output.as_ref().map_or(Ok(()), |path| report::write(&json, path));
    // The result is shown even where it could not be written: the work is done.
    ui.result(|| &json, found.iter().map(|found| text(found, &images)).collect::<Vec<_>>().join("\n"))?;
    written
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
