//! `dq certify`: how many test images provably keep their label in the whole ball, beside how many an attack breaks.

use crate::args::DataArg;
use crate::attack::{one_attack, percent};
use crate::table::table;
use crate::ui::{Interrupted, Ui};
use crate::{data, model, report};
use anyhow::{Context, Result, ensure};
use dq_data::Images;
use dq_sim::Engine;
use dq_sim::attack::suite::{self, Judge, Suite};
use dq_sim::certify::{Certifier, Outcome};
use dq_sim::report::{Data, Model, Tally};
use ndarray::{Array3, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Prove for test images that no image of the ball has another label
///
/// Integer bounds through the exact network, then a complete search that cuts the ball
/// into boxes, at most --boxes for an image. Printed beside what the attack leaves:
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
pub struct Args {
    /// Integer network's file.
    model: PathBuf,
    /// Data set whose test images are certified, e.g. `signs` or `cifar10=DIR`.
    #[arg(long, value_name = "SET[=DIR]")]
    data: DataArg,
    /// First N test images.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    count: u64,
    /// Radii in units of a uint8 pixel.
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    eps: Vec<u8>,
    /// Most boxes that the search may bound for one image; 1 is the bounds of the whole ball alone.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
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

/// What is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Certificates {
    format: String,
    version: u32,
    model: Model,
    data: Data,
    seed: u64,
    boxes: u64,
    attack: String,
    /// Accuracy without attack.
    clean: Tally,
    radii: Vec<Radius>,
}

/// What became of each image at one radius.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Radius {
    eps: u8,
    /// A letter an image: `-` misclassified as it is, `x` broken, `c` certified by bounds alone, `s` by search, `?` open.
    outcomes: String,
    /// Boxes that were bounded for each image.
    boxes: Vec<usize>,
    /// Share that is certified: at most the true robust accuracy.
    certified: Tally,
    /// Share that neither the attack nor the search broke: at least the true robust accuracy.
    attacked: Tally,
}

const FORMAT: &str = "dq-certificates";
const VERSION: u32 = 1;
/// Images between two looks at the stop flag.
const BLOCK: usize = 8;

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let network = model::open(&args.model, ui.seed())?;
    let engine = Engine::new(&network);
    let (shape, classes) = (network.input_shape(), network.classes());
    let images = data::test_images(&args.data, Some(args.count), shape, classes)?;
    dq_net::atomic::check(&args.output)
        .with_context(|| format!("{}: the place of what is written", args.output.display()))?;
    let labels = engine.labels(images.pixels.view());
    let right: Vec<bool> = labels.iter().zip(&images.labels).map(|(a, b)| *a == usize::from(*b)).collect();
    let blank = Certificates {
        format: FORMAT.into(),
        version: VERSION,
        model: engine.model(),
        data: Data { name: images.name.clone(), digest: images.digest(), images: images.len() },
        seed: ui.seed(),
        boxes: args.boxes,
        attack: args.attack.clone(),
        clean: Tally::new(right.iter().filter(|right| **right).count(), images.len()),
        radii: args.eps.iter().map(|&eps| Radius::new(eps)).collect(),
    };
    let partial = report::partial_path(&args.output);
    let mut found = match report::is_unfinished(&partial, args.resume, "unfinished certificates are")? {
        true => earlier(report::read_as(&partial, "certificates")?, &blank)
            .with_context(|| format!("{}: of another run", partial.display()))?,
        false => blank,
    };
    let certifier = Certifier::new(&engine);
    let bar = ui.bar("certifying", (images.len() * args.eps.len()) as u64, "images");
    for radius in &mut found.radii {
        bar.inc(radius.outcomes.len() as u64);
        while radius.outcomes.len() < images.len() {
            if ui.stop.load(std::sync::atomic::Ordering::SeqCst) {
                report::write(&found, &partial)?;
                return Err(Interrupted(format!("kept in {}; --resume goes on", partial.display())).into());
            }
            let start = radius.outcomes.len();
            let block: Vec<usize> = (start..images.len().min(start + BLOCK)).collect();
            radius.extend(&certifier, &engine, &images, &right, &block, args, ui.seed());
            bar.inc(block.len() as u64);
        }
    }
    bar.finish_and_clear();
    report::finish(&found, &args.output, &partial)?;
    ui.result(&found, text(&found, args))
}

