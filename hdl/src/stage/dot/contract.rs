//! What a dot product promises, as Verilog under `FORMAL`.

use super::form::{Dot, Form};
use crate::stage::contract::history;

/// What a dot product promises: its latency later it is the sum of products, modulo 2^`bits`. A weight of one bit is −1 or +1.
pub fn dot(dot: &Dot, form: &dyn Form) -> String {
    let Dot { simd, level_bits, weight_bits, .. } = *dot;
    let (bits, delay) = (dot.bits_of(form.range(dot)), form.latency(dot) as usize);
    let (mut text, x) = history("x", "x", simd * level_bits, delay);
    let (more, w) = history("w", "w", simd * weight_bits, delay);
    text += &more;
    text += "// What was before the first clock is not known.\nreg [31:0] f_age = 0;\n";
    text += "always @(posedge clk) if (f_age != 32'hffffffff) f_age <= f_age + 1;\n";
    let wide = level_bits + weight_bits + 2 + simd.ilog2() as usize + 1;
    let wide = wide.max(bits + 1);
    let term = |i: usize| {
        let (x_top, x_low) = ((i + 1) * level_bits - 1, i * level_bits);
        let level = format!("$signed({{{}'d0, {x}[{x_top}:{x_low}]}})", wide - level_bits);
        let (w_top, w_low) = ((i + 1) * weight_bits - 1, i * weight_bits);
        match weight_bits {
            1 if form.excess_of_minus(dot) != 0 => {
                let (plus, excess) = (form.is_plus(dot, &w, i), form.excess_of_minus(dot));
                format!("(({plus}) ? {level} : ({wide}'sd{excess} - {level}))")
            }
            1 => format!("({w}[{w_low}] ? {level} : -{level})"),
            _ => {
                let fill = format!("{{{}{{{w}[{w_top}]}}}}", wide - weight_bits);
                format!("($signed({{{fill}, {w}[{w_top}:{w_low}]}}) * {level})")
            }
        }
    };
    let sum = (0..simd).map(term).collect::<Vec<_>>().join("\n    + ");
    let excess = form.excess(dot);
    text += &format!("wire signed [{}:0] f_dot = {sum}\n    + {wide}'sd{excess};\n", wide - 1);
    text += &format!(
        "always @(posedge clk) if (f_age > {delay}) {} assert (dot == f_dot[{}:0]);\n",
        "dot_is_its_definition:",
        bits - 1
    );
    text
}
