//! The identity of a circuit, by which a host or a loader knows that parameters fit it.

use crate::pipeline::{Fold, Kind, Mvau, Stage, Window};
use crate::stage::encoding::record;
use sha2::{Digest, Sha256};

/// What tells circuits apart for the loading of parameters: 32 bits of a hash over everything that shapes them (kinds of
/// stages, lanes, depths), but no parameter and no name. The text that is hashed is [`crate::stage::encoding`]'s, a line
/// per stage.
pub fn identity(stages: &[Stage]) -> u32 {
    let mut hash = Sha256::new();
    for stage in stages {
        hash.update(text(stage) + "\n");
    }
    u32::from_be_bytes(hash.finalize()[..4].try_into().expect("4 bytes"))
}

/// The text of one stage. Its name is left out: the network's author chooses it.
fn text(stage: &Stage) -> String {
    record(
        "Stage",
        &[
            ("name", &String::from("\"\"")),
            ("node", &stage.node),
            ("kind", &kind(&stage.kind)),
            ("sources", &stage.sources),
            ("input", &stage.input),
            ("output", &stage.output),
            ("latency", &stage.latency),
            ("depths", &stage.depths),
            ("memory", &stage.memory),
            ("family", &stage.family),
            ("controlled", &stage.controlled),
        ],
    )
}

/// The text of a kind of stage with its fields.
fn kind(kind: &Kind) -> String {
    match kind {
        Kind::Ingress { beats } => record("Ingress", &[("beats", beats)]),
        Kind::Narrow { ratio } => record("Narrow", &[("ratio", ratio)]),
        Kind::Widen { ratio } => record("Widen", &[("ratio", ratio)]),
        Kind::Fork => "Fork".into(),
        Kind::Window(window) => format!("Window({})", window_text(window)),
        Kind::Mvau(mvau) => format!("Mvau({})", mvau_text(mvau)),
        Kind::Step { folds, range } => record("Step", &[("folds", folds), ("range", range)]),
        Kind::Mix { other, ranges, terms } => {
            record("Mix", &[("other", other), ("ranges", ranges), ("terms", terms)])
        }
        Kind::Rescale { folds, range, terms } => {
            record("Rescale", &[("folds", folds), ("range", range), ("terms", terms)])
        }
        Kind::BitDepth { bits } => record("BitDepth", &[("bits", bits)]),
        Kind::Median { height, width, chunks } => {
            record("Median", &[("height", height), ("width", width), ("chunks", chunks)])
        }
        Kind::Reduce { fold, taps } => {
            let fold = match fold {
                Fold::Max => "Max",
                Fold::Sum => "Sum",
            };
            record("Reduce", &[("fold", &fold.to_owned()), ("taps", taps)])
        }
        Kind::GlobalSum { pixels, chunks } => record("GlobalSum", &[("pixels", pixels), ("chunks", chunks)]),
        Kind::Bias { classes } => record("Bias", &[("classes", classes)]),
        Kind::ArgMax { classes } => record("ArgMax", &[("classes", classes)]),
        Kind::Egress { beats } => record("Egress", &[("beats", beats)]),
    }
}

fn window_text(window: &Window) -> String {
    record(
        "Window",
        &[
            ("map", &window.map),
            ("rows", &window.rows),
            ("columns", &window.columns),
            ("output", &window.output),
            ("groups", &window.groups),
            ("folds", &window.folds),
            ("chunks", &window.chunks),
            ("ring", &window.ring),
        ],
    )
}

