//! Writes what a quantizer promises beside its stream: some cycles later, the level of each lane is the
//! number of its channel's thresholds that are reached.

use crate::rtl::addr_bits;
use crate::stage::contract::{Values, fill, history};
use crate::stage::site::Lanes;
use dq_net::Range;
use dq_net::layer::Step;

const TEMPLATE: &str = include_str!("step.contract.v");

/// Holds what a quantizer is defined by.
pub struct Definition<'a> {
    pub step: &'a Step,
    /// The lanes that come in, and the range of their values.
    pub lanes: Lanes,
    pub range: Range,
    /// Number of beats per pixel.
    pub folds: usize,
    /// Number of cycles from a beat to its levels.
    pub delay: usize,
}

/// Returns the contract of a quantizer whose levels go to the FIFO.
pub fn contract(definition: &Definition) -> String {
    let Definition { lanes, range, folds, delay, .. } = *definition;
    let (mut text, x) = history("x", "s_data", lanes.width(), delay);
    let mut fold_then = None;
    if folds > 1 {
        let bits = addr_bits(folds);
        let (more, fold) = history("fold", "fold_q", bits, delay);
        let values = vec![("bits", (bits + 1).to_string()), ("folds", folds.to_string())];
        text += &(fill(TEMPLATE, "fold", &values) + &more);
        fold_then = Some(fold);
    }
    text += &fill(TEMPLATE, "input", &vec![]);
    for l in 0..lanes.count {
        let (now, wide) = (lane(lanes, "s_data", l), lanes.bits + 3);
        let values = vec![("now", now), ("lo", number(range.lo, wide)), ("hi", number(range.hi, wide))];
        text += &fill(TEMPLATE, "input of a lane", &values);
    }
    (0..lanes.count).fold(text, |text, l| text + &of_lane(definition, l, &x, fold_then.as_deref()))
}

/// Returns the definition of lane `l`, whose accumulator is in `x` and whose fold in `fold`, where there are
/// several.
fn of_lane(definition: &Definition, l: usize, x: &str, fold: Option<&str>) -> String {
    let Definition { step, lanes, folds, .. } = *definition;
    let (bits, wide) = (usize::from(step.bits), lanes.bits + 3);
    let count = |f: usize| {
        let channel = f * lanes.count + l;
        let minus = if step.dir[channel] < 0 { "-" } else { "" };
        let thresholds = step.thresholds.row(channel).to_vec();
        let reached: Vec<String> =
            thresholds.iter().map(|&t| format!("({minus}f_acc{l} >= {})", number(t.into(), wide))).collect();
        let rows: Vec<String> = reached.chunks(4).map(|some| some.join(" + ")).collect();
        let fold = fold.map_or(String::new(), |fold| format!("if ({fold} == {}'d{f}) ", addr_bits(folds)));
        format!("  {fold}f_level{l} = {};\n", rows.join("\n    + "))
    };
    let values: Values = vec![
        ("l", l.to_string()),
        ("acc_top", (wide - 1).to_string()),
        ("acc", lane(lanes, x, l)),
        ("bits", bits.to_string()),
        ("counts", (0..folds).map(count).collect()),
        ("top", ((l + 1) * bits - 1).to_string()),
        ("low", (l * bits).to_string()),
        ("level_top", (bits - 1).to_string()),
    ];
    fill(TEMPLATE, "lane", &values)
}

/// Returns a number of `wide` bits.
fn number(value: i64, wide: usize) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{wide}'sd{}", value.unsigned_abs())
}

/// Returns lane `l` of `net`, three bits wider.
fn lane(lanes: Lanes, net: &str, l: usize) -> String {
    let (top, low) = ((l + 1) * lanes.bits - 1, l * lanes.bits);
    let fill = if lanes.signed { format!("{{3{{{net}[{top}]}}}}") } else { "3'd0".into() };
    format!("$signed({{{fill}, {net}[{top}:{low}]}})")
}
