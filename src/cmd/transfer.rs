//! Implements `dq transfer`: judges the adversaries of every network by every other.

use crate::shared::attack::one_attack;
use crate::shared::data::{TestImages, first_images};
use crate::shared::libtorch::LibtorchArg;
use crate::shared::table::table;
use crate::shared::target::open_all;
use crate::shared::ui::Ui;
use anyhow::Result;
use dq_sim::attack::suite::{self, Single};
use dq_sim::report::Tally;
use ndarray::Axis;
use serde_json::json;
use std::path::PathBuf;

/// Judge the adversaries of every network by every other: the transfer matrix
///
/// Each row's network is attacked with its own gradients; each column's network labels
/// what came out. The figure is the column's accuracy on all test images, with those it
/// gets wrong without attack counted as failures. The diagonal is the white box.
/// Integer and float networks may be mixed.
///
/// Examples:
///   dq transfer dq.json vanilla.json --data signs --attack pgd --eps 8
///   dq transfer a.json b.json float.json --data cifar10=data/cifar-10 --count 1000 --json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
#[command(mut_arg("count", first_images("1000")))]
pub struct Args {
    /// Networks' files (integer or float), two or more.
    #[arg(required = true, num_args = 2..)]
    models: Vec<PathBuf>,
    #[command(flatten)]
    test: TestImages,
    /// The attack; one that asks for gradients.
    #[arg(long, value_name = "NAME", default_value = "pgd", value_parser = one_attack)]
    attack: String,
    /// Radius in units of a uint8 pixel.
    #[arg(long, allow_negative_numbers = true, default_value_t = 8)]
    eps: u8,
    #[command(flatten)]
    pub libtorch: LibtorchArg,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let (targets, images) = open_all(&args.models, &args.test)?;
    let targets = targets.into_iter().map(|target| target.on(ui, &args.libtorch));
    let targets = targets.collect::<Result<Vec<_>>>()?;
    let single = Single { stop: &ui.stop, ..Single::new(&args.attack, args.eps, ui.seed()) };
    let names: Vec<String> = targets.iter().map(|target| target.judge().model().name).collect();
    let all: Vec<usize> = (0..images.len()).collect();
    let mut clean = vec![vec![]; targets.len()];
    let mut matrix = vec![vec![0; targets.len()]; targets.len()];
    let bar = ui.bar("attacking", (images.len() * targets.len()) as u64, "images");
    for block in all.chunks(64) {
        let pixels = images.pixels.select(Axis(0), block);
        let right = |labels: Vec<suite::Verdict>| -> Vec<bool> {
            let labels = labels.into_iter().zip(block);
            labels.map(|(verdict, &i)| verdict.label == usize::from(images.labels[i])).collect()
        };
        let before: Vec<Vec<bool>> =
            targets.iter().map(|target| right(target.judge().judge(pixels.view()))).collect();
        for (source, row) in targets.iter().zip(&mut matrix) {
            ui.check_stop("nothing was written")?;
            let found = suite::adversaries(source.source(), &images, block, &single);
            ui.check_stop("nothing was written")?;
            for ((target, before), surviving) in targets.iter().zip(&before).zip(row) {
                let after = right(target.judge().judge(found.view()));
                *surviving += after.iter().zip(before).filter(|(after, before)| **after && **before).count();
            }
            bar.inc(block.len() as u64);
        }
        clean.iter_mut().zip(before).for_each(|(all, before)| all.extend(before));
    }
    bar.finish_and_clear();
    let tally = |correct: usize| Tally::new(correct, images.len());
    let clean: Vec<Tally> =
        clean.iter().map(|all| tally(all.iter().filter(|right| **right).count())).collect();
    let matrix: Vec<Vec<Tally>> =
        matrix.into_iter().map(|row| row.into_iter().map(tally).collect()).collect();
    let row = |name: String, tallies: &[Tally]| -> Vec<String> {
        let cells = tallies.iter().map(|tally| format!("{:.2}", 100.0 * tally.accuracy));
        [name].into_iter().chain(cells).collect()
    };
    let mut rows = vec![row("no attack".into(), &clean)];
    rows.extend(names.iter().zip(&matrix).map(|(name, tallies)| row(format!("from {name}"), tallies)));
    let head: Vec<&str> = ["accuracy in %"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let text = format!(
        "{} at eps {}, {} test images of {}: each column's network on the adversaries of each row's\n\n{}",
        args.attack,
        args.eps,
        images.len(),
        images.name,
        table(&head, &rows)
    );
    let models: Vec<_> = targets.iter().map(|target| target.judge().model()).collect();
    let json = json!({"data": images.name, "images": images.len(), "attack": args.attack, "eps": args.eps,
        "seed": ui.seed(), "models": models, "clean": clean, "matrix": matrix});
    ui.result(|| &json, text)
}