impl Radius {
    fn new(eps: u8) -> Self {
        let (certified, attacked) = (Tally::default(), Tally::default());
        Self { eps, outcomes: String::new(), boxes: vec![], certified, attacked }
    }

    /// Attacks and certifies the images of `block`, which come next.
    #[expect(clippy::too_many_arguments, reason = "all that the images' outcomes depend on")]
    fn extend(
        &mut self,
        certifier: &Certifier,
        engine: &Engine,
        images: &Images,
        right: &[bool],
        block: &[usize],
        args: &Args,
        seed: u64,
    ) {
        let tried: Vec<usize> = block.iter().copied().filter(|&i| right[i]).collect();
        let suite = Suite::single(&args.attack, self.eps, seed);
        let adversaries = suite::adversaries(engine, images, &tried, &args.attack, self.eps, &suite);
        let found = if tried.is_empty() { vec![] } else { engine.labels(adversaries.view()) };
        let certify = |(&i, found): (&usize, usize)| {
            let label = usize::from(images.labels[i]);
            if found != label {
                return ('x', 0);
            }
            let image = images.pixels.index_axis(Axis(0), i);
            let (outcome, boxes) = certifier.certify(image, label, self.eps, args.boxes as usize);
            let letter = match outcome {
                Outcome::Certified if boxes == 1 => 'c',
                Outcome::Certified => 's',
                Outcome::Broken(found) => {
                    check(engine, &found, label);
                    'x'
                }
                Outcome::Open => '?',
            };
            (letter, boxes)
        };
        let found: Vec<(char, usize)> = tried.par_iter().zip(found).map(certify).collect();
        let mut found = found.into_iter();
        for &i in block {
            let (letter, boxes) = if right[i] { found.next().expect("one a tried image") } else { ('-', 0) };
            self.outcomes.push(letter);
            self.boxes.push(boxes);
        }
        let count = |letters: &str| self.outcomes.chars().filter(|letter| letters.contains(*letter)).count();
        let (certified, attacked) = (count("cs"), count("cs?"));
        self.certified = Tally::new(certified, self.outcomes.len());
        self.attacked = Tally::new(attacked, self.outcomes.len());
    }
}

/// What the search found is judged by the network like any adversary.
fn check(engine: &Engine, found: &Array3<u8>, label: usize) {
    assert_ne!(engine.labels(found.view().insert_axis(Axis(0)))[0], label, "the search broke nothing");
}

/// The earlier certificates, if they are of this run.
fn earlier(found: Certificates, blank: &Certificates) -> Result<Certificates> {
    let settings = |c: &Certificates| {
        let radii: Vec<u8> = c.radii.iter().map(|radius| radius.eps).collect();
        format!("{:?}", (&c.format, c.version, &c.model, &c.data, c.seed, c.boxes, &c.attack, radii))
    };
    let (expected, got) = (settings(blank), settings(&found));
    ensure!(expected == got, "expected {expected}, found {got}");
    let fits = |radius: &Radius| {
        radius.outcomes.len() <= blank.data.images && radius.boxes.len() == radius.outcomes.len()
    };
    ensure!(found.radii.iter().all(fits), "outcomes that do not fit the images");
    Ok(found)
}

fn text(found: &Certificates, args: &Args) -> String {
    let rows: Vec<Vec<String>> = found
        .radii
        .iter()
        .map(|radius| {
            let count = |letter: char| radius.outcomes.chars().filter(|l| *l == letter).count().to_string();
            vec![
                format!("eps {}", radius.eps),
                percent(&radius.certified),
                percent(&radius.attacked),
                count('c'),
                count('s'),
                count('?'),
                count('x'),
            ]
        })
        .collect();
    let head = ["accuracy in %", "certified", "attacked", "by bounds", "by search", "open", "broken"];
    format!(
        "{}, {} test images of {}: clean {}\n\n{}\nCertified <= true robust accuracy <= attacked ({}, then the search of at most {} boxes an image).\n\
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
