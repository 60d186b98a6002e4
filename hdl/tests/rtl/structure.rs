//! Tests groups: links, checks, emission, rust-hdl's own printer on the same tree, traces.

use dq_hdl::rtl::*;

/// Makes one register slice: `m = s + step`, elastic.
fn stage(name: &str, width: usize, step: u64) -> Module {
    let mut k = Kernel::new(name, "Adds a constant to each beat.\n\nLatency 1, interval 1.");
    let (s_data, s_valid, s_ready) =
        (k.input("s_data", width), k.input("s_valid", 1), k.output("s_ready", 1));
    let (m_data, m_valid, m_ready) =
        (k.output("m_data", width), k.output("m_valid", 1), k.input("m_ready", 1));
    let (valid, data) = (k.reg("valid", 1, Some(0)), k.reg("data", width, None));
    let en = k.wire("en", !valid | m_ready);
    k.comment(en, "Room for a beat.");
    k.drive(s_ready, en);
    k.drive(m_valid, valid);
    k.drive(m_data, data);
    k.clocked([when(
        en,
        [set(valid, s_valid), note("data only"), set(data, s_data.add(lit(step, width), width))],
    )]);
    k.build()
}

fn chain() -> Module {
    let mut inner = Group::new("pair", "Two stages.");
    inner.stream_in("s", 9);
    inner.stream_out("m", 9);
    inner.child("first", &stage("add3", 9, 3));
    inner.child("second", &stage("add5", 9, 5));
    inner.stream("s", "first.s");
    inner.stream("first.m", "second.s");
    inner.stream("second.m", "m");
    let inner = inner.build();
    let mut top = Group::new("chain", "Three stages, two modules.");
    top.stream_in("s", 9);
    top.stream_out("m", 9);
    top.child("front", &inner);
    top.child("last", &stage("add3", 9, 3));
    top.stream("s", "front.s");
    top.stream("front.m", "last.s");
    top.stream("last.m", "m");
    top.build()
}

#[test]
fn beats_pass_a_hierarchy_in_order_under_stalls() {
    let mut sim = Sim::new(&chain());
    let [s_data, s_valid, s_ready, m_data, m_valid, m_ready] =
        ["s_data", "s_valid", "s_ready", "m_data", "m_valid", "m_ready"].map(|name| sim.port(name));
    sim.scramble(7);
    sim.reset();
    let (mut sent, mut got, mut noise) = (0u64, vec![], 1u32);
    while got.len() < 200 {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (offer, take) = (noise >> 30 != 0, noise >> 28 & 3 != 0);
        sim.set(s_valid, offer as u64);
        sim.set(s_data, sent);
        sim.set(m_ready, take as u64);
        let moved = offer && sim.get(s_ready) == 1;
        if take && sim.get(m_valid) == 1 {
            got.push(sim.get(m_data));
        }
        sim.clock();
        sent += moved as u64;
    }
    assert!(got.iter().enumerate().all(|(at, &value)| value == at as u64 + 11), "{got:?}");
    assert!(sim.peek("front.second.valid_q").is_some() && sim.peek("front.third.valid_q").is_none());
}

#[test]
fn a_distinct_module_is_one_file() {
    let files = emit(&chain(), "dq test").unwrap();
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["chain.v", "pair.v", "add3.v", "add5.v"]);
    assert_eq!(files, emit(&chain(), "dq test").unwrap());
    insta::assert_snapshot!("add3.v", files[2].text);
    insta::assert_snapshot!("pair.v", files[1].text);
}

#[test]
fn two_modules_under_one_name_are_refused() {
    let mut top = Group::new("clash", "");
    top.stream_in("s", 4);
    top.stream_out("m", 4);
    top.child("a", &stage("same", 4, 1));
    top.child("b", &stage("same", 4, 2));
    top.stream("s", "a.s");
    top.stream("a.m", "b.s");
    top.stream("b.m", "m");
    assert_eq!(emit(&top.build(), "").unwrap_err(), EmitError::ModuleClash("same".into()));
}

#[test]
#[should_panic(expected = "holed.a.m_ready: nothing drives it")]
fn an_open_input_is_named() {
    let mut top = Group::new("holed", "");
    top.stream_in("s", 4);
    top.output("m_valid", 1);
    top.child("a", &stage("add1", 4, 1));
    top.stream("s", "a.s");
    top.link("a.m_valid", "m_valid");
    top.ignore("a.m_data");
    top.build();
}

#[test]
fn constants_and_ignored_outputs_are_printed() {
    let mut top = Group::new("tied", "");
    top.stream_in("s", 4);
    top.output("m_valid", 1);
    top.child("a", &stage("add1", 4, 1));
    top.stream("s", "a.s");
    top.link("a.m_valid", "m_valid");
    top.ignore("a.m_data");
    top.tie("a.m_ready", lit(1, 1));
    let text = &emit(&top.build(), "").unwrap()[0].text;
    assert!(text.contains("  wire [3:0] unused_a_m_data;\n"), "{text}");
    assert!(text.contains("    .m_ready (1'b1)\n"), "{text}");
}

/// Makes two inverters in a ring: each alone is free of cycles, together they are not.
fn ring() -> Module {
    let mut k = Kernel::new("inverter", "");
    let (x, y) = (k.input("x", 1), k.output("y", 1));
    k.drive(y, !x);
    let inverter = k.build();
    let mut top = Group::new("ring", "");
    top.output("y", 1);
    top.child("a", &inverter);
    top.child("b", &inverter);
    top.link("a.y", "b.x");
    top.link("b.y", "a.x");
    top.link("a.y", "y");
    top.build()
}

#[test]
#[should_panic(expected = "ring: combinational cycle a.y -> b.y -> a.y")]
fn a_cycle_through_children_is_named_before_anything_is_emitted() {
    emit(&ring(), "").unwrap();
}

#[test]
#[should_panic(expected = "ring: combinational cycle a.y -> b.y -> a.y")]
fn a_cycle_through_children_is_named_before_anything_runs() {
    Sim::new(&ring());
}

#[test]
fn a_trace_holds_the_hierarchy_and_its_changes() {
    let mut sim = Sim::new(&chain());
    let [s_data, s_valid, m_ready] = ["s_data", "s_valid", "m_ready"].map(|name| sim.port(name));
    sim.reset();
    sim.trace();
    for (port, value) in [(s_data, 6), (s_valid, 1), (m_ready, 1)] {
        sim.set(port, value);
    }
    sim.clock();
    let mut text = sim.take_vcd();
    sim.clock();
    text.extend(sim.take_vcd());
    let text = String::from_utf8(text).unwrap();
    for part in
        ["$scope module front $end", "$scope module second $end", "data_q $end", "b000001001 ", "#40000"]
    {
        assert!(text.contains(part), "no {part} in {text}");
    }
}
