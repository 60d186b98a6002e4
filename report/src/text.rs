//! Writes numbers for people.

use dq_sim::report::Tally;

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
    let [low, high] = tally.interval;
    format!("{:.2} ({:.2}–{:.2})", 100.0 * tally.accuracy, 100.0 * low, 100.0 * high)
}
