//! Shows what each node of an expression means, in a few lines: as it is printed, and as the values it takes.
//!
//! `shown` drives output `y` with an expression of the inputs `a` (5 bits), `b` (5 bits) and `c` (1 bit),
//! and returns the line that drives `y`, then `y` for a few inputs, all in decimal.

use dq_hdl::rtl::*;

const ROWS: [(u64, u64, u64); 3] = [(3, 30, 0), (31, 1, 1), (16, 16, 0)];

fn shown(build: impl Fn(&mut Kernel, Sig, Sig, Sig) -> Expr) -> String {
    let mut k = Kernel::new("meaning", "");
    let [a, b] = ["a", "b"].map(|name| k.input(name, 5));
    let c = k.input("c", 1);
    let value = build(&mut k, a, b, c);
    let y = k.output("y", value.width());
    k.drive(y, value);
    [a, b, c].into_iter().for_each(|input| k.unused(input));
    let module = k.build();
    let files = emit(&module, "").unwrap();
    let lines = files[0].text.lines().map(str::trim);
    let mut text: String =
        lines.filter_map(|line| line.strip_prefix("assign y = ")).map(|line| format!("{line}\n")).collect();
    let mut sim = Sim::new(&module);
    let [a, b, c, y] = ["a", "b", "c", "y"].map(|name| sim.port(name));
    for (x, z, flag) in ROWS {
        [(a, x), (b, z), (c, flag)].into_iter().for_each(|(port, value)| sim.set(port, value));
        text += &format!("a={x} b={z} c={flag}: {}\n", sim.get(y));
    }
    text
}

