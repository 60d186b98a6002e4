//! Carries linear bounds through nodes whose outputs are sums of some elements, or one of some elements.

use super::{Descend, Relax};
use crate::kind::Site;
use crate::kind::window::Windows;
use crate::rows::{Ends, Floor, Rows};
use std::sync::Arc;

/// Sums windows: exact.
pub(in crate::kind) struct SumOfWindows(pub Windows);

/// Takes the largest of each window.
pub(in crate::kind) struct LargestOfWindows(pub Windows);

/// Knows no more than the ends of each output.
pub(in crate::kind) struct EndsAlone;

/// Stands for a node each of whose outputs is at least one element of the input, or lies between ends.
struct Chosen {
    input: Arc<Ends>,
    output: Arc<Ends>,
    /// For each output the element that it is at least, if there is one, and whether it is equal to it.
    of: Vec<Option<(usize, bool)>>,
}

struct Summed<'a> {
    windows: &'a Windows,
    input: Arc<Ends>,
}

impl Relax for SumOfWindows {
    fn on<'a>(&'a self, _: &'a Site, inputs: &[&Arc<Ends>], _: &Arc<Ends>) -> Box<dyn Descend + 'a> {
        Box::new(Summed { windows: &self.0, input: inputs[0].clone() })
    }
}

impl Descend for Summed<'_> {
    fn run(&self, rows: &Rows, floors: &mut [Floor]) -> Vec<Rows> {
        let row = |n: usize, _: &mut Floor| {
            let mut sums = vec![0i64; self.input.lo.len()];
            for (at, &factor) in rows.row(n).iter().enumerate() {
                self.windows.taps(at).for_each(|tap| sums[tap] += i64::from(factor));
            }
            move |at: usize| sums[at]
        };
        vec![Rows::of_products(&self.input, &rows.exponents, floors, row)]
    }
}

impl Relax for LargestOfWindows {
    /// The largest is at least the element whose lower end is largest; it is that one where no other reaches
    /// so far.
    fn on<'a>(&'a self, _: &'a Site, inputs: &[&Arc<Ends>], output: &Arc<Ends>) -> Box<dyn Descend + 'a> {
        let (input, output) = (inputs[0].clone(), output.clone());
        let choose = |at: usize| {
            let best = self.0.taps(at).max_by_key(|&tap| (input.lo[tap], input.hi[tap]))?;
            let is_alone = self.0.taps(at).all(|tap| tap == best || input.hi[tap] <= input.lo[best]);
            Some((best, is_alone))
        };
        let of = (0..output.lo.len()).map(choose).collect();
        Box::new(Chosen { input, output, of })
    }
}

impl Relax for EndsAlone {
    fn on<'a>(&'a self, _: &'a Site, inputs: &[&Arc<Ends>], output: &Arc<Ends>) -> Box<dyn Descend + 'a> {
        let of = vec![None; output.lo.len()];
        Box::new(Chosen { input: inputs[0].clone(), output: output.clone(), of })
    }
}

impl Descend for Chosen {
    fn run(&self, rows: &Rows, floors: &mut [Floor]) -> Vec<Rows> {
        let row = |n: usize, floor: &mut Floor| {
            let mut sums = vec![0i64; self.input.lo.len()];
            let mut ends = 0;
            for (at, &factor) in rows.row(n).iter().enumerate() {
                match self.of[at] {
                    Some((tap, is_equal)) if factor > 0 || is_equal => sums[tap] += i64::from(factor),
                    _ => {
                        let end = if factor > 0 { self.output.lo[at] } else { self.output.hi[at] };
                        ends += i128::from(factor) * i128::from(end);
                    }
                }
            }
            floor.add(ends, rows.exponents[n]);
            move |at: usize| sums[at]
        };
        vec![Rows::of_products(&self.input, &rows.exponents, floors, row)]
    }
}
