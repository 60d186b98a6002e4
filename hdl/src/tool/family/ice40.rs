//! Describes Lattice iCE40: Yosys, nextpnr-ice40, icepack; `SB_PLL40_PAD` in simple feedback.

use super::{Cells, FamilyTools, Flow, Pll, words};

pub(super) const TOOLS: FamilyTools = FamilyTools {
    synthesis: "synth_ice40 -device u -dsp -spram -abc9 -top {top}",
    finish: None,
    flow: Some(Flow {
        router: "nextpnr-ice40",
        sizes: &[("ice40-up5k", "--up5k"), ("ice40-hx8k", "--hx8k")],
        constraints: "board.pcf",
        options: |target, routed| {
            words(&[target.size, "--package", target.package, "--pcf", "board.pcf", "--asc", routed])
        },
        packer: "icepack",
        pack: |_, routed| words(&[routed, "bitstream"]),
        suffix: "bin",
        pin: |port, pin, _| format!("set_io {port} {pin}\n"),
        clocks: |_, core| format!("set_frequency core_clk {core}\n"),
        plls,
        instance,
        pll_model: include_str!("ice40_pll.v"),
    }),
    cells: Some(Cells {
        models: "+/ice40/cells_sim.v",
        replaced: "t:SB_LUT4 t:SB_CARRY t:SB_DFF* t:SB_MAC16",
        others: include_str!("ice40_cells.v"),
    }),
};

/// Lattice FPGA-TN-02052: reference after its divider 10 to 133 MHz, oscillator 533 to 1066 MHz. The
/// parameters are the dividers of reference and feedback, each minus 1, log2 of the output divider, and the
/// filter range.
fn plls(pin: u64) -> Vec<Pll> {
    let mut found = vec![];
    for divr in (0..16).filter(|r| (10_000_000..=133_000_000).contains(&(pin / (r + 1)))) {
        let reference = pin / (divr + 1);
        let filter = match reference {
            0..17_000_000 => 1,
            17_000_000..26_000_000 => 2,
            26_000_000..44_000_000 => 3,
            44_000_000..66_000_000 => 4,
            66_000_000..101_000_000 => 5,
            _ => 6,
        };
        for divf in 0..64 {
            let oscillator = reference * (divf + 1);
            if (533_000_000..=1_066_000_000).contains(&oscillator) {
                let setting = |divq| Pll { hz: oscillator >> divq, parameters: [divr, divf, divq, filter] };
                found.extend((1..=6).map(setting));
            }
        }
    }
    found
}

fn instance(pll: &Pll) -> String {
    let [divr, divf, divq, filter] = pll.parameters;
    format!(
        r#"  SB_PLL40_PAD #(
    .FEEDBACK_PATH("SIMPLE"),
    .DIVR(4'd{divr}),
    .DIVF(7'd{divf}),
    .DIVQ(3'd{divq}),
    .FILTER_RANGE(3'd{filter})
  ) pll (
    .PACKAGEPIN(clk),
    .PLLOUTGLOBAL(core_clk),
    .LOCK(locked),
    .RESETB(1'b1),
    .BYPASS(1'b0)
  );
"#
    )
}
