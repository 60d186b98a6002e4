//! A matrix-vector unit's definition, for proofs: the sums of all folds as flat dot products of what came in, whatever
//! the stalls. One output beat, any, is followed.

use super::shape::Mvau;
use super::weights::Weights;
use crate::plan::data::Memory;
use crate::rtl::{File, addr_bits};
use crate::stage::kind::Unrolled;
use crate::stage::site::Site;
use std::fmt::Write;

/// Units of at most so many products per sum, outputs, and bits of both factors are unrolled: larger ones are beyond the
/// solver.
const MOST_PRODUCTS: usize = 4;
const MOST_OUTPUTS: usize = 2;
const MOST_BITS: usize = 4;

/// The unit beside its definition, where it is small enough: all its folds pass in the cycles that are unrolled.
pub fn unrolled(site: &Site, module: &str, unit: (&Mvau, &Weights)) -> Option<Unrolled> {
    let Mvau { pe, simd, taps, folds, level_bits, weight_bits, .. } = *unit.0;
    let small =
        taps * simd <= MOST_PRODUCTS && folds * pe <= MOST_OUTPUTS && level_bits + weight_bits <= MOST_BITS;
    // Of memories that are filled later nothing is known.
    if !small || site.controlled || site.memory == Memory::Spram {
        return None;
    }
    Some(Unrolled { harness: harness(site, module, unit), cycles: taps * folds + site.latency as usize + 4 })
}

/// The module `<unit>_flat`: the unit beside its definition.
fn harness(site: &Site, module: &str, (mvau, weights): (&Mvau, &Weights)) -> File {
    let Mvau { pe, simd, taps, folds, level_bits, .. } = *mvau;
    let (bits, width_in, width_out) = (site.output.bits, site.input.width(), site.output.width());
    let places = taps * folds;
    let at = addr_bits(places);
    let name = format!("{module}_flat");
    let mut text = format!(
        "module {name} (\n  input wire clk,\n  input wire rst,\n  input wire [{}:0] s_data,\n  input wire s_valid,\n  \
         input wire m_ready\n);\n  wire s_ready, m_valid;\n  wire [{}:0] m_data;\n  {} unit (.clk(clk), .rst(rst), \
         .s_data(s_data), .s_valid(s_valid), .s_ready(s_ready),\n    .m_data(m_data), .m_valid(m_valid), \
         .m_ready(m_ready));\n",
        width_in - 1,
        width_out - 1,
        module
    );
    text += &format!(
        "  reg f_past = 1'b0;\n  always @(posedge clk) f_past <= 1'b1;\n  always @(*) assume (rst == !f_past);\n  \
         wire beat = s_valid && s_ready;\n  wire given = m_valid && m_ready;\n  reg [{at_top}:0] place;\n  \
         reg [31:0] tap;\n  reg [15:0] come, gone;\n  (* anyconst *) reg [15:0] number;\n  reg [{out}:0] expected;\n",
        at_top = at - 1,
        out = width_out - 1
    );
    for p in 0..pe {
        let _ = write!(text, "  reg signed [{0}:0] sum{p};\n  reg signed [{0}:0] term{p};\n", bits - 1);
        let _ = write!(text, "  always @(*) begin\n    term{p} = 0;\n    case (place)\n");
        for place in 0..places {
            let terms = (0..simd).map(|i| {
                let level =
                    format!("$signed({{1'b0, s_data[{}:{}]}})", (i + 1) * level_bits - 1, i * level_bits);
                let value = weights.at(place / taps * pe + p, weights.tap(place % taps, simd), i);
                let sign = if value < 0 { "-" } else { "" };
                format!("{sign}32'sd{} * {level}", value.unsigned_abs())
            });
            let terms = terms.collect::<Vec<_>>().join(" + ");
            let _ = writeln!(text, "      {at}'d{place}: term{p} = {terms};");
        }
        text += "      default: ;\n    endcase\n  end\n";
    }
    let next = |p: usize| format!("((tap == 0) ? term{p} : sum{p} + term{p})");
    text += &format!(
        "  always @(posedge clk) if (rst) begin\n    place <= 0;\n    tap <= 0;\n    come <= 0;\n    gone <= 0;\n  \
         end else begin\n    if (beat) begin\n      place <= (place == {at}'d{last}) ? {at}'d0 : place + {at}'d1;\n      \
         tap <= (tap == {last_tap}) ? 0 : tap + 1;\n",
        last = places - 1,
        last_tap = taps - 1
    );
    for p in 0..pe {
        let _ = writeln!(text, "      sum{p} <= {};", next(p));
    }
    text += &format!("      if (tap == {}) begin\n        come <= come + 1;\n", taps - 1);
    for p in 0..pe {
        let (top, low) = ((p + 1) * bits - 1, p * bits);
        let _ = writeln!(text, "        if (come == number) expected[{top}:{low}] <= {};", next(p));
    }
    text += "      end\n    end\n    if (given) gone <= gone + 1;\n  end\n";
    text += "  always @(posedge clk) if (f_past && !rst) begin\n    \
             none_too_many: assert (!given || (gone < come));\n    \
             sums_are_flat: assert (!(given && (gone == number)) || (m_data == expected));\n  end\nendmodule\n";
    File { name: format!("{name}.v"), text }
}
