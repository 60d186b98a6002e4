//! Pieces of Verilog text that leaves and structures share: files, comments, headers, ranges, long lines.

use crate::rtl::ir::port::Direction;

/// Longest line of code, where a blank allows a break.
pub(crate) const COLUMNS: usize = 100;
/// Stands for a blank at which no line is broken.
pub(crate) const KEPT: char = '\u{1f}';

/// Returns a file: banner, then the module between the two `default_nettype` lines.
pub(crate) fn file(banner: &str, module: &str) -> String {
    format!("{}`default_nettype none\n\n{module}\n`default_nettype wire\n", comment(banner))
}

/// Returns comment lines, byte for byte but trailing blanks.
pub(crate) fn comment(text: &str) -> String {
    text.lines().map(|line| format!("// {line}").trim_end().to_string() + "\n").collect()
}

/// Returns `module name ( ANSI ports );`.
pub(crate) fn header<'a>(name: &str, ports: impl Iterator<Item = (&'a str, usize, Direction)>) -> String {
    let ports: Vec<(&str, String, Direction)> =
        ports.map(|(name, width, direction)| (name, range(width), direction)).collect();
    let column = ports.iter().map(|(_, range, _)| range.len()).max().unwrap_or(0);
    let lines: Vec<String> = ports
        .iter()
        .map(|(name, range, direction)| {
            let way = if *direction == Direction::In { "input " } else { "output" };
            format!("  {way} wire {range:>column$}{name}")
        })
        .collect();
    format!("module {name} (\n{}\n);\n", lines.join(",\n"))
}

/// Returns `[7:0] `, or nothing for one bit.
pub(crate) fn range(width: usize) -> String {
    if width == 1 { String::new() } else { format!("[{}:0] ", width - 1) }
}

/// Appends a line, broken at blanks so that it keeps within [`COLUMNS`] where it can.
pub(crate) fn push_wrapped(out: &mut String, line: &str) {
    let indent = line.len() - line.trim_start().len();
    let mut rest = line;
    let mut first = true;
    loop {
        let pad = if first { 0 } else { indent + 4 };
        out.extend(std::iter::repeat_n(' ', pad));
        let room = COLUMNS - pad.min(COLUMNS / 2);
        if rest.len() <= room {
            break;
        }
        let from = if first { indent } else { 0 };
        let fits = rest[from..room].rfind(' ').map(|at| from + at);
        let Some(at) = fits.filter(|&at| at > from).or_else(|| rest[room..].find(' ').map(|at| room + at))
        else {
            break;
        };
        *out += &rest[..at];
        out.push('\n');
        rest = &rest[at + 1..];
        first = false;
    }
    *out += rest;
    out.push('\n');
}
