//! Implements `dq export`: turns a run into its exact network.

use crate::shared::args::{Bits, DataArg, Device};
use crate::shared::export::export;
use crate::shared::files::{Files, shown};
use crate::shared::table::thousands;
use crate::shared::ui::Ui;
use anyhow::Result;
use dq_net::{AnyNetwork, Network};
use dq_train::{BEST, Keep, LAST, METRICS, RECIPE};
use serde_json::json;
use std::path::PathBuf;

/// Export a run to its exact integer network (model.json)
///
/// Every threshold is found by bisection over the very float code that the model is
/// evaluated with, and both sides of every boundary are checked: the integer network
/// and the float evaluation model agree on every input. `--bits` re-quantizes the run
/// to another bit width: weights from the latent ones, batch normalization recalibrated
/// on training images, the proof redone. A float or partly float recipe exports as a
/// float network, which no hardware command accepts.
///
/// Examples:
///   dq export runs/signs-tiny-dq -o model.json
///   dq export runs/dq --bits 2,2 --data cifar10=data/cifar-10 -o w2a2.json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Folder of the run.
    run: PathBuf,
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
    /// The network's file.
    #[arg(short, long = "output", value_name = "MODEL")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let parts = [BEST, LAST, METRICS, RECIPE].map(|name| args.run.join(name));
    let files = parts.iter().fold(Files::default(), |files, path| files.read("RUN", path.as_path()));
    files.written("-o", args.output.as_path()).check()?;
    // A folder that may only be read, such as a shared one, exports all the same.
    let writable = dq_net::atomic::check(&args.run.join("calibrated.safetensors")).is_ok();
    let keep = if writable { Keep::InRun } else { Keep::Nowhere };
    let network = export(ui, &args.run, args.bits, &args.data, (keep, args.device))?;
    ui.check_stop("nothing was written")?;
    match &network {
        AnyNetwork::Integer(network) => {
            dq_net::write_network(network, &args.output)?;
            let (proof, summary) = proved(network);
            let hash = dq_net::content_hash(network);
            ui.result(
                || {
                    json!({"model": shown(&args.output), "kind": "integer", "quantized": "W+A",
                        "name": network.name,
                        "hash": hash, "proof": proof})
                },
                format!("{0}: {summary}\nhash {hash}\nnext: dq info {0}", args.output.display()),
            )
        }
        AnyNetwork::Float(network) => {
            dq_net::write_float(network, &args.output)?;
            ui.result(
                || {
                    json!({"model": shown(&args.output), "kind": "float", "quantized": network.quantized(),
                        "name": network.name})
                },
                format!(
                    "{}: float network {} ({}; not for hardware)",
                    args.output.display(),
                    network.name,
                    network.quantized()
                ),
            )
        }
    }
}

/// Returns the proof's figures, and a sentence that tells them.
fn proved(network: &Network) -> (serde_json::Value, String) {
    let Some(proof) = &network.proof else {
        return (serde_json::Value::Null, "not proved".into());
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
