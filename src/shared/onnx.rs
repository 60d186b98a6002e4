//! What the commands that read ONNX files share: how pixels become the graph's input.

use clap::ValueEnum;
use dq_onnx::number::Q;
use dq_onnx::{Normalization, Options};
use std::str::FromStr;

/// What a pixel is to the graph.
#[derive(Clone, Copy, ValueEnum)]
enum Pixels {
    /// 0 to 1: the pixel divided by 255.
    Unit,
    /// 0 to 255: the pixel as it is.
    Uint8,
}

/// A decimal number, exactly.
#[derive(Clone)]
struct Decimal(Q);

impl FromStr for Decimal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || format!("expected a decimal number such as 0.485, found `{text}`");
        let (sign, digits) = text.strip_prefix('-').map_or((1i64, text), |rest| (-1, rest));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all = format!("{whole}{fraction}");
        if all.is_empty() || all.len() > 15 || !all.bytes().all(|b| b.is_ascii_digit()) {
            return Err(refused());
        }
        let number: i64 = all.parse().map_err(|_| refused())?;
        let places = u32::try_from(fraction.len()).map_err(|_| refused())?;
        Ok(Decimal(Q::new((sign * number).into(), 10i64.pow(places).into())))
    }
}

/// How pixels become the graph's input: (pixel − mean) / std.
#[derive(clap::Args)]
pub struct NormalizationArgs {
    /// What a pixel is to the graph: 0 to 1 or 0 to 255 (default: `uint8` where the graph's input is uint8,
    /// else `unit`).
    #[arg(long, value_enum, value_name = "RANGE", requires = "onnx")]
    input: Option<Pixels>,
    /// Mean that was taken off each channel, in the units of --input.
    #[arg(long, value_name = "M[,M…]", value_delimiter = ',', allow_hyphen_values = true, requires = "onnx")]
    mean: Vec<Decimal>,
    /// Standard deviation that each channel was divided by, in the units of --input.
    #[arg(long, value_name = "S[,S…]", value_delimiter = ',', requires = "onnx")]
    std: Vec<Decimal>,
    /// Output of the graph that holds the scores, where it has several.
    #[arg(long = "output-tensor", value_name = "TENSOR", requires = "onnx")]
    scores: Option<String>,
}

impl NormalizationArgs {
    /// Returns the options of an import.
    pub fn options(&self) -> Options {
        let numbers = |values: &[Decimal]| values.iter().map(|d| d.0.clone()).collect();
        let normalization = Normalization {
            raw: self.input.map(|pixels| matches!(pixels, Pixels::Uint8)),
            mean: numbers(&self.mean),
            std: numbers(&self.std),
        };
        Options { normalization, output: self.scores.clone(), name: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact() {
        let q = |n: i64, d: i64| Q::new(n.into(), d.into());
        for (text, value) in [("0.485", q(97, 200)), ("-1", q(-1, 1)), ("127.5", q(255, 2)), (".5", q(1, 2))]
        {
            assert_eq!(text.parse::<Decimal>().map(|d| d.0), Ok(value), "{text}");
        }
        for text in ["", ".", "1e3", "1.2.3", "nan", "--1", "12345678901234567"] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
    }
}
