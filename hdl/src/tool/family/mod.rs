//! Describes what a family of devices needs of the tools: one file per family, one row here.
//! [`crate::device`] says what its logic and memories are.

mod ecp5;
mod ecp5_outputs;
mod gowin;
mod ice40;
mod xc7;

use crate::device::{Device, Family};
use serde_json::Value;

/// Holds what the tools need to know of a family.
pub(crate) struct FamilyTools {
    /// Commands of Yosys that synthesize for it; `{top}` stands for the top module.
    pub synthesis: &'static str,
    /// What is to be done to the netlist that it writes, where Yosys leaves something undone.
    pub finish: Option<fn(&mut Value)>,
    /// The way of its circuits to a bitstream; `None` where no free tools make one.
    pub flow: Option<Flow>,
    /// The models of its cells; `None` where gates cannot be simulated.
    pub cells: Option<Cells>,
}

/// Describes the way from a synthesized circuit to a bitstream, and the clock that a board's wrapper makes.
pub(crate) struct Flow {
    /// Program for place and route, a form of nextpnr.
    pub router: &'static str,
    /// What the tools call each device.
    pub sizes: &'static [(&'static str, &'static str)],
    /// Name of the constraints file.
    pub constraints: &'static str,
    /// Returns the router's options for the device, the constraints, and the file that it writes.
    pub options: fn(&Target, routed: &str) -> Vec<String>,
    /// The program that makes a bitstream of the routed circuit.
    pub packer: &'static str,
    /// Returns the packer's arguments, by which it makes the file `bitstream` of the router's.
    pub pack: fn(&Target, routed: &str) -> Vec<String>,
    /// The ending of a bitstream's name.
    pub suffix: &'static str,
    /// Returns the constraints that lay a port on a pin, of an I/O standard where the board names one.
    pub pin: fn(port: &str, pin: &str, io: Option<&str>) -> String,
    /// Returns the constraints of the clocks of pin and core, both in MHz.
    pub clocks: fn(pin: &str, core: &str) -> String,
    /// Returns all settings of the PLL for a pin of so many Hz, smallest dividers first.
    pub plls: fn(pin: u64) -> Vec<Pll>,
    /// Returns the instance of the PLL between `clk` and `core_clk`, with `locked`.
    pub instance: fn(pll: &Pll) -> String,
    /// Verilog of the PLL for simulation, which sees only the ratio of core clock and bit time: a wire.
    pub pll_model: &'static str,
}

/// Names a board's device and clock to the tools.
pub(crate) struct Target<'a> {
    /// What the tools call the device.
    pub size: &'static str,
    /// Name of the package.
    pub package: &'a str,
    /// Speed grade, where the family has several.
    pub speed: Option<u8>,
    /// Core clock, in MHz.
    pub core: String,
}

/// Describes a setting of a PLL.
pub(crate) struct Pll {
    /// Frequency that it makes, in Hz, rounded down.
    pub hz: u64,
    /// Parameters of the PLL, in an order of the family's own.
    pub parameters: [u64; 4],
}

/// Returns the words of a command line.
fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Holds the models with which gates are simulated.
pub(crate) struct Cells {
    /// File of Yosys's own models.
    pub models: &'static str,
    /// Selection of the cells that those models replace.
    pub replaced: &'static str,
    /// Verilog of the other cells: block RAMs and whatever Yosys has no model of.
    pub others: &'static str,
}

impl FamilyTools {
    /// Returns the row of `family`.
    pub fn of(family: Family) -> &'static FamilyTools {
        match family {
            Family::Ecp5 => &ecp5::TOOLS,
            Family::Ice40 => &ice40::TOOLS,
            Family::Gowin => &gowin::TOOLS,
            Family::Xc7 => &xc7::TOOLS,
        }
    }
}

impl Flow {
    /// Returns the flow for `device` and what the tools call it, if free tools can build for it.
    pub fn of(device: &Device) -> Option<(&'static Flow, &'static str)> {
        let flow = FamilyTools::of(device.family).flow.as_ref()?;
        let size = flow.sizes.iter().find(|(name, _)| *name == device.name)?;
        Some((flow, size.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DEVICES;
    use crate::tool::TOOLS;

    #[test]
    fn every_device_of_a_family_with_a_flow_has_a_size_and_its_tools_are_known() {
        for device in DEVICES {
            let Some(flow) = &FamilyTools::of(device.family).flow else { continue };
            assert!(Flow::of(device).is_some(), "{}", device.name);
            for tool in [flow.router, flow.packer] {
                assert!(TOOLS.iter().any(|row| row.name == tool), "{tool}");
            }
        }
    }
}