fn mvau_text(mvau: &Mvau) -> String {
    record(
        "Mvau",
        &[
            ("pe", &mvau.pe),
            ("simd", &mvau.simd),
            ("taps", &mvau.taps),
            ("folds", &mvau.folds),
            ("level_bits", &mvau.level_bits),
            ("weight_bits", &mvau.weight_bits),
            ("mac", &mvau.mac),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Family;
    use crate::pipeline::{self, Lanes, Source};
    use crate::plan::{self, Control, Mac, Memory, Output};
    use dq_net::layer::window::Axis;
    use dq_net::random::{self, Options};
    use dq_net::{Network, Range, Shape};
    use std::collections::HashSet;

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
            (4, Control::Load, 0x98ae_8617),
            (5, Control::Load, 0xaa18_956f),
            (11, Control::None, 0x3bc9_209e),
        ] {
            let network = random::network(seed, &Options::default());
            assert_eq!(identity(&stages(&network, control)), wanted, "seed {seed}");
        }
    }

    /// A stage of every kind.
    fn every_kind() -> Vec<Stage> {
        let range = Range::new(-5, 6);
        let other = Lanes { count: 2, bits: 7, signed: true };
        let axis = Axis { kernel: 3, stride: 2, before: 1, after: 0 };
        let window = Window {
            map: Shape::new(8, 9, 4),
            rows: axis,
            columns: Axis { after: 1, ..axis },
            output: [4, 5],
            groups: 2,
            folds: 3,
            chunks: 1,
            ring: 5,
        };
        let mvau = Mvau { pe: 2, simd: 3, taps: 9, folds: 6, level_bits: 2, weight_bits: 4, mac: Mac::Pairs };
        let kinds = vec![
            Kind::Ingress { beats: 64 },
            Kind::Narrow { ratio: 2 },
            Kind::Widen { ratio: 2 },
            Kind::Fork,
            Kind::Window(window),
            Kind::Mvau(mvau),
            Kind::Step { folds: 2, range },
            Kind::Mix { other, ranges: [range, Range::new(0, 3)], terms: 4 },
            Kind::Rescale { folds: 2, range, terms: 4 },
            Kind::BitDepth { bits: 3 },
            Kind::Median { height: 8, width: 9, chunks: 2 },
            Kind::Reduce { fold: Fold::Max, taps: 4 },
            Kind::Reduce { fold: Fold::Sum, taps: 4 },
            Kind::GlobalSum { pixels: 72, chunks: 2 },
            Kind::Bias { classes: 10 },
            Kind::ArgMax { classes: 10 },
            Kind::Egress { beats: 10 },
        ];
        let stage = |(at, kind): (usize, Kind)| Stage {
            name: format!("stage{at}"),
            node: at / 2,
            kind,
            sources: vec![Source { stage: at, port: at % 2 }],
            input: Lanes { count: 4, bits: 3, signed: at % 2 == 0 },
            output: other,
            latency: 4,
            depths: vec![3, 5],
            memory: Memory::Distributed,
            family: Family::Xc7,
            controlled: at % 3 == 0,
        };
        kinds.into_iter().enumerate().map(stage).collect()
    }

    #[test]
    fn a_name_changes_nothing_and_every_field_that_shapes_a_circuit_does() {
        let stage = every_kind().remove(6);
        let of = |stage: &Stage| identity(std::slice::from_ref(stage));
        let renamed = Stage { name: "another".into(), ..stage.clone() };
        assert_eq!(of(&renamed), of(&stage));
        let Stage { input, .. } = stage;
        let range = Range::new(-5, 6);
        let changed = [
            stage.clone(),
            Stage { node: 9, ..stage.clone() },
            Stage { kind: Kind::Step { folds: 3, range }, ..stage.clone() },
            Stage { kind: Kind::Step { folds: 2, range: Range::new(-5, 7) }, ..stage.clone() },
            Stage { kind: Kind::Step { folds: 2, range: Range::new(-6, 6) }, ..stage.clone() },
            Stage { kind: Kind::Rescale { folds: 2, range, terms: 1 }, ..stage.clone() },
            Stage { sources: vec![], ..stage.clone() },
            Stage { sources: vec![Source { stage: 1, port: 1 }], ..stage.clone() },
            Stage { input: Lanes { count: 5, ..input }, ..stage.clone() },
            Stage { input: Lanes { bits: 4, ..input }, ..stage.clone() },
            Stage { input: Lanes { signed: !input.signed, ..input }, ..stage.clone() },
            Stage { output: input, ..stage.clone() },
            Stage { latency: 5, ..stage.clone() },
            Stage { depths: vec![3, 6], ..stage.clone() },
            Stage { memory: Memory::Block, ..stage.clone() },
            Stage { family: Family::Ecp5, ..stage.clone() },
            Stage { controlled: !stage.controlled, ..stage.clone() },
        ];
        let all: HashSet<u32> = changed.iter().map(of).collect();
        assert_eq!(all.len(), changed.len());
    }
}
