//! Tests the synthesis of emitted circuits: the estimates are near Yosys's counts, and only the products that are
//! to become DSP blocks do.

use super::{common, emitted};
use dq_hdl::design::Design;
use dq_hdl::device::Family;
use dq_hdl::emit::{Emission, emit};
use dq_hdl::estimate::Resources;
use dq_hdl::plan::{Mac, Memory, Output, Plan};
use dq_hdl::tool::synthesis::NETLIST;
use dq_hdl::{plan, tool};
use dq_net::layer::{BitDepth, Conv, Dense, GlobalSum, Input, Logits, Step, Surrogate};
use dq_net::random::{self, Options};
use dq_net::{Layer, Network, Shape};
use ndarray::{Array2, Array4};
use std::path::Path;

/// Returns a cell's count in the output of Yosys's `stat`.
fn cells(text: &str, cell: &str) -> u64 {
    let count = |line: &str| {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some(count), Some(name)) if name == cell => count.parse::<u64>().ok(),
            (Some(name), Some(count)) if name == cell => count.parse().ok(),
            _ => None,
        }
    };
    text.lines().rev().find_map(count).unwrap_or(0)
}

/// Returns what synthesis makes of a whole circuit on an ECP5, as it is built.
fn of_yosys(emission: &Emission) -> Resources {
    let folder = tempfile::tempdir().unwrap();
    emitted::write(emission, folder.path());
    tool::synthesis::synthesize(
        Family::Ecp5,
        &emitted::sources(emission),
        emission.top,
        folder.path(),
        &|_| false,
    )
    .unwrap();
    let netlist = std::fs::read_to_string(folder.path().join(NETLIST)).unwrap();
    let cells = |kind: &str| netlist.matches(&format!("\"type\":\"{kind}\"")).count() as u64;
    Resources {
        lut: cells("LUT4") + 2 * cells("CCU2C") + 6 * cells("TRELLIS_DPR16X4"),
        ff: cells("TRELLIS_FF"),
        bram: cells("DP16KD"),
        dsp: cells("MULT18X18D"),
        spram: 0,
    }
}

#[test]
fn estimates_are_within_a_factor_of_two() {
    if tool::require("yosys").is_none() {
        return;
    }
    let options = Options { weight_bits: Some(4), level_bits: Some(4), ..Options::default() };
    let mut blocks = 0;
    for seed in [3, 11] {
        let network = random::network(seed, &options);
        let design = Design::new(&network, &common::plan(&network, seed)).unwrap();
        let emission = emit(&design);
        let (found, estimated) = (of_yosys(&emission), emission.report.estimate.total);
        eprintln!("seed {seed}: estimated {estimated:?}, found {found:?}");
        for (guess, fact) in [(estimated.lut, found.lut), (estimated.ff, found.ff)] {
            assert!(
                fact > 0 && guess <= 2 * fact && fact <= 2 * guess,
                "seed {seed}: {estimated:?}, {found:?}"
            );
        }
        assert_eq!(found.dsp, estimated.dsp, "seed {seed}");
        blocks += found.dsp;
    }
    assert!(blocks > 0, "no circuit with a DSP block");
}