#[test]
fn sums_wrap_at_the_width_that_the_caller_names() {
    insta::assert_snapshot!(shown(|_, a, b, _| a.add(b, 5)), @r"
    a + b;
    a=3 b=30 c=0: 1
    a=31 b=1 c=1: 0
    a=16 b=16 c=0: 0
    ");
    insta::assert_snapshot!(shown(|_, a, b, _| a.add(b, 6)), @r"
    {1'd0, a} + {1'd0, b};
    a=3 b=30 c=0: 33
    a=31 b=1 c=1: 32
    a=16 b=16 c=0: 32
    ");
    insta::assert_snapshot!(shown(|_, a, b, _| a.signed().sub(b.signed(), 6)), @r"
    {a[4], a} - {b[4], b};
    a=3 b=30 c=0: 5
    a=31 b=1 c=1: 62
    a=16 b=16 c=0: 0
    ");
    insta::assert_snapshot!(shown(|_, a, b, _| a.signed().mul(b.signed(), 10)), @r"
    $signed({{5{a[4]}}, a}) * $signed({{5{b[4]}}, b});
    a=3 b=30 c=0: 1018
    a=31 b=1 c=1: 1023
    a=16 b=16 c=0: 256
    ");
}

#[test]
fn comparisons_read_both_sides_by_their_common_sign() {
    insta::assert_snapshot!(shown(|_, a, b, _| a.lt(b)), @r"
    a < b;
    a=3 b=30 c=0: 1
    a=31 b=1 c=1: 0
    a=16 b=16 c=0: 0
    ");
    insta::assert_snapshot!(shown(|_, a, b, _| a.signed().lt(b.signed())), @r"
    $signed(a) < $signed(b);
    a=3 b=30 c=0: 0
    a=31 b=1 c=1: 1
    a=16 b=16 c=0: 0
    ");
    insta::assert_snapshot!(shown(|_, a, b, _| a.signed().ge(b.signed())), @r"
    $signed(b) <= $signed(a);
    a=3 b=30 c=0: 1
    a=31 b=1 c=1: 0
    a=16 b=16 c=0: 1
    ");
    insta::assert_snapshot!(shown(|_, a, _, _| a.eq_to(16)), @r"
    a == 5'd16;
    a=3 b=30 c=0: 0
    a=31 b=1 c=1: 0
    a=16 b=16 c=0: 1
    ");
}

#[test]
fn bits_are_joined_one_by_one_or_all_to_one() {
    insta::assert_snapshot!(shown(|_, a, b, _| (a & b) ^ !a), @r"
    (a & b) ^ ~a;
    a=3 b=30 c=0: 30
    a=31 b=1 c=1: 1
    a=16 b=16 c=0: 31
    ");
    insta::assert_snapshot!(shown(|_, a, b, _| cat([a.all(), b.any(), a.parity()])), @r"
    {&a, |b, ^a};
    a=3 b=30 c=0: 2
    a=31 b=1 c=1: 7
    a=16 b=16 c=0: 3
    ");
}

#[test]
fn bits_are_cut_extended_and_put_side_by_side() {
    insta::assert_snapshot!(shown(|_, a, _, _| a.slice(1, 3)), @r"
    a[3:1];
    a=3 b=30 c=0: 1
    a=31 b=1 c=1: 7
    a=16 b=16 c=0: 0
    ");
    insta::assert_snapshot!(shown(|_, a, _, _| a.sext(8)), @r"
    {{3{a[4]}}, a};
    a=3 b=30 c=0: 3
    a=31 b=1 c=1: 255
    a=16 b=16 c=0: 240
    ");
    insta::assert_snapshot!(shown(|_, a, b, c| lanes([a.expr(), b.expr(), c.repeat(2)])), @r"
    {{2{c}}, b, a};
    a=3 b=30 c=0: 963
    a=31 b=1 c=1: 3135
    a=16 b=16 c=0: 528
    ");
    // The slice is pushed down to the nets.
    insta::assert_snapshot!(shown(|_, a, b, _| cat([a, b]).slice(3, 4)), @r"
    {a[1:0], b[4:3]};
    a=3 b=30 c=0: 15
    a=31 b=1 c=1: 12
    a=16 b=16 c=0: 2
    ");
}

#[test]
fn a_condition_chooses() {
    insta::assert_snapshot!(shown(|_, a, b, c| c.mux(a, b)), @r"
    c ? a : b;
    a=3 b=30 c=0: 30
    a=31 b=1 c=1: 31
    a=16 b=16 c=0: 16
    ");
    let select = |k: &mut Kernel, a: Sig, b: Sig, c: Sig| {
        k.select("w", a.slice(0, 2), vec![b.expr(), c.zext(5)]).expr()
    };
    insta::assert_snapshot!(shown(select), @r"
    w;
    a=3 b=30 c=0: 0
    a=31 b=1 c=1: 0
    a=16 b=16 c=0: 16
    ");
}

/// What does nothing is not printed.
#[test]
fn identities_fold_away() {
    for same in [
        shown(|_, a, _, _| a.add(lit(0, 5), 5)),
        shown(|_, a, _, _| lit(0, 5).add(a, 5)),
        shown(|_, a, _, _| a.sub(lit(0, 5), 5)),
        shown(|_, a, _, _| a.mul(lit(1, 5), 5)),
        shown(|_, a, _, _| lit(1, 5).mul(a, 5)),
        shown(|_, a, _, _| a & lit(31, 5)),
        shown(|_, a, _, _| lit(0, 5) | a),
        shown(|_, a, _, _| !!a),
        shown(|_, a, b, _| lit(1, 1).mux(a, b)),
        shown(|_, a, _, _| a.slice(0, 5)),
    ] {
        assert_eq!(same, "a;\na=3 b=30 c=0: 3\na=31 b=1 c=1: 31\na=16 b=16 c=0: 16\n");
    }
    assert!(shown(|_, a, _, _| a.lt(lit(0, 5))).starts_with("1'b0;\n"));
    assert!(shown(|_, a, _, _| a.mul(lit(0, 5), 5)).starts_with("5'd0;\n"));
    assert!(shown(|_, _, _, c| c.eq_to(1)).starts_with("c;\n"));
    assert!(shown(|_, _, _, c| c.eq_to(0)).starts_with("~c;\n"));
    assert!(shown(|_, _, _, _| lit(7, 5).mul(lit(9, 5), 5)).starts_with("5'd31;\n"));
}

/// A number that was written as a negative one is told, where its operator reads no sign, too.
#[test]
fn negative_numbers_are_told() {
    insta::assert_snapshot!(shown(|_, a, _, _| a.signed().lt(slit(-9, 5))), @r"
    $signed(a) < (-5'sd9);
    a=3 b=30 c=0: 0
    a=31 b=1 c=1: 0
    a=16 b=16 c=0: 1
    ");
    insta::assert_snapshot!(shown(|_, a, _, c| c.mux(slit(-9, 5).unsigned(), a)), @r"
    c ? 5'd23 /* -9 */ : a;
    a=3 b=30 c=0: 3
    a=31 b=1 c=1: 23
    a=16 b=16 c=0: 16
    ");
    // Nobody wrote this as a negative number.
    assert!(shown(|_, a, _, c| c.mux(lit(23, 5), a)).starts_with("c ? 5'd23 : a;\n"));
}
