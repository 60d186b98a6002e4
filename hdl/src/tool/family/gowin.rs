//! Describes Gowin GW1N and GW2A: Yosys, nextpnr-himbaechel, Apicula's gowin_pack; `rPLL` with feedback inside.

use super::{Cells, FamilyTools, Flow, Pll, Target, words};

pub(super) const TOOLS: FamilyTools = FamilyTools {
    // Both series are of the same cells; the script knows multipliers for these two alone.
    synthesis: "synth_gowin -family gw1n -top {top}",
    finish: None,
    flow: Some(Flow {
        router: "nextpnr-himbaechel-gowin",
        sizes: &[("gw1nr-9c", "GW1N-9C"), ("gw2ar-18c", "GW2A-18C")],
        constraints: "board.cst",
        options,
        packer: "gowin_pack",
        pack: |target, routed| words(&["-c", "-d", target.size, "-o", "bitstream", routed]),
        suffix: "fs",
        pin: |port, pin, io| {
            let place = format!("IO_LOC \"{port}\" {pin};\n");
            place + &io.map_or(String::new(), |io| format!("IO_PORT \"{port}\" IO_TYPE={io};\n"))
        },
        // The router takes the core's clock as an option.
        clocks: |_, _| String::new(),
        plls,
        instance,
        pll_model: include_str!("gowin_pll.v"),
    }),
    cells: Some(Cells {
        models: "+/gowin/cells_sim.v",
        replaced: "t:LUT* t:ALU t:DFF* t:MUX2* t:RAM16* t:IBUF t:OBUF t:VCC t:GND",
        others: include_str!("gowin_cells.v"),
    }),
};

fn options(target: &Target, routed: &str) -> Vec<String> {
    let part = match target.size {
        "GW1N-9C" => "GW1NR-LV9",
        _ => "GW2AR-LV18",
    };
    // Grade 6 is called C6/I5: commercial 6, industrial 5.
    let speed = target.speed.map_or(String::new(), |speed| format!("C{speed}/I{}", speed.saturating_sub(1)));
    let (part, family) = (format!("{part}{}{speed}", target.package), format!("family={}", target.size));
    let chip = ["--device", &part, "--vopt", &family];
    words(&[&chip[..], &["--vopt", "cst=board.cst", "--write", routed, "--freq", &target.core]].concat())
}

/// Gowin UG286: phase detector from 3 MHz, output to 600 MHz, oscillator 500 to 1200 MHz, which both series
/// allow. The parameters are the dividers of reference, feedback and oscillator, and the pin's Hz.
fn plls(pin: u64) -> Vec<Pll> {
    let mut found = vec![];
    for reference in (1..=64).filter(|r| (3_000_000..=400_000_000).contains(&(pin / r))) {
        for feedback in 1..=64 {
            let hz = pin * feedback / reference;
            let outputs = [2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128];
            let in_range = |output: &u64| (500_000_000..=1_200_000_000).contains(&(hz * output));
            if let (4_000_000..=600_000_000, Some(output)) = (hz, outputs.into_iter().find(in_range)) {
                found.push(Pll { hz, parameters: [reference, feedback, output, pin] });
            }
        }
    }
    found
}

fn instance(pll: &Pll) -> String {
    let [reference, feedback, output, pin] = pll.parameters;
    format!(
        r#"  rPLL #(
    .FCLKIN("{mhz}.{hz:06}"),
    .IDIV_SEL({idiv}),
    .FBDIV_SEL({fbdiv}),
    .ODIV_SEL({output})
  ) pll (
    .CLKIN(clk),
    .CLKFB(1'b0),
    .RESET(1'b0),
    .RESET_P(1'b0),
    .FBDSEL(6'd0),
    .IDSEL(6'd0),
    .ODSEL(6'd0),
    .PSDA(4'd0),
    .DUTYDA(4'd0),
    .FDLY(4'd0),
    .CLKOUT(core_clk),
    .LOCK(locked)
  );
"#,
        mhz = pin / 1_000_000,
        hz = pin % 1_000_000,
        idiv = reference - 1,
        fbdiv = feedback - 1
    )
}
