//! Writes numbers for people.

use dq_sim::report::{Rate, Tally};
use dq_sim::study::amplify::Distance;

/// Writes `1234567` as `1,234,567`.
pub fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes accuracy and interval in percent: `97.50 (95.61–98.60)`.
pub fn percent(tally: &Tally) -> String {
    with_interval(tally.accuracy, tally.interval)
}

/// Writes a rate and its interval in percent, in the same way.
pub fn percent_of(rate: &Rate) -> String {
    with_interval(rate.rate, rate.interval)
}

fn with_interval(share: f64, [low, high]: [f64; 2]) -> String {
    format!("{:.2} ({:.2}–{:.2})", 100.0 * share, 100.0 * low, 100.0 * high)
}

/// Writes mean and standard deviation of a distance: `0.0432 ± 0.0101`, or `none` where no image has one.
pub fn spread(distance: &Distance) -> String {
    match (distance.mean, distance.deviation) {
        (Some(mean), Some(deviation)) => format!("{mean:.4} ± {deviation:.4}"),
        (Some(mean), None) => format!("{mean:.4}"),
        (None, _) => "none".into(),
    }
}

/// Writes a number of bits: `1 bit`, `2 bits`.
pub fn bits(count: u8) -> String {
    if count == 1 { "1 bit".into() } else { format!("{count} bits") }
}
