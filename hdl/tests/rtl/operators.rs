//! Simulates every operator, at odd widths, and compares it with bit-by-bit arithmetic.

use super::bits::{self, Bits};
use dq_hdl::rtl::*;
use proptest::prelude::*;

/// Describes one output per case: its name, what the circuit computes, what the bits say.
type Case = (&'static str, Expr, Bits);

fn operand() -> impl Strategy<Value = (usize, Vec<u64>)> {
    let width =
        prop::sample::select(vec![1usize, 2, 3, 7, 13, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 200]);
    width.prop_flat_map(|width| {
        let word = prop_oneof![4 => any::<u64>(), 1 => Just(0), 1 => Just(u64::MAX)];
        let words = prop::collection::vec(word, width.div_ceil(64));
        (Just(width), words).prop_map(|(width, mut words)| {
            words::canonical(&mut words, width);
            (width, words)
        })
    })
}

#[expect(clippy::too_many_arguments, reason = "the random choices of one case")]
fn cases(
    a: Sig,
    b: Sig,
    c: Sig,
    x: &Bits,
    y: &Bits,
    flag: bool,
    signed: bool,
    to: usize,
    cut: usize,
) -> Vec<Case> {
    let view = |sig: Sig| if signed { sig.signed() } else { sig.expr() };
    let wide = to.max(a.width()).max(b.width());
    let (p, q) = (bits::extend(x, wide, signed), bits::extend(y, wide, signed));
    let same = a.width().max(b.width());
    let (u, v) = (bits::extend(x, same, signed), bits::extend(y, same, signed));
    let (ea, eb) = (view(a).ext(same), view(b).ext(same));
    let zip = |f: fn(bool, bool) -> bool| u.iter().zip(&v).map(|(&a, &b)| f(a, b)).collect::<Bits>();
    let low = cut % a.width();
    let ones = x.iter().filter(|bit| **bit).count();
    let joined = [y.clone(), x.clone(), y.clone()].concat();
    vec![
        ("y_add", view(a).add(view(b), wide), bits::add(&p, &q)),
        ("y_sub", view(a).sub(view(b), wide), bits::sub(&p, &q)),
        ("y_mul", view(a).mul(view(b), wide), bits::mul(&p, &q)),
        ("y_inc", view(a).inc(), bits::add(x, &bits::extend(&[true], x.len(), false))),
        ("y_eq", view(a).eq(view(b)), vec![u == v]),
        ("y_ne", view(a).ne(view(b)), vec![u != v]),
        ("y_lt", view(a).lt(view(b)), vec![bits::less(&u, &v, signed)]),
        ("y_le", view(a).le(view(b)), vec![!bits::less(&v, &u, signed)]),
        ("y_gt", view(a).gt(view(b)), vec![bits::less(&v, &u, signed)]),
        ("y_ge", view(a).ge(view(b)), vec![!bits::less(&u, &v, signed)]),
        ("y_and", &ea & &eb, zip(|a, b| a & b)),
        ("y_or", &ea | &eb, zip(|a, b| a | b)),
        ("y_xor", &ea ^ &eb, zip(|a, b| a ^ b)),
        ("y_not", !a, bits::not(x)),
        ("y_all", a.all(), vec![ones == x.len()]),
        ("y_any", a.any(), vec![ones > 0]),
        ("y_parity", a.parity(), vec![ones % 2 == 1]),
        ("y_mux", c.mux(ea.clone(), eb.clone()), if flag { u.clone() } else { v.clone() }),
        ("y_zext", a.zext(wide), bits::extend(x, wide, false)),
        ("y_sext", a.sext(wide), bits::extend(x, wide, true)),
        ("y_cat", cat([b, a, b]), joined.clone()),
        ("y_lanes", lanes([b, a, b]), joined.clone()),
        ("y_repeat", a.repeat(3), x.repeat(3)),
        ("y_slice", a.slice(low, a.width() - low), x[low..].to_vec()),
        ("y_bit", a.bit(low), vec![x[low]]),
        ("y_shr", a.signed().shr(low).ext(a.width()), bits::extend(&x[low..], x.len(), true)),
        ("y_shl", a.shl(low, wide + low), [vec![false; low], bits::extend(x, wide, false)].concat()),
        // Slices that are pushed down to the nets.
        ("y_cut_cat", cat([b, a, b]).slice(low, joined.len() - low), joined[low..].to_vec()),
        ("y_cut_ext", a.sext(wide).slice(low, wide - low), bits::extend(x, wide, true)[low..].to_vec()),
        ("y_cut_sum", view(a).add(view(b), wide).slice(0, low + 1), bits::add(&p, &q)[..=low].to_vec()),
        ("y_cut_mux", c.mux(&ea, &eb).slice(low, 1), vec![if flag { u[low] } else { v[low] }]),
        ("y_cut_not", (!(&ea ^ &eb)).slice(low, 1), vec![u[low] == v[low]]),
    ]
}

/// Checks the circuit of all cases, with each side as a net or as a literal.
#[expect(clippy::too_many_arguments, reason = "the operands and results of one operator, side by side")]
fn check(
    (wa, a): (usize, Vec<u64>),
    (wb, b): (usize, Vec<u64>),
    flag: bool,
    signed: bool,
    to: usize,
    cut: usize,
) -> Result<(), TestCaseError> {
    let (x, y) = (bits::from_words(&a, wa), bits::from_words(&b, wb));
    let mut k = Kernel::new("operators", "");
    let (na, nb, nc) = (k.input("a", wa), k.input("b", wb), k.input("c", 1));
    let rows = cases(na, nb, nc, &x, &y, flag, signed, to, cut);
    for (name, value, _) in &rows {
        let out = k.output(name, value.width());
        k.drive(out, value);
    }
    let module = k.build();
    let mut sim = Sim::new(&module);
    let ports = ["a", "b", "c"].map(|name| sim.port(name));
    sim.set_words(ports[0], &a);
    sim.set_words(ports[1], &b);
    sim.set(ports[2], flag as u64);
    for (name, _, expected) in &rows {
        let port = sim.port(name);
        prop_assert_eq!(sim.get_words(port), &bits::to_words(expected)[..], "{} a {} b {}", name, wa, wb);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn every_operator_is_its_arithmetic(
        a in operand(), b in operand(), flag: bool, signed: bool, to in 1usize..260, cut in 0usize..260,
    ) {
        check(a, b, flag, signed, to, cut)?;
    }

    #[test]
    fn literals_fold_to_what_nets_compute(a in operand(), b in operand(), signed: bool) {
        let (wa, wb) = (a.0, b.0);
        let mut k = Kernel::new("folding", "");
        let (na, nb) = (k.input("a", wa), k.input("b", wb));
        let view = |e: Expr| if signed { e.signed() } else { e };
        let mut names = vec![];
        for (side, (p, q)) in [
            ("nn", (na.expr(), nb.expr())),
            ("ln", (lit_words(&a.1, wa), nb.expr())),
            ("nl", (na.expr(), lit_words(&b.1, wb))),
            ("ll", (lit_words(&a.1, wa), lit_words(&b.1, wb))),
        ] {
            let (p, q) = (view(p), view(q));
            let wide = wa.max(wb);
            let (pw, qw) = (p.clone().ext(wide), q.clone().ext(wide));
            let values = [
                p.clone().add(&q, wide), p.clone().sub(&q, wide), p.clone().mul(&q, wide), p.clone().eq(&q),
                p.clone().ne(&q), p.clone().lt(&q), p.clone().le(&q), p.clone().gt(&q), p.clone().ge(&q),
                &pw & &qw, &pw | &qw, &pw ^ &qw, !&p, p.all(), q.clone().any(), q.clone().parity(),
                cat([q.clone(), q]),
            ];
            for (row, value) in values.into_iter().enumerate() {
                let name = format!("y{row}_{side}");
                let out = k.output(&name, value.width());
                k.drive(out, value);
                names.push(name);
            }
        }
        k.unused(na);
        k.unused(nb);
        let mut sim = Sim::new(&k.build());
        let (pa, pb) = (sim.port("a"), sim.port("b"));
        sim.set_words(pa, &a.1);
        sim.set_words(pb, &b.1);
        let rows = names.len() / 4;
        for (at, name) in names.iter().enumerate().skip(rows) {
            let (nets, folded) = (sim.port(&names[at % rows]), sim.port(name));
            let expected = sim.get_words(nets).to_vec();
            prop_assert_eq!(sim.get_words(folded), &expected[..], "{}", name);
        }
    }
}

#[test]
#[should_panic(expected = "comparison of a signed and an unsigned value")]
fn mixed_signs_are_refused() {
    let mut k = Kernel::new("mixed", "");
    let a = k.input("a", 4);
    a.lt(slit(-1, 4)).width();
}

#[test]
#[should_panic(expected = "name it with wire()")]
fn a_slice_of_a_sum_wants_a_name() {
    let mut k = Kernel::new("sliced", "");
    let a = k.input("a", 4);
    a.add(a, 5).bit(4).width();
}
