//! Implements `dq certify`: counts how many test images provably keep their label in the whole ball, beside
//! how many an attack breaks.

use crate::shared::args::at_least_one;
use crate::shared::attack::one_attack;
use crate::shared::data::{TestImages, first_images, images_that};
use crate::shared::files::Files;
use crate::shared::model::{ModelArg, model_is};
use crate::shared::report::{self, Partial};
use crate::shared::table::{percent, table};
use crate::shared::ui::{Interrupted, Ui};
use anyhow::{Context, Result, anyhow};
use dq_sim::WhiteBox;
use dq_sim::study::Watch;
use dq_sim::study::certify::{Campaign, Certificates, Proof};
use std::path::PathBuf;

/// Prove for test images that no image of the ball has another label
///
/// Integer bounds through the exact network, then a complete search that cuts the ball
/// into boxes, at most --boxes per image. Printed beside what the attack leaves:
/// certified <= true robust accuracy <= attacked. A certificate holds for the circuit
/// as it is; what is not decided counts for neither side. Bounds are loose for deep
/// networks: expect few certificates there unless eps is small.
///
/// Ctrl-C keeps what is done in REPORT.partial; --resume goes on from it.
///
/// Examples:
///   dq certify model.json --data signs --eps 1 --count 100 -o certificates.json
///   dq certify model.json --data cifar10=data/cifar-10 --eps 1 --count 50 --boxes 1000 -o certificates.json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
#[command(mut_arg("model", model_is("Integer network's file")))]
#[command(mut_arg("data", images_that("are certified")))]
#[command(mut_arg("count", first_images("100")))]
pub struct Args {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    test: TestImages,
    /// Radii in units of a uint8 pixel.
    #[arg(long, allow_negative_numbers = true, value_delimiter = ',', default_value = "1,2")]
    eps: Vec<u8>,
    /// Most boxes that the search may bound for one image; 1 is the bounds of the whole ball alone.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = at_least_one())]
    boxes: u64,
    /// The attack beside it.
    #[arg(long, value_name = "NAME", default_value = "pgd", value_parser = one_attack)]
    attack: String,
    /// Go on from REPORT.partial.
    #[arg(long)]
    resume: bool,
    /// The report's file.
    #[arg(short, long = "output", value_name = "REPORT")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let files = Files::default().read("MODEL", args.model.path());
    files.resumable("-o", args.output.as_path()).check()?;
    let network = args.model.open(ui)?;
    let white_box = WhiteBox::new(&network);
    let (input, classes) = (network.input(), network.classes());
    let images = args.test.open(input, classes)?;
    let campaign =
        Campaign { eps: args.eps.clone(), boxes: args.boxes, attack: args.attack.clone(), seed: ui.seed() };
    let blank = Certificates::new(&white_box, &images, &campaign);
    let partial = Partial::find(&args.output, args.resume, "unfinished certificates are")?;
    let mut found = match partial.begun() {
        Some(path) => {
            let earlier = report::read_as(path, "certificates")?;
            blank
                .check_earlier(&earlier)
                .map_err(|what| anyhow!(what))
                .with_context(|| format!("{}: of another run", path.display()))?;
            earlier
        }
        None => blank,
    };
    let bar = ui.bar("certifying", (images.len() * args.eps.len()) as u64, "images");
    let tick = |images| bar.inc(images);
    if found.extend(&white_box, &images, Watch { tick: &tick, stop: &ui.stop }).is_err() {
        let kept = partial.keep(|path| report::write(&found, path))?;
        return Err(Interrupted(format!("kept in {kept}; --resume goes on")).into());
    }
    bar.finish_and_clear();
    let written = report::finish(&found, &args.output, &partial);
    // The result is shown even where it could not be written: the work is done.
    ui.result(|| &found, text(&found, args))?;
    written
}

fn text(found: &Certificates, args: &Args) -> String {
    let rows: Vec<Vec<String>> = found
        .radii
        .iter()
        .map(|radius| {
            let count = |proof: Proof| radius.outcomes.count(proof).to_string();
            vec![
                format!("eps {}", radius.eps),
                percent(&radius.certified),
                percent(&radius.attacked),
                count(Proof::ByBounds),
                count(Proof::BySearch),
                count(Proof::Open),
                count(Proof::Broken),
            ]
        })
        .collect();
    let head = ["accuracy in %", "certified", "attacked", "by bounds", "by search", "open", "broken"];
    format!(
        "{}, {} test images of {}: clean {}\n\n{}\nCertified <= true robust accuracy <= \
         attacked ({}, then the search of at most {} boxes per image).\n\
         In brackets: Wilson 95 % intervals.\nreport: {}",
        found.model.name,
        found.data.images,
        found.data.name,
        percent(&found.clean),
        table(&head, &rows),
        found.attack,
        found.boxes,
        args.output.display()
    )
}
