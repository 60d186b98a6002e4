//! Implements `dq export`: turns a run into its exact network, and an integer network into a QONNX file.

use crate::shared::args::{Bits, DataArg, Device};
use crate::shared::files::{Files, shown};
use crate::shared::table::thousands;
use crate::shared::ui::Ui;
use crate::torch::Export;
use anyhow::{Context, Result, bail};
use dq_net::{AnyNetwork, Network};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Export a run to its exact integer network (model.json), or a network to QONNX
///
/// Every threshold is found by bisection over the very float code that the model is
/// evaluated with, and both sides of every boundary are checked: the integer network
/// and the float evaluation model agree on every input. `--bits` re-quantizes the run
/// to another bit width: weights from the latent ones, batch normalization recalibrated
/// on training images, the proof redone. A float or partly float recipe exports as a
/// float network, which no hardware command accepts.
///
/// `--qonnx` writes the integer network for other tools: ONNX operators and
/// MultiThreshold on whole numbers, with FINN's data types. `dq import` makes the same
/// network of it again.
///
/// Examples:
///   dq export runs/signs-tiny-dq -o model.json
///   dq export runs/dq --bits 2,2 --data cifar10=data/cifar-10 -o w2a2.json
///   dq export model.json --qonnx model.onnx
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Folder of the run, or an integer network's file (for --qonnx).
    #[arg(value_name = "RUN")]
    source: PathBuf,
    /// Bits of weights and activations (default: the recipe's).
    #[arg(long, value_name = "W,A")]
    bits: Option<Bits>,
    /// The training set's folder, needed the first time a run is exported at a bit width; `signs` is built
    /// in.
    #[arg(long, value_name = "SET=DIR")]
    data: Vec<DataArg>,
    /// Where the float model is evaluated; the network is the same.
    #[arg(long, value_enum, default_value_t = Device::Auto)]
    device: Device,
    /// Write the integer network as QONNX too.
    #[arg(long, value_name = "ONNX")]
    qonnx: Option<PathBuf>,
    /// The network's file; not for a network that is one already.
    #[arg(short, long = "output", value_name = "MODEL", required_unless_present = "qonnx")]
    output: Option<PathBuf>,
}

impl Args {
    /// Says whether libtorch exports a run.
    pub fn exports_a_run(&self) -> bool {
        !self.source.is_file()
    }
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    if args.source.is_file() { network_of_file(ui, args) } else { run_of_folder(ui, args) }
}

/// Writes a network that is exported already as QONNX.
fn network_of_file(ui: &Ui, args: &Args) -> Result<()> {
    let (Some(qonnx), None) = (&args.qonnx, &args.output) else {
        bail!("{}: it is a network already: give --qonnx FILE, without -o", args.source.display());
    };
    if args.bits.is_some() || !args.data.is_empty() {
        bail!(
            "{}: --bits and --data re-quantize a run, and this is no folder of a run",
            args.source.display()
        );
    }
    Files::default().read("RUN", args.source.as_path()).written("--qonnx", qonnx.as_path()).check()?;
    let network = dq_net::read_network(&args.source)?;
    let (found, text) = write_qonnx(&network, qonnx)?;
    ui.result(|| found, text)
}

/// Writes `network` to `path` as QONNX, and tells of it.
fn write_qonnx(network: &Network, path: &Path) -> Result<(Value, String)> {
    let export = dq_onnx::export(network);
    dq_net::atomic::write(path, &export.bytes).with_context(|| format!("writing {}", path.display()))?;
    let operators = export.operators;
    let mut text = format!("{}: QONNX, {operators} operators", path.display());
    if let Some(first) = export.inexact.first() {
        text += &format!(
            "\nvalues beyond ±2^24 in {} nodes, `{first}` the first: an executor in float32 may round there",
            export.inexact.len()
        );
    }
    Ok((json!({"qonnx": shown(path), "operators": operators, "inexact": export.inexact}), text))
}

/// Exports the run.
fn run_of_folder(ui: &Ui, args: &Args) -> Result<()> {
    let torch = ui.torch()?;
    let parts: Vec<PathBuf> = torch.files_of_run().iter().map(|name| args.source.join(name)).collect();
    let files = parts.iter().fold(Files::default(), |files, path| files.read("RUN", path.as_path()));
    files.written("-o", args.output.as_deref()).written("--qonnx", args.qonnx.as_deref()).check()?;
    // A folder that may only be read, such as a shared one, exports all the same.
    let keep = dq_net::atomic::check(&args.source.join("calibrated.safetensors")).is_ok();
    let export = Export { run: &args.source, bits: args.bits, data: &args.data, device: args.device, keep };
    let network = torch.export(ui, &export)?;
    ui.check_stop("nothing was written")?;
    match &network {
        AnyNetwork::Integer(network) => integer(ui, args, network),
        AnyNetwork::Float(network) => {
            let Some(output) = args.output.as_deref().filter(|_| args.qonnx.is_none()) else {
                bail!("--qonnx: expected an integer network, and this run is a float one");
            };
            dq_net::write_float(network, output)?;
            ui.result(
                || {
                    json!({"model": shown(output), "kind": "float", "quantized": network.quantized(),
                        "name": network.name})
                },
                format!(
                    "{}: float network {} ({}; not for hardware)",
                    output.display(),
                    network.name,
                    network.quantized()
                ),
            )
        }
    }
}

/// Writes the integer network of a run.
fn integer(ui: &Ui, args: &Args, network: &Network) -> Result<()> {
    if let Some(output) = &args.output {
        dq_net::write_network(network, output)?;
    }
    let (proof, mut text) = proved(network);
    let hash = dq_net::content_hash(network);
    text += &format!("\nhash {hash}");
    let mut found =
        json!({"kind": "integer", "quantized": "W+A", "name": network.name, "hash": hash, "proof": proof});
    if let Some(qonnx) = &args.qonnx {
        let (written, line) = write_qonnx(network, qonnx)?;
        found["qonnx"] = written;
        text += &format!("\n{line}");
    }
    if let Some(output) = &args.output {
        found["model"] = json!(shown(output));
        text = format!("{0}: {text}\nnext: dq info {0}", output.display());
    }
    ui.result(|| found, text)
}

/// Returns the proof's figures, and a sentence that tells them.
fn proved(network: &Network) -> (Value, String) {
    let Some(proof) = &network.proof else {
        return (Value::Null, "not proved".into());
    };
    let sentence = format!(
        "integer network {} (W+A), equal to its float model: {} boundaries checked on both sides, \
         every node on {} probes",
        network.name,
        thousands(proof.boundaries),
        proof.probes
    );
    (serde_json::to_value(proof).unwrap_or_default(), sentence)
}
