//! What stages promise of their streams, as Verilog under `FORMAL` beside the logic that keeps it. Proved by induction
//! ([`crate::formal`]); what is asserted beside the promise itself makes the induction close.

use super::site::Lanes;
use crate::rtl::{addr_bits, bits_for};
use dq_net::Range;

/// Of an output FIFO: every beat that was promised a place comes `delay` cycles later and finds it; beats leave as they
/// came, in order, none lost and none twice; what is offered stays until it is taken.
pub fn outlet(suffix: &str, depth: usize, delay: usize, deep: bool) -> String {
    let bits = bits_for(depth as u64);
    let wide = bits + 2;
    let n = |name: &str| format!("{name}{suffix}");
    let (credit, count) = (format!("credit{suffix}_q"), format!("count{suffix}_q"));
    let (spend, push) = (n("f_spend"), n("f_push"));
    let mut text = reset(suffix);
    let zero_extended = |net: &str, have: usize| format!("{{{}'d0, {net}}}", wide + 1 - have);
    let mut held = format!("{} + {}", zero_extended(&credit, bits), zero_extended(&count, bits));
    if deep {
        held += &format!(" + {}", zero_extended(&format!("shown{suffix}_q"), 1));
    }
    text += "// A place that is promised is filled after a fixed time.\n";
    if delay == 0 {
        text += &format!("always @(*) if (!rst) {} assert ({push} == {spend});\n", label(suffix, "on_time"));
    } else {
        let spent = n("f_spent");
        text += &format!("reg [{}:0] {spent};\n", delay - 1);
        let shifted =
            if delay == 1 { spend.clone() } else { format!("{{{spent}[{}:0], {spend}}}", delay - 2) };
        text += &format!("always @(posedge clk) if (rst) {spent} <= 0; else {spent} <= {shifted};\n");
        let late = format!("{spent}[{}]", delay - 1);
        text += &format!(
            "always @(posedge clk) if ({past} && !rst) {} assert ({push} == {late});\n",
            label(suffix, "on_time"),
            past = n("f_past")
        );
        for i in 0..delay {
            held += &format!(" + {}", zero_extended(&format!("{spent}[{i}]"), 1));
        }
    }
    text += &format!("wire [{wide}:0] {} = {held};\n", n("f_places"));
    text += &format!(
        "always @(posedge clk) if ({past} && !rst) begin\n  {} assert ({places} == {}'d{depth});\n  {} assert (!{push} || ({count} < {bits}'d{depth}));\nend\n",
        label(suffix, "places_add_up"),
        wide + 1,
        label(suffix, "no_overflow"),
        past = n("f_past"),
        places = n("f_places"),
    );
    let held = if deep { format!("shown{suffix}_q") } else { format!("(|{count})") };
    text += &offered(suffix, &format!("m{suffix}_valid"), &held);
    if !deep {
        text += &order(suffix, depth, &push, &count);
    }
    text + &stable(suffix)
}

