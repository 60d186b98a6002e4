//! Defines chains: what a graph makes of one integer of a wire, channel by channel, up to some tensor. Every
//! function of a chain is monotone, so that quantizing its result is a staircase.

use crate::number::{Q, Real, Rounding, to_f64, whole};
use crate::pairs::Pairs;
use crate::per_channel::PerChannel;
use num_traits::{One, Signed, ToPrimitive, Zero};
use std::cmp::Ordering;
use std::sync::Arc;

/// Parameters of a batch normalization: `(x − mean) / √variance · gain + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct Norm {
    /// Mean.
    pub mean: PerChannel,
    /// Variance with ε, above 0.
    pub variance: PerChannel,
    /// Gain.
    pub gain: PerChannel,
    /// Bias.
    pub bias: PerChannel,
}

/// One function of a chain.
#[derive(Clone, Debug, PartialEq)]
pub enum Link {
    /// `x·m`.
    Mul(PerChannel),
    /// `x / d`.
    Div(PerChannel),
    /// `x + a`.
    Add(PerChannel),
    /// Batch normalization.
    Norm(Arc<Norm>),
    /// `x·√square`.
    MulRoot(PerChannel),
    /// `x / √square`.
    DivRoot(PerChannel),
    /// The nearest number within bounds.
    Clamp(Option<PerChannel>, Option<PerChannel>),
    /// `x·slope` below 0.
    Leaky(PerChannel),
    /// The whole number that a rule of rounding gives.
    Round(Rounding),
    /// 1 where x ≥ 0, else 0.
    Positive,
    /// −1, 0 or +1: the sign.
    Sign,
    /// How many thresholds of the channel x reaches.
    Count(Arc<Vec<Vec<Q>>>),
    /// The real sum of two levels, of their whole sum; first of a chain.
    Pairs(Arc<Pairs>),
}

impl Link {
    /// Returns whether the function gives whole numbers only.
    pub fn is_staircase(&self) -> bool {
        matches!(self, Link::Round(_) | Link::Positive | Link::Sign | Link::Count(_))
    }

    /// Returns slope and offset of a channel, where the function is affine.
    pub fn affine(&self, c: usize) -> Option<(Real, Real)> {
        let zero = || Real::from(Q::zero());
        Some(match self {
            Link::Mul(m) => (m.of(c).clone().into(), zero()),
            Link::Div(d) => (d.of(c).recip().into(), zero()),
            Link::Add(a) => (Q::one().into(), a.of(c).clone().into()),
            Link::MulRoot(square) => (Real::root(square.of(c)), zero()),
            Link::DivRoot(square) => (Real::root(square.of(c)).reciprocal(), zero()),
            Link::Norm(norm) => {
                let slope = Real::root(norm.variance.of(c)).reciprocal().times(norm.gain.of(c));
                let offset = slope.times(&-norm.mean.of(c)).plus(norm.bias.of(c));
                (slope, offset)
            }
            _ => return None,
        })
    }

    /// Returns the function of the channels given, in that order.
    fn picked(&self, channels: &[usize]) -> Self {
        let of = |p: &PerChannel| p.picked(channels);
        match self {
            Link::Mul(m) => Link::Mul(of(m)),
            Link::Div(d) => Link::Div(of(d)),
            Link::Add(a) => Link::Add(of(a)),
            Link::MulRoot(square) => Link::MulRoot(of(square)),
            Link::DivRoot(square) => Link::DivRoot(of(square)),
            Link::Norm(norm) => Link::Norm(Arc::new(Norm {
                mean: of(&norm.mean),
                variance: of(&norm.variance),
                gain: of(&norm.gain),
                bias: of(&norm.bias),
            })),
            Link::Clamp(lo, hi) => Link::Clamp(lo.as_ref().map(of), hi.as_ref().map(of)),
            Link::Leaky(slope) => Link::Leaky(of(slope)),
            Link::Count(rows) if rows.len() > 1 => {
                Link::Count(Arc::new(channels.iter().map(|&c| rows[c].clone()).collect()))
            }
            Link::Pairs(pairs) => Link::Pairs(Arc::new(pairs.picked(channels))),
            Link::Round(_) | Link::Positive | Link::Sign | Link::Count(_) => self.clone(),
        }
    }

