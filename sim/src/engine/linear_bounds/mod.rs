//! Computes linear bounds over a box of images: a linear function of a node's output goes back through the
//! network to the pixels, by lines below and above each quantizer, and every node on the way bounds it by its
//! own ends too. Sound in integers alone, and never looser than interval bounds.

mod bounded;
mod branch;

use super::{Engine, IntervalBounds};
use crate::kind::{Relax, kind};
use crate::rows::Ends;
use crate::tensor::Tensor;
use bounded::Bounded;
pub(crate) use branch::Verdict;
use dq_net::Network;
use ndarray::{ArrayView3, Axis};
use std::sync::{Arc, OnceLock};

/// Most multiply-accumulates that tighter ends of one node's elements may cost for one box.
const REFINE_MACS: u64 = 4 << 30;

/// Holds a network made ready for linear bounds.
pub(crate) struct LinearBounds<'a> {
    engine: &'a Engine,
    intervals: IntervalBounds<'a>,
    /// How each node is bounded by lines; none for the Input.
    relaxations: Vec<Option<Box<dyn Relax>>>,
    /// Multiply-accumulates of one row that goes back from each node to the pixels.
    macs: Vec<u64>,
}

impl<'a> LinearBounds<'a> {
    /// Asks each kind of layer for its relaxation.
    pub fn new(engine: &'a Engine) -> Self {
        let network = &engine.network;
        let nodes = network.nodes().iter().zip(&engine.nodes);
        let relaxations = nodes.map(|(node, own)| kind(&node.layer).relaxation(&own.site)).collect();
        let macs = (0..network.nodes().len()).map(|i| behind(network, i)).collect();
        Self { engine, intervals: IntervalBounds::new(engine), relaxations, macs }
    }

    /// Says whether lines alone show that every image of the box `lo..=hi` (height × width × channels) has the
    /// label.
    pub fn leads(&self, boxes: [ArrayView3<u8>; 2], label: usize) -> bool {
        let others = self.others(label);
        self.bounded(boxes, false).slack(label, &others).iter().all(|&slack| slack >= 0)
    }

    fn others(&self, label: usize) -> Vec<usize> {
        (0..self.engine.network.classes()).filter(|&class| class != label).collect()
    }

    /// Bounds every node over a box.
    fn bounded(&self, [lo, hi]: [ArrayView3<u8>; 2], refines: bool) -> Bounded<'_> {
        let boxes = [lo.insert_axis(Axis(0)), hi.insert_axis(Axis(0))];
        let mut found = Bounded { bounds: self, ends: vec![], descents: vec![] };
        let mut values: [Vec<Option<Tensor>>; 2] = [vec![], vec![]];
        for node in 0..self.relaxations.len() {
            let [mut low, mut high] = self.intervals.node(node, boxes, &values);
            let wide = |values: &Tensor| values.words().iter().map(|&v| v.into()).collect();
            let mut ends = Ends { lo: wide(&low), hi: wide(&high) };
            found.descents.push(OnceLock::new());
            found.ends.push(Arc::new(ends.clone()));
            let loose = if refines { self.loose(node, &ends) } else { vec![] };
            if !loose.is_empty() {
                found.tighten(node, &loose, &mut ends);
                [low, high] = ends.tensors(self.engine.network.wire(node).range);
                found.descents[node] = OnceLock::new();
                found.ends[node] = Arc::new(ends);
            }
            values[0].push(Some(low));
            values[1].push(Some(high));
        }
        found
    }

    /// Returns the elements of a node whose ends are worth to be made tighter: none where that is dear, or
    /// where interval bounds are exact as no other weights lie before the node's.
    fn loose(&self, node: usize, ends: &Ends) -> Vec<usize> {
        let network = &self.engine.network;
        if self.macs[node] == network.macs(node) {
            return vec![];
        }
        let mut loose: Vec<usize> = vec![];
        for &reader in network.readers(node) {
            if let Some(relaxation) = &self.relaxations[reader] {
                loose.extend(relaxation.loose(self.engine.site(reader), ends));
            }
        }
        loose.sort_unstable();
        loose.dedup();
        let cost = 2 * loose.len() as u64 * self.macs[node];
        if cost > REFINE_MACS { vec![] } else { loose }
    }
}

/// Returns the multiply-accumulates of node `i` and of all nodes that it depends on.
fn behind(network: &Network, i: usize) -> u64 {
    let mut is_behind = vec![false; i + 1];
    is_behind[i] = true;
    let mut macs = 0;
    for node in (0..=i).rev() {
        if is_behind[node] {
            macs += network.macs(node);
            network.sources(node).iter().for_each(|&source| is_behind[source] = true);
        }
    }
    macs
}

#[cfg(test)]
mod tests {
    use super::bounded::{Cut, Turned};
    use super::*;
    use crate::rows::Rows;
    use dq_net::SplitMix64;
    use dq_net::random::{self, Options};
    use ndarray::{Array3, Array4};
    use std::collections::BTreeSet;

    /// Returns images of a box: its corners at random, and images within.
    pub fn drawn([lo, hi]: [&Array3<u8>; 2], count: usize, random: &mut SplitMix64) -> Array4<u8> {
        let (height, width, channels) = lo.dim();
        Array4::from_shape_fn((count, height, width, channels), |(n, y, x, c)| {
            let (lo, hi) = (lo[[y, x, c]], hi[[y, x, c]]);
            let draw = random.word();
            match n % 2 {
                0 => [lo, hi][draw as usize % 2],
                _ => lo + (draw % (u64::from(hi - lo) + 1)) as u8,
            }
        })
    }

