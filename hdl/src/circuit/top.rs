//! Builds the top: the graph of stages, AXI4-Stream at both ends, and the control port where the plan has
//! one. It holds only instances and wires.

use super::weight_ports::{self, weight_ports};
use crate::control;
use crate::pipeline::{Source, Stage};
use crate::plan::{Control, Plan};
use crate::rtl::{Direction, Group, Module, words::words_for};
use crate::stage::parameters::{LOAD_PORTS, SPRAM_PORTS};
use dq_net::Network;

/// Name of the instance of the control port.
pub const CONTROL: &str = "control";
/// Name of the instance of the loader from flash.
const BOOT: &str = "boot";

/// Returns the circuit of `network` as `stages`.
///
/// Its ports are `clk`, `rst` (synchronous, high), `s_axis_*` (a pixel per beat, channel 0 in the low bits),
/// `m_axis_*` (a score or the label per beat), `error` (a frame came with a wrong `tlast`; until reset), and
/// with a control port `s_axil_*`; for each node whose weights come from outside `s_axis_<node>_*`, whose
/// `tlast` ends a round of words. Where labels say whether they are proved, `m_axis_tuser` does. Where
/// parameters come from a flash, it has `boot_data` and `boot_valid`,
/// `booted` and `boot_failed` ([`control::boot`]): until `booted` the stages are in reset.
pub fn module(network: &Network, plan: &Plan, stages: &[Stage]) -> Module {
    let (first, last) = (&stages[0], stages.last().expect("a pipeline has stages"));
    let mut g = Group::new("top", &note(network, plan, stages));
    g.input("s_axis_tdata", first.site.input.width().next_multiple_of(8));
    g.input("s_axis_tvalid", 1);
    g.output("s_axis_tready", 1);
    g.input("s_axis_tlast", 1);
    g.output("m_axis_tdata", last.site.output.width());
    if plan.proved_radius.is_some() {
        g.output("m_axis_tuser", 1);
    }
    g.output("m_axis_tvalid", 1);
    g.input("m_axis_tready", 1);
    g.output("m_axis_tlast", 1);
    weight_ports::declare(&mut g, stages);
    g.output("error", 1);
    let modules: Vec<Module> = stages.iter().map(Stage::module).collect();
    for (stage, module) in stages.iter().zip(&modules) {
        g.child(&stage.site.name, module);
    }
    for (_, source, sink) in streams(stages) {
        g.stream(&source, &sink);
    }
    for port in ["s_axis_tdata", "s_axis_tvalid", "s_axis_tlast"] {
        g.link(port, &format!("{}.{port}", first.site.name));
    }
    g.link(&format!("{}.s_axis_tready", first.site.name), "s_axis_tready");
    let error = weight_ports::link(&mut g, stages);
    g.link(&error, "error");
    for port in ["m_axis_tdata", "m_axis_tvalid", "m_axis_tlast"] {
        g.link(&format!("{}.{port}", last.site.name), port);
    }
    if plan.proved_radius.is_some() {
        g.link(&format!("{}.m_axis_tuser", last.site.name), "m_axis_tuser");
    }
    g.link("m_axis_tready", &format!("{}.m_axis_tready", last.site.name));
    if plan.control != Control::None {
        link_control(&mut g, stages, &modules, &error);
    }
    if plan.boots() {
        link_boot(&mut g, stages, &modules);
    }
    g.build()
}

/// Returns what stands above the module: the network, and what each port carries.
fn note(network: &Network, plan: &Plan, stages: &[Stage]) -> String {
    let (first, last) = (&stages[0], stages.last().expect("a pipeline has stages"));
    let shape = network.input_shape();
    let bits = first.site.output.bits;
    let mut note = format!(
        "Network `{}`: {} x {} x {} pixels of {} bits in, {} classes.\n\
         s_axis: row-major, one pixel a beat, channel 0 in the low {}, tlast on a frame's last beat.\n\
         m_axis: tlast on a frame's last beat. error: a frame came with a wrong tlast (sticky).",
        network.name.escape_default(),
        shape.height,
        shape.width,
        shape.channels,
        bits,
        network.classes(),
        if bits == 8 { "byte" } else { "bits" },
    );
    if let Some(squeezing) = plan.detector {
        note += &format!(
            "\nDetector ({squeezing}): each frame passes twice, as it is and squeezed.\n\
             m_axis_tdata: the label of the first pass in the low bits; bit {}: that of the second one \
             differs,\n\
             the image is flagged.",
            last.site.output.width() - 1
        );
    }
    if let Some(radius) = plan.proved_radius {
        note += &format!(
            "\nm_axis_tuser: no image within Euclidean distance {radius} of this one, in levels of its elements, \
             has another label."
        );
    }
    for port in weight_ports(stages) {
        note += &format!(
            "\n{}: weights, again and again ({}.v); tlast on a round's last beat.",
            port.name(),
            port.stage.site.name
        );
    }
    note
}

