//! `dq import`: an ONNX file to its exact network.

use crate::shared::files::{Files, shown};
use crate::shared::onnx::{self, NormalizationArgs};
use crate::shared::table::thousands;
use crate::shared::ui::Ui;
use anyhow::Result;
use dq_net::Network;
use dq_onnx::Report;
use serde_json::json;
use std::path::PathBuf;

/// Import an ONNX file as its exact integer network (model.json)
///
/// Takes QONNX (Quant, BipolarQuant, Trunc, MultiThreshold), QDQ and QOperator files.
/// Their meaning is the graph in exact arithmetic on the file's own constants: every
/// threshold is found by exact bisection and checked on both sides, and whole images go
/// through an exact interpreter of the graph. What has no exact integer network is
/// refused by name, all such nodes at once. The import also says where float32
/// execution would land on the other side of a threshold.
///
/// Examples:
///   dq import cnv-w2a2.onnx -o model.json
///   dq import mobilenet-qdq.onnx --mean 0.485,0.456,0.406 --std 0.225 -o model.json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// The ONNX file.
    #[arg(value_name = "ONNX")]
    onnx: PathBuf,
    #[command(flatten)]
    normalization: NormalizationArgs,
    /// The network's file.
    #[arg(short, long, value_name = "MODEL")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    Files::default().read("ONNX", args.onnx.as_path()).written("-o", args.output.as_path()).check()?;
    let imported = onnx::import(ui, &args.onnx, &args.normalization.options())?;
    ui.check_stop("nothing was written")?;
    let (network, report) = (&imported.network, &imported.report);
    dq_net::write_network(network, &args.output)?;
    let hash = dq_net::content_hash(network);
    let text = match report.as_written {
        true => format!(
            "{}: integer network {}: the file's graph is, operator by operator, what dq writes for it\nhash \
             {hash}",
            args.output.display(),
            network.name
        ),
        false => proved(args, network, report, &hash),
    };
    ui.result(
        || {
            json!({"model": shown(&args.output), "name": network.name, "hash": hash,
                "proof": network.proof, "import": report})
        },
        text,
    )
}

/// Tells what was proved of a network that was made of a graph.
fn proved(args: &Args, network: &Network, report: &Report, hash: &str) -> String {
    let (boundaries, probes) = network.proof.as_ref().map_or((0, 0), |p| (p.boundaries, p.probes));
    format!(
        "{model}: integer network {name} of {operators} operators, {input}\n\
             scores: {beside_zero}`{scores}`, {scale:.6e} per unit{offset}{rounded}\n\
             equal to its graph in exact arithmetic: {boundaries} boundaries checked on both sides, every \
             score of {probes} images\n\
             float32: {differs} of {accumulators} accumulators lie on the other side of a threshold, {ties} on \
             one exactly ({steps} steps, {thresholds} thresholds)\n\
             hash {hash}\nnext: dq info {model}",
        model = args.output.display(),
        name = network.name,
        operators = report.operators,
        input = report.input,
        scores = report.scores,
        beside_zero = if report.beside_zero { "0 and " } else { "" },
        scale = report.scale,
        offset = match report.offset {
            0.0 => String::new(),
            offset => format!(" plus {offset:.6e}"),
        },
        rounded = match (report.tolerance, report.in_order) {
            (0, _) => String::new(),
            (units, true) => format!("; labels are exact, scores within {units} units"),
            (units, false) => {
                format!("; scores are rounded to within {units} units: closer ones may change places")
            }
        },
        boundaries = thousands(boundaries),
        differs = thousands(report.float32_differs),
        ties = thousands(report.ties),
        accumulators = thousands(report.accumulators),
        steps = report.steps.len(),
        thresholds = thousands(report.thresholds),
    )
}