    /// Applies the function exactly.
    pub fn exact(&self, c: usize, x: Real) -> Result<Real, String> {
        let ordered = |limit: &Option<PerChannel>, side: Ordering| {
            limit.as_ref().filter(|l| x.compare(l.of(c)) == side).map(|l| Real::from(l.of(c).clone()))
        };
        Ok(match self {
            Link::Mul(m) => x.times(m.of(c)),
            Link::Div(d) => x.times(&d.of(c).recip()),
            Link::Add(a) => x.plus(a.of(c)),
            Link::MulRoot(_) | Link::DivRoot(_) | Link::Norm(_) => {
                let (slope, offset) = self.affine(c).expect("an affine function");
                slope.mul(&x)?.add(&offset)?
            }
            Link::Clamp(lo, hi) => match (ordered(lo, Ordering::Less), ordered(hi, Ordering::Greater)) {
                (_, Some(limit)) | (Some(limit), _) => limit,
                _ => x,
            },
            Link::Leaky(slope) => {
                if x.sign() == Ordering::Less {
                    x.times(slope.of(c))
                } else {
                    x
                }
            }
            Link::Round(rounding) => Real::whole(rounding.exact(&x)),
            Link::Pairs(pairs) => {
                pairs.exact(c, x.floor().to_i64().ok_or("sums of more than 63 bits")?).into()
            }
            Link::Positive => Real::whole(i8::from(x.sign() != Ordering::Less)),
            Link::Sign => Real::whole(x.sign() as i8),
            Link::Count(thresholds) => {
                Real::whole(reached(thresholds, c, |t| x.compare(t) != Ordering::Less))
            }
        })
    }

    /// Returns the function of a channel in float32, as runtimes apply it.
    fn float(&self, c: usize) -> Box<dyn Fn(f32) -> f32 + '_> {
        let f = |p: &PerChannel| to_f64(p.of(c)) as f32;
        match self {
            Link::Mul(m) => times(f(m)),
            Link::Div(d) => by(f(d)),
            Link::Add(a) => {
                let a = f(a);
                Box::new(move |x| x + a)
            }
            Link::MulRoot(square) => times(f(square).sqrt()),
            Link::DivRoot(square) => by(f(square).sqrt()),
            Link::Norm(n) => {
                let (mean, root) = (f(&n.mean), f(&n.variance).sqrt());
                let (gain, bias) = (f(&n.gain), f(&n.bias));
                Box::new(move |x| (x - mean) / root * gain + bias)
            }
            Link::Clamp(lo, hi) => {
                let (lo, hi) = (lo.as_ref().map(f), hi.as_ref().map(f));
                Box::new(move |x| {
                    let x = lo.map_or(x, |l| x.max(l));
                    hi.map_or(x, |h| x.min(h))
                })
            }
            Link::Leaky(slope) => {
                let slope = f(slope);
                Box::new(move |x| if x < 0.0 { x * slope } else { x })
            }
            Link::Round(rounding) => Box::new(|x| rounding.float(x)),
            Link::Pairs(pairs) => Box::new(move |x| pairs.float(c, x as i64)),
            Link::Positive => Box::new(|x| f32::from(u8::from(x >= 0.0))),
            Link::Sign => Box::new(|x: f32| if x == 0.0 { 0.0 } else { x.signum() }),
            Link::Count(rows) => {
                let row = if rows.len() == 1 { &rows[0] } else { &rows[c] };
                let thresholds: Vec<f32> = row.iter().map(|t| to_f64(t) as f32).collect();
                Box::new(move |x| thresholds.iter().filter(|&&t| x >= t).count() as f32)
            }
        }
    }
}

