//! `dq attack`: the attack suite on the exact integer network.

use crate::args::DataArg;
use crate::table::table;
use crate::ui::{Interrupted, Ui};
use crate::{data, report};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use dq_net::AnyNetwork;
use dq_net::data::{Images, Split};
use dq_sim::attack::suite::{self, Judge, Progress, Suite};
use dq_sim::attack::{ALL, PAPER, Start};
use dq_sim::report::{Report, Tally};
use dq_sim::{Engine, FloatEngine, GradientSource};
use serde_json::json;
use std::path::{Path, PathBuf};

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
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Network's file (integer; a float network may be attacked for comparison).
    model: PathBuf,
    /// Data set whose test images are attacked, e.g. `signs` or `cifar10=DIR`.
    #[arg(long, value_name = "SET[=DIR]")]
    data: DataArg,
    /// First N test images (default: all).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Attacks: `paper` (random, fgsm, r-fgsm, pgd) or names, comma-separated.
    #[arg(long, value_delimiter = ',', default_value = "paper", value_parser = attack_name)]
    attack: Vec<String>,
    /// Radii in units of a uint8 pixel.
    #[arg(long, value_delimiter = ',', default_value = "2,8,16")]
    eps: Vec<u8>,
    /// Where PGD starts.
    #[arg(long, value_enum, default_value_t = StartArg::Signs)]
    start: StartArg,
    /// Take gradients from this substitute instead (black box).
    #[arg(long, value_name = "MODEL")]
    from: Option<PathBuf>,
    /// Go on from REPORT.partial.
    #[arg(long)]
    resume: bool,
    /// The report's file.
    #[arg(short, long = "output", value_name = "REPORT")]
    output: PathBuf,
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
    let target = Target::open(&args.model)?;
    let substitute = args.from.as_deref().map(Target::open).transpose()?;
    let images = first(data::images(&args.data, Split::Test)?, args.count);
    data::check_fit(&images, target.source().input_shape(), target.source().classes())?;
    let named = args.attack.iter().map(String::as_str);
    let attacks = named.flat_map(|name| if name == "paper" { PAPER.to_vec() } else { vec![name] });
    let attacks = attacks.map(str::to_owned).collect();
    let start = match args.start {
        StartArg::Signs => Start::Signs,
        StartArg::Uniform => Start::Uniform,
    };
    let suite = Suite { attacks, eps: args.eps.clone(), seed: ui.seed(), start };
    let partial = partial_path(&args.output);
    let earlier = match (args.resume, partial.exists()) {
        (true, true) => Some(report::read(&partial)?),
        (true, false) => bail!("--resume: there is no {}", partial.display()),
        (false, true) => {
            bail!("{}: an unfinished report is there; give --resume or remove it", partial.display())
        }
        (false, false) => None,
    };
    dq_net::atomic::check(&args.output)
        .with_context(|| format!("{}: the report's place", args.output.display()))?;
    let name = args.from.as_ref().map(|path| path.display().to_string());
    let substitute = name.as_deref().zip(substitute.as_ref().map(Target::source));
    let report = attack(ui, target.judge(), substitute, &images, &suite, earlier)?;
    if !report.complete {
        report::write(&report, &partial)?;
        return Err(Interrupted(format!("kept in {}; --resume goes on", partial.display())).into());
    }
    report::write(&report, &args.output)?;
    if partial.exists() {
        std::fs::remove_file(&partial).with_context(|| format!("{}: removing", partial.display()))?;
    }
    ui.result(&summary(&report, &args.output), text(&report, &args.output))
}

/// Runs `suite` with a progress bar; a stopped run comes back with `complete: false`.
pub fn attack(
    ui: &Ui,
    target: &dyn Judge,
    substitute: Option<suite::Substitute>,
    images: &Images,
    suite: &Suite,
    earlier: Option<Report>,
) -> Result<Report> {
    let bar = ui.bar("attacking", 0, "images");
    let progress = |p: Progress| {
        bar.set_length(((p.runs + 1) * p.images) as u64);
        let before = if p.attack.is_empty() { 0 } else { (p.runs_done + 1) * p.images };
        bar.set_position((before + p.done) as u64);
        bar.set_message(if p.attack.is_empty() {
            "clean".into()
        } else {
            format!("{} eps {}", p.attack, p.eps)
        });
    };
    let report = suite::run(target, substitute, images, suite, earlier, &progress, &ui.stop)?;
    bar.finish_and_clear();
    Ok(report)
}

