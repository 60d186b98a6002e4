//! What a window promises beside its stream: that each tap is read where its pixel was written, and which rows are held. Positions
//! are whole numbers of rows, columns and channels; what the circuit keeps of them (addresses, slots of the ring, bases)
//! is shown to be theirs, by induction. With the loops' order, which is that of plain counters, this is the order of the taps.

use super::shape::{Window, address_bits, held_bits, row_bits};
use std::fmt::Write;

/// Bits of the sums below: of rows, of columns times the beats of a pixel, and of their negative starts.
const WIDE: usize = 24;

/// Whether each window covers some of the map, as all but odd paddings see to.
fn covers(w: &Window) -> bool {
    let axes = [(w.rows, w.output[0], w.map.height), (w.columns, w.output[1], w.map.width)];
    axes.iter().all(|(axis, outputs, size)| {
        axis.before < axis.kernel && (outputs - 1) * axis.stride < axis.before + size
    })
}

/// The contract of `w`, which has a net `padded` if it is, under `FORMAL`.
pub fn taps(w: &Window, padded: bool) -> String {
    let (rows, columns, ring) = (w.rows, w.columns, w.ring);
    let (beats, row_beats) = (w.pixel_beats(), w.map.width * w.pixel_beats());
    // A net, or what stands in its place where a loop has one state.
    let net = |name: &str, count: usize| match count {
        1 => format!("{WIDE}'d0"),
        _ => format!("({WIDE}'d0 + {name}_q)"),
    };
    let reg = |name: &str| format!("({WIDE}'d0 + {name}_q)");
    let number = |value: i64| match value {
        0.. => format!("{WIDE}'d{value}"),
        _ => format!("(-{WIDE}'d{})", value.unsigned_abs()),
    };
    let modulo = |text: &str, bits: usize| format!("(({text}) & {})", number((1 << bits) - 1));
    let in_ring = |text: &str| match ring {
        1 => format!("{WIDE}'d0"),
        _ if ring.is_power_of_two() => format!("(({text}) & {})", number(ring as i64 - 1)),
        _ => format!("(({text}) % {})", number(ring as i64)),
    };
    let (row_before, column_before) = (rows.before as i64, columns.before as i64);
    let start = (-row_before).rem_euclid(ring as i64);
    // Where the beat of a slot, column and channel stands in the line buffer.
    let place = |slot: &str, column: &str, channel: &str| {
        let (row_beats, before, beats) =
            (number(row_beats as i64), number(column_before), number(beats as i64));
        format!("{slot} * {row_beats} + ({column} - {before}) * {beats} + {channel}")
    };
    let slot_of = |row: &str| in_ring(&format!("f_first + {}", reg(row)));
    // Which rows are held is followed where each window needs some of them, and the next one no row beyond the ring.
    let followed = covers(w) && rows.stride <= ring;
    let mut text = format!(
        "// Slots of the ring: of row 0, padding included, of the frame being read, and of the row being written.\n\
         reg [{top}:0] f_first, f_slot;\n\
         always @(posedge clk) if (rst) begin\n  f_first <= {start};\n  f_slot <= 0;\nend else begin\n  \
         if (frame_ends) f_first <= {next};\n  if (row_written) f_slot <= {after};\nend\n",
        top = WIDE - 1,
        start = number(start),
        next = in_ring(&format!("f_first + {}", number(w.map.height as i64))),
        after = in_ring("f_slot + 1"),
    );
    let mut claims: Vec<(&str, String)> = vec![];
    for (name, bound) in [
        ("out_row", w.output[0]),
        ("out_column", w.output[1]),
        ("tap_row", rows.kernel),
        ("tap_column", columns.kernel),
        ("group", w.groups),
        ("replay", w.folds),
        ("chunk", w.chunks),
        ("write_chunk", beats),
    ] {
        if bound > 1 {
            claims.push(("loop_in_range", format!("{} < {}", reg(name), number(bound as i64))));
        }
    }
    for (axis, name, outputs) in [(rows, "row", w.output[0]), (columns, "column", w.output[1])] {
        let base = format!("{} * {}", net(&format!("out_{name}"), outputs), number(axis.stride as i64));
        claims.push(("first_tap", format!("{} == {base}", reg(&format!("{name}_base")))));
        let tap = net(&format!("tap_{name}"), axis.kernel);
        claims.push(("tap", format!("{} == {} + {tap}", reg(name), reg(&format!("{name}_base")))));
    }
    let channel =
        format!("{} * {} + {}", net("group", w.groups), number(w.chunks as i64), net("chunk", w.chunks));
    if beats > 1 {
        claims.push(("channel_read", format!("{} == {channel}", reg("channel"))));
    }
    let bits = address_bits(w);
    for (offset, column) in [("offset_base", "column_base"), ("offset", "column")] {
        let wanted = format!("({} - {}) * {}", reg(column), number(column_before), number(beats as i64));
        claims.push(("column_read", format!("{} == {}", reg(offset), modulo(&wanted, bits))));
    }
    claims.push(("first_in_range", format!("f_first < {}", number(ring as i64))));
    for (slot, row) in [("slot_base", "row_base"), ("slot", "row")] {
        if ring > 1 {
            claims.push(("slot_read", format!("{} == {}", reg(slot), slot_of(row))));
        }
    }
    // The writer: the next beat goes to its row's slot, its column and channel; and its row is the reader's `rows`.
    let column = reg("write_column");
    claims.push((
        "column_in_range",
        format!(
            "{column} >= {} && {column} < {}",
            number(column_before),
            number(column_before + w.map.width as i64)
        ),
    ));
    let written = place("f_slot", &column, &net("write_chunk", beats));
    claims.push(("place_written", format!("{} == {written}", net("write_at", ring * row_beats))));
    if ring > 1 && followed {
        claims.push(("slot_written", format!("f_slot == {}", slot_of("rows"))));
    }
    if followed {
        let [row, base, held, released] = ["row", "row_base", "held", "released"].map(reg);
        let written = reg("rows");
        let (before, end) = (number(row_before), number(row_before + w.map.height as i64));
        // Of the rows that the window has passed all on the map are there, the last one at least in part.
        if columns.kernel > 1 {
            let base = reg("column_base");
            let outside = number(column_before);
            let first = format!("({base} < {outside} ? {outside} - {base} : {})", number(0));
            let passed = format!("{} > {first}", reg("tap_column"));
            let on_map = format!("{row} >= {before} && {row} < {end}");
            claims.push(("passed_in_row", format!("!({passed} && {on_map}) || {written} >= {row}")));
        }
        if rows.kernel > 1 {
            let passed = format!("{} > 0 && {row} > {before}", reg("tap_row"));
            let last = format!("({row} <= {end} ? {row} : {end})");
            claims.push(("passed_rows", format!("!({passed}) || {written} + 1 >= {last}")));
        }
        // The oldest row that is held is the first that the window needs, and no more are held than the ring has.
        let needed = format!("({base} > {before} ? {base} : {before})");
        let (stride, places) = (number(rows.stride as i64), number(ring as i64));
        claims.push(("needed_soon", format!("{written} + {stride} >= {needed}")));
        claims.push(("ring_suffices", format!("{written} + {released} <= {needed} + {places}")));
        let oldest = format!("{written} - {held} + {released}");
        let (oldest, needed) = (modulo(&oldest, held_bits(w)), modulo(&needed, held_bits(w)));
        claims.push(("rows_held", format!("{oldest} == {needed}")));
        claims.push(("rows_in_range", format!("{written} < {}", number(1 << row_bits(w)))));
    }
    // What is read for a tap on the map: its own place, by its row, column and channel.
    let place = place(&slot_of("row"), &reg("column"), &net("channel", beats));
    let on_map = if padded { "go && !padded" } else { "go" };
    text += &format!(
        "reg [{top}:0] f_tap_at;\nreg f_tap_real;\nalways @(posedge clk) begin\n  f_tap_at <= {place};\n  \
         f_tap_real <= !rst && {on_map};\nend\n",
        top = WIDE - 1
    );
    claims.push(("tap_is_read", format!("!f_tap_real || {} == f_tap_at", reg("address1"))));
    text += "always @(posedge clk) if (f_past && !rst) begin\n";
    for (i, (name, claim)) in claims.iter().enumerate() {
        let _ = writeln!(text, "  {name}{i}: assert ({claim});");
    }
    text + "end\n"
}
