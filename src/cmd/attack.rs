//! Implements `dq attack`: runs the attack suite on the exact integer network.

use crate::shared::adversaries::{self, Adversaries};
use crate::shared::args::GradArg;
use crate::shared::attack::{self, one_attack, run_suite};
use crate::shared::data::TestImages;
use crate::shared::files::{Files, shown};
use crate::shared::libtorch::LibtorchArg;
use crate::shared::plan::radius;
use crate::shared::proved::rule;
use crate::shared::report::{self, Partial};
use crate::shared::target::Target;
use crate::shared::ui::{Interrupted, Ui};
use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use dq_data::Images;
use dq_net::Squeezing;
use dq_sim::Detector;
use dq_sim::attack::Start;
use dq_sim::attack::suite::{self, Adversary, Subject, Substitute, Suite};
use dq_sim::report::{Report, Run, Shard};
use dq_sim::study::proved::{self, Watched};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Options of an attack, which have no meaning where stored adversaries are judged.
const ATTACKING: [&str; 11] =
    ["save", "resume", "from", "also_from", "strict", "output", "shard", "ladder", "each", "attack", "start"];

/// Attack a network and report what it withstands
///
/// The adversary edits the uint8 image within |x' − x| ≤ eps; whether it succeeds is
/// judged by the integer network's own label alone. The report holds every example's
/// outcome, all settings, Wilson 95 % intervals, and the doubts that the figures raise.
/// Ctrl-C keeps what is done in REPORT.partial; --resume goes on from it. Results do
/// not depend on the number of threads.
///
/// Examples:
///   dq attack model.json --data signs -o report.json
///   dq attack model.json --data cifar10=data/cifar-10 --attack pgd --eps 8 --count 1000 -o report.json
///   dq attack model.json --data signs --from float.json -o transfer.json
///   dq attack model.json --data signs --ladder -o ladder.json
///   dq attack model.json --data signs --detector bits=5,median -o detector.json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
#[command(mut_arg("count", |arg| arg.help("First N test images (default: all)")))]
pub struct Args {
    /// Network's file (integer; a float network may be attacked for comparison).
    model: PathBuf,
    #[command(flatten)]
    test: TestImages,
    /// Attacks, comma-separated: names, `paper` (random, fgsm, r-fgsm, pgd), `auto` (AutoAttack's standard
    /// set: apgd-ce, apgd-t, fab-t, square; in sequence), `auto-plus` (with restarts and more queries),
    /// `auto-l2`, `auto-plus-l2` (the same in the Euclidean ball: attacks ending in `-l2`).
    #[arg(long, value_delimiter = ',', default_value = "paper", value_parser = attack_name)]
    attack: Vec<String>,
    /// Radii in units of a uint8 pixel: of the largest difference, or of the Euclidean distance (128: 0.5 of
    /// pixels 0…1).
    #[arg(long, allow_negative_numbers = true, value_delimiter = ',', default_value = "2,8,16")]
    eps: Vec<u8>,
    /// Where PGD starts.
    #[arg(long, value_enum, default_value_t = StartArg::Signs)]
    start: StartArg,
    /// Numbers that an integer network's gradients are summed in.
    #[arg(long, value_enum, default_value_t, conflicts_with = "libtorch")]
    grad: GradArg,
    #[command(flatten)]
    pub libtorch: LibtorchArg,
    /// Each attack gets every image, under `auto` too (default there: only what the attacks before left
    /// standing).
    #[arg(long)]
    each: bool,
    /// Write every adversary as it was judged: arrays `images`, `indices`, `labels`, `eps`, `runs` (npz).
    #[arg(long, value_name = "NPZ")]
    save: Option<PathBuf>,
    /// Judge the adversaries of this file instead of attacking: each must lie within its radius and be
    /// misclassified (exit code 1 otherwise). Arrays as --save writes; without `eps` the first of --eps,
    /// without `indices` the first images.
    #[arg(long, value_name = "NPZ", conflicts_with_all = ATTACKING)]
    replay: Option<PathBuf>,
    /// Attack every Nth image alone, from the Ith on (1 to N): a share of the work, for another process or
    /// machine. `dq merge` makes the report of all shards, byte for byte that of one process.
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Fail (exit code 1) where the figures raise a doubt.
    #[arg(long)]
    strict: bool,
    /// Take gradients from this substitute instead (black box).
    #[arg(long, value_name = "MODEL")]
    from: Option<PathBuf>,
    /// Run attacks that ask for gradients again with those of this substitute, so that one report has white
    /// boxes and black boxes: what a substitute breaks beyond all white boxes is a doubt.
    #[arg(long, value_name = "MODEL", conflicts_with = "from")]
    also_from: Option<PathBuf>,
    /// Run attacks that ask for gradients again with those of the float twin, the same weights without
    /// quantizers, and of the softened twin, with smooth staircases in their place: what these break beyond
    /// the straight-through gradient is a doubt.
    #[arg(long, conflicts_with = "from")]
    ladder: bool,
    /// Flag images whose label differs from that of their squeezed form, of fewer bits a colour, smoothed by
    /// the 2 × 2 median, or both: `bits=5`, `median`, `bits=5,median`. Attacks run twice: unaware of the
    /// detector, whose rates the report holds, and against it: both labels must agree and be wrong.
    #[arg(long, value_name = "SQUEEZING", conflicts_with_all = ["from", "also_from", "ladder", "replay"])]
    detector: Option<Squeezing>,
    /// Hold every adversary against what is proved: within this Euclidean distance, in levels of the input, of an
    /// image whose scores prove its label (as `dq sim --proved-radius` counts them) none may have another label. One
    /// that has is an error.
    #[arg(long, value_name = "RADIUS", value_parser = radius(), conflicts_with_all = ["resume", "replay", "detector"])]
    proved_radius: Option<u8>,
    /// Go on from REPORT.partial.
    #[arg(long)]
    resume: bool,
    /// The report's file.
    #[arg(short, long = "output", value_name = "REPORT", required_unless_present = "replay")]
    output: Option<PathBuf>,
}

