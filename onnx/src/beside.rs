//! Puts the chains of two wires beside each other: each is that of its own channels.

use crate::chain::{Chain, Link, Norm};
use crate::number::Q;
use crate::per_channel::PerChannel;
use num_traits::{One, Zero};
use std::sync::Arc;

impl Chain {
    /// Returns the chain that is this one in the channels of one wire and `other` in those of another, behind
    /// them. What only one of them has stands beside the identity of its kind; `None` where that has none.
    pub fn beside(&self, other: &Chain, channels: [usize; 2]) -> Option<Chain> {
        let (mut a, mut b) = (&self.0[..], &other.0[..]);
        let mut links = vec![];
        while let Some(link) = a.first().or(b.first()) {
            if let ([first, rest @ ..], [other, others @ ..]) = (a, b)
                && let Some(joined) = first.beside(other, channels)
            {
                links.push(joined);
                (a, b) = (rest, others);
            } else if let ([_, rest @ ..], Some(identity)) = (a, link.identity()) {
                links.push(link.beside(&identity, channels)?);
                a = rest;
            } else {
                let ([link, rest @ ..], _) = (b, a) else { return None };
                links.push(link.identity()?.beside(link, channels)?);
                b = rest;
            }
        }
        Some(Chain(links))
    }
}

impl Link {
    /// Returns the function of the same kind that changes nothing, where there is one.
    fn identity(&self) -> Option<Self> {
        let (zero, one) = (PerChannel::one(Q::zero()), PerChannel::one(Q::one()));
        Some(match self {
            Link::Mul(_) => Link::Mul(one),
            Link::Div(_) => Link::Div(one),
            Link::Add(_) => Link::Add(zero),
            Link::MulRoot(_) => Link::MulRoot(one),
            Link::DivRoot(_) => Link::DivRoot(one),
            Link::Leaky(_) => Link::Leaky(one),
            Link::Norm(_) => {
                let (mean, variance, gain, bias) = (zero.clone(), one.clone(), one, zero);
                Link::Norm(Arc::new(Norm { mean, variance, gain, bias }))
            }
            _ => return None,
        })
    }

    /// Returns the function that is this one in the channels of one wire and `other` in those of another,
    /// behind them; `None` where they are of different kinds.
    fn beside(&self, other: &Self, channels: [usize; 2]) -> Option<Self> {
        let join = |a: &PerChannel, b: &PerChannel| a.beside(b, channels);
        let limit = |a: &Option<PerChannel>, b: &Option<PerChannel>| match (a, b) {
            (Some(a), Some(b)) => Some(Some(join(a, b))),
            (None, None) => Some(None),
            _ => None,
        };
        Some(match (self, other) {
            (Link::Mul(a), Link::Mul(b)) => Link::Mul(join(a, b)),
            (Link::Div(a), Link::Div(b)) => Link::Div(join(a, b)),
            (Link::Add(a), Link::Add(b)) => Link::Add(join(a, b)),
            (Link::MulRoot(a), Link::MulRoot(b)) => Link::MulRoot(join(a, b)),
            (Link::DivRoot(a), Link::DivRoot(b)) => Link::DivRoot(join(a, b)),
            (Link::Leaky(a), Link::Leaky(b)) => Link::Leaky(join(a, b)),
            (Link::Norm(a), Link::Norm(b)) => Link::Norm(Arc::new(Norm {
                mean: join(&a.mean, &b.mean),
                variance: join(&a.variance, &b.variance),
                gain: join(&a.gain, &b.gain),
                bias: join(&a.bias, &b.bias),
            })),
            (Link::Clamp(a, b), Link::Clamp(c, d)) => Link::Clamp(limit(a, c)?, limit(b, d)?),
            (Link::Round(a), Link::Round(b)) if a == b => Link::Round(*a),
            (Link::Positive, Link::Positive) => Link::Positive,
            (Link::Sign, Link::Sign) => Link::Sign,
            _ => return None,
        })
    }
}

impl PerChannel {
    /// Returns the numbers of `channels` channels, and behind them those of the channels of another wire.
    fn beside(&self, other: &Self, channels: [usize; 2]) -> Self {
        if self.0.len() == 1 && self == other {
            return self.clone();
        }
        let of = |numbers: &Self, count: usize| (0..count).map(|c| numbers.of(c).clone()).collect::<Vec<_>>();
        PerChannel(Arc::new([of(self, channels[0]), of(other, channels[1])].concat()))
    }
}
