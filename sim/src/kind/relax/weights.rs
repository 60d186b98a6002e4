//! Carries linear bounds through a layer with weights: by the transposed integer kernels, whose sums are
//! exact. Factors are rounded to the kernels' 16 bits first.

use super::{Descend, Relax};
use crate::buffers;
use crate::kind::Site;
use crate::linear::FixedLinear;
use crate::rows::{Ends, Floor, Rows, round};
use std::sync::Arc;

/// Holds a layer with weights.
pub(in crate::kind) struct Weights {
    pub transposed: FixedLinear,
    /// The accumulators of an input of zeros, where the padding makes them other than 0.
    pub padding: Option<Vec<i32>>,
}

struct Sums<'a> {
    weights: &'a Weights,
    site: &'a Site,
    output: Arc<Ends>,
}

impl Relax for Weights {
    fn on<'a>(&'a self, site: &'a Site, _: &[&Arc<Ends>], output: &Arc<Ends>) -> Box<dyn Descend + 'a> {
        Box::new(Sums { weights: self, site, output: output.clone() })
    }
}

impl Descend for Sums<'_> {
    fn run(&self, rows: &Rows, floors: &mut [Floor]) -> Vec<Rows> {
        let Weights { transposed, padding } = self.weights;
        let (width, count) = (rows.width(), rows.exponents.len());
        let mut whole = buffers::stale(rows.factors.len());
        let each = whole.chunks_exact_mut(width).zip(&rows.exponents).zip(floors).enumerate();
        let exponents = each.map(|(n, ((whole, &exponent), floor))| {
            let row = rows.row(n);
            let scale = (exponent, transposed.most());
            let products = (width, |at: usize| i64::from(row[at]));
            let put = |at: usize, factor: i32| whole[at] = factor as i16;
            let exponent = round(products, scale, |at| self.output.get(at), floor, put);
            if let Some(padding) = padding {
                let terms = whole.iter().zip(padding).map(|(&f, &v)| i64::from(f) * i64::from(v));
                floor.add(terms.map(i128::from).sum(), exponent);
            }
            exponent
        });
        let exponents = exponents.collect();
        let factors = transposed.sums(self.site.kernel, &whole, count);
        buffers::give(whole);
        vec![Rows { factors, exponents }]
    }
}
