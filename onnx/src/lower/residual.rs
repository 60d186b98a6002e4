//! Sums of two tensors that both depend on the image: residuals.

use super::stream::Stream;
use super::{State, Value};
use crate::chain::{Chain, Link};
use crate::graph::Op;
use crate::number::{Q, to_f64, whole};
use crate::pairs::{Pairs, factors};
use crate::per_channel::PerChannel;
use dq_net::layer::{Layer, Sum};
use num_traits::Zero;
use std::sync::Arc;

impl State {
    /// Lowers arithmetic of two tensors that both depend on the image.
    pub(super) fn two_streams(&mut self, op: &Op) -> Result<Value, String> {
        if !matches!(op.kind.as_str(), "Add" | "Sub") {
            return Err(format!(
                "expected a constant, found {} of two values that depend on the image",
                op.kind
            ));
        }
        let x = self.stream(op, 0)?.clone();
        let mut y = self.stream(op, 1)?.clone();
        if op.kind == "Sub" {
            y = y.then(Link::Mul(PerChannel::one(whole(-1))));
        }
        let (mut x, mut y) = (self.levels(op, &x)?, self.levels(op, &y)?);
        if x.dims == y.dims && x.place != y.place {
            (x, y) = (self.channels_first(op, x)?, self.channels_first(op, y)?);
        }
        if x.dims != y.dims || x.place != y.place {
            return Err(format!(
                "expected two tensors of one shape and order, found {:?} and {:?}",
                x.dims, y.dims
            ));
        }
        let (of_x, of_y) = (self.scales(&x)?, self.scales(&y)?);
        if of_x.iter().chain(&of_y).any(|s| s.0.is_zero()) {
            return Err("expected scales other than 0".into());
        }
        let tops = (self.builder.wire(x.node).range.hi, self.builder.wire(y.node).range.hi);
        let first = factors((&of_x[0].0, &of_y[0].0), tops);
        let all_alike = of_x.iter().zip(&of_y).all(|(x, y)| factors((&x.0, &y.0), tops) == first);
        if !all_alike {
            return Err("expected scales per tensor, found ones per channel in different ratios".into());
        }
        let per_channel = |values: Vec<Q>| PerChannel(Arc::new(values));
        let offset = per_channel(of_x.iter().zip(&of_y).map(|(x, y)| &x.1 + &y.1).collect());
        let (whole_factors, exact) = first;
        let links = if exact {
            let unit = of_x.iter().map(|x| &x.0 / whole(whole_factors[0])).collect();
            vec![Link::Mul(per_channel(unit)), Link::Add(offset)]
        } else {
            let scales =
                (of_x.iter().map(|x| x.0.clone()).collect(), of_y.iter().map(|y| y.0.clone()).collect());
            let pairs =
                Pairs::new(whole_factors, tops, (per_channel(scales.0), per_channel(scales.1)), offset);
            let pairs = pairs.ok_or_else(|| {
                format!(
                    "expected scales in a ratio of small whole numbers, or levels of at most 8 bits, found scales {:e} \
                     and {:e}",
                    to_f64(&of_x[0].0),
                    to_f64(&of_y[0].0)
                )
            })?;
            vec![Link::Pairs(Arc::new(pairs))]
        };
        let node =
            self.builder.push(&op.name, Layer::Sum(Sum { factors: whole_factors }), &[x.node, y.node])?;
        Ok(Value::Stream(Stream { node, chain: Chain(links), ..x }))
    }
}