/// Synthesizes networks at 1,000 frames per second for a Gowin, and holds the estimate against it: LUTs within
/// a tenth, flip-flops within a third, block RAMs exactly. A LUT RAM takes six LUTs.
fn hold_estimates_for_a_gowin(networks: &[&str]) {
    if tool::require("yosys").is_none() {
        return;
    }
    for name in networks {
        let network = dq_net::topology::build(name, 1).unwrap();
        let mut plan = plan::for_target(&network, Output::Label, 100, 1_000).unwrap();
        plan.device = Some("gw2ar-18c".into());
        let (emission, folder) = (emit(&Design::new(&network, &plan).unwrap()), tempfile::tempdir().unwrap());
        emitted::write(&emission, folder.path());
        let sources = emitted::sources(&emission).join(" ");
        let script = format!("read_verilog {sources}; synth_gowin -top top; tee -o stat.txt stat");
        let text = synthesize(folder.path(), &script);
        let sum = |kinds: &[&str]| kinds.iter().map(|kind| cells(&text, kind)).sum::<u64>();
        let rams = sum(&["RAM16SDP1", "RAM16SDP2", "RAM16SDP4"]);
        let lut = sum(&["LUT1", "LUT2", "LUT3", "LUT4", "ALU"]) + 6 * rams;
        let ff = sum(&["DFF", "DFFE", "DFFR", "DFFRE", "DFFS", "DFFSE"]);
        let bram = sum(&["SP", "SPX9", "SDPB", "SDPX9B", "DPB", "DPX9B"]);
        let guess = emission.report.estimate.total;
        eprintln!("{name}: {guess:?} estimated, {lut} LUTs, {ff} FF, {bram} block RAMs");
        for (guess, fact, parts) in [(guess.lut, lut, 10), (guess.ff, ff, 3)] {
            assert!(guess.abs_diff(fact) * parts <= fact, "{name}: {guess} estimated, {fact} found");
        }
        assert_eq!(guess.bram, bram, "{name}");
    }
}

#[test]
fn estimates_for_a_gowin_are_within_a_tenth() {
    hold_estimates_for_a_gowin(&["lenet@1/4"]);
}

#[test]
#[ignore = "takes minutes"]
fn estimates_of_more_networks_for_a_gowin_are_within_a_tenth() {
    hold_estimates_for_a_gowin(&["lenet", "lenet@1/2:w4a4", "mlp@1/4", "mlp@1/4:w4a4"]);
}

