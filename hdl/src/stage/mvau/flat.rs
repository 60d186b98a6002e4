//! Writes a matrix-vector unit's definition, for proofs: the sums of all folds as flat dot products of the
//! input, whatever the stalls. The proof follows one output beat, which may be any.

use super::Unit;
use super::shape::Mvau;
use super::weights::Weights;
use crate::plan::data::Memory;
use crate::rtl::words::{to_hex, words_for};
use crate::rtl::{File, addr_bits};
use crate::stage::contract::fill;
use crate::stage::kind::Unrolled;
use crate::stage::site::Site;

const TEMPLATE: &str = include_str!("flat.contract.v");

/// Most products per sum, outputs, and bits of both factors of a unit that is unrolled: larger ones are
/// beyond the solver.
const MOST_PRODUCTS: usize = 4;
const MOST_OUTPUTS: usize = 2;
const MOST_BITS: usize = 4;

/// Returns the unit beside its definition, where it is small enough: all its folds pass in the cycles that
/// are unrolled.
pub fn unrolled(site: &Site, module: &str, unit: &Unit) -> Option<Unrolled> {
    let Mvau { pe, simd, taps, folds, level_bits, weight_bits, .. } = unit.mvau;
    let small =
        taps * simd <= MOST_PRODUCTS && folds * pe <= MOST_OUTPUTS && level_bits + weight_bits <= MOST_BITS;
    // Nothing is known of memories that are filled later.
    if !small || site.controlled || site.memory == Memory::Spram {
        return None;
    }
    let property = match unit.port {
        None => "sums of all folds against flat dot products",
        Some(_) => "sums of all folds against flat dot products, if the port brings the layer's words",
    };
    let cycles = taps * folds + site.latency as usize + 4;
    Some(Unrolled { harness: harness(site, module, unit), cycles, property })
}

/// Returns the module `<unit>_flat`: the unit beside its definition.
fn harness(site: &Site, module: &str, unit: &Unit) -> File {
    let (mvau, weights) = (&unit.mvau, &unit.weights);
    let Mvau { pe, taps, .. } = *mvau;
    let (places, bits) = (mvau.words(), site.output.bits);
    let name = format!("{module}_flat");
    let each = |section: &str| -> String {
        let values = |p: usize| {
            let (top, low) = ((p + 1) * bits - 1, p * bits);
            vec![("p", p.to_string()), ("top", top.to_string()), ("low", low.to_string())]
        };
        (0..pe).map(|p| fill(TEMPLATE, section, &values(p))).collect()
    };
    let [levels, words] = [("s", "s"), ("y", "w")].map(|(port, net)| {
        let part = |part| format!(".{port}_{part}({net}_{part})");
        ["data", "valid", "ready"].map(part).join(", ")
    });
    let streamed = unit.port.is_some();
    let streams = if streamed { format!("{}, {words}", levels.replace(".s_", ".x_")) } else { levels };
    let only = |text: String| if streamed { text } else { String::new() };
    let values = vec![
        ("weight_valid", only("  input wire w_valid,\n".into())),
        ("streams", streams),
        ("words", unit.port.map_or(String::new(), |port| brought(port.width(), site, unit))),
        ("together", only(fill(TEMPLATE, "together", &vec![]))),
        ("name", name.clone()),
        ("module", module.into()),
        ("in_top", (site.input.width() - 1).to_string()),
        ("out_top", (site.output.width() - 1).to_string()),
        ("at", addr_bits(places).to_string()),
        ("at_top", (addr_bits(places) - 1).to_string()),
        ("last", (places - 1).to_string()),
        ("last_tap", (taps - 1).to_string()),
        ("lanes", (0..pe).map(|p| lane(bits, mvau, weights, p)).collect()),
        ("sums", each("sum")),
        ("expected", each("expected")),
    ];
    File { name: format!("{name}.v"), text: fill(TEMPLATE, "module", &values) }
}

/// Returns the words, of `bits` bits, that come with the beats of a frame.
fn brought(bits: usize, site: &Site, unit: &Unit) -> String {
    let places = unit.mvau.words();
    let words = unit.weights.words(&unit.mvau, super::dot(&unit.mvau, site.output.bits));
    let case = |(place, word): (usize, &[u64])| {
        let values = vec![
            ("at", addr_bits(places).to_string()),
            ("place", place.to_string()),
            ("bits", bits.to_string()),
            ("word", to_hex(word, unit.mvau.word())),
        ];
        fill(TEMPLATE, "word", &values)
    };
    let cases = words.chunks(words_for(unit.mvau.word())).enumerate().map(case).collect();
    fill(TEMPLATE, "words", &vec![("word_top", (bits - 1).to_string()), ("word_cases", cases)])
}

/// Returns the sum of PE `p`: what each beat of a frame adds to it.
fn lane(bits: usize, mvau: &Mvau, weights: &Weights, p: usize) -> String {
    let Mvau { pe, simd, taps, level_bits, .. } = *mvau;
    let places = mvau.words();
    let case = |place: usize| {
        let term = |i: usize| {
            let (top, low) = ((i + 1) * level_bits - 1, i * level_bits);
            let value = weights.at(place / taps * pe + p, weights.tap(place % taps, simd), i);
            let sign = if value < 0 { "-" } else { "" };
            format!("{sign}32'sd{} * $signed({{1'b0, s_data[{top}:{low}]}})", value.unsigned_abs())
        };
        let values = vec![
            ("at", addr_bits(places).to_string()),
            ("place", place.to_string()),
            ("p", p.to_string()),
            ("terms", (0..simd).map(term).collect::<Vec<_>>().join(" + ")),
        ];
        fill(TEMPLATE, "case", &values)
    };
    let cases = (0..places).map(case).collect();
    fill(TEMPLATE, "lane", &vec![("top", (bits - 1).to_string()), ("p", p.to_string()), ("cases", cases)])
}
