//! Carries linear bounds through nodes that add up their inputs, each times a factor, or put them beside each
//! other: exact, and with a shift and a clip behind ([`Mix`]).

use super::lines::{Corners, Lines, clipped};
use super::{Descend, Relax};
use crate::kind::Site;
use crate::rows::{Ends, Floor, Rows};
use crate::tensor::Tensor;
use dq_net::layer::{Logits, Mix, Sum};
use std::sync::Arc;

/// Puts the channels of two streams beside each other.
pub(in crate::kind) struct Beside;

/// Adds a constant to each element.
struct Shifted<'a>(&'a [i32]);

/// Returns the sum of two inputs, each times a factor.
struct Weighed {
    inputs: [Arc<Ends>; 2],
    factors: [i64; 2],
}

struct Mixed<'a> {
    sum: Weighed,
    lines: Lines<'a>,
}

struct Parted {
    inputs: [Arc<Ends>; 2],
    channels: [usize; 2],
}

impl Relax for Logits {
    fn on<'a>(&'a self, _: &'a Site, _: &[&Arc<Ends>], _: &Arc<Ends>) -> Box<dyn Descend + 'a> {
        Box::new(Shifted(&self.bias))
    }
}

impl Descend for Shifted<'_> {
    fn run(&self, rows: &Rows, floors: &mut [Floor]) -> Vec<Rows> {
        for (n, floor) in floors.iter_mut().enumerate() {
            let terms = rows.row(n).iter().zip(self.0).map(|(&f, &v)| i128::from(f) * i128::from(v));
            floor.add(terms.sum(), rows.exponents[n]);
        }
        vec![rows.clone()]
    }
}

impl Relax for Sum {
    fn on<'a>(&'a self, _: &'a Site, inputs: &[&Arc<Ends>], _: &Arc<Ends>) -> Box<dyn Descend + 'a> {
        Box::new(Weighed { inputs: two(inputs), factors: self.factors.map(i64::from) })
    }
}

impl Descend for Weighed {
    fn run(&self, rows: &Rows, floors: &mut [Floor]) -> Vec<Rows> {
        let mut port = |port: usize| {
            let factor = self.factors[port];
            Rows::of_products(&self.inputs[port], &rows.exponents, floors, |n, _| {
                let row = rows.row(n);
                move |at: usize| i64::from(row[at]) * factor
            })
        };
        [0, 1].map(&mut port).into()
    }
}

impl Corners for Mix {
    fn write(&self, _: usize, ends: (i64, i64), points: &mut Vec<(i64, i64)>) {
        clipped((1, self.half()), (self.shift, self.bits), ends, points);
    }

    fn fraction(&self) -> i32 {
        self.shift.into()
    }

    /// The shift rounds down.
    fn drop(&self) -> i64 {
        (1 << self.shift) - 1
    }
}

impl Relax for Mix {
    fn on<'a>(&'a self, _: &'a Site, inputs: &[&Arc<Ends>], _: &Arc<Ends>) -> Box<dyn Descend + 'a> {
        let sum = Weighed { inputs: two(inputs), factors: [i64::from(self.a), i64::from(self.b)] };
        // No share is below 0.
        let [a, b] = sum.factors;
        let added = |x: &[i64], y: &[i64]| x.iter().zip(y).map(|(x, y)| a * x + b * y).collect();
        let [x, y] = &sum.inputs;
        let ends = Ends { lo: added(&x.lo, &y.lo), hi: added(&x.hi, &y.hi) };
        let lines = Lines::new(Arc::new(ends), self);
        Box::new(Mixed { sum, lines })
    }
}

impl Descend for Mixed<'_> {
    fn run(&self, rows: &Rows, floors: &mut [Floor]) -> Vec<Rows> {
        let rows = self.lines.back(rows, floors);
        self.sum.run(&rows, floors)
    }

    fn turn(&mut self, inputs: &[&Tensor], parts: i64) {
        let [a, b] = self.sum.factors;
        let value = |at: usize| a * i64::from(inputs[0].get(at)) + b * i64::from(inputs[1].get(at));
        self.lines.turn_to(value, parts);
    }
}

impl Relax for Beside {
    fn on<'a>(&'a self, site: &'a Site, inputs: &[&Arc<Ends>], _: &Arc<Ends>) -> Box<dyn Descend + 'a> {
        let channels = [0, 1].map(|port| site.inputs[port].shape.channels);
        Box::new(Parted { inputs: two(inputs), channels })
    }
}

impl Descend for Parted {
    fn run(&self, rows: &Rows, floors: &mut [Floor]) -> Vec<Rows> {
        let Self { inputs, channels } = self;
        let all = channels[0] + channels[1];
        let mut port = |port: usize| {
            let (own, first) = (channels[port], port * channels[0]);
            Rows::of_products(&inputs[port], &rows.exponents, floors, |n, _| {
                let row = rows.row(n);
                move |at: usize| i64::from(row[at / own * all + first + at % own])
            })
        };
        [0, 1].map(&mut port).into()
    }
}

fn two(inputs: &[&Arc<Ends>]) -> [Arc<Ends>; 2] {
    [inputs[0].clone(), inputs[1].clone()]
}
