//! Runs the checks of `dq verify`: float model, integer network, fast engine, netlist and Verilog agree.

mod engine;
mod float;
mod onnx;
mod rtl;

use super::data;
use super::table::thousands;
use super::ui::Ui;
use anyhow::Result;
use dq_data::Images;
use dq_hdl::design::Design;
use dq_net::Network;
use dq_sim::Engine;
use ndarray::Array4;
use serde::Serialize;
use std::path::Path;

/// Says what was verified.
#[derive(Debug, Serialize)]
pub struct Verified {
    ok: bool,
    model: String,
    hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    float: Option<float::Checked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    onnx: Option<onnx::Checked>,
    engine: engine::Checked,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtl: Option<rtl::Checked>,
}

/// Says how much is compared.
pub struct Frames {
    /// Number of test images on which engine and reference are compared.
    pub count: u64,
    /// Number of frames that go through Verilator.
    pub rtl: usize,
    /// Number of those frames that go through the netlist too.
    pub netlist: usize,
    /// Adversaries from which the frames are taken, N × H × W × C.
    pub stored: Option<Array4<u8>>,
    /// Whether the frames go through the synthesized cells too.
    pub gates: bool,
}

/// Holds what is compared.
pub struct Subject<'a> {
    /// The integer network, which the engine and the circuit must equal.
    pub network: &'a Network,
    /// The run that it was exported from: its float model must equal the network.
    pub run: Option<&'a Path>,
    /// The ONNX file that it was imported from, and how: it must import as the network again.
    pub onnx: Option<(&'a Path, &'a dq_onnx::Options)>,
    /// Test images, which are compared beside random ones.
    pub images: Option<&'a Images>,
    /// The circuit.
    pub design: Option<&'a Design>,
}

/// Makes all checks; the first difference is an error.
pub fn verify(ui: &Ui, subject: &Subject, frames: &Frames) -> Result<Verified> {
    let Subject { network, run, onnx, images, design } = *subject;
    if let Some(images) = images {
        data::check_fit(images, network.input(), network.classes())?;
    }
    let engine = Engine::new(network);
    let float = run.map(|run| float::check(ui, run, network, &engine, images)).transpose()?;
    let onnx = onnx.map(|(path, options)| onnx::check(ui, path, options, network)).transpose()?;
    let checked = engine::check(ui, &engine, images, frames.count)?;
    let rtl = design.map(|design| rtl::check(ui, design, &engine, images, frames)).transpose()?;
    let hash = dq_net::content_hash(network);
    Ok(Verified { ok: true, model: network.name.clone(), hash, float, onnx, engine: checked, rtl })
}

impl Verified {
    /// Tells people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some(float) = &self.float {
            text.push_str(&format!(
                "float    equal on every input: {} boundaries checked on both sides, every node on {} probes",
                thousands(float.boundaries),
                float.probes
            ));
            if float.images > 0 {
                text.push_str(&format!(
                    "; {} of {} logits of {} test images identical",
                    thousands((float.logits - float.differences) as u64),
                    thousands(float.logits as u64),
                    thousands(float.images as u64)
                ));
            }
            text.push('\n');
        }
        if let Some(onnx) = &self.onnx {
            text.push_str(&format!(
                "onnx     imports as this network: {} boundaries checked on both sides, every score of {} \
                 images\n",
                thousands(onnx.boundaries),
                onnx.probes
            ));
        }
        text.push_str(&format!(
            "engine   {} = reference: {} values of every node on {} random and {} test images\n",
            self.engine.kernel,
            thousands(self.engine.values),
            self.engine.random_images,
            self.engine.images
        ));
        if let Some(rtl) = &self.rtl {
            text.push_str(&format!(
                "rtl      Verilator = simulator: {} frames ({} adversarial), words and cycles, under random \
                 stalls of \
                 both sides and without; netlist = simulator: {} frames\n",
                rtl.frames, rtl.adversarial, rtl.netlist_frames
            ));
            text.push_str(&format!(
                "timing   every beat in the cycle that the plan computes; latency {}, interval {} cycles\n",
                thousands(rtl.latency),
                thousands(rtl.interval)
            ));
            if let Some(cells) = &rtl.cells {
                let cells: Vec<String> =
                    cells.iter().map(|(kind, count)| format!("{} {kind}", thousands(*count))).collect();
                text.push_str(&format!("gates    synthesized cells = simulator: {}\n", cells.join(", ")));
            }
        }
        text + "verified"
    }
}
