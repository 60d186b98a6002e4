//! Implements `dq demo`: runs the whole path on the built-in data set, and prints one table.

use crate::shared::args::at_least_one;
use crate::shared::attack::run_suite;
use crate::shared::circuit::{Extras, emit};
use crate::shared::plan::PlanArgs;
use crate::shared::table::{percent, table, thousands};
use crate::shared::ui::{Interrupted, Ui};
use crate::shared::verify::{self, Frames, Verified};
use crate::torch::{Lesson, Trained};
use anyhow::{Context, Result};
use dq_data::{Images, Split, load};
use dq_hdl::design::Design;
use dq_hdl::emit::Report as Circuit;
use dq_report::gallery::Gallery;
use dq_report::{Reports, document};
use dq_sim::WhiteBox;
use dq_sim::attack::suite::{Subject, Suite};
use dq_sim::attack::{PAPER, Start};
use dq_sim::nodes::{NodeInfo, node_infos};
use dq_sim::report::Report;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Run the whole path on the built-in data set, in minutes
///
/// Trains two 4-bit networks on drawn traffic signs, one vanilla and one with defensive
/// quantization, exports both to exact integer networks, emits their Verilog, verifies
/// that float model, simulator, netlist and Verilog agree, attacks both, and prints one
/// table. Everything is kept in the output folder; a second call goes on where the
/// first was stopped.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Folder for runs, models, Verilog and report.json.
    #[arg(short, long = "output", value_name = "DIR", default_value = "demo")]
    output: PathBuf,
    /// Epochs of training (default: the recipes').
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    epochs: Option<u32>,
    /// Attack and measure on the first N test images only (default: all 2,000).
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    count: Option<u64>,
}

/// Both recipes, as they are in `recipes/`.
const RECIPES: [(&str, &str); 2] = [
    ("recipes/signs-tiny-vanilla.toml", include_str!("../../recipes/signs-tiny-vanilla.toml")),
    ("recipes/signs-tiny-dq.toml", include_str!("../../recipes/signs-tiny-dq.toml")),
];

/// Holds what `demo/report.json` says.
#[derive(Serialize)]
struct Demo {
    format: &'static str,
    seconds: f64,
    networks: Vec<Member>,
}

#[derive(Serialize)]
struct Member {
    name: String,
    beta: f64,
    macs: u64,
    layers: Vec<NodeInfo>,
    circuit: Circuit,
    verified: Verified,
    attacks: Report,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let start = Instant::now();
    std::fs::create_dir_all(&args.output)
        .with_context(|| format!("{}: making the folder", args.output.display()))?;
    let images = load("signs", None, Split::Train)?;
    let test = crate::shared::data::first(load("signs", None, Split::Test)?, args.count);
    let mut networks = Vec::new();
    for (origin, recipe) in RECIPES {
        let mut overrides: Vec<String> = args.epochs.iter().map(|n| format!("train.epochs={n}")).collect();
        overrides.extend(ui.global.seed.map(|seed| format!("train.seed={seed}")));
        let (images, folder) = (&images, args.output.as_path());
        let lesson = Lesson { origin, recipe, overrides: &overrides, images, folder };
        networks.push(member(ui, &lesson, &test)?);
        ui.note("");
    }
    let demo = Demo { format: "dq-demo-report", seconds: start.elapsed().as_secs_f64(), networks };
    let path = args.output.join("report.json");
    let mut text = serde_json::to_string_pretty(&demo)?;
    text.push('\n');
    dq_net::atomic::write(&path, text.as_bytes()).with_context(|| format!("{}: writing", path.display()))?;
    let page = args.output.join("report.html");
    let reports = Reports::new(document::read(&path)?)?;
    let html = dq_report::page(&reports, &Gallery::default());
    dq_net::atomic::write(&page, html.as_bytes()).with_context(|| format!("{}: writing", page.display()))?;
    ui.result(
        || &demo,
        demo.text(&path)
            + &format!(
                "
as a page: {}",
                page.display()
            ),
    )
}

