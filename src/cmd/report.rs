//! Implements `dq report`: makes one page of reports.

use crate::shared::adversaries::Read;
use crate::shared::args::{DataArg, at_least_one};
use crate::shared::data::images;
use crate::shared::files::{Files, shown};
use crate::shared::folder;
use crate::shared::table::thousands;
use crate::shared::target::Target;
use crate::shared::ui::Ui;
use anyhow::{Context, Result, bail};
use dq_data::{Images, Split};
use dq_report::gallery::{Gallery, Sample, Verdict};
use dq_report::{Reports, document, page};
use ndarray::{ArrayView3, Axis};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Make one self-contained page of reports
///
/// Takes what attack, certify, faults, corrupt, amplify, landscape, emit (report.json),
/// build (record.json) and demo wrote, in any number, of one network or of several that are
/// to be compared, and writes one HTML file that opens offline and prints: doubts first,
/// accuracy under attack with its intervals, curves, certificates, the circuit's graph, where
/// a frame's time goes, and where every figure comes from. With --adversaries also a gallery,
/// and with --png its pictures as files.
///
/// Examples:
///   dq report attack.json certificates.json rtl/report.json -o report.html
///   dq report vanilla.json dq.json -o report.html
///   dq report attack.json --adversaries adv.npz --data signs --model model.json -o report.html
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Reports (JSON).
    #[arg(required = true)]
    reports: Vec<PathBuf>,
    /// Adversaries for a gallery, as `dq attack --save` writes them.
    #[arg(long, value_name = "NPZ", requires_all = ["data", "models"])]
    adversaries: Option<PathBuf>,
    /// Data set whose test images they are of.
    #[arg(long, value_name = "SET[=DIR]", requires = "adversaries")]
    data: Option<DataArg>,
    /// Network (integer or float) that labels the gallery; may be given several times.
    #[arg(long = "model", id = "models", value_name = "MODEL", requires = "adversaries")]
    models: Vec<PathBuf>,
    /// Images of the gallery.
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = at_least_one(), requires = "adversaries")]
    pictures: u64,
    /// Folder for the gallery's pictures (PNG) and verdicts.csv, the class and probability by each network.
    #[arg(long, value_name = "DIR", requires = "adversaries")]
    png: Option<PathBuf>,
    /// The page's file (HTML).
    #[arg(short, long = "output", value_name = "PAGE")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let files =
        args.reports.iter().fold(Files::default(), |files, path| files.read("REPORTS", path.as_path()));
    let files = args.models.iter().fold(files, |files, path| files.read("--model", path.as_path()));
    let files = files.read("--adversaries", args.adversaries.as_deref());
    files.written("-o", args.output.as_path()).check()?;
    let documents = args.reports.iter().map(|path| document::read(path)).collect::<Result<Vec<_>, _>>()?;
    let reports = Reports::new(documents.into_iter().flatten().collect())?;
    let gallery = match (&args.adversaries, &args.data) {
        (Some(adversaries), Some(data)) => args.gallery(&reports, adversaries, data)?,
        _ => Gallery::default(),
    };
    let page = page(&reports, &gallery);
    if let Some(pictures) = &args.png {
        folder::publish(pictures, &gallery.files(), None)?;
    }
    dq_net::atomic::write(&args.output, page.as_bytes())
        .with_context(|| format!("{}: writing the page", args.output.display()))?;
    let text = format!(
        "{} of {} networks, {} bytes\nwritten: {}{}",
        if reports.documents().len() == 1 {
            "1 report".into()
        } else {
            format!("{} reports", reports.documents().len())
        },
        reports.networks().len(),
        thousands(page.len() as u64),
        args.output.display(),
        args.png.as_ref().map_or(String::new(), |path| format!(", {}", path.display()))
    );
    ui.result(
        || {
            json!({"output": shown(&args.output), "png": args.png.as_deref().map(shown), "reports": reports.documents().len(),
                "networks": reports.networks(), "pictures": gallery.samples.len(), "bytes": page.len()})
        },
        text,
    )
}

impl Args {
    /// Asks the networks about adversaries that are spread over the file.
    fn gallery(&self, reports: &Reports, path: &Path, data: &DataArg) -> Result<Gallery> {
        let images = images(data, Split::Test)?;
        let read = Read::open(path, &images, 0)?;
        if !read.has_eps {
            bail!("{}: `eps`: expected the radius of each adversary, found none", path.display());
        }
        let targets = self.models.iter().map(|path| Target::open(path)).collect::<Result<Vec<_>>>()?;
        for target in &targets {
            let source = target.source();
            crate::shared::data::check_fit(&images, source.input(), source.classes())?;
        }
        let runs = reports.attacks().next().map(|report| &report.runs);
        let count = read.indices.len();
        let wanted = count.min(self.pictures as usize);
        let samples = (0..wanted).map(|n| n * count / wanted).map(|place| {
            let index = read.indices[place];
            let original = images.pixels.index_axis(Axis(0), index);
            let adversary = read.images.index_axis(Axis(0), place);
            let run = read.runs.get(place).and_then(|&run| runs?.get(run));
            let verdict = |target, image| verdict(target, &images, index, image);
            Sample {
                index,
                attack: run.map_or_else(|| "adversary".into(), dq_sim::report::Run::title),
                eps: read.eps[place],
                class: images.classes[usize::from(images.labels[index])].clone(),
                original: original.iter().copied().collect(),
                adversary: adversary.iter().copied().collect(),
                verdicts: targets.iter().map(|t| [verdict(t, original), verdict(t, adversary)]).collect(),
            }
        });
        let samples = samples.collect();
        let networks = targets.iter().map(|target| reports.named(&target.judge().model()).name).collect();
        Ok(Gallery { shape: images.shape(), networks, samples })
    }
}

/// Returns what a network says of one image, whose true label is that of image `index`.
fn verdict(target: &Target, images: &Images, index: usize, image: ArrayView3<u8>) -> Verdict {
    let batch = image.insert_axis(Axis(0));
    let label = target.judge().judge(batch)[0].label;
    let logits = target.source().real_logits(batch);
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| (logit - most).exp()).sum();
    Verdict {
        class: images.classes.get(label).cloned().unwrap_or_else(|| label.to_string()),
        right: label == usize::from(images.labels[index]),
        probability: (logits[[0, label]] - most).exp() / sum,
    }
}