/// Beats leave in the order in which they were pushed: one of them, any, is followed through the memory.
fn order(suffix: &str, depth: usize, push: &str, count: &str) -> String {
    let (bits, at_bits) = (bits_for(depth as u64), addr_bits(depth));
    let n = |name: &str| format!("{name}{suffix}");
    let (head, tail) = (format!("fifo_in{suffix}_q"), format!("fifo_out{suffix}_q"));
    let wide = bits + 1;
    format!(
        "// One beat, any, on its way through the memory.\n\
         (* anyconst *) reg [{top}:0] {number};\n\
         reg [{top}:0] {come};\n\
         reg [{top}:0] {gone};\n\
         always @(posedge clk) if (rst) begin\n  {come} <= 0;\n  {gone} <= 0;\nend else begin\n  \
         {come} <= {come} + {{{bits}'d0, {push}}};\n  {gone} <= {gone} + {{{bits}'d0, {pop}}};\nend\n\
         wire [{top}:0] {here} = {come} - {gone};\n\
         wire [{top}:0] {before} = {number} - {gone};\n\
         wire [{top}:0] {sum} = {{{pad_at}'d0, {tail}}} + {before};\n\
         wire [{top}:0] {place} = ({sum} >= {wide}'d{depth}) ? {sum} - {wide}'d{depth} : {sum};\n\
         wire [{top}:0] {end_sum} = {{{pad_at}'d0, {tail}}} + {here};\n\
         wire [{top}:0] {end} = ({end_sum} >= {wide}'d{depth}) ? {end_sum} - {wide}'d{depth} : {end_sum};\n\
         reg [$bits({data})-1:0] {word};\n\
         always @(posedge clk) if ({push} && ({come} == {number})) {word} <= {data};\n\
         always @(posedge clk) if ({past} && !rst) begin\n  \
         {l1} assert ({here} == {{1'd0, {count}}});\n  \
         {l2} assert (({{{pad_at}'d0, {head}}} < {wide}'d{depth}) && ({{{pad_at}'d0, {tail}}} < {wide}'d{depth}));\n  \
         {l3} assert ({{{pad_at}'d0, {head}}} == {end});\n  \
         {l4} assert (!({before} < {here}) || (fifo{suffix}[{place}[{at_top}:0]] == {word}));\n  \
         {l5} assert (!({pop} && ({gone} == {number})) || (m{suffix}_data == {word}));\nend\n",
        top = bits,
        number = n("f_number"),
        come = n("f_come"),
        gone = n("f_gone"),
        here = n("f_here"),
        before = n("f_before"),
        sum = n("f_sum"),
        place = n("f_place"),
        end_sum = n("f_end_sum"),
        end = n("f_end"),
        word = n("f_word"),
        data = n("f_data"),
        past = n("f_past"),
        pop = n("pop"),
        pad_at = wide - at_bits,
        at_top = at_bits - 1,
        l1 = label(suffix, "count_is_right"),
        l2 = label(suffix, "pointers_in_range"),
        l3 = label(suffix, "pointers_fit"),
        l4 = label(suffix, "beat_is_kept"),
        l5 = label(suffix, "beat_in_order"),
    )
}

/// A beat that is held is offered, whether or not it can be taken.
fn offered(suffix: &str, valid: &str, held: &str) -> String {
    format!("always @(*) {} assert ({valid} == {held});\n", label(suffix, "valid_waits_for_nothing"))
}

/// What is offered stays until it is taken.
pub fn stable(suffix: &str) -> String {
    let (m, past) = (format!("m{suffix}"), format!("f_past{suffix}"));
    format!(
        "always @(posedge clk) if ({past} && !rst && !$past(rst) && $past({m}_valid && !{m}_ready)) begin\n  \
         {} assert ({m}_valid);\n  {} assert ({m}_data == $past({m}_data));\nend\n",
        label(suffix, "valid_stays"),
        label(suffix, "data_stays"),
    )
}

/// The first cycle is one of reset.
pub fn reset(suffix: &str) -> String {
    format!(
        "reg f_past{suffix} = 1'b0;\nalways @(posedge clk) f_past{suffix} <= 1'b1;\n\
         always @(*) if (!f_past{suffix}) assume (rst);\n"
    )
}

/// The name by which a failed property is told.
fn label(suffix: &str, name: &str) -> String {
    format!("{name}{suffix}:")
}

/// Of the beats held by a stage that gives them in parts or as they are: counted right, offered until taken. `held` are
/// the nets `count`, `fifo_in`, `fifo_out` of a ring of `depth` places; `data` are what is offered.
pub fn ring(depth: usize, ready: &str, valid: &str, data: &[&str]) -> String {
    let (bits, at) = (bits_for(depth as u64), addr_bits(depth));
    let wide = bits + 2;
    let mut text = reset("");
    text += &format!(
        "wire [{top}:0] f_sum = {{{pad}'d0, fifo_out_q}} + {{2'd0, count_q}};\n\
         wire [{top}:0] f_end = (f_sum >= {wide}'d{depth}) ? f_sum - {wide}'d{depth} : f_sum;\n\
         always @(posedge clk) if (f_past && !rst) begin\n  \
         {} assert (({{{pad}'d0, fifo_in_q}} < {wide}'d{depth}) && ({{{pad}'d0, fifo_out_q}} < {wide}'d{depth}));\n  \
         {} assert ({{{pad}'d0, fifo_in_q}} == f_end);\nend\n",
        label("", "pointers_in_range"),
        label("", "pointers_fit"),
        top = wide - 1,
        pad = wide - at,
    );
    text += &offered("", valid, "(|count_q)");
    text += &format!(
        "always @(posedge clk) if (f_past && !rst) {} assert (count_q <= {bits}'d{depth});\n\
         always @(posedge clk) if (f_past && !rst && !$past(rst) && $past({valid} && !{ready})) begin\n  \
         {} assert ({valid});\n",
        label("", "count_in_range"),
        label("", "valid_stays")
    );
    for data in data {
        text += &format!("  {} assert ({data} == $past({data}));\n", label("", &format!("{data}_stays")));
    }
    text + "end\n"
}

