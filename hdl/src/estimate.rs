//! Estimates resources by a stated model of LUT4s, flip-flops, block RAMs and DSPs for each stage, from the
//! pipeline alone. It is a guide for choosing a plan; synthesis has the last word. Each kind of stage counts
//! its adders, registers and memories from widths and depths; the few factors were set by Yosys 0.70
//! (`synth_ecp5`) on the stages of a 4-bit network, where a carry cell (CCU2C) counts as 2 LUTs and a LUT RAM
//! (DPR16X4) as 6. Stages alone are larger than in a circuit that is synthesized as a whole; the family says by
//! how much. `tests/circuit/synthesis.rs` holds the model against Yosys.

pub use crate::device::Resources;
use crate::plan::data::Memory;
use crate::stage::kind::Stage;
use serde::{Deserialize, Serialize};

/// Holds the resources of a circuit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// Resources of all stages together.
    pub total: Resources,
    /// Resources of each stage, in stream order.
    pub stages: Vec<StageEstimate>,
}

/// Holds the resources of one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageEstimate {
    /// Instance name.
    pub stage: String,
    /// Its resources.
    pub resources: Resources,
}

/// Applies the model to `stages`.
pub fn estimate(stages: &[Stage]) -> Estimate {
    let stages: Vec<StageEstimate> = stages
        .iter()
        .map(|stage| StageEstimate {
            stage: stage.site.name.clone(),
            resources: stage.site.family.in_whole(stage.resources()),
        })
        .chain(of_boot(stages))
        .collect();
    let total = stages.iter().map(|s| s.resources).sum();
    Estimate { total, stages }
}

/// Returns the resources of `stages` together, each synthesized alone, without what a circuit needs beside
/// them. Choices are compared by it.
pub fn total(stages: &[Stage]) -> Resources {
    stages.iter().map(Stage::resources).sum()
}

/// Returns the cost of the loader from flash, where there is one: two sums of 32 bits, and
/// registers for the widest word.
fn of_boot(stages: &[Stage]) -> Option<StageEstimate> {
    let filled = stages.iter().filter(|stage| stage.site.memory == Memory::Spram);
    let widest = filled.filter_map(|stage| stage.kind.unit()).map(|unit| unit.word()).max()?;
    let widest = widest.next_multiple_of(32);
    let resources = Resources::logic(160 + widest / 2, 90 + 2 * widest);
    Some(StageEstimate { stage: "boot".into(), resources })
}