/// Where PGD starts.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum StartArg {
    /// The paper's text read literally: x + ⌊eps/2⌋·sign(N(0, I)).
    Signs,
    /// Uniform in the ball (Madry et al.).
    Uniform,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    Files::default()
        .read("MODEL", args.model.as_path())
        .read("--from", args.from.as_deref())
        .read("--also-from", args.also_from.as_deref())
        .resumable("-o", args.output.as_deref())
        .resumable("--save", args.save.as_deref())
        .check()?;
    let target = args.open(ui, &args.model)?;
    if args.libtorch.is_given() {
        target.integer("--libtorch")?;
    }
    if let Some(path) = &args.replay {
        return replay(ui, args, &target, path);
    }
    let output = args.output.as_deref().expect("required without --replay");
    // The two flags exclude each other, so that there is one substitute at most.
    let path = args.from.as_deref().or(args.also_from.as_deref());
    let substitute = path.map(|path| args.open(ui, path)).transpose()?;
    let (name, hash) = (path.map(shown), substitute.as_ref().map(Target::content_hash));
    let (input, classes) = (target.source().input(), target.source().classes());
    let images = args.test.open(input, classes)?;
    let substitute = substitute.as_ref().map(|substitute| Substitute {
        name: name.as_deref().unwrap_or_default(),
        content_hash: hash.as_deref(),
        source: substitute.source(),
    });
    let ladder = if args.ladder { target.ladder()? } else { vec![] };
    // A twin needs no hash: what it computes follows from the network.
    let twins = ladder.iter().map(|(name, twin)| Substitute { name, content_hash: None, source: twin });
    let (first, also) = if args.also_from.is_some() { (None, substitute) } else { (substitute, None) };
    let again: Vec<Substitute> = also.into_iter().chain(twins).collect();
    let subject = Subject { target: target.judge(), substitute: first, images: &images };
    let detectors = args.detector.map(|squeezing| Detector::both(target.judge(), squeezing));
    let parts = match &detectors {
        Some(all) => {
            all.iter().map(|target| (Subject { target, ..subject }, args.suite(ui.seed()))).collect()
        }
        None => args.parts(&subject, &again, ui.seed()),
    };
    let planned = parts.iter().map(|(subject, suite)| suite::planned(subject, suite));
    let planned = planned.collect::<Result<Vec<_>, _>>()?.concat();
    if let Some(shard) = args.shard.filter(|shard| shard.positions(images.len()).next().is_none()) {
        let (index, count) = (shard.index, shard.count);
        ui.note(format!("--shard {index}/{count}: none of {} images is in it", images.len()));
    }
    let (mut report, mut found) = args.earlier(output, &images, &planned)?;
    let mut proofs = args.proofs(&target, &images)?;
    let mut keep = |one: Adversary| {
        if let Some(proofs) = &mut proofs {
            proofs.see(&one);
        }
        if args.save.is_some() {
            found.adversaries.push(one, images.labels[one.index]);
        }
    };
    for (subject, suite) in &parts {
        if report.is_some() && ui.stop.load(Ordering::SeqCst) {
            break;
        }
        let is_watched = args.save.is_some() || args.proved_radius.is_some();
        let watch = is_watched.then_some(&mut keep as &mut dyn FnMut(Adversary));
        report = Some(run_suite(ui, subject, suite, report, watch)?);
    }
    let mut report = report.expect("an attack has a part at least");
    report.complete &= report.runs.len() == planned.len();
    args.finish(ui, &report, found, proofs.as_ref().map(Watched::found))
}