/// Returns every stream between two stages: where it comes from, and the names of its ends.
fn streams(stages: &[Stage]) -> impl Iterator<Item = (Source, String, String)> {
    stages.iter().flat_map(move |reader| {
        reader.site.sources.iter().enumerate().map(move |(port, &from)| {
            let producer = &stages[from.stage].site;
            let source = format!("{}.{}", producer.name, producer.output_port(from.port));
            (from, source, format!("{}.{}", reader.site.name, reader.site.input_port(port)))
        })
    })
}

/// Adds the loader from flash and its wires to the memories that it fills; all stages are in reset until it
/// is done.
fn link_boot(g: &mut Group, stages: &[Stage], modules: &[Module]) {
    g.input("boot_data", 32);
    g.input("boot_valid", 1);
    g.output("booted", 1);
    g.output("boot_failed", 1);
    let memories: Vec<(usize, usize)> =
        modules.iter().flat_map(Module::filled_rams).map(|m| (m.0, m.1.len() / words_for(m.0))).collect();
    g.child(BOOT, &control::boot(control::identity(stages), &memories));
    for (from, to) in [
        ("boot_data", "boot.boot_data"),
        ("boot_valid", "boot.boot_valid"),
        ("boot.is_booted", "booted"),
        ("boot.has_failed", "boot_failed"),
    ] {
        g.link(from, to);
    }
    for stage in stages {
        g.reset(&stage.site.name, "boot.reset");
    }
    let filled = stages.iter().zip(modules).filter(|(_, module)| module.port(SPRAM_PORTS[0]).is_some());
    for (i, (stage, _)) in filled.enumerate() {
        for (from, to) in ["write", "at", "word"].iter().zip(SPRAM_PORTS) {
            g.link(&format!("{BOOT}.{from}{i}"), &format!("{}.{to}", stage.site.name));
        }
    }
}

