//! Makes the core's clock from the board's: a PLL's dividers for a wanted frequency, with integers only.

use crate::device::Family;
use crate::tool::family::FamilyTools;

/// Says how the core clock is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Its frequency, rounded down to whole Hz.
    pub hz: u64,
    /// Verilog that makes `core_clk` and `locked` from the pin's `clk`.
    pub verilog: String,
}

impl Clock {
    /// Returns the fastest clock of at most `wanted` Hz that a device of `family` makes of `pin` Hz; none if
    /// there is none within 10 % of it.
    pub fn of(family: Family, pin: u64, wanted: u64) -> Option<Clock> {
        if wanted == pin {
            let verilog = "  assign core_clk = clk;\n  assign locked = 1'b1;\n".into();
            return Some(Clock { hz: pin, verilog });
        }
        let flow = FamilyTools::of(family).flow.as_ref()?;
        let plls = (flow.plls)(pin).into_iter().rev();
        // Of the fastest settings the first is taken, which has the smallest dividers.
        let pll = plls
            .filter(|pll| pll.hz <= wanted && 10 * (wanted - pll.hz) <= wanted)
            .max_by_key(|pll| pll.hz)?;
        Some(Clock { hz: pll.hz, verilog: (flow.instance)(&pll) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_clocks_are_made() {
        let clock = |family, pin, wanted| Clock::of(family, pin, wanted).unwrap();
        let has = |clock: &Clock, parameters: &[&str]| {
            assert!(parameters.iter().all(|p| clock.verilog.contains(&format!(".{p},"))), "{clock:?}");
        };
        let direct = clock(Family::Ecp5, 25_000_000, 25_000_000);
        assert!(direct.hz == 25_000_000 && direct.verilog.contains("core_clk = clk;"));
        let fast = clock(Family::Ecp5, 25_000_000, 100_000_000);
        assert_eq!(fast.hz, 100_000_000);
        has(&fast, &["CLKI_DIV(1)", "CLKFB_DIV(4)", "CLKOP_DIV(6)"]);
        assert_eq!(clock(Family::Ecp5, 25_000_000, 80_000_000).hz, 75_000_000);
        // icepll gives 12 MHz · 64 / 2^5 too.
        let slow = clock(Family::Ice40, 12_000_000, 24_000_000);
        assert_eq!(slow.hz, 24_000_000);
        has(&slow, &["DIVR(4'd0)", "DIVF(7'd63)", "DIVQ(3'd5)"]);
        assert!(slow.verilog.contains(".FILTER_RANGE(3'd1)\n"), "{slow:?}");
        let tang = clock(Family::Gowin, 27_000_000, 54_000_000);
        assert_eq!(tang.hz, 54_000_000);
        has(&tang, &["FCLKIN(\"27.000000\")", "IDIV_SEL(0)", "FBDIV_SEL(1)", "CLKIN(clk)"]);
        assert!(tang.verilog.contains(".ODIV_SEL(16)\n"), "{tang:?}");
        assert_eq!(Clock::of(Family::Ice40, 12_000_000, 500_000_000), None);
        assert_eq!(Clock::of(Family::Ice40, 12_000_000, 5_000_000), None);
    }
}
