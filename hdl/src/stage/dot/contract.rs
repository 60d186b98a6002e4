//! Writes what a dot product promises: after its latency it gives the sum of products, modulo 2^bits.

use super::form::{Dot, Form};
use crate::stage::contract::{fill, history};

const TEMPLATE: &str = include_str!("dot.contract.v");

/// Returns the contract of `dot`. A weight of one bit is −1 or +1.
pub fn dot(dot: &Dot, form: &dyn Form) -> String {
    let Dot { simd, level_bits, weight_bits, .. } = *dot;
    let (bits, delay) = (dot.bits_of(form.range(dot)), form.latency(dot) as usize);
    let (mut text, x) = history("x", "x", simd * level_bits, delay);
    let (more, w) = history("w", "w", simd * weight_bits, delay);
    text += &more;
    let wide = level_bits + weight_bits + 2 + simd.ilog2() as usize + 1;
    let wide = wide.max(bits + 1);
    let term = |i: usize| {
        let (x_top, x_low) = ((i + 1) * level_bits - 1, i * level_bits);
        let level = format!("$signed({{{}'d0, {x}[{x_top}:{x_low}]}})", wide - level_bits);
        let (w_top, w_low) = ((i + 1) * weight_bits - 1, i * weight_bits);
        match weight_bits {
            1 => format!("({} ? {level} : -{level})", form.is_plus(dot, &w, i)),
            _ => {
                let fill = format!("{{{}{{{w}[{w_top}]}}}}", wide - weight_bits);
                format!("($signed({{{fill}, {w}[{w_top}:{w_low}]}}) * {level})")
            }
        }
    };
    let of_weights = form.excess_of(dot).map_or(vec![], |excess| (excess.terms)(dot, &w, wide));
    let sum = (0..simd).map(term).chain(of_weights).collect::<Vec<_>>().join("\n    + ");
    let values = vec![
        ("wide_top", (wide - 1).to_string()),
        ("sum", sum),
        ("wide", wide.to_string()),
        ("excess", form.excess(dot).to_string()),
        ("delay", delay.to_string()),
        ("top", (bits - 1).to_string()),
    ];
    text + &fill(TEMPLATE, "dot", &values)
}
