//! Describes AMD 7 series: Yosys synthesizes; Vivado makes the bitstream ([`crate::tool::vivado`] writes its
//! scripts).

use super::FamilyTools;

pub(super) const TOOLS: FamilyTools =
    FamilyTools { synthesis: "synth_xilinx -family xc7 -top {top}", finish: None, flow: None, cells: None };
