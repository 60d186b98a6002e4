//! Implements `dq explore`: the plans of one or more networks that no other plan beats.

use crate::shared::args::at_least_one;
use crate::shared::attacked::{attacked, certified};
use crate::shared::files::Files;
use crate::shared::model;
use crate::shared::plan::{OutputArg, device_of, parse_device, parse_form};
use crate::shared::report;
use crate::shared::table::{table, thousands};
use crate::shared::ui::Ui;
use anyhow::{Context, Result, bail};
use dq_hdl::device::{Budget, Device};
use dq_hdl::plan::{DEFAULT_CLOCK_MHZ, Explorer, FoldError, Mac, Planned, Target, undominated};
use dq_net::Network;
use dq_report::document::front::{
    Asked, Attacked, Certified, Explored, FORMAT, Front, Point, Refused, VERSION,
};
use dq_sim::report::Model;
use dq_sim::study::{Stopped, Watch};
use rayon::prelude::*;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// Explore the plans of networks: the front of speed, area and accuracy
///
/// Plans each network for a ladder of speeds, from one PE per node to the most that the
/// device holds, and shows the plans that no other one beats in LUTs, block RAMs, DSP
/// blocks, frames per second and latency. With --reports, the accuracy and the accuracy
/// under attack of each network count too, with --certificates the share of images that
/// is proved, and networks are compared with each other; without, each network has a
/// front of its own. Each plan is the one that `dq plan` makes for the speed in the
/// column "asked for". What does not fit is said below.
///
/// Examples:
///   dq explore model.json --device ecp5-85f
///   dq explore cnv --fps 100,500,1000 --mhz 80
///   dq explore a.json b.json --board ulx3s --reports a-attack.json b-attack.json -o front.json
///   dq explore a.json b.json --certificates a-proved.json b-proved.json -o front.json
///   dq report front.json -o front.html
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Integer networks' files, or built-in topologies with random weights (`cnv`, `wrn-16-4:w4a4`, …).
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<PathBuf>,
    /// Board whose device bounds the plans: `ulx3s`, `icebreaker`, or a folder with a board.toml.
    #[arg(long, value_name = "BOARD", conflicts_with = "device")]
    board: Option<String>,
    /// Device that bounds the plans, such as ecp5-85f, ice40-up5k, xc7z020.
    #[arg(long, value_name = "DEVICE", value_parser = parse_device)]
    device: Option<&'static Device>,
    /// Plan for these frames per second (default: a ladder).
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = at_least_one())]
    fps: Vec<u64>,
    /// Plan for as many frames per second as each of these numbers of LUTs allows.
    #[arg(long, value_name = "N,…", value_delimiter = ',', value_parser = at_least_one())]
    #[arg(conflicts_with = "fps")]
    luts: Vec<u64>,
    /// Block RAMs that a plan may use.
    #[arg(long, value_name = "N")]
    brams: Option<u64>,
    /// DSP blocks that a plan may use.
    #[arg(long, value_name = "N")]
    dsps: Option<u64>,
    /// Rungs of the ladder.
    #[arg(long, value_name = "N", default_value_t = 12, conflicts_with_all = ["fps", "luts"])]
    #[arg(value_parser = clap::value_parser!(u16).range(2..=1000))]
    points: u16,
    /// Clock of the plans (default: 100).
    #[arg(long, value_name = "MHZ", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    mhz: Option<u32>,
    /// How products are built, wherever a node can have them so (default: the smallest for bits and device).
    #[arg(long, value_name = "FORM", value_parser = parse_form())]
    mac: Option<Mac>,
    /// What leaves the circuit (default: scores).
    #[arg(long = "out", value_enum, value_name = "WHAT")]
    output_kind: Option<OutputArg>,
    /// Reports of `dq attack`, one per network, on the same images: accuracy with and without attack counts.
    #[arg(long, value_name = "REPORT", num_args = 1..)]
    reports: Vec<PathBuf>,
    /// Certificates of `dq certify`, one per network, on the same images: the share that is proved counts.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    certificates: Vec<PathBuf>,
    /// Write the front (JSON), for `dq report`.
    #[arg(short, long = "output", value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Holds a network, what it is to be planned for (by one explorer per budget), and what does not fit.
struct Subject<'a> {
    model: Model,
    explorers: Vec<(Explorer<'a>, Vec<Asked>)>,
    refused: Vec<Refused>,
}