/// The first `count` of `images`.
pub fn first(images: Images, count: Option<u64>) -> Images {
    match count {
        Some(count) if (count as usize) < images.len() => images.take(count as usize),
        _ => images,
    }
}

/// `97.50 (95.61–98.60)`: accuracy and interval in per cent.
pub fn percent(tally: &Tally) -> String {
    let [low, high] = tally.interval;
    format!("{:.2} ({:.2}–{:.2})", 100.0 * tally.accuracy, 100.0 * low, 100.0 * high)
}

/// A network of either family, ready to be attacked or to give gradients.
enum Target {
    Integer(Box<Engine>),
    Float(Box<FloatEngine>),
}

impl Target {
    fn open(path: &Path) -> Result<Self> {
        Ok(match dq_net::read_any(path)? {
            AnyNetwork::Integer(network) => Self::Integer(Box::new(Engine::new(&network))),
            AnyNetwork::Float(network) => Self::Float(Box::new(FloatEngine::new(&network))),
        })
    }

    fn judge(&self) -> &dyn Judge {
        match self {
            Self::Integer(engine) => engine.as_ref(),
            Self::Float(engine) => engine.as_ref(),
        }
    }

    fn source(&self) -> &dyn GradientSource {
        match self {
            Self::Integer(engine) => engine.as_ref(),
            Self::Float(engine) => engine.as_ref(),
        }
    }
}

fn attack_name(text: &str) -> Result<String, String> {
    let known: Vec<&str> = ["paper"].into_iter().chain(ALL.iter().map(|(name, _)| *name)).collect();
    if known.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("expected one of {}", known.join(", ")))
    }
}

fn partial_path(output: &Path) -> PathBuf {
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    output.with_file_name(name)
}

fn summary(report: &Report, output: &Path) -> serde_json::Value {
    let run = |run: &dq_sim::report::Run| {
        json!({"attack": run.attack, "eps": run.eps, "source": run.source, "accuracy": run.tally.accuracy,
               "interval": run.tally.interval, "zero_gradients": run.zero_gradients})
    };
    json!({
        "report": output, "model": report.model, "data": report.data, "clean": report.clean,
        "runs": report.runs.iter().map(run).collect::<Vec<_>>(), "doubts": report.doubts,
    })
}

fn text(report: &Report, output: &Path) -> String {
    let mut eps: Vec<u8> = report.runs.iter().map(|run| run.eps).collect();
    eps.sort_unstable();
    eps.dedup();
    let mut head = vec!["accuracy in %".to_owned()];
    head.extend(eps.iter().map(|e| format!("eps {e}")));
    let mut rows = Vec::new();
    for run in &report.runs {
        let name = match &run.source {
            Some(source) => format!("{} from {source}", run.attack),
            None => run.attack.clone(),
        };
        if rows.iter().all(|row: &Vec<String>| row[0] != name) {
            rows.push([vec![name.clone()], vec![String::new(); eps.len()]].concat());
        }
        let row = rows.iter_mut().find(|row| row[0] == name).expect("just added");
        let column = eps.iter().position(|e| *e == run.eps).expect("collected");
        row[1 + column] = percent(&run.tally);
    }
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let mut text = format!(
        "{} ({}), {} test images of {}: clean {}\n\n{}",
        report.model.name,
        report.model.kind,
        report.data.images,
        report.data.name,
        percent(&report.clean),
        table(&head, &rows)
    );
    text.push_str("\nIn brackets: Wilson 95 % intervals. No accuracy here is a proof of robustness.\n");
    for doubt in &report.doubts {
        text.push_str(&format!("DOUBT {}: {}\n", doubt.rule, doubt.text));
    }
    text + &format!("report: {}", output.display())
}