/// Holds the estimate of a shipped network's LUTs against Yosys: within 5 %.
fn is_estimated(model: &str, frames_per_second: u64) {
    if tool::require("yosys").is_none() {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(model);
    let network = dq_net::read_network(&path).unwrap();
    let mut plan = plan::for_target(&network, Output::Scores, 100, frames_per_second).unwrap();
    plan.device = Some("ecp5-85f".into());
    let emission = emit(&Design::new(&network, &plan).unwrap());
    let (found, estimated) = (of_yosys(&emission).lut, emission.report.estimate.total.lut);
    let ratio = estimated as f64 / found as f64;
    eprintln!("{model}: {estimated} LUTs estimated, {found} found, {ratio:.3}");
    assert!((0.95..=1.05).contains(&ratio), "{model}: {estimated} LUTs estimated, {found} found");
}

#[test]
fn a_shipped_mlp_is_estimated_within_a_twentieth() {
    is_estimated("mnist-mlp-certified.json", 1_000);
}

#[test]
#[ignore = "takes minutes"]
fn shipped_convolutional_networks_are_estimated_within_a_twentieth() {
    for (model, frames_per_second) in [
        ("signs-tiny-dq/model.json", 1_000),
        ("cifar10-vgg-small-w4a4-dq.json", 500),
        ("cifar10-vgg-small-w4a4-vanilla.json", 500),
        ("cifar10-vgg-w4a4.json", 300),
    ] {
        is_estimated(model, frames_per_second);
    }
}

/// A layer with a PE for each output and SIMD for all inputs: its weights are constants that vanish in the
/// sums. On more bits, as figures: `DQ_BITS=4 cargo test -p dq-hdl --test hdl unrolled -- --nocapture`.
#[test]
fn an_unrolled_layer_is_folded_into_constants() {
    if tool::require("yosys").is_none() {
        return;
    }
    let bits = std::env::var("DQ_BITS").map_or(2, |bits| bits.parse().expect("DQ_BITS: a number"));
    let network = dq_net::topology::build(&format!("mlp@1/16:w{bits}a{bits}"), 1).unwrap();
    let mut plan = plan::default(&network, Output::Label).unwrap();
    plan.device = Some("ecp5-85f".into());
    let side =
        network.wire(network.nodes().iter().position(|node| node.name == "step1").unwrap()).shape.channels;
    for node in &mut plan.nodes {
        match node.node.as_str() {
            "step1" => node.pe = 1,
            "dense2" => (node.pe, node.simd, node.memory) = (side, side, Memory::Distributed),
            _ => {}
        }
    }
    let design = Design::new(&network, &plan).unwrap();
    let (emission, folder) = (emit(&design), tempfile::tempdir().unwrap());
    emitted::write(&emission, folder.path());
    let sources = emitted::sources(&emission).join(" ");
    let script = format!("read_verilog {sources}; synth_ecp5 -top dense2_mvau; tee -o stat.txt stat");
    let text = synthesize(folder.path(), &script);
    let lut = cells(&text, "LUT4") + 2 * cells(&text, "CCU2C") + 6 * cells(&text, "TRELLIS_DPR16X4");
    let stage = emission.report.estimate.stages.iter().find(|stage| stage.stage == "dense2").unwrap();
    let (guess, macs) = (stage.resources.lut, (side * side) as f64);
    eprintln!("{side} x {side}, {bits} bits: {lut} LUTs, {:.2} a MAC, {guess} estimated", lut as f64 / macs);
    assert!(lut > 0 && guess <= 2 * lut && lut <= 2 * guess, "{guess} estimated, {lut} found");
    assert_eq!(cells(&text, "MULT18X18D"), 0);
}

/// A whole network under a plan, as Yosys makes it of the emitted files, to hold one way of emitting against
/// another: `DQ_NETWORK=lenet DQ_PLAN=plan.json cargo test -p dq-hdl --test hdl whole_network -- --ignored
/// --nocapture`. `DQ_FOLDER` names a folder for the files, which then are emitted and no more.
#[test]
#[ignore = "prints figures"]
fn whole_network_on_an_ecp5() {
    let network = std::env::var("DQ_NETWORK").unwrap_or_else(|_| "lenet".into());
    let network = dq_net::topology::build(&network, 1).unwrap();
    let mut plan = plan::default(&network, Output::Scores).unwrap();
    plan.device = Some("ecp5-85f".into());
    if let Ok(path) = std::env::var("DQ_PLAN") {
        plan = Plan::read(path.as_ref(), &network).unwrap();
    }
    let emission = emit(&Design::new(&network, &plan).unwrap());
    if let Ok(folder) = std::env::var("DQ_FOLDER") {
        std::fs::create_dir_all(&folder).unwrap();
        return emitted::write(&emission, folder.as_ref());
    }
    if tool::require("yosys").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    emitted::write(&emission, folder.path());
    let sources = emitted::sources(&emission).join(" ");
    let script = format!("read_verilog {sources}; synth_ecp5 -top top; tee -o stat.txt stat");
    let text = synthesize(folder.path(), &script);
    for cell in ["LUT4", "CCU2C", "TRELLIS_DPR16X4", "TRELLIS_FF", "DP16KD", "MULT18X18D"] {
        eprintln!("{cell} {}", cells(&text, cell));
    }
}

/// Makes a convolution of 32 channels to 8, 1 × 1, of so many bits, with its step.
pub fn unit(weight_bits: u8, level_bits: u8) -> Network {
    let mut state = 7u64;
    let mut draw = |lo: i64, hi: i64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        lo + ((state >> 33) as i64).rem_euclid(hi - lo + 1)
    };
    let half = 1i64 << (weight_bits - 1);
    let mut weight = || if weight_bits == 1 { 2 * draw(0, 1) - 1 } else { draw(-half, half - 1) } as i8;
    let (inputs, outputs) = (32, 64);
    let squeeze = Layer::BitDepth(BitDepth { bits: level_bits });
    let weights = Array4::from_shape_simple_fn((outputs, 3, 3, inputs), &mut weight);
    let conv = Conv { weights, weight_bits, stride: [1, 1], pad: [1; 4], pad_level: 0, groups: 1 };
    let count = (1usize << level_bits) - 1;
    let spread = 40 * half;
    let mut thresholds = Array2::from_shape_simple_fn((outputs, count), || draw(-spread, spread) as i32);
    for mut row in thresholds.rows_mut() {
        let mut sorted = row.to_vec();
        sorted.sort_unstable();
        row.iter_mut().zip(sorted).for_each(|(to, from)| *to = from);
    }
    let gain = vec![0.1; outputs];
    let surrogate = Surrogate { gain, open_lo: vec![0; outputs], open_hi: vec![9; outputs], unit: 0.4 };
    let step = Step { bits: level_bits, dir: vec![1; outputs], thresholds, surrogate };
    let dense = Dense { weights: Array2::from_shape_simple_fn((2, outputs), || 1), weight_bits: 2 };
    let layers = [
        ("input", Layer::Input(Input::pixels(Shape::new(8, 8, inputs)))),
        ("squeeze", squeeze),
        ("conv", Layer::Conv(conv)),
        ("step", Layer::Step(step)),
        ("sum", Layer::GlobalSum(GlobalSum)),
        ("dense", Layer::Dense(dense)),
        ("logits", Layer::Logits(Logits { bias: vec![0; 2], scale: 1.0 })),
    ];
    common::chain("unit", layers)
}

