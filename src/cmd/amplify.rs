//! Implements `dq amplify`: measures how an adversary's distance from its image grows through the layers.

use crate::shared::attack::one_attack;
use crate::shared::data::{TestImages, first_images};
use crate::shared::files::Files;
use crate::shared::model::{ModelArg, model_is};
use crate::shared::report;
use crate::shared::table::table;
use crate::shared::ui::Ui;
use anyhow::{Result, bail};
use dq_sim::WhiteBox;
use dq_sim::attack::suite::Judge;
use dq_sim::report::Data;
use dq_sim::study::amplify::{self, Noise, Row};
use std::path::PathBuf;

/// Measure how adversarial noise grows from layer to layer
///
/// The normalized distance ‖v(x') − v(x)‖ / ‖v(x)‖ between an adversary and its image
/// at the input of each layer with weights and at the scores, mean over the test images
/// that are classified right: figure 3b of the paper, on the integers of the circuit.
///
/// Examples:
///   dq amplify model.json --data signs --eps 2,8 -o amplify.json
///   dq amplify model.json --data cifar10=data/cifar-10 --attack fgsm --count 1000 --json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
#[command(mut_arg("model", model_is("Integer network's file")))]
#[command(mut_arg("count", first_images("256")))]
pub struct Args {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    test: TestImages,
    /// The attack.
    #[arg(long, value_name = "NAME", default_value = "pgd", value_parser = one_attack)]
    attack: String,
    /// Radii in units of a uint8 pixel.
    #[arg(long, allow_negative_numbers = true, value_delimiter = ',', default_value = "2,8,16")]
    eps: Vec<u8>,
    /// Write all figures (JSON), for `dq report`.
    #[arg(short, long = "output", value_name = "REPORT")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let files = Files::default().read("MODEL", args.model.path());
    files.written("-o", args.output.as_deref()).check()?;
    let network = args.model.open(ui)?;
    let white_box = WhiteBox::new(&network);
    let (input, classes) = (network.input(), network.classes());
    let images = args.test.open(input, classes)?;
    let right = amplify::attacked(white_box.engine(), &images);
    if right.is_empty() {
        bail!("none of {} test images is classified right: there is nothing to attack", images.len());
    }
    let noise = Noise { attack: args.attack.clone(), eps: args.eps.clone(), seed: ui.seed() };
    let bar = ui.bar("attacking", (right.len() * args.eps.len()) as u64, "images");
    let rows = ui.study(&bar, |watch| amplify::measure(&white_box, &images, &right, &noise, watch))?;
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
    let data = Data::from(&images);
    let json = serde_json::json!({"format": "dq-amplification", "version": 1, "model": white_box.model(),
        "data": data, "seed": ui.seed(), "attacked": right.len(), "attack": args.attack, "eps": args.eps,
        "nodes": rows});
    let written = args.output.as_ref().map_or(Ok(()), |path| report::write(&json, path));
    // The result is shown even where it could not be written: the work is done.
    ui.result(|| &json, text)?;
    written
}
