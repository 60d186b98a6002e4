//! Prints tables for people: columns as wide as they need, numbers to the right.

pub use dq_report::text::{percent, percent_of, thousands};

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
