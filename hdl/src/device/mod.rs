//! Devices: what an FPGA holds. Data only: one more device is one more row here, one more family one more
//! row in [`family`].

mod family;
mod resources;

pub use family::Family;
pub use resources::Resources;

use serde::{Deserialize, Serialize};

/// One device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Name on the command line and in plans.
    pub name: &'static str,
    /// Its family.
    pub family: Family,
    /// LUTs of the family's size.
    pub lut: u64,
    /// Flip-flops.
    pub ff: u64,
    /// Block RAMs.
    pub bram: u64,
    /// DSP blocks.
    pub dsp: u64,
    /// Single-port RAMs of 256 kbit, which configuration cannot fill.
    pub spram: u64,
}

/// What a circuit may use; what is not bounded is `u64::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// LUTs.
    pub lut: u64,
    /// Flip-flops.
    pub ff: u64,
    /// Block RAMs.
    pub bram: u64,
    /// DSP blocks.
    pub dsp: u64,
    /// Single-port RAMs of 256 kbit.
    #[serde(default)]
    pub spram: u64,
}

const fn device(name: &'static str, family: Family, [lut, ff, bram, dsp]: [u64; 4]) -> Device {
    Device { name, family, lut, ff, bram, dsp, spram: 0 }
}

/// All devices, from their data sheets.
pub const DEVICES: &[Device] = &[
    device("ecp5-25f", Family::Ecp5, [24_288, 24_288, 56, 28]),
    device("ecp5-45f", Family::Ecp5, [43_848, 43_848, 108, 72]),
    device("ecp5-85f", Family::Ecp5, [83_640, 83_640, 208, 156]),
    Device { spram: 4, ..device("ice40-up5k", Family::Ice40, [5_280, 5_280, 30, 8]) },
    device("ice40-hx8k", Family::Ice40, [7_680, 7_680, 32, 0]),
    device("xc7a35t", Family::Xc7, [20_800, 41_600, 50, 90]),
    device("xc7a100t", Family::Xc7, [63_400, 126_800, 135, 240]),
    device("xc7z020", Family::Xc7, [53_200, 106_400, 140, 220]),
];

impl Device {
    /// Returns the device called `name`.
    pub fn find(name: &str) -> Option<&'static Device> {
        DEVICES.iter().find(|device| device.name == name)
    }

    /// Returns all of it as a budget.
    pub fn budget(&self) -> Budget {
        Budget { lut: self.lut, ff: self.ff, bram: self.bram, dsp: self.dsp, spram: self.spram }
    }
}

impl Budget {
    /// No bound at all.
    pub const NONE: Budget =
        Budget { lut: u64::MAX, ff: u64::MAX, bram: u64::MAX, dsp: u64::MAX, spram: u64::MAX };

    /// Returns the name of each resource, how much of it is used and how much there is.
    pub fn against(&self, used: Resources) -> [(&'static str, u64, u64); 5] {
        [
            ("LUTs", used.lut, self.lut),
            ("flip-flops", used.ff, self.ff),
            ("block RAMs", used.bram, self.bram),
            ("DSPs", used.dsp, self.dsp),
            ("SPRAMs", used.spram, self.spram),
        ]
    }

    /// Returns the first resource of which more is used than there is: its name, both amounts.
    pub fn overflow(&self, used: Resources) -> Option<(&'static str, u64, u64)> {
        self.against(used).into_iter().find(|(_, used, there)| used > there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_found_by_name_and_budgets_name_what_overflows() {
        let device = Device::find("ecp5-85f").unwrap();
        assert_eq!((device.family, device.bram), (Family::Ecp5, 208));
        assert_eq!(Device::find("ecp5"), None);
        let used = Resources { lut: 10, ff: 10, bram: 209, ..Resources::default() };
        assert_eq!(device.budget().overflow(used), Some(("block RAMs", 209, 208)));
        assert_eq!(Budget::NONE.overflow(used), None);
    }
}