/// Emits `network` as `unit` with its convolution at PE 8 and SIMD 32, in a folder.
fn emitted_unit(weight_bits: u8, level_bits: u8, mac: Mac) -> (Design, tempfile::TempDir) {
    let network = unit(weight_bits, level_bits);
    let mut plan = plan::default(&network, Output::Label).unwrap();
    for node in plan.nodes.iter_mut().filter(|node| node.node == "conv") {
        (node.pe, node.simd, node.memory, node.mac) = (8, 32, Memory::Block, mac);
    }
    let design = Design::new(&network, &plan).unwrap();
    let folder = tempfile::tempdir().unwrap();
    emitted::write(&emit(&design), folder.path());
    (design, folder)
}

fn synthesize(folder: &Path, script: &str) -> String {
    let yosys = tool::find("yosys").unwrap();
    let output = yosys.command().args(["-q", "-p", script]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read_to_string(folder.join("stat.txt")).unwrap()
}

/// LUTs a multiply-accumulate, weights from ports, of each form that a product of so many bits of weights and of
/// levels can have (`DQ_BITS=2x2` or `DQ_MAC=bitpairs`: of these alone):
/// `cargo test -p dq-hdl --test hdl luts_a_mac -- --ignored --nocapture`.
#[test]
#[ignore = "prints figures"]
fn luts_a_mac() {
    if tool::require("yosys").is_none() {
        return;
    }
    eprintln!(
        "PE 8 x SIMD 32, no DSP but in the form that is of them, accumulators counted; xc7: LUT1 to LUT6 \
         and SRL16E one each, CARRY4 and MUXF none; \
         ecp5: LUT4 one, CCU2C two"
    );
    let commands = [
        ("xc7", "synth_xilinx -family xc7 -nodsp -flatten -noiopad -top unit"),
        ("ecp5", "synth_ecp5 -nodsp -top unit"),
    ];
    for (bits, level_bits) in [(1, 1), (1, 2), (2, 2), (3, 3), (4, 4), (8, 8u8)] {
        let name = format!("{bits}x{level_bits}");
        for mac in Mac::FORMS {
            let asked = |variable, value: &str| std::env::var(variable).is_ok_and(|asked| asked != value);
            if !mac.fits(32, bits.into()) || asked("DQ_BITS", &name) || asked("DQ_MAC", mac.name()) {
                continue;
            }
            let (design, folder) = emitted_unit(bits, level_bits, mac);
            let acc = bare_unit(&design, folder.path(), bits.into(), level_bits.into());
            for (family, synth) in commands {
                let synth = if mac == Mac::Dsp { synth.replace("-nodsp ", "") } else { synth.into() };
                let script = format!(
                    "read_verilog unit.v dq_*.v; {synth}; tee -o stat.txt stat; tee -o levels.txt ltp -noff"
                );
                let text =
                    synthesize(folder.path(), &script.replace("dq_*.v", &dots(folder.path()).join(" ")));
                let luts: u64 = (1..=6).map(|n| cells(&text, &format!("LUT{n}"))).sum();
                let luts = luts + cells(&text, "SRL16E") + 2 * cells(&text, "CCU2C");
                let ff = ["FDRE", "FDSE", "TRELLIS_FF"].map(|cell| cells(&text, cell)).iter().sum::<u64>();
                let levels = std::fs::read_to_string(folder.path().join("levels.txt")).unwrap();
                let longest = levels.lines().find_map(|line| line.split("length=").nth(1)).unwrap_or("?)");
                eprintln!(
                    "{family} {name} bits, {mac:?}, accumulators of {acc}: {luts} LUTs = {:.2} a \
                     MAC, {ff} FF, \
                     {} DSPs, longest path {} cells (each carry bit one)",
                    luts as f64 / 256.0,
                    cells(&text, "DSP48E1") + cells(&text, "MULT18X18D"),
                    longest.trim_end_matches([')', ':'])
                );
            }
        }
    }
}

/// Returns the dot products of the unit.
fn dots(folder: &Path) -> Vec<String> {
    let names =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("dq_") && name.contains("_s32_") && name.ends_with(".v")).collect()
}