/// Holds what an attack has found beside its report, and where it keeps both when it is stopped.
struct Found {
    adversaries: Adversaries,
    /// Height, width and channels of an adversary.
    shape: [usize; 3],
    report_partial: Partial,
    /// `None` without --save.
    adversaries_partial: Option<Partial>,
}

impl Args {
    /// Reads a network whose gradients are summed as these say.
    fn open(&self, ui: &Ui, path: &Path) -> Result<Target> {
        Target::open(path)?.with_gradients(self.grad).on(ui, &self.libtorch)
    }

    /// Lists the suites that make the report, each with the gradients that it uses: the attacks, and those
    /// that ask for gradients again with the gradients of each of `sources`.
    fn parts<'a>(
        &self,
        subject: &Subject<'a>,
        sources: &[Substitute<'a>],
        seed: u64,
    ) -> Vec<(Subject<'a>, Suite)> {
        let suite = self.suite(seed);
        let gradient = |name: &String| dq_sim::attack::find(name).is_some_and(|attack| attack.gradient);
        let attacks: Vec<String> = suite.attacks.iter().filter(|name| gradient(name)).cloned().collect();
        let again = sources.iter().filter(|_| !attacks.is_empty()).map(|source| {
            let subject = Subject { substitute: Some(*source), ..*subject };
            (subject, Suite { attacks: attacks.clone(), ..suite.clone() })
        });
        let again: Vec<_> = again.collect();
        [vec![(*subject, suite)], again].concat()
    }

    /// Returns what holds adversaries against proofs, where a radius is given.
    fn proofs<'a>(&self, target: &'a Target, images: &'a Images) -> Result<Option<Watched<'a>>> {
        let Some(radius) = self.proved_radius else { return Ok(None) };
        let network = target.integer("--proved-radius")?;
        Ok(Some(Watched::new(network, images, rule(network, radius)?)))
    }

