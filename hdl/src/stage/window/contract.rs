//! Writes the contract of a window, from its template: which claims hold of its shape, and what they are
//! about.

use super::loops::NAMES;
use super::shape::{Window, address_bits, held_bits, row_bits};
use crate::stage::contract::{Values, fill, history};
use crate::stage::site::Site;

const TEMPLATE: &str = include_str!("window.contract.v");

/// Number of bits of the sums in claims: of rows, of columns times the beats of a pixel, and of their
/// negative starts.
const WIDE: usize = 24;

/// Returns the contract of `w`, which has a net `padded` if it is, under `FORMAL`.
pub fn taps(w: &Window, padded: bool) -> String {
    let values = values(w, padded);
    let mut claims = loops(w);
    claims.extend(positions(w));
    let mut states =
        |name: &'static str| claims.push((name, fill(TEMPLATE, name, &values).trim_end().into()));
    // The contract follows which rows are held where each window needs some of them, and the next one no row
    // beyond the ring.
    let followed = covers(w) && w.rows.stride <= w.ring;
    states("column_in_range");
    states("place_written");
    if w.ring > 1 && followed {
        states("slot_written");
    }
    if followed {
        if w.columns.kernel > 1 {
            states("passed_in_row");
        }
        if w.rows.kernel > 1 {
            states("passed_rows");
        }
        for name in ["needed_soon", "ring_suffices", "rows_held", "rows_in_range"] {
            states(name);
        }
    }
    states("tap_is_read");
    let claim = |(i, (name, claim)): (usize, (&str, String))| {
        fill(TEMPLATE, "claim", &vec![("name", format!("{name}{i}")), ("claim", claim)])
    };
    let claims = claims.into_iter().enumerate().map(claim).collect();
    [fill(TEMPLATE, "slots", &values), fill(TEMPLATE, "tap", &values)].concat()
        + &fill(TEMPLATE, "claims", &vec![("claims", claims)])
}

/// Returns the contract of a padding's `level` at `site`, beside [`taps`]. A level of 0 has none: its modules
/// are as they were before there were others.
pub fn padding(level: u64, site: &Site) -> String {
    let lanes = site.input;
    let (history, padded) = history("padded", "padded", 1, site.latency as usize - 1);
    let level = format!("{{{}{{{}'d{level}}}}}", lanes.count, lanes.bits);
    history + &fill(TEMPLATE, "padding", &vec![("padded", padded), ("level", level)])
}

/// Returns whether each window covers some of the map, as all but odd paddings see to.
fn covers(w: &Window) -> bool {
    let axes = [(w.rows, w.output[0], w.map.height), (w.columns, w.output[1], w.map.width)];
    axes.iter().all(|(axis, outputs, size)| {
        axis.before < axis.kernel && (outputs - 1) * axis.stride < axis.before + size
    })
}

/// Returns register `name` in as many bits as claims have.
fn reg(name: &str) -> String {
    wide(&format!("{name}_q"))
}

/// Returns `net` in as many bits as claims have.
fn wide(net: &str) -> String {
    format!("({WIDE}'d0 + {net})")
}

/// Returns a register, or what stands in its place where a loop has one state.
fn counter(name: &str, count: usize) -> String {
    if count == 1 { number(0) } else { reg(name) }
}

fn number(value: i64) -> String {
    match value {
        0.. => format!("{WIDE}'d{value}"),
        _ => format!("(-{WIDE}'d{})", value.unsigned_abs()),
    }
}

fn modulo(text: &str, bits: usize) -> String {
    format!("(({text}) & {})", number((1 << bits) - 1))
}

fn in_ring(w: &Window, text: &str) -> String {
    match w.ring {
        1 => number(0),
        ring if ring.is_power_of_two() => format!("(({text}) & {})", number(ring as i64 - 1)),
        ring => format!("(({text}) % {})", number(ring as i64)),
    }
}

/// Returns a product, without the factor that changes nothing.
fn times(text: &str, factor: usize) -> String {
    if factor == 1 { text.into() } else { format!("{text} * {}", number(factor as i64)) }
}

/// Returns a difference, without the subtrahend that changes nothing.
fn minus(text: &str, by: usize) -> String {
    if by == 0 { text.into() } else { format!("({text} - {})", number(by as i64)) }
}

/// Returns the slot of `row`.
fn slot_of(w: &Window, row: &str) -> String {
    in_ring(w, &format!("f_first + {row}"))
}

/// Returns the row or column of the window's first tap: a register, or the first of the map where there is one output.
fn base(axis: &str, outputs: usize) -> String {
    counter(&format!("{axis}_base"), outputs)
}

/// Returns where the beat of a slot and column stands in the line buffer: the first of a pixel, or that of
/// counter `channel`.
fn place(w: &Window, slot: &str, column: &str, channel: &str) -> String {
    let beats = w.pixel_beats();
    let pixel = times(&minus(column, w.columns.before), beats);
    let first = format!("{} + {pixel}", times(slot, w.map.width * beats));
    if beats == 1 { first } else { format!("{first} + {}", reg(channel)) }
}