/// Adds the control port and its wires to all stages.
fn link_control(g: &mut Group, stages: &[Stage], modules: &[Module], error: &str) {
    let (first, last) = (&stages[0], stages.last().expect("a pipeline has stages"));
    let loads = |module: &&Module| module.port(LOAD_PORTS[0]).is_some();
    let loadable = modules.iter().filter(loads).count();
    let port = control::module(control::identity(stages), stages.len(), loadable);
    for outer in port.ports().into_iter().filter(|port| port.name.starts_with("s_axil_")) {
        g.add_port(&outer.name, outer.width, outer.direction);
    }
    g.child(CONTROL, &port);
    for outer in port.ports().into_iter().filter(|port| port.name.starts_with("s_axil_")) {
        let inner = format!("{CONTROL}.{}", outer.name);
        match outer.direction {
            Direction::In => g.link(&outer.name, &inner),
            Direction::Out => g.link(&inner, &outer.name),
        }
    }
    for (from, to) in
        [("s_axis_tvalid", "in_valid"), ("s_axis_tlast", "in_last"), ("m_axis_tready", "out_ready")]
    {
        g.link(from, &format!("{CONTROL}.{to}"));
    }
    for (stage, from, to) in [
        (first, "s_axis_tready", "in_ready"),
        (last, "m_axis_tvalid", "out_valid"),
        (last, "m_axis_tlast", "out_last"),
    ] {
        g.link(&format!("{}.{from}", stage.site.name), &format!("{CONTROL}.{to}"));
    }
    g.link(error, &format!("{CONTROL}.error"));
    g.link(&format!("{CONTROL}.hold"), &format!("{}.hold", first.site.name));
    // A fork is counted at its first reader.
    for (Source { stage, .. }, source, sink) in streams(stages).filter(|(from, ..)| from.port == 0) {
        g.link(&format!("{source}_valid"), &format!("{CONTROL}.valid{stage}"));
        g.link(&format!("{sink}_ready"), &format!("{CONTROL}.ready{stage}"));
    }
    let i = stages.len() - 1;
    g.link(&format!("{}.m_axis_tvalid", last.site.name), &format!("{CONTROL}.valid{i}"));
    g.link("m_axis_tready", &format!("{CONTROL}.ready{i}"));
    let loaded = stages.iter().zip(modules).filter(|(_, module)| module.port(LOAD_PORTS[0]).is_some());
    for (i, (stage, _)) in loaded.enumerate() {
        for port in &LOAD_PORTS[..3] {
            g.link(&format!("{CONTROL}.{port}"), &format!("{}.{port}", stage.site.name));
        }
        g.link(&format!("{CONTROL}.select{i}"), &format!("{}.{}", stage.site.name, LOAD_PORTS[3]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Family;
    use crate::pipeline::build::{Build, Goal};
    use crate::pipeline::{self, detector};
    use crate::plan::{self, Output};
    use crate::rtl::Sim;
    use crate::stage::egress::Egress;
    use dq_net::layer::{Dense, Input, Layer, Logits};
    use dq_net::{Node, Shape, Squeezing, random};
    use ndarray::{Array2, Array3};

    /// Returns a network of images of `shape`; what it computes does not matter.
    fn network(shape: Shape) -> Network {
        let weights = Array2::from_shape_fn((2, shape.len()), |(o, _)| 2 * o as i8 - 1);
        let node = |name: &str, layer, inputs: &[&str]| Node {
            name: name.into(),
            layer,
            inputs: inputs.iter().map(|input| (*input).into()).collect(),
        };
        let nodes = vec![
            node("image", Layer::Input(Input::pixels(shape)), &[]),
            node("dense", Layer::Dense(Dense { weights, weight_bits: 2 }), &["image"]),
            node("logits", Layer::Logits(Logits { bias: vec![0; 2], scale: 1.0 }), &["dense"]),
        ];
        Network::new("seen", nodes).unwrap()
    }

    /// Returns the circuit of `network` cut behind the passes of its detector: it gives all that the network
    /// would take, a colour per beat.
    fn cut(network: &Network, squeezing: Squeezing) -> Module {
        let plan = plan::with_detector(network, squeezing).unwrap();
        let mut stages = pipeline::stages(network, &plan).unwrap();
        let at = stages.iter().position(|stage| stage.site.name == "detector_passes").unwrap();
        stages.truncate(at + 1);
        let goal = Goal {
            family: Family::default(),
            output: Output::Label,
            control: Control::None,
            detects: true,
            lead: None,
        };
        let mut stream = Build::feed(stages[at].site.output);
        stream.source.stage = at;
        let mut build = Build::new(goal);
        (build.stages, build.name) = (stages, "cut".into());
        let stream = build.convert("", stream, 1);
        let beats = detector::PASSES * network.input_shape().len();
        build.add("_egress", &[stream], stream.lanes, Egress { beats, user: false });
        module(network, &plan, &build.stages)
    }

    /// Sends `frames` through `top` and returns what leaves, in time for `wanted` values and more.
    fn drive(top: &Module, frames: &[Array3<u8>], wanted: usize) -> Vec<u8> {
        let pixels: Vec<u64> = frames
            .iter()
            .flat_map(|frame| {
                let word = |pixel: &[u8]| pixel.iter().rev().fold(0, |word, &c| word << 8 | u64::from(c));
                frame.as_slice().unwrap().chunks(frame.dim().2).map(word).collect::<Vec<_>>()
            })
            .collect();
        let mut sim = Sim::new(top);
        sim.reset();
        let [data, valid, ready, last] =
            ["tdata", "tvalid", "tready", "tlast"].map(|port| sim.port(&format!("s_axis_{port}")));
        let [out, out_valid, out_ready] =
            ["tdata", "tvalid", "tready"].map(|port| sim.port(&format!("m_axis_{port}")));
        let (per_frame, mut next, mut found) = (pixels.len() / frames.len(), 0, vec![]);
        sim.set(out_ready, 1);
        for _ in 0..100 * wanted + 1_000 {
            sim.set(valid, u64::from(next < pixels.len()));
            sim.set(data, pixels.get(next).copied().unwrap_or(0));
            sim.set(last, u64::from((next + 1) % per_frame == 0));
            if sim.get(out_valid) == 1 {
                found.push(sim.get(out) as u8);
            }
            next += usize::from(next < pixels.len() && sim.get(ready) == 1);
            sim.clock();
        }
        found
    }

    /// Labels hardly ever tell colours apart that differ by one, so the colours themselves are compared.
    #[test]
    fn the_network_behind_a_detector_sees_each_image_and_its_squeezed_form() {
        for seed in 0..28u64 {
            let small = |n: u64| 1 + (seed / n) as usize % 9;
            let shape = Shape::new(small(1), small(2), 1 + seed as usize % 3);
            let bits = 1 + seed % 7;
            let squeezing = [format!("bits={bits},median"), format!("bits={bits}"), "median".into()];
            let squeezing: Squeezing = squeezing[(seed / 7) as usize % 3].parse().unwrap();
            let frames: Vec<Array3<u8>> =
                (0..3).map(|i| random::image(10 * seed + i, Input::pixels(shape))).collect();
            let passes = |frame: &Array3<u8>| [frame.clone(), squeezing.eval(frame.view())];
            let wanted: Vec<u8> = frames.iter().flat_map(passes).flatten().collect();
            let found = drive(&cut(&network(shape), squeezing), &frames, wanted.len());
            assert_eq!(found, wanted, "seed {seed}, {squeezing}");
        }
        // Every colour becomes what it must.
        let shape = Shape::new(16, 16, 1);
        let colours = Array3::from_shape_fn(shape.dim(), |(y, x, _)| (16 * y + x) as u8);
        for bits in 1..8 {
            let squeezing: Squeezing = format!("bits={bits}").parse().unwrap();
            let found = drive(&cut(&network(shape), squeezing), std::slice::from_ref(&colours), 512);
            let most = f64::from((1u32 << bits) - 1);
            let rounded = |p: u8| ((f64::from(p) * most / 255.0).round() * 255.0 / most).round() as u8;
            assert!(found[256..].iter().copied().eq((0..=255).map(rounded)), "{bits} bits");
        }
    }
}