    /// Writes the report and the adversaries, or keeps them where the attack was stopped.
    fn finish(&self, ui: &Ui, report: &Report, found: Found, proofs: Option<&proved::Found>) -> Result<()> {
        let Found { adversaries, shape, report_partial, adversaries_partial } = found;
        let output = self.output.as_deref().expect("required without --replay");
        if !report.complete {
            // The report is written first, since it took long.
            let mut kept_in = report_partial.keep(|path| report::write(report, path))?;
            if let Some(partial) = &adversaries_partial {
                let also = partial
                    .keep(|path| adversaries.write(path, shape))
                    .with_context(|| format!("interrupted, and the report is kept in {kept_in}"))?;
                kept_in += &format!(" and {also}");
            }
            return Err(Interrupted(format!("kept in {kept_in}; --resume goes on")).into());
        }
        let written = report::finish(report, output, &report_partial).and_then(|()| {
            let (Some(save), Some(partial)) = (&self.save, &adversaries_partial) else { return Ok(()) };
            adversaries
                .write(save, shape)
                .with_context(|| format!("the report is kept in {}", output.display()))?;
            partial.remove()
        });
        // The result is shown even where it could not be written: the work is done.
        let summary = || {
            let mut summary = attack::summary(report, output);
            if let Some(proofs) = proofs {
                summary["proved"] = json!(proofs);
            }
            summary
        };
        let text = attack::text(report, output) + &proofs.map_or(String::new(), attack::proofs);
        ui.result(summary, text)?;
        written?;
        if let Some((proofs, at)) = proofs.and_then(|proofs| Some((proofs, proofs.first_against?))) {
            bail!(
                "A PROOF IS WRONG: {} adversaries, the first of image {at}, lie within distance {} of an image whose \
                 label is proved, and have another label; please report this with the model",
                proofs.against,
                proofs.radius
            );
        }
        match report.doubts.len() {
            doubts if doubts > 0 && self.strict => {
                bail!("--strict: {doubts} doubts, {} the first", report.doubts[0].rule)
            }
            _ => Ok(()),
        }
    }

    /// Returns the suite that these ask for.
    fn suite(&self, seed: u64) -> Suite {
        let start = match self.start {
            StartArg::Signs => Start::Signs,
            StartArg::Uniform => Start::Uniform,
        };
        let suite = Suite::named(&self.attack, self.each, &self.eps, seed, start);
        Suite { shard: self.shard, ..suite }
    }

    /// Reads what a stopped attack left to go on from: its report and, for --save, its adversaries. The
    /// report must have been begun for the runs that are `planned`.
    fn earlier(&self, output: &Path, images: &Images, planned: &[Run]) -> Result<(Option<Report>, Found)> {
        let partial = Partial::find(output, self.resume, "an unfinished report is")?;
        let report = partial.begun().map(report::read).transpose()?;
        if let (Some(path), Some(report)) = (partial.begun(), &report) {
            let same = "give --attack, --eps, --from, --also-from, --ladder and --detector as before";
            suite::check_begun(report, planned)
                .map_err(|error| anyhow!("{}: {error}; {same}", path.display()))?;
        }
        let find = |save: &PathBuf| Partial::find(save, self.resume, "unfinished adversaries are");
        let unfinished = self.save.as_ref().map(find).transpose()?;
        let adversaries = match (&report, unfinished.as_ref().and_then(Partial::begun)) {
            (Some(report), Some(path)) => Adversaries::resume(path, images, report)?,
            _ => Adversaries::default(),
        };
        let (shape, report_partial) = (images.shape(), partial);
        Ok((report, Found { adversaries, shape, report_partial, adversaries_partial: unfinished }))
    }
}

/// Judges the adversaries in `path`.
fn replay(ui: &Ui, args: &Args, target: &Target, path: &Path) -> Result<()> {
    let (input, classes) = (target.source().input(), target.source().classes());
    let images = args.test.open(input, classes)?;
    let found = adversaries::Read::open(path, &images, args.eps[0])?.fitting(path, input)?;
    let judged = found.judge(target.judge(), &images);
    let text = format!(
        "{}: {} adversaries of {} images, radii of {}: {} misclassified within their radius, {} classified \
         right, {} farther than their radius",
        path.display(),
        judged.adversaries,
        judged.images,
        if found.has_eps { "the file".into() } else { format!("eps {}", args.eps[0]) },
        judged.broken,
        judged.resisted,
        judged.outside
    );
    ui.result(|| &judged, text)?;
    match judged.first_failed {
        Some(n) => bail!("{}: adversary {n} is not one: it resists or is outside its radius", path.display()),
        None => Ok(()),
    }
}

/// Reads the name of an attack or of a set of them.
fn attack_name(text: &str) -> Result<String, String> {
    let sets: Vec<&str> = dq_sim::attack::SETS.iter().map(|(name, _)| *name).collect();
    if sets.contains(&text) {
        return Ok(text.to_owned());
    }
    one_attack(text).map_err(|error| format!("{error}, or a set: {}", sets.join(", ")))
}
