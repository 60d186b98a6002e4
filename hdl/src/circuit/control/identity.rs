//! Computes the identity of a circuit, by which a host or a loader knows that parameters fit it.

use crate::stage::encoding::{Encode, record};
use crate::stage::kind::Stage;
use crate::stage::site::Site;
use sha2::{Digest, Sha256};

/// Returns what tells circuits apart for the loading of parameters: 32 bits of a hash over everything that
/// shapes them (kinds of stages, lanes, depths), but no parameter and no name. The text that is hashed is
/// [`crate::stage::encoding`]'s, a line per stage.
pub fn identity(stages: &[Stage]) -> u32 {
    let mut hash = Sha256::new();
    for stage in stages {
        hash.update(text(stage) + "\n");
    }
    u32::from_be_bytes(hash.finalize()[..4].try_into().expect("4 bytes"))
}

/// Returns the text of one stage. Its name is left out: the network's author chooses it.
fn text(stage: &Stage) -> String {
    let Site { node, sources, input, output, latency, depths, memory, family, controlled, name: _ } =
        &stage.site;
    let fields: [(&str, &dyn Encode); 11] = [
        ("name", &String::from("\"\"")),
        ("node", node),
        ("kind", &stage.kind.encode()),
        ("sources", sources),
        ("input", input),
        ("output", output),
        ("latency", latency),
        ("depths", depths),
        ("memory", memory),
        ("family", family),
        ("controlled", controlled),
    ];
    record("Stage", &fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Family;
    use crate::pipeline::{self, Kind, Lanes, Mvau, Source, Window};
    use crate::plan::{self, Control, Mac, Memory, Output};
    use crate::stage;
    use dq_net::layer::window::Axis;
    use dq_net::layer::{self, Surrogate};
    use dq_net::random::{self, Options};
    use dq_net::{Network, Range, Shape};
    use ndarray::{Array2, Array4};
    use std::collections::HashSet;
    use std::sync::Arc;

    fn stages(network: &Network, control: Control) -> Vec<Stage> {
        let mut plan = plan::default(network, Output::Scores).unwrap();
        plan.control = control;
        pipeline::stages(network, &plan).unwrap()
    }

    #[test]
    fn shipped_circuits_keep_their_identity() {
        assert_eq!(identity(&every_kind()), 0xabec_54f6);
        for (seed, control, wanted) in [
            (1, Control::None, 0x5915_e3d1),
            (1, Control::Load, 0xc818_7758),
            (4, Control::Load, 0x2c79_9eca),
            (5, Control::Load, 0x1ab2_c439),
            (11, Control::None, 0x5f3d_bb4c),
        ] {
            let network = random::network(seed, &Options::default());
            assert_eq!(identity(&stages(&network, control)), wanted, "seed {seed}");
        }
        let network = random::network(1, &Options::default());
        let guarded = |squeezing: &str| {
            let plan = plan::with_detector(&network, squeezing.parse().unwrap()).unwrap();
            identity(&pipeline::stages(&network, &plan).unwrap())
        };
        assert_eq!([guarded("bits=5,median"), guarded("bits=4,median")], [0x8efc_cf25, 0x2a89_4c60]);
    }

    const RANGE: Range = Range::new(-5, 6);
    const OTHER: Lanes = Lanes { count: 2, bits: 7, signed: true };

    fn step(folds: usize, range: Range) -> stage::step::Step {
        let surrogate = Surrogate { gain: vec![1.0], open_lo: vec![-5], open_hi: vec![6], unit: 1.0 };
        let (dir, thresholds) = (vec![1], Array2::zeros((1, 1)));
        stage::step::Step {
            folds,
            range,
            step: Arc::new(layer::Step { bits: 1, dir, thresholds, surrogate }),
        }
    }

    fn rescale(folds: usize, range: Range, terms: usize) -> stage::rescale::Rescale {
        let rescale = Arc::new(layer::Rescale { mul: vec![1], add: vec![0], shift: 0, bits: 8, unit: 1.0 });
        stage::rescale::Rescale { folds, range, terms, rescale }
    }

    fn sum(factors: [i32; 2]) -> stage::sum::Sum {
        stage::sum::Sum { other: OTHER, ranges: [RANGE, Range::new(0, 3)], factors }
    }

    fn windows() -> (Window, stage::mvau::Unit) {
        let axis = Axis { kernel: 3, stride: 2, before: 1, after: 0 };
        let columns = Axis { after: 1, ..axis };
        let (map, output, groups, folds, chunks, ring) = (Shape::new(8, 9, 4), [4, 5], 2, 3, 1, 5);
        let mvau = Mvau { pe: 2, simd: 3, taps: 9, folds: 6, level_bits: 2, weight_bits: 4, mac: Mac::Pairs };
        let (weights, stride, pad, groups_of) = (Array4::zeros((12, 3, 3, 3)), [2, 2], [1, 0, 1, 1], 1);
        let conv = layer::Conv { weights, weight_bits: 4, stride, pad, pad_level: 0, groups: groups_of };
        let weights = stage::mvau::weights::Weights::Conv(Arc::new(conv));
        (
            Window { map, rows: axis, columns, output, groups, folds, chunks, ring, level: 0 },
            stage::mvau::Unit { mvau, weights, port: None },
        )
    }

    /// Returns a stage of every kind.
    fn every_kind() -> Vec<Stage> {
        use stage::pool::{Pool, Reduction};
        let (window, unit) = windows();
        // The product with 3 has two digits, that with 1 has one digit; with the rounding there are four
        // terms.
        let mix = Arc::new(layer::Mix { a: 3, b: 1, shift: 2, bits: 8 });
        let logits = Arc::new(layer::Logits { bias: vec![0; 10], scale: 1.0 });
        let kinds: Vec<Arc<dyn Kind>> = vec![
            Arc::new(stage::ingress::Ingress { beats: 64 }),
            Arc::new(stage::narrow::Narrow { ratio: 2 }),
            Arc::new(stage::widen::Widen { ratio: 2 }),
            Arc::new(stage::fork::Fork),
            Arc::new(window),
            Arc::new(unit),
            Arc::new(step(2, RANGE)),
            Arc::new(stage::mix::Mix { other: OTHER, ranges: [RANGE, Range::new(0, 3)], mix }),
            Arc::new(rescale(2, RANGE, 4)),
            Arc::new(stage::bit_depth::BitDepth { bits: 3 }),
            Arc::new(stage::median::Median { height: 8, width: 9, chunks: 2 }),
            Arc::new(Pool { reduction: Reduction::Max, taps: 4 }),
            Arc::new(Pool { reduction: Reduction::Sum, taps: 4 }),
            Arc::new(stage::global_sum::GlobalSum { pixels: 72, chunks: 2 }),
            Arc::new(stage::bias::Bias { logits }),
            Arc::new(stage::argmax::ArgMax { classes: 10, lead: None }),
            Arc::new(stage::egress::Egress { beats: 10, user: false }),
        ];
        let stage = |(at, kind): (usize, Arc<dyn Kind>)| Stage {
            site: Site {
                name: format!("stage{at}"),
                node: at / 2,
                sources: vec![Source { stage: at, port: at % 2 }],
                input: Lanes { count: 4, bits: 3, signed: at % 2 == 0 },
                output: OTHER,
                latency: 4,
                depths: vec![3, 5],
                memory: Memory::Distributed,
                family: Family::Xc7,
                controlled: at % 3 == 0,
            },
            kind,
        };
        kinds.into_iter().enumerate().map(stage).collect()
    }

    #[test]
    fn a_name_changes_nothing_and_every_field_that_shapes_a_circuit_does() {
        let (window, _) = windows();
        let padded = |level| Window { level, ..window }.encode();
        assert!(padded(1) != padded(0) && padded(2) != padded(1));
        let sum = |factors| sum(factors).encode();
        assert!(sum([1, 2]) != sum([1, 3]) && sum([2, 1]) != sum([1, 2]) && sum([1, 2]) != sum([-1, 2]));
        let concat = |beats| stage::concat::Concat { other: OTHER, beats }.encode();
        assert!(concat([1, 2]) != concat([2, 1]) && concat([1, 2]) != concat([1, 3]));
        let label = |lead| stage::argmax::ArgMax { classes: 10, lead }.encode();
        assert!(label(None) != label(Some(5)) && label(Some(5)) != label(Some(6)));
        let end = |user| stage::egress::Egress { beats: 1, user }.encode();
        assert_ne!(end(false), end(true));
        let passes = |beats| stage::passes::Passes { beats }.encode();
        let pixels = |bits| stage::pixels::Pixels { bits }.encode();
        assert!(passes(4) != passes(5) && pixels(4) != pixels(5));
        let stage = every_kind().remove(6);
        let own = |stage: &Stage| identity(std::slice::from_ref(stage));
        let at = |site: Site| Stage { site, ..stage.clone() };
        let doing = |kind: Arc<dyn Kind>| Stage { kind, ..stage.clone() };
        let site = stage.site.clone();
        assert_eq!(own(&at(Site { name: "another".into(), ..site.clone() })), own(&stage));
        let Site { input, .. } = site;
        let changed = [
            stage.clone(),
            doing(Arc::new(step(3, RANGE))),
            doing(Arc::new(step(2, Range::new(-5, 7)))),
            doing(Arc::new(step(2, Range::new(-6, 6)))),
            doing(Arc::new(rescale(2, RANGE, 1))),
            at(Site { node: 9, ..site.clone() }),
            at(Site { sources: vec![], ..site.clone() }),
            at(Site { sources: vec![Source { stage: 1, port: 1 }], ..site.clone() }),
            at(Site { input: Lanes { count: 5, ..input }, ..site.clone() }),
            at(Site { input: Lanes { bits: 4, ..input }, ..site.clone() }),
            at(Site { input: Lanes { signed: !input.signed, ..input }, ..site.clone() }),
            at(Site { output: input, ..site.clone() }),
            at(Site { latency: 5, ..site.clone() }),
            at(Site { depths: vec![3, 6], ..site.clone() }),
            at(Site { memory: Memory::Block, ..site.clone() }),
            at(Site { family: Family::Ecp5, ..site.clone() }),
            at(Site { controlled: !site.controlled, ..site.clone() }),
        ];
        let all: HashSet<u32> = changed.iter().map(own).collect();
        assert_eq!(all.len(), changed.len());
    }
}
