//! Writes the question that a certificate answers as SMT-LIB, for z3 or any other solver of linear integer
//! arithmetic: is there an image in the ball that has another label? It follows the layers' meaning in `dq_net`
//! alone and shares nothing with the bounds and the search that it judges.

use crate::lattice::edge;
use dq_net::layer::window::Axis;
use dq_net::layer::{Conv, Layer, Mix, Rescale, Step};
use dq_net::{Network, Shape};
use ndarray::{Array3, ArrayView3};
use std::fmt::Write;

/// Stands for an integer: a constant, or a name that the file defines.
#[derive(Clone, Debug)]
enum Term {
    Constant(i64),
    Name(String),
}

impl Term {
    fn text(&self) -> String {
        match self {
            Term::Constant(value) => number(*value),
            Term::Name(name) => name.clone(),
        }
    }
}

/// Row, column and channel.
type Place = (usize, usize, usize);
/// Says what an element of a layer's output is.
type Element<'a> = &'a mut dyn FnMut(&mut File, Place) -> Term;

/// Holds the file as far as it is written.
struct File {
    text: String,
    /// Number of names so far.
    names: usize,
}

/// Returns the file for one image (height × width × channels) with the label `label`. A solver answers `unsat`
/// exactly if every image within `eps` of it has that label, else `sat`, and `get-model` shows an image.
///
/// # Panics
/// If the image is not of the network's shape.
pub fn question(network: &Network, image: ArrayView3<u8>, label: u8, eps: u8) -> String {
    let mut file = File { text: String::new(), names: 0 };
    file.line(&format!(
        "; network {}: is there an image within {eps} grey levels that has another label than {label}?\n\
         ; unsat: there is none. sat: pixel_ROW_COLUMN_CHANNEL of the model is one.\n\
         (set-logic QF_LIA)",
        dq_net::content_hash(network)
    ));
    let mut maps: Vec<Array3<Term>> = vec![];
    for (i, node) in network.nodes().iter().enumerate() {
        file.line(&format!("; {} `{}`", node.layer.kind().name(), node.name));
        let inputs: Vec<&Array3<Term>> = network.sources(i).iter().map(|&source| &maps[source]).collect();
        let map = match &node.layer {
            Layer::Input(input) => file.ball(image, eps, input.top()),
            layer => file.layer(layer, &inputs, network.wire(i).shape),
        };
        maps.push(map);
    }
    let scores: Vec<String> = maps.last().expect("a network has nodes").iter().map(Term::text).collect();
    let others = (0..scores.len()).filter(|&class| class != usize::from(label));
    // Of classes with equal scores, the lowest is the label.
    let wins = others.map(|class| {
        let relation = if class < usize::from(label) { ">=" } else { ">" };
        format!("({relation} {} {})", scores[class], scores[usize::from(label)])
    });
    let wins: Vec<String> = wins.collect();
    file.line(&format!("(assert (or false {}))\n(check-sat)", wins.join(" ")));
    file.text
}

impl File {
    fn line(&mut self, line: &str) {
        self.text += line;
        self.text.push('\n');
    }

    /// Defines a name for an expression.
    fn named(&mut self, expression: &str) -> Term {
        let name = format!("t{}", self.names);
        self.names += 1;
        let _ = writeln!(self.text, "(define-fun {name} () Int {expression})");
        Term::Name(name)
    }

    /// Declares the pixels.
    fn ball(&mut self, image: ArrayView3<u8>, eps: u8, top: u8) -> Array3<Term> {
        Array3::from_shape_fn(image.dim(), |at| {
            let (lo, hi) = (edge(image[at], eps, false, top), edge(image[at], eps, true, top));
            let name = format!("pixel_{}_{}_{}", at.0, at.1, at.2);
            let _ = writeln!(
                self.text,
                "(declare-const {name} Int)\n(assert (and (<= {lo} {name}) (<= {name} {hi})))"
            );
            Term::Name(name)
        })
    }

