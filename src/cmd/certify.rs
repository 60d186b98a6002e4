//! Implements `dq certify`: counts how many test images provably keep their label in the whole ball, beside
//! how many an attack breaks.

use crate::shared::args::at_least_one;
use crate::shared::attack::one_attack;
use crate::shared::data::{TestImages, first_images, images_that};
use crate::shared::files::Files;
use crate::shared::folder;
use crate::shared::model::{ModelArg, model_is};
use crate::shared::report::{self, Partial};
use crate::shared::table::{percent, table, thousands};
use crate::shared::ui::{Interrupted, Ui};
use anyhow::{Context, Result, anyhow, bail};
use clap::builder::ArgPredicate;
use dq_data::Images;
use dq_net::Network;
use dq_sim::WhiteBox;
use dq_sim::study::Watch;
use dq_sim::study::certify::{BoundsBy, Campaign, Certificates, Proof, Trails, question};
use std::path::{Path, PathBuf};

/// Most multiply-accumulates of a network whose question is written for a solver.
const MOST_MACS: u64 = 1_000_000;

/// Prove for test images that no image of the ball has another label
///
/// Integer bounds through the exact network, by intervals and where these do not suffice by
/// lines (--bounds), then a search that cuts the ball at stairs of its quantizers, then a
/// complete one that cuts it at pixels, at most --boxes parts per image. Printed beside what
/// the attack leaves: certified <= true robust accuracy <= attacked. A certificate holds for
/// the circuit as it is; what is not decided counts for neither side. Bounds are loose for
/// deep networks: expect few certificates there unless eps is small.
///
/// Ctrl-C keeps what is done in REPORT.partial; --resume goes on from it. With --smt the same
/// question also goes to a folder, for each image and radius a file for z3 or another solver
/// of linear integer arithmetic: `unsat` is a certificate that shares no code with these.
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
    /// Most parts of the ball that the search may bound for one image, half of them at stairs where there are
    /// linear bounds; 1 is the bounds of the whole ball alone.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = at_least_one())]
    boxes: u64,
    /// How boxes are bounded. Linear bounds are tighter, and take longer, the whole ball's longest. A file
    /// of --proof holds interval bounds alone, which are the default with it.
    #[arg(
        long,
        value_name = "FORM",
        default_value = "linear",
        default_value_if("proof", ArgPredicate::IsPresent, "intervals")
    )]
    bounds: BoundsArg,
    /// The attack beside it.
    #[arg(long, value_name = "NAME", default_value = "pgd", value_parser = one_attack)]
    attack: String,
    /// Go on from REPORT.partial.
    #[arg(long)]
    resume: bool,
    /// File for what a checker needs of each certificate, such as python/check_certificates.py.
    #[arg(long, value_name = "TRAILS", conflicts_with = "resume")]
    proof: Option<PathBuf>,
    /// Folder for SMT-LIB files, one for each image and radius; for small networks.
    #[arg(long, value_name = "DIR")]
    smt: Option<PathBuf>,
    /// The report's file.
    #[arg(short, long = "output", value_name = "REPORT")]
    output: PathBuf,
}

/// Forms of bounds.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum BoundsArg {
    /// Intervals of each value alone.
    Intervals,
    /// Intervals, then lines through the whole network where intervals leave a box open.
    Linear,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let files = Files::default().read("MODEL", args.model.path());
    let files = files.resumable("-o", args.output.as_path());
    files.written("--proof", args.proof.as_deref()).check()?;
    if args.proof.is_some() && args.bounds == BoundsArg::Linear {
        bail!("--proof: expected --bounds intervals, found linear: trails hold interval bounds alone");
    }
    let network = args.model.open(ui)?;
    let white_box = WhiteBox::new(&network);
    let (input, classes) = (network.input(), network.classes());
    let images = args.test.open(input, classes)?;
    if let Some(folder) = &args.smt {
        write_smt(ui, &network, &images, &args.eps, folder)?;
    }
    let campaign = Campaign {
        eps: args.eps.clone(),
        boxes: args.boxes,
        bounds: match args.bounds {
            BoundsArg::Intervals => BoundsBy::Intervals,
            BoundsArg::Linear => BoundsBy::Linear,
        },
        attack: args.attack.clone(),
        seed: ui.seed(),
    };
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
    let mut trails = args.proof.as_ref().map(|_| Trails::new(found.model.clone(), found.data.clone()));
    let watch = Watch { tick: &tick, stop: &ui.stop };
    if found.extend(&white_box, &images, trails.as_mut(), watch).is_err() {
        let kept = partial.keep(|path| report::write(&found, path))?;
        return Err(Interrupted(format!("kept in {kept}; --resume goes on")).into());
    }
    bar.finish_and_clear();
    if let (Some(path), Some(trails)) = (&args.proof, &trails) {
        // A number a line would make a long file of it.
        let text = serde_json::to_vec(trails)?;
        dq_net::atomic::write(path, &text)
            .with_context(|| format!("{}: writing the trails", path.display()))?;
    }
    let written = report::finish(&found, &args.output, &partial);
    // The result is shown even where it could not be written: the work is done.
    ui.result(|| &found, text(&found, args))?;
    written
}

/// Writes the question of each image and radius for a solver.
fn write_smt(ui: &Ui, network: &Network, images: &Images, eps: &[u8], folder: &Path) -> Result<()> {
    let macs: u64 = (0..network.nodes().len()).map(|node| network.macs(node)).sum();
    if macs > MOST_MACS {
        bail!(
            "--smt: expected a network of at most {} multiply-accumulates, found {}: no solver decides more",
            thousands(MOST_MACS),
            thousands(macs)
        );
    }
    let mut files = vec![];
    for (index, (image, &label)) in images.pixels.outer_iter().zip(&images.labels).enumerate() {
        ui.check_stop("nothing was written")?;
        for &eps in eps {
            let text = question(network, image, label, eps);
            files.push((format!("{index:05}-eps-{eps}.smt2"), text.into_bytes()));
        }
    }
    folder::publish(folder, &files, None)?;
    ui.note(format!("{}: {} SMT-LIB files", folder.display(), files.len()));
    Ok(())
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
                count(Proof::ByLines),
                count(Proof::BySearch),
                count(Proof::Open),
                count(Proof::Broken),
            ]
        })
        .collect();
    let head =
        ["accuracy in %", "certified", "attacked", "by intervals", "by lines", "by search", "open", "broken"];
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