fn times(factor: f32) -> Box<dyn Fn(f32) -> f32> {
    Box::new(move |x| x * factor)
}

fn by(divisor: f32) -> Box<dyn Fn(f32) -> f32> {
    Box::new(move |x| x / divisor)
}

fn reached(thresholds: &[Vec<Q>], c: usize, test: impl Fn(&Q) -> bool) -> i64 {
    let row = if thresholds.len() == 1 { &thresholds[0] } else { &thresholds[c] };
    row.iter().filter(|t| test(t)).count() as i64
}

/// A chain of functions, first to last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chain(pub Vec<Link>);

impl Chain {
    /// Returns the chain with one more function at its end.
    pub fn then(&self, link: Link) -> Chain {
        let mut links = self.0.clone();
        links.push(link);
        Chain(links)
    }

    /// Returns the chain of the channels given, in that order.
    pub fn picked(&self, channels: &[usize]) -> Chain {
        Chain(self.0.iter().map(|link| link.picked(channels)).collect())
    }

    /// Returns the exact result for the integer `z`, function by function.
    pub fn exact(&self, c: usize, z: i64) -> Result<Real, String> {
        self.0.iter().try_fold(Real::whole(z), |x, link| link.exact(c, x))
    }

    /// Returns the chain of a channel in float32, as a function of the integer.
    pub fn float(&self, c: usize) -> impl Fn(i64) -> f32 + '_ {
        let links: Vec<_> = self.0.iter().map(|link| link.float(c)).collect();
        move |z| links.iter().fold(z as f32, |x, link| link(x))
    }

    /// Returns slope and offset, where the whole chain is affine.
    pub fn affine(&self, c: usize) -> Result<Option<(Real, Real)>, String> {
        let mut total = (Real::whole(1), Real::whole(0));
        for link in &self.0 {
            let Some((slope, offset)) = link.affine(c) else { return Ok(None) };
            total = (total.0.mul(&slope)?, total.1.mul(&slope)?.add(&offset)?);
        }
        Ok(Some(total))
    }

    /// Returns whether the chain falls: −1, 0 for a constant channel, +1 where it rises.
    pub fn direction(&self, c: usize) -> i8 {
        let sign = |x: &Q| {
            if x.is_zero() {
                0
            } else if x.is_positive() {
                1
            } else {
                -1
            }
        };
        self.0.iter().fold(1, |sum, link| match link {
            Link::Mul(m) | Link::Div(m) => sum * sign(m.of(c)),
            Link::Norm(norm) => sum * sign(norm.gain.of(c)),
            _ => sum,
        })
    }

    /// Returns the slope of the chain's affine functions, for gradients.
    pub fn slope(&self, c: usize) -> f64 {
        let affine = self.0.iter().filter_map(|link| link.affine(c));
        affine.map(|(slope, _)| slope.to_f64()).product()
    }

    /// Splits the chain behind its last staircase function: what makes whole numbers, and what follows.
    pub fn split(&self) -> Option<(Chain, Chain)> {
        let mut last = self.0.iter().rposition(Link::is_staircase)?;
        // Bounds that are whole numbers leave whole numbers whole.
        let is_whole = |p: &PerChannel| p.0.iter().all(Q::is_integer);
        for (i, link) in self.0.iter().enumerate().skip(last + 1) {
            match link {
                Link::Add(a) if is_whole(a) => {}
                Link::Clamp(lo, hi) if lo.iter().chain(hi).all(is_whole) => last = i,
                _ => break,
            }
        }
        Some((Chain(self.0[..=last].to_vec()), Chain(self.0[last + 1..].to_vec())))
    }
}

/// Returns the link that adds a whole number.
pub fn add_whole(value: i64) -> Link {
    Link::Add(PerChannel::one(whole(value)))
}
