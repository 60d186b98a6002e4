//! Prints tables for people: columns as wide as they need, numbers to the right.

use dq_sim::report::Tally;

/// Lays out `rows` under `head`; the first column is text, the others are figures.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let columns = head.len();
    let width = |c: usize| {
        rows.iter().map(|r| r[c].chars().count()).chain([head[c].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |cells: &[&str]| {
        let mut text = format!("{:<w$}", cells[0], w = widths[0]);
        for c in 1..columns {
            text.push_str(&format!("  {:>w$}", cells[c], w = widths[c]));
        }
        text.trim_end().to_owned() + "\n"
    };
    let rule: Vec<String> = widths.iter().map(|&w| "─".repeat(w)).collect();
    let mut text = line(head);
    text.push_str(&line(&rule.iter().map(String::as_str).collect::<Vec<_>>()));
    for row in rows {
        text.push_str(&line(&row.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    text
}

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

/// Writes accuracy and interval in per cent: `97.50 (95.61–98.60)`.
pub fn percent(tally: &Tally) -> String {
    let [low, high] = tally.interval;
    format!("{:.2} ({:.2}–{:.2})", 100.0 * tally.accuracy, 100.0 * low, 100.0 * high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let text = table(
            &["layer", "MACs"],
            &[vec!["conv1".into(), thousands(1_234_567)], vec!["é".into(), "9".into()]],
        );
        assert_eq!(text, "layer       MACs\n─────  ─────────\nconv1  1,234,567\né              9\n");
    }
}
