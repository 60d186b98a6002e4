//! AMD 7 series: synthesis by Yosys; the way to a bitstream is Vivado's ([`crate::tool::vivado`] writes its
//! scripts).

use super::FamilyTools;

pub(super) const TOOLS: FamilyTools =
    FamilyTools { synthesis: "synth_xilinx -family xc7", flow: None, cells: None };