    /// Checks that each image, given by its `values` node by node, lies in one part of a box that is cut, within
    /// that part's ends. Returns how many parts hold an image.
    fn check_parts(bounded: &Bounded, cut: Cut, values: &[Array4<i32>]) -> usize {
        let parts = [false, true].map(|is_above| bounded.part(cut, is_above));
        let mut found = [0; 2];
        for n in 0..values[0].dim().0 {
            let all = |node: usize| values[node].index_axis(Axis(0), n).into_iter().map(|&v| i64::from(v));
            let is_above = all(cut.node).nth(cut.at).expect("an element") > cut.value;
            let part = parts[usize::from(is_above)].as_ref().expect("the image lies in it");
            for (node, ends) in part.ends.iter().enumerate() {
                let mut inside = all(node).zip(ends.lo.iter().zip(&ends.hi));
                assert!(inside.all(|(v, (&lo, &hi))| lo <= v && v <= hi), "node {node}");
            }
            found[usize::from(is_above)] += 1;
        }
        found.iter().filter(|&&count| count > 0).count()
    }

    /// In networks of all kinds of layer, linear functions of any node's values are at least their bounds on
    /// images of the box, the ends of inner nodes hold what they are, and lines often say more than ends.
    #[test]
    fn every_kind_of_layer_stays_above_its_linear_bounds() {
        let (mut kinds, mut tighter, mut tightened) = (BTreeSet::new(), 0, 0);
        let (mut turned, mut parts) = (0, 0);
        for seed in 0..300 {
            let options = Options { residuals: seed % 2 == 1, ..Options::default() };
            let network = random::network(seed, &options);
            let engine = Engine::new(&network);
            let bounds = LinearBounds::new(&engine);
            let mut random = SplitMix64::new(seed);
            let (image, top) = (random::image(seed, network.input()), network.input().top());
            let eps = [1, 3, 12, 80][seed as usize / 2 % 4];
            let lo = image.mapv(|pixel| pixel.saturating_sub(eps));
            let hi = image.mapv(|pixel| pixel.saturating_add(eps).min(top));
            let images = drawn([&lo, &hi], 48, &mut random);
            let values = engine.nodes(images.view());
            let plain = bounds.bounded([lo.view(), hi.view()], false);
            let bounded = bounds.bounded([lo.view(), hi.view()], true);
            let (scores, label) = (&values[values.len() - 1], engine.labels(images.view())[0]);
            for other in (0..network.classes()).filter(|&other| other != label).take(3) {
                let needed = i64::from(other < label);
                let before = bounded.slack(label, &[other])[0];
                let turn = |slack: i64| bounded.turned(label, other, slack + needed, 20);
                // Lines that are turned say no less than before, and often more.
                assert!(matches!(turn(before), Turned::Leads), "seed {seed}: less than {before}");
                let (more, enough) = (turn(before + 1), turn(0));
                turned += usize::from(before < 0 && matches!(more, Turned::Leads));
                for image in scores.outer_iter() {
                    let lead = i64::from(image[[0, 0, label]]) - i64::from(image[[0, 0, other]]);
                    let slack = lead - needed;
                    for (shown, found) in [(before + 1, &more), (0, &enough)] {
                        let holds = slack >= before && (slack >= shown || !matches!(found, Turned::Leads));
                        assert!(holds, "seed {seed}: {slack}, bounds {before} and {shown}");
                    }
                }
                match enough {
                    Turned::Broken(image) => assert_ne!(engine.labels(image.view())[0], label, "seed {seed}"),
                    Turned::Open(Some(cut)) => parts += check_parts(&bounded, cut, &values),
                    Turned::Open(None) | Turned::Leads => {}
                }
            }
            for (i, values) in values.iter().enumerate() {
                let (ends, name) = (&bounded.ends[i], &network.nodes()[i].name);
                tightened += usize::from(ends.lo != plain.ends[i].lo || ends.hi != plain.ends[i].hi);
                let width = ends.lo.len();
                let mut rows = Rows::units(width, &[(0, 0); 6]);
                for (at, factor) in rows.factors.iter_mut().enumerate() {
                    // Rows of one element, of few and of many, with small factors and with large ones.
                    let sparse = [width as u64, 3, 1][at / width % 3];
                    let size = [5, 1 << 30][at / width / 3];
                    let drawn = (random.word() % (2 * size + 1)) as i64 - size as i64;
                    *factor = if random.word().is_multiple_of(sparse) { drawn as i32 } else { 0 };
                }
                let found = bounded.least(i, rows.clone(), &[i64::MAX; 6]);
                for (n, found) in found.into_iter().enumerate() {
                    let by_ends = rows.least(n, ends);
                    assert!(i128::from(found) >= by_ends, "seed {seed}, {name}: looser than the ends");
                    tighter += usize::from(i128::from(found) > by_ends);
                    for image in values.outer_iter() {
                        let inside = image.iter().zip(ends.lo.iter().zip(&ends.hi));
                        assert!(
                            inside.clone().all(|(&v, (&lo, &hi))| lo <= v.into() && i64::from(v) <= hi),
                            "seed {seed}, {name}: ends"
                        );
                        let terms = image.iter().zip(rows.row(n)).map(|(&v, &f)| i64::from(v) * i64::from(f));
                        let value: i64 = terms.sum();
                        assert!(value >= found, "seed {seed}, {name}, row {n}: {value} < {found}");
                    }
                }
                kinds.insert(network.nodes()[i].layer.kind().name());
            }
        }
        assert_eq!(kinds.len(), 14, "{kinds:?}");
        assert!(tighter > 1000 && tightened > 50, "{tighter} tighter, {tightened} nodes with tighter ends");
        assert!(turned > 10 && parts > 100, "{turned} turned, {parts} parts");
    }
}
