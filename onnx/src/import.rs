//! Imports a file: reads it, lowers its graph, and proves the network.

use crate::channels_last;
use crate::error::ImportError;
use crate::expand::expand;
use crate::export::original;
use crate::fold::fold_graph;
use crate::graph::Graph;
use crate::lower::{Failure, Image, Normalization, lower};
use crate::proof::{Doubt, StepReport, prove};
use crate::scan;
use crate::watch::Watch;
use dq_net::{Network, Provenance};
use serde::Serialize;
use std::path::Path;

/// What an import needs beside the file.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How pixels become the graph's input.
    pub normalization: Normalization,
    /// Which output holds the scores, where the graph has several.
    pub output: Option<String>,
    /// Name of the network; the file's where there is none.
    pub name: Option<String>,
    /// Whether scores of several scales may be rounded where no whole factors keep them in order: a label may
    /// then differ from the graph's where two scores lie within twice the tolerance.
    pub round_scores: bool,
}

impl Options {
    /// Whether nothing was asked for.
    fn is_default(&self) -> bool {
        let Normalization { reading, mean, std } = &self.normalization;
        reading.is_none()
            && mean.is_empty()
            && std.is_empty()
            && self.output.is_none()
            && self.name.is_none()
            && !self.round_scores
    }
}

/// An imported network and what is to be said of it.
pub struct Import {
    /// The network, with its proof and where it comes from.
    pub network: Network,
    /// What was done.
    pub report: Report,
}

/// What an import did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// SHA-256 of the file.
    pub sha256: String,
    /// Whether the graph is, operator by operator, what this program writes for the network in the file's
    /// metadata: it is that network then, and its proof is the one that it came with.
    pub as_written: bool,
    /// Operators of the graph that the scores need.
    pub operators: usize,
    /// How pixels became the graph's input.
    pub input: String,
    /// Tensor of the graph that holds the scores.
    pub scores: String,
    /// Real value of one unit of a score.
    pub scale: f64,
    /// What every score lacks of the graph's value.
    pub offset: f64,
    /// Units that a score may lie off the graph's: 0 where scores are exact.
    pub tolerance: i32,
    /// Whether every order of two scores, and with it every label, is that of the graph.
    pub in_order: bool,
    /// Whether the graph has one output: it is score 1 then, and score 0 is always that of the real value 0,
    /// so that the label says whether the output is above 0.
    pub beside_zero: bool,
    /// The Steps.
    pub steps: Vec<StepReport>,
    /// Thresholds that some accumulator crosses, in all.
    pub thresholds: u64,
    /// Pairs of channel and accumulator that the Steps can meet.
    pub accumulators: u64,
    /// Those of them that float32 execution puts on the other side of a threshold.
    pub float32_differs: u64,
    /// Those of them that lie on a threshold exactly: sums in float32, which round, may put them on either
    /// side.
    pub ties: u64,
}

/// Imports the file at `path`.
///
/// # Errors
/// If it cannot be read, is no sound ONNX model, or has nodes without an exact integer meaning, all of which
/// are listed.
pub fn import(path: &Path, options: &Options) -> Result<Import, ImportError> {
    Watch::nobody(|watch| import_watched(path, options, watch))
}

/// Imports the file at `path`, as [`import()`] does, and tells `watch` of its progress.
///
/// # Errors
/// As [`import()`], and [`ImportError::Stopped`] soon after the flag of `watch` is set.
pub fn import_watched(path: &Path, options: &Options, watch: Watch) -> Result<Import, ImportError> {
    match import_file(path, options, watch) {
        Err(_) if watch.is_stopped() => Err(ImportError::Stopped { path: path.into() }),
        found => found,
    }
}

fn import_file(path: &Path, options: &Options, watch: Watch) -> Result<Import, ImportError> {
    let file = |reason: String| ImportError::File { path: path.into(), reason };
    let bytes = scan::bytes(path, scan::MAX_BYTES)?;
    let model = scan::decode(&bytes).map_err(file)?;
    let sha256 = dq_net::sha256(&bytes);
    drop(bytes);
    if options.is_default()
        && let Some(network) = original(&model)
    {
        return Ok(as_written(network, sha256));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut graph = Graph::read(&model, folder, options.output.as_deref()).map_err(file)?;
    expand(&mut graph).map_err(file)?;
    channels_last::rewrite(&mut graph).map_err(file)?;
    let operators = graph.ops.len();
    fold_graph(&mut graph);
    drop(model);
    let image = Image::read(&graph, &options.normalization).map_err(file)?;
    let lowered = lower(&graph, image, options.round_scores, watch).map_err(|failure| match failure {
        Failure::File(reason) => file(reason),
        Failure::Nodes(nodes) => ImportError::Nodes { path: path.into(), nodes },
    })?;
    let name = options.name.clone().unwrap_or_else(|| network_name(path));
    let mut network = lowered.builder.network(&name).map_err(file)?;
    let (proof, steps) = prove(&graph, &lowered.image, (&lowered.steps, &lowered.head), &network, watch)
        .map_err(|doubt| match doubt {
            Doubt::Differs(reason) => ImportError::Proof { path: path.into(), reason },
            Doubt::Beyond(reason) => ImportError::Unproved { path: path.into(), reason },
        })?;
    let report = Report {
        sha256: sha256.clone(),
        as_written: false,
        operators,
        input: lowered.image.assumed(),
        scores: lowered.head.tensor.clone(),
        scale: lowered.head.scale.to_f64(),
        offset: lowered.head.offset.to_f64(),
        tolerance: lowered.head.tolerance,
        in_order: lowered.head.in_order,
        beside_zero: lowered.head.beside_zero,
        thresholds: steps.iter().map(|s| s.thresholds).sum(),
        accumulators: steps.iter().map(|s| s.accumulators).sum(),
        float32_differs: steps.iter().map(|s| s.float32_differs).sum(),
        ties: steps.iter().map(|s| s.ties).sum(),
        steps,
    };
    network.proof = Some(proof);
    network.provenance = Provenance {
        generator: format!("dq {}", env!("CARGO_PKG_VERSION")),
        onnx: sha256,
        ..Default::default()
    };
    Ok(Import { network, report })
}

/// Returns the network that a file was written from.
fn as_written(network: Network, sha256: String) -> Import {
    let nodes = network.nodes();
    let report = Report {
        sha256,
        as_written: true,
        operators: nodes.len(),
        input: match network.input().has_pixels() {
            true => "uint8 pixels as they are".into(),
            false => format!("levels 0 to {} as they are", network.input().top()),
        },
        scores: nodes.last().map_or(String::new(), |node| node.name.clone()),
        scale: 1.0,
        offset: 0.0,
        tolerance: 0,
        in_order: true,
        beside_zero: false,
        steps: vec![],
        thresholds: 0,
        accumulators: 0,
        float32_differs: 0,
        ties: 0,
    };
    Import { network, report }
}

/// Returns a name for the network of a file.
fn network_name(path: &Path) -> String {
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || ['-', '_', '.'].contains(&c) { c } else { '_' };
    let name: String = stem.chars().take(128).map(plain).collect();
    if name.is_empty() { "imported".into() } else { name }
}