/// Returns the values of the template.
fn values(w: &Window, padded: bool) -> Values {
    let (row_before, column_before) = (w.rows.before as i64, w.columns.before as i64);
    let (before, outside) = (number(row_before), number(column_before));
    let [rows, row, held] = ["rows", "row", "held"].map(reg);
    let [row_base, column_base] = [base("row", w.output[0]), base("column", w.output[1])];
    let released = wide("released");
    let beats = w.pixel_beats();
    let needed = format!("({row_base} > {before} ? {row_base} : {before})");
    let oldest = format!("{rows} - {held} + {released}");
    let write_column = reg("write_column");
    vec![
        ("top", (WIDE - 1).to_string()),
        ("start", number((-row_before).rem_euclid(w.ring as i64))),
        ("next", in_ring(w, &format!("f_first + {}", number(w.map.height as i64)))),
        ("after", in_ring(w, "f_slot + 1")),
        ("place", place(w, &slot_of(w, &row), &reg("column"), "channel")),
        ("on_map", if padded { "go && !padded" } else { "go" }.into()),
        ("written_place", place(w, "f_slot", &write_column, "write_chunk")),
        ("write_at", counter("write_at", w.ring * w.map.width * beats)),
        ("slot_of_rows", slot_of(w, &rows)),
        ("first_column", format!("({column_base} < {outside} ? {outside} - {column_base} : {})", number(0))),
        ("tap_column", reg("tap_column")),
        ("tap_row", reg("tap_row")),
        ("end", number(row_before + w.map.height as i64)),
        ("column_end", number(column_before + w.map.width as i64)),
        ("stride", number(w.rows.stride as i64)),
        ("ring", number(w.ring as i64)),
        ("oldest", modulo(&oldest, held_bits(w))),
        ("needed_modulo", modulo(&needed, held_bits(w))),
        ("most_rows", number(1 << row_bits(w))),
        ("address", reg("address1")),
        ("before", before),
        ("column_before", outside),
        ("rows", rows),
        ("row", row),
        ("released", released),
        ("needed", needed),
        ("write_column", write_column),
    ]
}

/// Claims that every loop counts within its bound, and that the ends of loops are known.
fn loops(w: &Window) -> Vec<(&'static str, String)> {
    let reading = || NAMES.into_iter().zip(w.loops()).filter(|&(_, bound)| bound > 1);
    let writing = [("write_chunk", w.pixel_beats())].into_iter().filter(|&(_, bound)| bound > 1);
    let in_range = |(name, bound)| ("loop_in_range", format!("{} < {}", reg(name), number(bound as i64)));
    let last = |(name, bound)| format!("{} == {}", reg(name), number(bound as i64 - 1));
    let end = |(i, (name, _)): (usize, (&str, usize))| {
        let all: Vec<String> = reading().take(i + 1).map(last).collect();
        ("loops_end", format!("{name}_ends_q == ({})", all.join(" && ")))
    };
    reading().chain(writing).map(in_range).chain(reading().enumerate().map(end)).collect()
}

/// Claims that what is kept of the reading position is that of the loops.
fn positions(w: &Window) -> Vec<(&'static str, String)> {
    let mut claims = vec![];
    for (axis, name, outputs) in [(w.rows, "row", w.output[0]), (w.columns, "column", w.output[1])] {
        let mut tap = base(name, outputs);
        if outputs > 1 {
            let first = times(&reg(&format!("out_{name}")), axis.stride);
            claims.push(("first_tap", format!("{tap} == {first}")));
        }
        if axis.kernel > 1 {
            tap += &format!(" + {}", reg(&format!("tap_{name}")));
        }
        claims.push(("tap", format!("{} == {tap}", reg(name))));
    }
    let beats = w.pixel_beats();
    if beats > 1 {
        let group = (w.groups > 1).then(|| times(&reg("group"), w.chunks));
        let chunk = (w.chunks > 1).then(|| reg("chunk"));
        let channel = group.into_iter().chain(chunk).collect::<Vec<_>>().join(" + ");
        claims.push(("channel_read", format!("{} == {channel}", reg("channel"))));
    }
    let base_offset = (w.output[1] > 1).then_some(("offset_base", "column_base"));
    for (offset, column) in base_offset.into_iter().chain([("offset", "column")]) {
        let wanted = modulo(&times(&minus(&reg(column), w.columns.before), beats), address_bits(w));
        claims.push(("column_read", format!("{} == {wanted}", reg(offset))));
    }
    claims.push(("first_in_range", format!("f_first < {}", number(w.ring as i64))));
    if w.ring > 1 {
        for (slot, row) in [("slot_base", base("row", w.output[0])), ("slot", reg("row"))] {
            claims.push(("slot_read", format!("{} == {}", reg(slot), slot_of(w, &row))));
        }
    }
    claims
}
