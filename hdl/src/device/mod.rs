//! Describes devices: what an FPGA holds. It is data only.

mod family;
mod resources;

pub use family::{DEVICES, Device, Family};
pub use resources::{Budget, Resources};

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
