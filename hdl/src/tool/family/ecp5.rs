//! Describes Lattice ECP5: Yosys, nextpnr-ecp5, ecppack; `EHXPLLL` with the output divider inside the loop.

use super::{Cells, FamilyTools, Flow, Pll, Target, words};

pub(super) const TOOLS: FamilyTools = FamilyTools {
    // As `synth_ecp5` alone, but for what `abc9` reckons with: 1,000 ps a wire, which is what one takes (not 300: chains
    // of ten LUTs then seem short), and a period of 8 ns, beyond which it maps for area.
    synthesis: "synth_ecp5 -top {top} -run :map_luts; check -latchonly -assert; \
                techmap -map +/lattice/latches_map.v; abc9 -W 1000 -D 8000; clean; \
                synth_ecp5 -top {top} -run map_cells:",
    finish: Some(super::ecp5_outputs::absorb),
    flow: Some(Flow {
        router: "nextpnr-ecp5",
        sizes: &[("ecp5-25f", "--25k"), ("ecp5-45f", "--45k"), ("ecp5-85f", "--85k")],
        constraints: "board.lpf",
        options,
        packer: "ecppack",
        pack: |_, routed| words(&["--compress", routed, "bitstream"]),
        suffix: "bit",
        pin: |port, pin, io| {
            let place = format!("LOCATE COMP \"{port}\" SITE \"{pin}\";\n");
            place + &io.map_or(String::new(), |io| format!("IOBUF PORT \"{port}\" IO_TYPE={io};\n"))
        },
        clocks: |pin, core| {
            format!("FREQUENCY PORT \"clk\" {pin} MHZ;\nFREQUENCY NET \"core_clk\" {core} MHZ;\n")
        },
        plls,
        instance,
        pll_model: include_str!("ecp5_pll.v"),
    }),
    cells: Some(Cells {
        models: "+/lattice/cells_sim_ecp5.v",
        replaced: "t:* t:DP16KD %d t:MULT18X18D %d",
        others: include_str!("ecp5_cells.v"),
    }),
};

fn options(target: &Target, routed: &str) -> Vec<String> {
    // The other router takes hours where this one takes minutes, on a device that is half full. Without timing in mind,
    // this one sends single wires on detours of 7 ns around others.
    let fixed = ["--lpf", "board.lpf", "--textcfg", routed, "--router", "router2", "--tmg-ripup"];
    let mut options = words(&[target.size, "--package", target.package]);
    options.extend(words(&fixed));
    if let Some(speed) = target.speed {
        options.extend(["--speed".into(), speed.to_string()]);
    }
    options
}

/// Lattice FPGA-DS-02012: phase detector 10 to 400 MHz, oscillator 400 to 800 MHz. The parameters are the
/// dividers of reference, feedback and oscillator.
fn plls(pin: u64) -> Vec<Pll> {
    let mut found = vec![];
    for reference in (1..=16).filter(|r| (10_000_000..=400_000_000).contains(&(pin / r))) {
        for feedback in 1..=80 {
            let hz = pin * feedback / reference;
            // The oscillator runs in the middle of its range.
            let output = (600_000_000 / hz.max(1)).clamp(1, 128);
            if (400_000_000..=800_000_000).contains(&(hz * output)) {
                found.push(Pll { hz, parameters: [reference, feedback, output, 0] });
            }
        }
    }
    found
}

fn instance(pll: &Pll) -> String {
    let [reference, feedback, output, _] = pll.parameters;
    format!(
        r#"  EHXPLLL #(
    .CLKI_DIV({reference}),
    .CLKFB_DIV({feedback}),
    .CLKOP_DIV({output}),
    .CLKOP_CPHASE({phase}),
    .CLKOP_FPHASE(0),
    .CLKOP_ENABLE("ENABLED"),
    .CLKOS_ENABLE("DISABLED"),
    .CLKOS2_ENABLE("DISABLED"),
    .CLKOS3_ENABLE("DISABLED"),
    .FEEDBK_PATH("CLKOP"),
    .PLLRST_ENA("DISABLED"),
    .INTFB_WAKE("DISABLED"),
    .STDBY_ENABLE("DISABLED"),
    .DPHASE_SOURCE("DISABLED"),
    .OUTDIVIDER_MUXA("DIVA"),
    .OUTDIVIDER_MUXB("DIVB"),
    .OUTDIVIDER_MUXC("DIVC"),
    .OUTDIVIDER_MUXD("DIVD")
  ) pll (
    .CLKI(clk),
    .CLKFB(core_clk),
    .CLKOP(core_clk),
    .LOCK(locked),
    .RST(1'b0),
    .STDBY(1'b0),
    .PHASESEL0(1'b0),
    .PHASESEL1(1'b0),
    .PHASEDIR(1'b1),
    .PHASESTEP(1'b1),
    .PHASELOADREG(1'b1),
    .PLLWAKESYNC(1'b0),
    .ENCLKOP(1'b0)
  );
"#,
        phase = output / 2
    )
}
