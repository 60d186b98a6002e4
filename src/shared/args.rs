//! Defines argument types that several commands share.

use clap::builder::{
    OsStringValueParser, RangedU64ValueParser, TypedValueParser, ValueParser, ValueParserFactory,
};
use clap::value_parser;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;

/// Holds `W,A`: bits of weights and activations, 1 to 8 each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// Bits of a weight.
    pub weights: u8,
    /// Bits of an activation.
    pub activations: u8,
}

impl FromStr for Bits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (weights, activations) = text.split_once(',').ok_or("expected W,A (e.g. 4,4)")?;
        let one = |what: &str, text: &str| {
            let bits = text.trim().parse::<u8>().ok().filter(|b| (1..=8).contains(b));
            bits.ok_or_else(|| format!("{what} bits: expected 1 to 8, found `{text}`"))
        };
        Ok(Self { weights: one("weight", weights)?, activations: one("activation", activations)? })
    }
}

/// Reads a number that is at least 1: where it counts what is measured, nothing is never measured.
pub fn at_least_one() -> RangedU64ValueParser<u64> {
    value_parser!(u64).range(1..)
}

/// Numbers that an integer network's gradients are summed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum GradArg {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit fixed point, scaled anew for each image and layer: about twice as fast.
    Int16,
}

impl From<GradArg> for dq_sim::Precision {
    fn from(grad: GradArg) -> Self {
        match grad {
            GradArg::F32 => dq_sim::Precision::Float,
            GradArg::Int16 => dq_sim::Precision::Int16,
        }
    }
}

/// Names where libtorch computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Device {
    /// A GPU where there is one, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The first GPU.
    Cuda,
}

/// Holds `SET` or `SET=DIR`: a data set and the folder of its published files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataArg {
    /// Name, e.g. `cifar10`.
    pub set: String,
    /// Folder; the built-in set needs none.
    pub dir: Option<PathBuf>,
}

impl DataArg {
    /// Reads an argument, whose folder may have any name that the system takes.
    fn parse(argument: OsString) -> Result<Self, String> {
        let bytes = argument.as_encoded_bytes();
        let (set, dir) = match bytes.iter().position(|byte| *byte == b'=') {
            Some(at) if at + 1 == bytes.len() => return Err("expected a folder after `=`".into()),
            Some(at) => (&bytes[..at], Some(&bytes[at + 1..])),
            None => (bytes, None),
        };
        let known: Vec<&str> = dq_data::SETS.iter().map(|s| s.name).collect();
        let set = String::from_utf8_lossy(set);
        if !known.contains(&set.as_ref()) {
            return Err(format!("unknown data set `{set}`; there are {}", known.join(", ")));
        }
        // SAFETY: the bytes are those of an OsStr, split after an ASCII character.
        let folder = |bytes: &[u8]| PathBuf::from(unsafe { OsStr::from_encoded_bytes_unchecked(bytes) });
        Ok(Self { set: set.into(), dir: dir.map(folder) })
    }
}

impl ValueParserFactory for DataArg {
    type Parser = ValueParser;

    fn value_parser() -> ValueParser {
        ValueParser::new(OsStringValueParser::new().try_map(DataArg::parse))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_and_data_sets_are_parsed_or_refused_by_name() {
        assert_eq!("2,5".parse(), Ok(Bits { weights: 2, activations: 5 }));
        assert!("0,4".parse::<Bits>().unwrap_err().contains("weight bits: expected 1 to 8, found `0`"));
        assert!("4,9".parse::<Bits>().unwrap_err().contains("activation bits"));
        assert!("4".parse::<Bits>().unwrap_err().contains("W,A"));
        let data = DataArg::parse("cifar10=some/dir".into()).unwrap();
        assert_eq!((data.set.as_str(), data.dir), ("cifar10", Some("some/dir".into())));
        assert!(DataArg::parse("cifra10=x".into()).unwrap_err().contains("cifar10"));
        assert!(DataArg::parse("cifar10=".into()).is_err());
    }
}
