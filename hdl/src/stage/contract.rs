//! Writes what stages promise of their streams, as Verilog under `FORMAL` beside the logic that keeps it.
//! Induction proves it ([`crate::formal`]); what is asserted beside the promise itself makes the induction
//! close.
//!
//! The Verilog stands in templates, `*.contract.v`, beside the stages that keep it: sections, each behind a
//! line `//@ name`, with values between percent signs. Lines that begin with `//!` are for the templates'
//! readers. This module fills them in.

use crate::rtl::{Expr, Read, Value, Write, lit};

/// Lists names of values in a template, and the values.
pub type Values = Vec<(&'static str, String)>;

/// Returns section `name` of `template`, with `values` in their places.
///
/// # Panics
/// If the template has no such section, or names a value that is not there.
pub fn fill(template: &str, name: &str, values: &Values) -> String {
    let section = section(template, name);
    let (mut text, mut rest) = (String::with_capacity(section.len()), section.as_str());
    while let Some((before, after)) = rest.split_once('%') {
        text += before;
        match after.split_once('%') {
            Some((value, behind)) if is_name(value) => {
                let found = values.iter().find(|(name, _)| *name == value);
                text += &found.unwrap_or_else(|| panic!("contract `{name}`: no value `{value}`")).1;
                rest = behind;
            }
            // The percent sign is Verilog's operator.
            _ => {
                text.push('%');
                rest = after;
            }
        }
    }
    text + rest
}

/// Returns the lines of a section, without those for readers and the empty ones before the next section.
fn section(template: &str, name: &str) -> String {
    let mut sections = template.split("//@ ").skip(1);
    let found = sections.find_map(|section| section.strip_prefix(name)?.strip_prefix('\n'));
    let found = found.unwrap_or_else(|| panic!("no contract `{name}`"));
    let lines = found.lines().filter(|line| !line.starts_with("//!"));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    text.trim_end().to_owned() + "\n"
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

const SHARED: &str = include_str!("shared.contract.v");

/// Says that the first cycle is one of reset, and what is promised of an outgoing stream: what it offers in
/// the nets `data` stays until it is taken. Nets of the contract end in `suffix`.
pub fn offers(suffix: &str, valid: &str, ready: &str, data: &[&str]) -> String {
    let stay = |data: &&str| fill(SHARED, "stays", &vec![("data", data.to_string())]);
    let values = vec![
        ("s", suffix.into()),
        ("valid", valid.into()),
        ("ready", ready.into()),
        ("stays", data.iter().map(stay).collect()),
    ];
    fill(SHARED, "reset", &vec![("s", suffix.into())]) + &fill(SHARED, "offers", &values)
}

/// Says that what the nets `f_push` and `f_data` bring leaves an empty FIFO as it is, so many cycles later.
pub fn enters(suffix: &str, valid: &str, data: &str, cycles: usize) -> String {
    let values = vec![
        ("s", suffix.into()),
        ("valid", valid.into()),
        ("data", data.into()),
        ("cycles", cycles.to_string()),
    ];
    fill(SHARED, "enters", &values)
}

/// Returns whether `write` and a clocked `read` of the same cycle meet in one word.
pub fn meet(write: &Write, read: &Read) -> Expr {
    match read {
        Read::Sync { enable, addr } => {
            write.enable.clone() & enable.clone() & write.addr.clone().eq(addr.clone())
        }
        Read::Async { .. } => lit(0, 1),
    }
}

/// Says that reads and writes of `memory` never meet in one word; the net `f_<memory>_meet` is their [`meet`].
pub fn apart(memory: &str) -> String {
    fill(SHARED, "apart", &vec![("memory", memory.into())])
}

/// Says that the first cycle is one of reset, and that the register for the end of `counter` tells its last state.
pub fn knows_end(counter: &str, last: usize) -> String {
    let values = vec![("counter", counter.into()), ("last", last.to_string())];
    fill(SHARED, "reset", &vec![("s", String::new())]) + &fill(SHARED, "end", &values)
}

/// Says that `valid` waits for nothing: it is `held`, which the FIFO gives.
pub fn shows(valid: &str, held: &str) -> String {
    fill(SHARED, "shows", &vec![("valid", valid.into()), ("held", held.into())])
}

/// Delays `net` of `width` bits; returns the text and the net as it was, `delay` cycles ago: the last of
/// registers called `f_<name>1`, `f_<name>2`, ...
pub fn history(name: &str, net: &str, width: usize, delay: usize) -> (String, String) {
    let (mut text, mut now) = (String::new(), net.to_owned());
    for d in 1..=delay {
        let next = format!("f_{name}{d}");
        let values = vec![("top", (width - 1).to_string()), ("next", next.clone()), ("now", now)];
        text += &fill(SHARED, "history", &values);
        now = next;
    }
    (text, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_in_and_operators_stay() {
        let template = "//! For readers.\n//@ one\na % %n%;\n\n//! And more.\n\n//@ another\nb = %m%;\n";
        let values = vec![("n", "3".into()), ("m", "c % d".to_string())];
        assert_eq!(fill(template, "one", &values), "a % 3;\n");
        assert_eq!(fill(template, "another", &values), "b = c % d;\n");
    }

    #[test]
    #[should_panic(expected = "contract `one`: no value `n`")]
    fn what_a_template_names_must_be_there() {
        fill("//@ one\n%n%\n", "one", &vec![("m", "1".into())]);
    }
}
