//! Defines `[bits]`: bit widths, and how quantizers find their steps.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toml::Value;

/// Holds `[bits]`: bit widths and steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BitWidths {
    /// Bits of every weight that `layers` does not name.
    pub weights: Bits,
    /// Bits of every activation that `layers` does not name.
    pub activations: Bits,
    /// How a weight quantizer finds its step.
    pub weight_step: StepSize,
    /// How an activation quantizer finds its step (`learned`: ReLU6 and ReLU1 only; their ceiling is then
    /// learned).
    pub activation_step: StepSize,
    /// Bits by node name: those of the weights of a convolution or dense layer, or of the levels of a step.
    /// `first` and `last` stand for the first layer that has weights and for the logits.
    pub layers: BTreeMap<String, Bits>,
}

/// Says how a quantizer finds its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepSize {
    /// The step follows from the weights (largest or mean magnitude), or from the activation's own ceiling.
    Fixed,
    /// The step is a parameter, learned by its own gradient (LSQ, Esser 2020).
    Learned,
}

/// Says with how many bits a value is quantized, if it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum Bits {
    /// Not quantized: real numbers.
    Float,
    /// This many bits, 1 to 8.
    Int(u32),
}

impl BitWidths {
    /// Gives every weight and every activation these bits; steps are not learned.
    pub fn uniform(weights: Bits, activations: Bits) -> BitWidths {
        BitWidths { weights, activations, ..BitWidths::default() }
    }

    /// Returns what is quantized, in the paper's words: `W+A` (deployable), `A only` (the paper's own
    /// setting), `W only` or `float`.
    pub fn quantized(&self) -> &'static str {
        match (self.weights, self.activations) {
            (Bits::Int(_), Bits::Int(_)) => "W+A",
            (Bits::Float, Bits::Int(_)) => "A only",
            (Bits::Int(_), Bits::Float) => "W only",
            (Bits::Float, Bits::Float) => "float",
        }
    }

    /// Returns a name like `w4a4`, with `f` for float; a digest follows where layers differ or steps are
    /// learned.
    pub fn label(&self) -> String {
        let digit = |bits: Bits| match bits {
            Bits::Float => "f".to_owned(),
            Bits::Int(bits) => bits.to_string(),
        };
        let plain = format!("w{}a{}", digit(self.weights), digit(self.activations));
        if *self == BitWidths::uniform(self.weights, self.activations) {
            return plain;
        }
        let text = toml::to_string(self).expect("plain tables of plain values");
        format!("{plain}-{}", &dq_net::sha256(text.as_bytes())[..8])
    }
}

impl TryFrom<Value> for Bits {
    type Error = String;
    fn try_from(value: Value) -> Result<Self, String> {
        match &value {
            Value::Integer(n @ 1..=8) => Ok(Bits::Int(*n as u32)),
            Value::String(s) if s == "float" => Ok(Bits::Float),
            _ => Err(format!("expected 1 to 8 or \"float\", found {value}")),
        }
    }
}

impl From<Bits> for Value {
    fn from(bits: Bits) -> Value {
        match bits {
            Bits::Float => Value::String("float".to_owned()),
            Bits::Int(n) => Value::Integer(n.into()),
        }
    }
}

impl Default for BitWidths {
    fn default() -> Self {
        BitWidths {
            weights: Bits::Int(4),
            activations: Bits::Int(4),
            weight_step: StepSize::Fixed,
            activation_step: StepSize::Fixed,
            layers: BTreeMap::new(),
        }
    }
}
