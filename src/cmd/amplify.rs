//! Implements `dq amplify`: measures how an adversary's distance from its image grows through the layers, and
//! what a quantizer makes of it.

use crate::shared::attack::one_attack;
use crate::shared::data::{TestImages, check_fit, first_images};
use crate::shared::files::Files;
use crate::shared::report;
use crate::shared::table::table;
use crate::shared::target::Target;
use crate::shared::ui::Ui;
use anyhow::{Context, Result, bail};
use clap::value_parser;
use dq_data::Images;
use dq_report::text::{bits, spread};
use dq_sim::report::Data;
use dq_sim::study::amplify::{self, Block, Distance, Found, Inside, Noise, Quantized, Row, Subject};
use std::path::{Path, PathBuf};

/// Measure how adversarial noise grows from layer to layer
///
/// The normalized distance ‖v(x') − v(x)‖ / ‖v(x)‖ between an adversary and its image
/// at the input of each layer with weights and at the scores, mean and standard deviation
/// over the test images that are classified right: figure 3b of the paper. With --bits
/// also figure 3a: the distance after the first block, with its values not rounded and
/// quantized to each of these widths. Integer and float networks may be mixed.
///
/// Examples:
///   dq amplify model.json --data signs --eps 2,8 -o amplify.json
///   dq amplify dq.json vanilla.json --data cifar10=data/cifar-10 --eps 1,2,4,8,16 --bits 1,2,3,4,5,8
///   dq amplify model.json --data cifar10=data/cifar-10 --attack fgsm --count 1000 --all --json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
#[command(mut_arg("count", first_images("256")))]
pub struct Args {
    /// Networks' files (integer or float), or built-in topologies with random weights.
    #[arg(required = true)]
    models: Vec<PathBuf>,
    #[command(flatten)]
    test: TestImages,
    /// The attack.
    #[arg(long, value_name = "NAME", default_value = "pgd", value_parser = one_attack)]
    attack: String,
    /// Radii in units of a uint8 pixel.
    #[arg(long, allow_negative_numbers = true, value_delimiter = ',', default_value = "2,8,16")]
    #[arg(value_parser = radius)]
    eps: Vec<u8>,
    /// Attack every image (default: those that the network classifies right).
    #[arg(long)]
    all: bool,
    /// Also quantize what the first block computes to these bits, 1 to 16, and measure it (figure 3a).
    #[arg(long, value_delimiter = ',', value_parser = value_parser!(u8).range(1..=16))]
    bits: Vec<u8>,
    /// The quantizer of --bits (default: the network's first).
    #[arg(long, value_name = "NODE", requires = "bits")]
    after: Option<String>,
    /// Write all figures (JSON), for `dq report`.
    #[arg(short, long = "output", value_name = "REPORT")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let files = args.models.iter().fold(Files::default(), |files, path| files.read("MODELS", path.as_path()));
    files.written("-o", args.output.as_deref()).check()?;
    let open = |path: &PathBuf| Target::open_or_build(path, ui.seed());
    let targets = args.models.iter().map(open).collect::<Result<Vec<_>>>()?;
    let images = args.test.open_all()?;
    let named = targets.iter().zip(&args.models);
    let tasks = named.map(|(target, path)| args.task(target.inside(), path, &images));
    let tasks = tasks.collect::<Result<Vec<_>>>()?;
    let noise = Noise { attack: args.attack.clone(), eps: args.eps.clone(), seed: ui.seed() };
    let steps: usize = tasks.iter().map(|task| task.indices.len() * args.eps.len()).sum();
    let bar = ui.bar("attacking", steps as u64, "images");
    let found = ui.study(&bar, |watch| {
        let measure = |task: &Task| {
            let subject = Subject { network: task.network, images: &images, indices: &task.indices };
            amplify::measure(&subject, &noise, task.block.as_ref(), watch)
        };
        tasks.iter().map(measure).collect::<Result<Vec<Found>, _>>()
    })?;
    let text = found.iter().map(|found| text(found, args)).collect::<Vec<_>>().join("\n");
    let data = Data::from(&images);
    let json = serde_json::json!({"format": "dq-amplification", "version": 2, "data": data,
        "seed": ui.seed(), "attack": args.attack, "eps": args.eps, "all": args.all, "networks": found});
    let written = args.output.as_ref().map_or(Ok(()), |path| report::write(&json, path));
    // The result is shown even where it could not be written: the work is done.
    ui.result(|| &json, text)?;
    written
}