/// Holds a plan that was made, or why there is none, with the place of its network.
type Found = (usize, Asked, Result<Planned, FoldError>);

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let files = args.models.iter().fold(Files::default(), |files, path| files.read("MODEL", path.as_path()));
    let files = args.reports.iter().fold(files, |files, path| files.read("--reports", path.as_path()));
    let files =
        args.certificates.iter().fold(files, |files, path| files.read("--certificates", path.as_path()));
    files.written("-o", args.output.as_deref()).check()?;
    let networks = args.models.iter().map(|path| model::open(path, ui.seed())).collect::<Result<Vec<_>>>()?;
    let (data, attacked) = attacked(&networks, &args.reports)?;
    let (certified_data, certified) = certified(&networks, &args.certificates)?;
    let device = args.device.or(device_of(args.board.as_deref())?);
    let targets = args.targets(device);
    let subjects: Vec<Subject> =
        networks.par_iter().map(|network| args.subject(network, &targets)).collect::<Result<_>>()?;
    let found = plans(ui, &subjects)?;
    let plans = found.iter().filter(|(_, _, found)| found.is_ok()).count();
    let networks = front(subjects, attacked, certified, found)?;
    let front = Front {
        format: FORMAT.into(),
        version: VERSION,
        device: device.map(|device| device.name.into()),
        budget: targets.iter().map(|target| target.budget).max_by_key(|budget| budget.lut).expect("a target"),
        clock_mhz: targets[0].clock_mhz,
        data,
        certified_data,
        plans,
        networks,
    };
    let written = args.output.as_ref().map_or(Ok(()), |path| report::write(&front, path));
    // The result is shown even where it could not be written: the work is done.
    ui.result(|| &front, text(&front, args))?;
    written
}

impl Args {
    /// Returns what to plan for: one target, or one per budget of LUTs.
    fn targets(&self, device: Option<&'static Device>) -> Vec<Target> {
        let all = device.map_or(Budget::NONE, Device::budget);
        let budget =
            Budget { bram: self.brams.unwrap_or(all.bram), dsp: self.dsps.unwrap_or(all.dsp), ..all };
        let target = Target {
            output: OutputArg::output(self.output_kind),
            detector: None,
            clock_mhz: self.mhz.unwrap_or(DEFAULT_CLOCK_MHZ),
            frames_per_second: None,
            device,
            budget,
            mac: self.mac.unwrap_or_default(),
            stream: None,
        };
        match &self.luts[..] {
            [] => vec![target],
            luts => luts.iter().map(|&lut| Target { budget: Budget { lut, ..budget }, ..target }).collect(),
        }
    }

    /// Lists what `network` is to be planned for.
    fn subject<'a>(&self, network: &'a Network, targets: &'a [Target]) -> Result<Subject<'a>> {
        let mut subject = Subject { model: Model::of(network), explorers: vec![], refused: vec![] };
        for target in targets {
            let planning = || format!("planning {}", network.name);
            let explorer = Explorer::new(network, target).with_context(planning)?;
            let asked = if !self.luts.is_empty() {
                vec![Asked::Luts(target.budget.lut)]
            } else if !self.fps.is_empty() {
                self.fps.iter().copied().map(Asked::FramesPerSecond).collect()
            } else {
                let speeds = explorer.speeds(self.points.into());
                subject.refused.extend(speeds.beyond.map(|(frames, why)| Refused {
                    asked: Asked::FramesPerSecond(frames),
                    why: why.to_string(),
                }));
                speeds.targets.into_iter().map(Asked::FramesPerSecond).collect()
            };
            subject.explorers.push((explorer, asked));
        }
        Ok(subject)
    }
}

/// Makes all plans, on all cores.
fn plans(ui: &Ui, subjects: &[Subject]) -> Result<Vec<Found>> {
    let mut all: Vec<(usize, &Explorer, Asked)> = vec![];
    for (n, subject) in subjects.iter().enumerate() {
        for (explorer, asked) in &subject.explorers {
            all.extend(asked.iter().map(|&asked| (n, explorer, asked)));
        }
    }
    let bar = ui.bar("planning", all.len() as u64, "plans");
    let one = |watch: Watch, &(n, explorer, asked): &(usize, &Explorer, Asked)| {
        if watch.stop.load(Ordering::Relaxed) {
            return Err(Stopped);
        }
        let frames = match asked {
            Asked::FramesPerSecond(frames) => Some(frames),
            Asked::Luts(_) => None,
        };
        let found = explorer.plan(frames);
        (watch.tick)(1);
        Ok((n, asked, found))
    };
    Ok(ui.study(&bar, |watch| all.par_iter().map(|asked| one(watch, asked)).collect())?)
}

