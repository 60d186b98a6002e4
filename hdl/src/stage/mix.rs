//! The residual's convex combination of two streams: constant multiplications as sums of shifted terms.

use super::sum::{self, Term};
use super::{Inlet, delayed, outlet::Outlet, take_both};
use crate::pipeline::Stage;
use crate::rtl::{Expr, Kernel, Module, Value, lanes};
use dq_net::Range;
use dq_net::layer::Mix;

/// Cycles from the beats to theirs.
pub fn latency(mix: &Mix) -> u64 {
    sum::levels(terms(mix)) as u64 + 1
}

/// Terms of the sum.
pub fn terms(mix: &Mix) -> usize {
    let digits = |factor: i32| sum::digits(factor.into()).len();
    digits(mix.a) + digits(mix.b) + usize::from(half(mix) != 0)
}

fn half(mix: &Mix) -> i64 {
    if mix.shift == 0 { 0 } else { 1 << (mix.shift - 1) }
}

/// Joins x, within `x_range`, and y, within `y_range`.
pub fn module(stage: &Stage, mix: &Mix, [x_range, y_range]: [Range; 2]) -> Module {
    let (from, other, to) = (stage.input, stage.input_lanes(1), stage.output);
    let note = format!(
        "Residual: clip((x {} + y {} + {}) >> {}) to {} bits, signed; {} lanes of {} and {} bits, {} out.\n\
         Takes a beat of each stream at once. Latency {}, one beat a cycle.",
        mix.a,
        mix.b,
        half(mix),
        mix.shift,
        mix.bits,
        from.count,
        from.bits,
        other.bits,
        to.bits,
        stage.latency
    );
    let mut k = Kernel::new(&stage.module_name(), &note);
    let x = Inlet::named(&mut k, "x", from.width());
    let y = Inlet::named(&mut k, "y", other.width());
    let outlet = Outlet::new(&mut k, stage);
    let beat = take_both(&mut k, &x, &y, outlet.free);
    let (a, b, half) = (i64::from(mix.a), i64::from(mix.b), half(mix));
    let exact = Range::new(a * x_range.lo + b * y_range.lo + half, a * x_range.hi + b * y_range.hi + half);
    let levels = sum::levels(terms(mix));
    let results: Vec<Expr> = (0..to.count)
        .map(|lane| {
            let (x, y) = (x.data.lane(lane, from.bits), y.data.lane(lane, other.bits));
            let mut terms = Term::product(x.clone(), x_range, a);
            terms.extend(Term::product(y.clone(), y_range, b));
            terms.extend((half != 0).then(|| Term::constant(half)));
            for (factor, value) in [(a, x), (b, y)] {
                if factor == 0 {
                    k.unused(value);
                }
            }
            let total = sum::sum(&mut k, &format!("lane{lane}"), terms, levels, exact);
            sum::clip(&mut k, total, exact, mix.shift.into(), mix.bits.into(), to.bits)
        })
        .collect();
    let push = delayed(&mut k, "push", beat, levels);
    outlet.finish(&mut k, beat, push, lanes(results));
    k.build()
}
