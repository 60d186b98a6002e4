//! The core's clock from the board's: a PLL's dividers for a wanted frequency. Integers only.

use crate::device::Family;

/// How the core clock is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// The pin's own.
    Direct {
        /// In Hz.
        hz: u64,
    },
    /// ECP5 `EHXPLLL`: pin / reference × feedback, with the output divider inside the loop.
    Ehxplll {
        /// In Hz.
        hz: u64,
        /// Divider of the reference.
        reference: u64,
        /// Divider of the feedback.
        feedback: u64,
        /// Divider of the oscillator.
        output: u64,
    },
    /// iCE40 `SB_PLL40_PAD` in simple feedback.
    Pll40 {
        /// In Hz.
        hz: u64,
        /// Divider of the reference, minus 1.
        divr: u64,
        /// Divider of the feedback, minus 1.
        divf: u64,
        /// log2 of the output divider.
        divq: u64,
        /// Filter range for the reference.
        filter: u64,
    },
}

impl Clock {
    /// The fastest clock of at most `wanted` Hz that a device of `family` makes of `pin` Hz; none if there is none
    /// within 10 % of it.
    pub fn of(family: Family, pin: u64, wanted: u64) -> Option<Clock> {
        if wanted == pin {
            return Some(Clock::Direct { hz: pin });
        }
        let candidates: Vec<Clock> = match family {
            Family::Ecp5 => ecp5(pin),
            Family::Ice40 => ice40(pin),
            Family::Xc7 => vec![],
        };
        let fits = |clock: &Clock| clock.hz() <= wanted && 10 * (wanted - clock.hz()) <= wanted;
        // The first of the fastest: smallest dividers.
        candidates.into_iter().filter(fits).rev().max_by_key(Clock::hz)
    }

    /// Its frequency, rounded down to whole Hz.
    pub fn hz(&self) -> u64 {
        let (Clock::Direct { hz } | Clock::Ehxplll { hz, .. } | Clock::Pll40 { hz, .. }) = *self;
        hz
    }
}

/// Lattice FPGA-DS-02012: phase detector 10 to 400 MHz, oscillator 400 to 800 MHz.
fn ecp5(pin: u64) -> Vec<Clock> {
    let mut found = vec![];
    for reference in (1..=16).filter(|r| (10_000_000..=400_000_000).contains(&(pin / r))) {
        for feedback in 1..=80 {
            let hz = pin * feedback / reference;
            // The oscillator in the middle of its range.
            let output = (600_000_000 / hz.max(1)).clamp(1, 128);
            if (400_000_000..=800_000_000).contains(&(hz * output)) {
                found.push(Clock::Ehxplll { hz, reference, feedback, output });
            }
        }
    }
    found
}

/// Lattice FPGA-TN-02052: reference after its divider 10 to 133 MHz, oscillator 533 to 1066 MHz.
fn ice40(pin: u64) -> Vec<Clock> {
    let mut found = vec![];
    for divr in (0..16).filter(|r| (10_000_000..=133_000_000).contains(&(pin / (r + 1)))) {
        let reference = pin / (divr + 1);
        let filter = match reference {
            0..17_000_000 => 1,
            17_000_000..26_000_000 => 2,
            26_000_000..44_000_000 => 3,
            44_000_000..66_000_000 => 4,
            66_000_000..101_000_000 => 5,
            _ => 6,
        };
        for divf in 0..64 {
            let oscillator = reference * (divf + 1);
            if (533_000_000..=1_066_000_000).contains(&oscillator) {
                found.extend((1..=6).map(|divq| Clock::Pll40 {
                    hz: oscillator >> divq,
                    divr,
                    divf,
                    divq,
                    filter,
                }));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_clocks_are_made() {
        let clock = |family, pin, wanted| Clock::of(family, pin, wanted).unwrap();
        assert_eq!(clock(Family::Ecp5, 25_000_000, 25_000_000), Clock::Direct { hz: 25_000_000 });
        let fast = clock(Family::Ecp5, 25_000_000, 100_000_000);
        assert_eq!(fast, Clock::Ehxplll { hz: 100_000_000, reference: 1, feedback: 4, output: 6 });
        assert_eq!(clock(Family::Ecp5, 25_000_000, 80_000_000).hz(), 75_000_000);
        // 12 MHz · 64 / 2^5, as icepll has it.
        let slow = clock(Family::Ice40, 12_000_000, 24_000_000);
        assert_eq!(slow, Clock::Pll40 { hz: 24_000_000, divr: 0, divf: 63, divq: 5, filter: 1 });
        assert_eq!(Clock::of(Family::Ice40, 12_000_000, 500_000_000), None);
        assert_eq!(Clock::of(Family::Ice40, 12_000_000, 5_000_000), None);
    }
}