/// Leaves the plans that no other one beats: of one network or, where the accuracy of all is known, of all
/// together.
fn front(
    subjects: Vec<Subject>,
    attacked: Option<Vec<Attacked>>,
    certified: Option<Vec<Certified>>,
    found: Vec<Found>,
) -> Result<Vec<Explored>> {
    let mut networks: Vec<Explored> = vec![];
    for (n, subject) in subjects.into_iter().enumerate() {
        let attacked = attacked.as_ref().map(|all| all[n].clone());
        let certified = certified.as_ref().map(|all| all[n].clone());
        let Subject { model, refused, .. } = subject;
        networks.push(Explored { model, attacked, certified, points: vec![], refused });
    }
    let mut made: Vec<(usize, Asked, Planned)> = vec![];
    for (n, asked, found) in found {
        match found {
            Ok(planned) => made.push((n, asked, planned)),
            // A network that cannot be built at all is no matter of size or speed.
            Err(error @ FoldError::Network(_)) => {
                return Err(error).with_context(|| format!("planning {}", networks[n].model.name));
            }
            Err(error) => networks[n].refused.push(Refused { asked, why: error.to_string() }),
        }
    }
    if made.is_empty() {
        let why = networks.iter().find_map(|network| Some((&network.model.name, network.refused.first()?)));
        match why {
            Some((name, refused)) => bail!("planning {name} for {}: {}", refused.asked.text(), refused.why),
            None => bail!("no plan was asked for"),
        }
    }
    let costs: Vec<Vec<u64>> = made.iter().map(|(n, _, planned)| costs(*n, &networks, planned)).collect();
    let left = undominated(&costs);
    for ((n, asked, planned), _) in made.into_iter().zip(left).filter(|(_, left)| *left) {
        networks[n].points.push(Point {
            asked,
            frames_per_second: planned.frames_per_second(),
            interval: planned.timing.interval,
            latency: planned.timing.latency,
            used: planned.used,
        });
    }
    networks.iter_mut().for_each(|network| network.points.sort_by_key(|p| (p.frames_per_second, p.used.lut)));
    Ok(networks)
}

/// Returns by what a plan of network `n` is compared; less is better.
fn costs(n: usize, networks: &[Explored], planned: &Planned) -> Vec<u64> {
    let mut costs = planned.costs();
    let accuracies = networks[n].accuracies("eps");
    costs.extend(accuracies.iter().map(|(_, tally)| (tally.total - tally.correct) as u64));
    if accuracies.is_empty() {
        // Networks that nothing is known of are not compared: of two of them each is better in one.
        costs.extend([n as u64, (networks.len() - n) as u64]);
    }
    costs
}

/// Lays the front out as a table, with what does not fit below.
fn text(front: &Front, args: &Args) -> String {
    let mut head: Vec<String> =
        ["network", "asked for", "frames/s", "latency, µs", "LUTs", "FF", "BRAM", "DSP"]
            .map(String::from)
            .into();
    let has_sprams = (1..u64::MAX).contains(&front.budget.spram);
    head.extend(has_sprams.then(|| "SPRAM".to_owned()));
    head.extend(front.networks[0].accuracies("eps").into_iter().map(|(name, _)| format!("{name}, %")));
    let mut rows: Vec<Vec<String>> = vec![];
    for network in &front.networks {
        for point in &network.points {
            let used = &point.used;
            let mut row = vec![network.model.name.clone(), point.asked.text()];
            row.extend([thousands(point.frames_per_second)]);
            row.extend([format!("{:.1}", point.microseconds(front.clock_mhz))]);
            row.extend([used.lut, used.ff, used.bram, used.dsp].map(thousands));
            row.extend(has_sprams.then(|| thousands(used.spram)));
            let accuracies = network.accuracies("eps");
            row.extend(accuracies.iter().map(|(_, tally)| format!("{:.2}", 100.0 * tally.accuracy)));
            rows.push(row);
        }
    }
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let device = front.device.as_ref().map_or(String::new(), |device| format!("{device}, "));
    let mut text = format!(
        "{}\n{device}{} MHz: {} of {} plans on the front\n",
        table(&head, &rows),
        front.clock_mhz,
        rows.len(),
        front.plans
    );
    for network in &front.networks {
        for refused in &network.refused {
            let (name, asked) = (&network.model.name, refused.asked.text());
            text.push_str(&format!("no plan: {name}, {asked}: {}\n", refused.why));
        }
    }
    if let Some(path) = &args.output {
        text.push_str(&format!("written: {}\n", path.display()));
    }
    text
}