/// Writes `unit.v`: eight dot products of SIMD 32 and their accumulators, and nothing else. Returns the
/// accumulators' bits.
fn bare_unit(design: &Design, folder: &Path, weight_bits: usize, level_bits: usize) -> usize {
    let stage = design.stages.iter().find(|stage| stage.site.name == "conv").unwrap();
    let mvau = stage.kind.unit().expect("a matrix-vector unit");
    let dot = dots(folder).remove(0).trim_end_matches(".v").to_owned();
    let result: usize = dot.rsplit("_r").next().unwrap().parse().unwrap();
    let (acc, levels, words) = (stage.site.output.bits, 32 * level_bits, 32 * weight_bits);
    // A sum begins with nothing, with a constant, or with a word of a memory.
    let start = |p: usize| match mvau.mac.loads() {
        false => format!("start[{}:{}]", (p + 1) * acc - 1, p * acc),
        true => format!("{acc}'d{}", 1234 % (1 << acc)),
    };
    let signed = if matches!(mvau.mac, Mac::Pairs | Mac::Dsp) { "signed " } else { "" };
    let mut top = format!(
        "module unit (input wire clk, input wire rst, input wire first, input wire [{}:0] start, input \
         wire [{}:0] x,\n  \
         input wire [{}:0] w, output wire [{}:0] y);\n",
        8 * acc - 1,
        levels - 1,
        8 * words - 1,
        8 * acc - 1
    );
    for p in 0..8 {
        top += &format!(
            "  wire {signed}[{r}:0] d{p};\n  {dot} pe{p} (.clk(clk), .rst(rst), .x(x), .w(w[{hi}:{lo}]), \
             .dot(d{p}));\n  \
             wire {signed}[{a}:0] wide{p} = d{p};\n  reg [{a}:0] acc{p};\n  \
             always @(posedge clk) acc{p} <= wide{p} - ~(first ? {start} : acc{p});\n  assign \
             y[{yhi}:{ylo}] = acc{p};\n",
            r = result - 1,
            hi = (p + 1) * words - 1,
            lo = p * words,
            a = acc - 1,
            start = start(p),
            yhi = (p + 1) * acc - 1,
            ylo = p * acc
        );
    }
    top += "endmodule\n";
    std::fs::write(folder.join("unit.v"), top).unwrap();
    acc
}