    /// Returns the sum of `terms`, each times its factor, and a constant.
    fn sum<'a>(&mut self, terms: impl Iterator<Item = (i64, &'a Term)>, constant: i64) -> Term {
        let (mut rest, mut parts) = (constant, vec![]);
        for (factor, term) in terms.filter(|(factor, _)| *factor != 0) {
            match term {
                Term::Constant(value) => rest += factor * value,
                Term::Name(name) if factor == 1 => parts.push(name.clone()),
                Term::Name(name) => parts.push(format!("(* {} {name})", number(factor))),
            }
        }
        match (parts.as_slice(), rest) {
            ([], rest) => Term::Constant(rest),
            ([one], 0) => self.named(one),
            (parts, rest) => self.named(&format!("(+ {} {})", parts.join(" "), number(rest))),
        }
    }

    /// Returns the larger or the smaller of two terms.
    fn extreme(&mut self, a: &Term, b: &Term, largest: bool) -> Term {
        let relation = if largest { ">=" } else { "<=" };
        let (a, b) = (a.text(), b.text());
        self.named(&format!("(ite ({relation} {a} {b}) {a} {b})"))
    }

    /// Returns a layer's output. `inputs` are those of its sources, `shape` is its own.
    fn layer(&mut self, layer: &Layer, inputs: &[&Array3<Term>], shape: Shape) -> Array3<Term> {
        let x = inputs[0];
        let mut each = |term: Element| Array3::from_shape_fn(shape.dim(), |at| term(self, at));
        match layer {
            Layer::Input(_) => unreachable!("it has no source"),
            Layer::Conv(conv) => each(&mut |file, at| file.conv(conv, x, at)),
            Layer::Dense(dense) => each(&mut |file, at| {
                let weights = dense.weights.row(at.2);
                file.sum(weights.iter().map(|&w| i64::from(w)).zip(x), 0)
            }),
            Layer::Step(step) => each(&mut |file, at| file.step(step, at.2, &x[at])),
            Layer::MaxPool(pool) => {
                let windows = (pool.axes(), pool.window);
                each(&mut |file, at| {
                    let taps = window(x, windows, at);
                    let first = taps[0].clone();
                    taps[1..].iter().fold(first, |most, tap| file.extreme(&most, tap, true))
                })
            }
            Layer::SumPool(pool) => {
                let windows = (pool.axes(), pool.window);
                each(&mut |file, at| file.sum(window(x, windows, at).into_iter().map(|tap| (1, tap)), 0))
            }
            Layer::GlobalSum(_) => each(&mut |file, (_, _, c)| {
                file.sum(x.index_axis(ndarray::Axis(2), c).iter().map(|tap| (1, tap)), 0)
            }),
            Layer::Mix(mix) => each(&mut |file, at| file.mix(mix, &x[at], &inputs[1][at])),
            Layer::Sum(sum) => each(&mut |file, at| {
                let [a, b] = sum.factors.map(i64::from);
                file.sum([(a, &x[at]), (b, &inputs[1][at])].into_iter(), 0)
            }),
            Layer::Concat(_) => each(&mut |_, (row, column, c)| {
                let of_x = x.dim().2;
                if c < of_x {
                    x[[row, column, c]].clone()
                } else {
                    inputs[1][[row, column, c - of_x]].clone()
                }
            }),
            Layer::Rescale(rescale) => each(&mut |file, at| file.rescale(rescale, at.2, &x[at])),
            Layer::BitDepth(depth) => {
                // It rises by one level at each of these pixels.
                let rises: Vec<i32> =
                    (1..=255).filter(|&pixel| depth.level(pixel) > depth.level(pixel - 1)).collect();
                each(&mut |file, at| file.count(rises.iter().map(|&t| (">=", i64::from(t))), &x[at]))
            }
            Layer::Median(_) => each(&mut |file, (row, column, c)| {
                let taps = dq_net::layer::Median::taps(row, column).map(|(y, at)| &x[[y, at, c]]);
                file.lower_middle(taps)
            }),
            Layer::Logits(logits) => {
                each(&mut |file, at| file.sum([(1, &x[at])].into_iter(), logits.bias[at.2].into()))
            }
        }
    }

    fn conv(&mut self, conv: &Conv, x: &Array3<Term>, (oy, ox, o): Place) -> Term {
        let (outputs, kernel_rows, kernel_columns, per_group) = conv.weights.dim();
        let (rows, columns) = conv.axes();
        let group = o / (outputs / conv.groups);
        let (mut terms, mut padded) = (vec![], 0);
        for (ky, kx) in (0..kernel_rows).flat_map(|ky| (0..kernel_columns).map(move |kx| (ky, kx))) {
            let place = rows.tap(oy, ky, x.dim().0).zip(columns.tap(ox, kx, x.dim().1));
            for c in 0..per_group {
                let weight = i64::from(conv.weights[[o, ky, kx, c]]);
                match place {
                    Some((y, column)) => terms.push((weight, &x[[y, column, group * per_group + c]])),
                    None => padded += weight * i64::from(conv.pad_level),
                }
            }
        }
        self.sum(terms.into_iter(), padded)
    }

    /// Returns how many of the relations hold for `term`.
    fn count(&mut self, relations: impl Iterator<Item = (&'static str, i64)>, term: &Term) -> Term {
        let term = term.text();
        let holds = |(relation, bound)| format!("(ite ({relation} {term} {}) 1 0)", number(bound));
        let all: Vec<String> = relations.map(holds).collect();
        self.named(&format!("(+ 0 {})", all.join(" ")))
    }

    fn step(&mut self, step: &Step, channel: usize, term: &Term) -> Term {
        let falls = step.dir[channel] < 0;
        let relation = |&threshold: &i32| {
            let threshold = i64::from(threshold);
            if falls { ("<=", -threshold) } else { (">=", threshold) }
        };
        self.count(step.thresholds.row(channel).iter().map(relation), term)
    }

    fn mix(&mut self, mix: &Mix, x: &Term, y: &Term) -> Term {
        let sum = self.sum([(i64::from(mix.a), x), (i64::from(mix.b), y)].into_iter(), mix.half());
        self.shifted(&sum, mix.shift, mix.bits)
    }

    fn rescale(&mut self, rescale: &Rescale, channel: usize, x: &Term) -> Term {
        let sum = self.sum([(i64::from(rescale.mul[channel]), x)].into_iter(), rescale.add[channel]);
        self.shifted(&sum, rescale.shift, rescale.bits)
    }

    /// Returns a term divided by `2^shift`, rounded down, and clipped to a signed number of `bits`.
    fn shifted(&mut self, term: &Term, shift: u8, bits: u8) -> Term {
        let half = 1i64 << (bits - 1);
        // `div` by a positive number rounds down in SMT-LIB.
        let shifted = self.named(&format!("(div {} {})", term.text(), 1i64 << shift));
        let below = self.extreme(&shifted, &Term::Constant(half - 1), false);
        self.extreme(&below, &Term::Constant(-half), true)
    }

    /// Returns the lower middle one of four terms.
    fn lower_middle(&mut self, [a, b, c, d]: [&Term; 4]) -> Term {
        let [least, most] =
            [false, true].map(|largest| [self.extreme(a, b, largest), self.extreme(c, d, largest)]);
        let of_least = self.extreme(&least[0], &least[1], true);
        let of_most = self.extreme(&most[0], &most[1], false);
        self.extreme(&of_least, &of_most, false)
    }
}

/// Returns the terms of a pool's window.
fn window(
    x: &Array3<Term>,
    ((rows, columns), size): ((Axis, Axis), [usize; 2]),
    (oy, ox, c): Place,
) -> Vec<&Term> {
    let places = (0..size[0]).flat_map(|ky| (0..size[1]).map(move |kx| (ky, kx)));
    let tap = |(ky, kx)| {
        let place = rows.tap(oy, ky, x.dim().0).zip(columns.tap(ox, kx, x.dim().1));
        place.map(|(y, column)| &x[[y, column, c]])
    };
    places.filter_map(tap).collect()
}

/// Writes a number as SMT-LIB does: a negative one as a difference.
fn number(value: i64) -> String {
    if value < 0 { format!("(- {})", value.unsigned_abs()) } else { value.to_string() }
}