/// Trains, exports, emits, verifies and attacks one network.
fn member(ui: &Ui, lesson: &Lesson, test: &Images) -> Result<Member> {
    let output = lesson.folder;
    let Trained { name, beta, run, network } = ui.torch()?.demo(ui, lesson)?;
    dq_net::write_network(&network, &output.join(format!("{name}.json")))?;
    let design = Design::new(&network, &PlanArgs::default().plan(&network, None)?)?;
    let emission = emit(&design, &output.join(format!("{name}-rtl")), Extras::default(), None)?;
    ui.note(format!("{name}: Verilog emitted ({} files)", emission.files.len()));
    let frames = Frames { count: 100, rtl: 4, netlist: 1, gates: false, stored: None };
    let compared = verify::Subject {
        network: &network,
        run: Some(&run),
        onnx: None,
        images: Some(test),
        design: Some(&design),
    };
    let verified = verify::verify(ui, &compared, &frames)?;
    ui.note(verified.text());
    let white_box = WhiteBox::new(&network);
    let attacks = PAPER.iter().map(|name| (*name).to_owned()).collect();
    let suite = Suite {
        attacks,
        eps: vec![2, 8, 16],
        seed: ui.seed(),
        start: Start::Signs,
        sequential: false,
        shard: None,
    };
    let subject = Subject { target: &white_box, substitute: None, images: test };
    let attacks = run_suite(ui, &subject, &suite, None, None)?;
    if !attacks.complete {
        let kept = format!("runs and models are kept in {}; the same command goes on", output.display());
        return Err(Interrupted(kept).into());
    }
    Ok(Member {
        name,
        beta,
        macs: (0..network.nodes().len()).map(|i| network.macs(i)).sum(),
        layers: node_infos(&network),
        circuit: emission.report,
        verified,
        attacks,
    })
}

impl Demo {
    fn text(&self, path: &Path) -> String {
        let head: Vec<&str> = ["", &self.networks[0].name, &self.networks[1].name].to_vec();
        let mut rows: Vec<Vec<String>> = Vec::new();
        let mut row = |label: String, cell: &dyn Fn(&Member) -> String| {
            rows.push([label].into_iter().chain(self.networks.iter().map(cell)).collect());
        };
        row("clean accuracy, %".into(), &|m| percent(&m.attacks.clean));
        for (i, run) in self.networks[0].attacks.runs.iter().enumerate() {
            row(format!("{} eps {}, %", run.attack, run.eps), &|m| percent(&m.attacks.runs[i].tally));
        }
        for (i, layer) in self.networks[0].layers.iter().enumerate() {
            if layer.lipschitz.is_some() {
                row(format!("Lipschitz {}", layer.name), &|m| {
                    m.layers[i].lipschitz.map_or_else(String::new, |norm| format!("{norm:.3}"))
                });
            }
        }
        row("MACs per frame".into(), &|m| thousands(m.macs));
        row("cycles per frame".into(), &|m| thousands(m.circuit.timing.interval));
        row("LUT4, estimated".into(), &|m| thousands(m.circuit.estimate.total.lut));
        format!(
            "{}\nIn brackets: Wilson 95 % intervals. Lipschitz: largest singular value of the layer as \
             the circuit computes it,\nfrom its input's real value to its pre-activation's (batch \
             normalization included).\n{}{}\
             {:.0} s; everything in {}, figures in {}",
            table(&head, &rows),
            self.findings(),
            self.doubts(),
            self.seconds,
            path.parent().unwrap_or(path).display(),
            path.display()
        )
    }

    /// Tells what the paper says of DQ, and whether these figures show it.
    fn findings(&self) -> String {
        let [vanilla, dq] = [&self.networks[0].attacks, &self.networks[1].attacks];
        let mut text =
            String::from("The paper: DQ keeps clean accuracy and raises accuracy under attack. Here:\n");
        let mut line = |what: &str, a: &dq_sim::report::Tally, b: &dq_sim::report::Tally| {
            let gain = 100.0 * (b.accuracy - a.accuracy);
            let apart = b.interval[0] > a.interval[1] || a.interval[0] > b.interval[1];
            let certainty = if apart { "" } else { " (the intervals overlap)" };
            text.push_str(&format!("  {what:13} {gain:+6.2} points{certainty}\n"));
        };
        line("clean", &vanilla.clean, &dq.clean);
        for (a, b) in vanilla.runs.iter().zip(&dq.runs) {
            line(&format!("{} eps {}", a.attack, a.eps), &a.tally, &b.tally);
        }
        text
    }

    fn doubts(&self) -> String {
        let doubts = self.networks.iter().flat_map(|m| m.attacks.doubts.iter().map(move |d| (m, d)));
        doubts.map(|(m, d)| format!("DOUBT {} ({}): {}\n", d.rule, m.name, d.text)).collect()
    }
}