/// A whole W2A2 matrix-vector unit with its thresholds on an ECP5, placed and routed (`DQ_MAC=bitpairs`: of that
/// form): `cargo test -p dq-hdl --test hdl w2a2_unit -- --ignored --nocapture`.
#[test]
#[ignore = "prints figures"]
fn w2a2_unit_on_an_ecp5() {
    let (Some(_), Some(router)) = (tool::require("yosys"), tool::require("nextpnr-ecp5")) else { return };
    let asked = std::env::var("DQ_MAC").unwrap_or_default();
    let mac = Mac::FORMS.into_iter().find(|mac| mac.name() == asked).unwrap_or(Mac::Auto);
    let (_, folder) = emitted_unit(2, 2, mac);
    let wrapper = "module unit (input wire clk, input wire rst, input wire s_valid, input wire [3:0] sel, \
    output wire s_ready,\n  \
        output reg m_valid, input wire m_ready, output reg [15:0] m_data);\n  reg [63:0] x; reg v;\n  \
        always @(posedge clk) begin x <= {x[59:0], sel}; v <= s_valid; end\n  wire [ACC:0] a; wire av, ar; \
        wire [15:0] d; wire dv;\n  \
        conv_mvau conv (.clk(clk), .rst(rst), .s_data(x), .s_valid(v), .s_ready(s_ready), .m_data(a), \
        .m_valid(av), .m_ready(ar));\n  \
        step_step step (.clk(clk), .rst(rst), .s_data(a), .s_valid(av), .s_ready(ar), .m_data(d), \
        .m_valid(dv), .m_ready(m_ready));\n  \
        always @(posedge clk) begin m_data <= d; m_valid <= dv; end\nendmodule\n";
    let acc = std::fs::read_to_string(folder.path().join("conv_mvau.v")).unwrap();
    let width: usize = acc
        .lines()
        .find(|line| line.contains(" m_data") && line.contains("output"))
        .and_then(|line| line.split('[').nth(1)?.split(':').next()?.parse().ok())
        .unwrap();
    std::fs::write(folder.path().join("unit.v"), wrapper.replace("ACC", &width.to_string())).unwrap();
    let parts = ["unit.v", "conv_mvau.v", "conv_fetch.v", "conv_accumulate.v", "step_step.v", "dq_fifo.v"];
    let dots = dots(folder.path());
    let files: Vec<&str> = parts.into_iter().chain(dots.iter().map(String::as_str)).collect();
    tool::synthesis::synthesize(Family::Ecp5, &files, "unit", folder.path(), &|_| false).unwrap();
    let netlist = std::fs::read_to_string(folder.path().join(NETLIST)).unwrap();
    let cells = |kind: &str| netlist.matches(&format!("\"type\":\"{kind}\"")).count();
    let (lut, carry, ram) = (cells("LUT4"), cells("CCU2C"), cells("TRELLIS_DPR16X4"));
    eprintln!(
        "LUT4 {lut} + 2 x {carry} CCU2C + 6 x {ram} DPR16X4 = {}, {} FF, {} DP16KD, {} DSPs",
        lut + 2 * carry + 6 * ram,
        cells("TRELLIS_FF"),
        cells("DP16KD"),
        cells("MULT18X18D")
    );
    let place = ["--85k", "--package", "CABGA381", "--speed", "6", "--json", NETLIST, "--freq", "125", "-q"];
    let more = ["--timing-allow-fail", "--lpf-allow-unconstrained", "--report", "route.json", "--seed", "1"];
    let output = router.command().args(place).args(more).current_dir(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report = std::fs::read_to_string(folder.path().join("route.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    for (clock, fmax) in report["fmax"].as_object().unwrap() {
        eprintln!("{clock}: {} MHz", fmax["achieved"]);
    }
    for step in report["critical_paths"][0]["path"].as_array().into_iter().flatten() {
        eprintln!(
            "  {} -> {}: {} ns ({})",
            step["from"]["cell"], step["to"]["cell"], step["delay"], step["type"]
        );
    }
}