/// Holds what is done with one network.
struct Task<'a> {
    network: &'a dyn Inside,
    /// Positions of the images that are attacked.
    indices: Vec<usize>,
    block: Option<Block>,
}

impl Args {
    /// Finds the images and the quantizer of one network, before any is attacked.
    fn task<'a>(&self, network: &'a dyn Inside, path: &Path, images: &Images) -> Result<Task<'a>> {
        check_fit(images, network.input(), network.classes())?;
        let block = match &self.bits[..] {
            [] => None,
            widths => {
                let node = amplify::quantizer(network, self.after.as_deref())
                    .with_context(|| format!("{}: {}", path.display(), self.block_flag()))?;
                Some(Block { node, bits: widths.to_vec() })
            }
        };
        let indices = if self.all { (0..images.len()).collect() } else { amplify::attacked(network, images) };
        if indices.is_empty() {
            let (path, count) = (path.display(), images.len());
            bail!("{path}: none of {count} test images is classified right: there is nothing to attack");
        }
        Ok(Task { network, indices, block })
    }

    /// Names the flag that asks for a quantizer.
    fn block_flag(&self) -> &'static str {
        if self.after.is_some() { "--after" } else { "--bits" }
    }
}

/// Writes what was measured on one network for people.
fn text(found: &Found, args: &Args) -> String {
    let last = found.nodes.len() - 1;
    let shown = |(i, row): &(usize, &Row)| !row.read_by.is_empty() || *i == last;
    let cells = |(_, row): (usize, &Row)| {
        let place = if row.read_by.is_empty() { "scores".into() } else { row.read_by.join(", ") };
        line(place, &row.distance)
    };
    let rows: Vec<Vec<String>> = found.nodes.iter().enumerate().filter(shown).map(cells).collect();
    let layers = format!(
        "{} ({}): normalized distance of {} adversaries from their images, {}; mean ± standard deviation\n\n{}",
        found.model.name,
        found.model.kind,
        found.attacked,
        args.attack,
        table(&words(&head("input of", args)), &rows)
    );
    let block = found.first_block.as_ref().map(|block| block_text(block, args));
    layers + &block.unwrap_or_default()
}

/// Writes what quantizers make of the distance.
fn block_text(block: &Quantized, args: &Args) -> String {
    let mut rows = vec![line("not quantized".into(), &block.unquantized)];
    rows.extend(block.quantized.iter().map(|width| line(bits(width.bits), &width.distance)));
    let own = match block.own_bits {
        Some(own) => format!("which has {} itself", bits(own)),
        None => "which does not quantize itself".into(),
    };
    format!("\nafter {}, {own}\n\n{}", block.node, table(&words(&head("values", args)), &rows))
}

fn head(first: &str, args: &Args) -> Vec<String> {
    [first.to_owned()].into_iter().chain(args.eps.iter().map(|eps| format!("eps {eps}"))).collect()
}

fn words(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

fn line(name: String, distances: &[Distance]) -> Vec<String> {
    [name].into_iter().chain(distances.iter().map(spread)).collect()
}

/// Reads a radius, which is no less than one level of a uint8 pixel.
fn radius(text: &str) -> Result<u8, String> {
    let eps = text.parse::<u8>().ok().filter(|&eps| eps > 0);
    eps.ok_or_else(|| "expected a whole number of grey levels, 1 to 255".into())
}
