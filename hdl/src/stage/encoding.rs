//! Writes the text by which circuits are told apart ([`crate::control::identity`]): every field that shapes a
//! stage, by a name that is written out here or beside the field.
//!
//! This is version 1 of the encoding, of which shipped circuits hold a hash. Words and order are fixed: a
//! field or a type may be renamed in the code, never here. A later version begins its text with its number.

use super::site::{Lanes, Source};
use crate::device::Family;
use crate::plan::data::{Mac, Memory};
use dq_net::layer::window::Axis;
use dq_net::{Range, Shape};

/// Describes a value that shapes a circuit.
pub trait Encode {
    /// Returns its text.
    fn encode(&self) -> String;
}

/// Returns the text of a record: its name, and the name and text of each field.
pub fn record(name: &str, fields: &[(&str, &dyn Encode)]) -> String {
    let fields: Vec<String> =
        fields.iter().map(|(field, value)| format!("{field}: {}", value.encode())).collect();
    format!("{name} {{ {} }}", fields.join(", "))
}

impl Encode for usize {
    fn encode(&self) -> String {
        self.to_string()
    }
}

impl Encode for u64 {
    fn encode(&self) -> String {
        self.to_string()
    }
}

impl Encode for i64 {
    fn encode(&self) -> String {
        self.to_string()
    }
}

impl Encode for bool {
    fn encode(&self) -> String {
        self.to_string()
    }
}

/// A string is a word or a record that is already written.
impl Encode for String {
    fn encode(&self) -> String {
        self.clone()
    }
}

impl<T: Encode> Encode for [T] {
    fn encode(&self) -> String {
        let items: Vec<String> = self.iter().map(Encode::encode).collect();
        format!("[{}]", items.join(", "))
    }
}

impl<T: Encode, const N: usize> Encode for [T; N] {
    fn encode(&self) -> String {
        self[..].encode()
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self) -> String {
        self[..].encode()
    }
}

impl Encode for Range {
    fn encode(&self) -> String {
        record("Range", &[("lo", &self.lo), ("hi", &self.hi)])
    }
}

impl Encode for Shape {
    fn encode(&self) -> String {
        record("Shape", &[("height", &self.height), ("width", &self.width), ("channels", &self.channels)])
    }
}

impl Encode for Axis {
    fn encode(&self) -> String {
        record(
            "Axis",
            &[
                ("kernel", &self.kernel),
                ("stride", &self.stride),
                ("before", &self.before),
                ("after", &self.after),
            ],
        )
    }
}

impl Encode for Lanes {
    fn encode(&self) -> String {
        record("Lanes", &[("count", &self.count), ("bits", &self.bits), ("signed", &self.signed)])
    }
}

impl Encode for Source {
    fn encode(&self) -> String {
        record("Source", &[("stage", &self.stage), ("port", &self.port)])
    }
}

/// Writes a plan's value as the encoding does: with a capital letter first.
fn capitalized(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    first.to_uppercase() + rest
}

impl Encode for Memory {
    fn encode(&self) -> String {
        capitalized(self.name())
    }
}

impl Encode for Mac {
    fn encode(&self) -> String {
        capitalized(self.name())
    }
}

impl Encode for Family {
    fn encode(&self) -> String {
        self.code().into()
    }
}