/// `net` of `width` bits, `delay` cycles ago: the last of registers called `f_<name>1`, `f_<name>2`, ...
pub fn history(name: &str, net: &str, width: usize, delay: usize) -> (String, String) {
    let mut text = String::new();
    let mut now = net.to_owned();
    for d in 1..=delay {
        let next = format!("f_{name}{d}");
        text += &format!("reg [{}:0] {next};\nalways @(posedge clk) {next} <= {now};\n", width - 1);
        now = next;
    }
    (text, now)
}

/// What a quantizer is defined by.
pub struct Definition {
    /// The lanes that come in.
    pub lanes: Lanes,
    /// Beats of a pixel.
    pub folds: usize,
    /// Bits of a level.
    pub bits: usize,
    /// What the accumulators may be.
    pub range: Range,
    /// Cycles from a beat to its levels.
    pub delay: usize,
}

/// Of a quantizer: the level of each lane is the number of its channel's thresholds that are reached, `delay` cycles
/// later. `thresholds(channel)` gives direction and thresholds as the network has them.
pub fn step(definition: &Definition, thresholds: impl Fn(usize) -> (i8, Vec<i64>)) -> String {
    let Definition { folds, bits, delay, range, .. } = *definition;
    let Lanes { count: lanes, bits: acc_bits, signed } = definition.lanes;
    let push = "f_push";
    let wide = acc_bits + 3;
    let number = |value: i64| {
        let sign = if value < 0 { "-" } else { "" };
        format!("{sign}{wide}'sd{}", value.unsigned_abs())
    };
    let (mut text, x) = history("x", "s_data", lanes * acc_bits, delay);
    let fold = (folds > 1).then(|| history("fold", "fold_q", addr_bits(folds), delay));
    if let Some((more, _)) = &fold {
        let bits = addr_bits(folds);
        text += &format!(
            "always @(posedge clk) if (f_past && !rst) {} assert ({{1'd0, fold_q}} < {}'d{folds});\n",
            label("", "fold_in_range"),
            bits + 1
        );
        text += more;
    }
    let lane = |net: &str, l: usize| {
        let top = format!("{net}[{}]", (l + 1) * acc_bits - 1);
        let fill = if signed { format!("{{3{{{top}}}}}") } else { "3'd0".into() };
        format!("$signed({{{fill}, {net}[{}:{}]}})", (l + 1) * acc_bits - 1, l * acc_bits)
    };
    text += "// The input keeps within its range.\n";
    for l in 0..lanes {
        let now = lane("s_data", l);
        let (lo, hi) = (number(range.lo), number(range.hi));
        text += &format!("always @(*) if (s_valid) assume (({now} >= {lo}) && ({now} <= {hi}));\n");
    }
    for l in 0..lanes {
        text += &format!("wire signed [{}:0] f_acc{l} = {};\n", wide - 1, lane(&x, l));
        text += &format!("reg [{bits}:0] f_level{l};\nalways @(*) begin\n  f_level{l} = 0;\n");
        for f in 0..folds {
            let (dir, values) = thresholds(f * lanes + l);
            let minus = if dir < 0 { "-" } else { "" };
            let reached: Vec<String> =
                values.iter().map(|&t| format!("({minus}f_acc{l} >= {})", number(t))).collect();
            let rows: Vec<String> = reached.chunks(4).map(|some| some.join(" + ")).collect();
            let sum = rows.join("\n    + ");
            let when = fold
                .as_ref()
                .map_or(String::new(), |(_, f_fold)| format!("if ({f_fold} == {}'d{f}) ", addr_bits(folds)));
            text += &format!("  {when}f_level{l} = {sum};\n");
        }
        text += "end\n";
        let label = label("", &format!("level{l}_is_its_definition"));
        text += &format!(
            "always @(posedge clk) if (f_past && !rst && {push}) {label} assert (f_data[{}:{}] == f_level{l}[{}:0]);\n",
            (l + 1) * bits - 1,
            l * bits,
            bits - 1
        );
    }
    text
}
