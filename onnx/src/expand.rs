//! Rewrites the operators of the QOperator format as what they mean: dequantize, the exact operator,
//! quantize.

use crate::graph::{Graph, Op};
use crate::tensor::Constant;
use std::collections::HashMap;

/// Rewrites a graph; what is no such operator stays as it is.
pub fn expand(graph: &mut Graph) -> Result<(), String> {
    let mut ops = vec![];
    for op in std::mem::take(&mut graph.ops) {
        let mut parts = Parts { op: &op, ops: vec![], constants: &mut graph.constants };
        let named =
            |reason: String| format!("node `{}` ({}): {reason}", crate::error::shown(&op.name), op.kind);
        let domain = op.domain.as_str();
        let known = match (domain, op.kind.as_str()) {
            ("", "QLinearConv") => parts.conv().map_err(named)?,
            ("", "QLinearMatMul") => parts.product().map_err(named)?,
            ("com.microsoft", "QLinearAdd") => parts.sum().map_err(named)?,
            ("com.microsoft", "QLinearConcat") => parts.concat().map_err(named)?,
            ("com.microsoft", "QGemm") => parts.gemm().map_err(named)?,
            ("com.microsoft", "QLinearGlobalAveragePool") => {
                parts.pool("GlobalAveragePool").map_err(named)?
            }
            ("com.microsoft", "QLinearAveragePool") => parts.pool("AveragePool").map_err(named)?,
            ("com.microsoft", "QLinearSigmoid") => parts.pool("Sigmoid").map_err(named)?,
            ("com.microsoft", "QLinearSoftmax") => parts.pool("Softmax").map_err(named)?,
            ("com.microsoft", "QLinearLeakyRelu") => parts.pool("LeakyRelu").map_err(named)?,
            ("com.microsoft", "QuantizeLinear" | "DequantizeLinear") => {
                let mut plain = op.clone();
                plain.domain.clear();
                parts.ops.push(plain);
                true
            }
            _ => false,
        };
        if known { ops.append(&mut parts.ops) } else { ops.push(op) }
    }
    graph.ops = ops;
    Ok(())
}

struct Parts<'a> {
    op: &'a Op,
    ops: Vec<Op>,
    constants: &'a mut HashMap<String, Constant>,
}

impl Parts<'_> {
    fn input(&self, i: usize) -> Result<&str, String> {
        self.op.input(i).ok_or_else(|| format!("input {i}: expected one"))
    }

    /// Names a tensor that the file does not have.
    fn tensor(&self, part: &str) -> String {
        format!("{}\u{0}{part}", self.op.outputs.first().map_or("", String::as_str))
    }

    /// Adds the dequantization of inputs `i`, `i + 1` (scale) and `i + 2` (zero point).
    fn dequantized(&mut self, i: usize, part: &str, axis: i64) -> Result<String, String> {
        let output = self.tensor(part);
        let zero = self.op.input(i + 2).unwrap_or("").to_string();
        let inputs = [self.input(i)?, self.input(i + 1)?, &zero];
        let op = Op::new(&format!("{}_{part}", self.op.name), "DequantizeLinear", &inputs, &output);
        self.ops.push(op.with_int("axis", axis));
        Ok(output)
    }

    /// Adds the quantization of `x` with scale and zero point in inputs `i` and `i + 1`.
    fn quantized(&mut self, x: &str, i: usize) -> Result<bool, String> {
        let output = self.op.outputs.first().ok_or("expected an output")?;
        let zero = self.op.input(i + 1).unwrap_or("").to_string();
        let inputs = [x, self.input(i)?, &zero];
        let op = Op::new(&format!("{}_levels", self.op.name), "QuantizeLinear", &inputs, output);
        self.ops.push(op);
        Ok(true)
    }

    /// Adds the bias in input `i` as a real constant: whole numbers times the scales of input and weight.
    fn bias(&mut self, i: usize, scales: (usize, usize)) -> Result<Option<String>, String> {
        let Some(name) = self.op.input(i) else { return Ok(None) };
        let get = |name: &str| self.constants.get(name).ok_or("bias: expected constants");
        let (bias, x, w) = (get(name)?, get(self.input(scales.0)?)?, get(self.input(scales.1)?)?);
        let x = x.scalar("input scale")?;
        if w.len() != 1 && w.len() != bias.len() {
            return Err(format!("weight scale: expected 1 or {} numbers, found {}", bias.len(), w.len()));
        }
        let value = |c: usize| bias.value(c) * &x * w.value(if w.len() == 1 { 0 } else { c });
        let real = Constant::exact(vec![bias.len()], (0..bias.len()).map(value).collect());
        let output = self.tensor("bias");
        self.constants.insert(output.clone(), real);
        Ok(Some(output))
    }

    /// Adds the exact operator `kind` with the node's own attributes.
    fn exact(&mut self, kind: &str, inputs: &[&str]) -> String {
        let output = self.tensor("sums");
        self.ops.push(Op::new(&self.op.name, kind, inputs, &output).with_attributes(self.op));
        output
    }

    fn conv(&mut self) -> Result<bool, String> {
        let x = self.dequantized(0, "input", 1)?;
        let w = self.dequantized(3, "weights", 0)?;
        let bias = self.bias(8, (1, 4))?.unwrap_or_default();
        let y = self.exact("Conv", &[&x, &w, &bias]);
        self.quantized(&y, 6)
    }

    fn product(&mut self) -> Result<bool, String> {
        let x = self.dequantized(0, "input", 1)?;
        let w = self.dequantized(3, "weights", 1)?;
        let y = self.exact("MatMul", &[&x, &w]);
        self.quantized(&y, 6)
    }

    fn sum(&mut self) -> Result<bool, String> {
        let a = self.dequantized(0, "a", 1)?;
        let b = self.dequantized(3, "b", 1)?;
        let y = self.exact("Add", &[&a, &b]);
        self.quantized(&y, 6)
    }

    /// The output's scale and zero point come first, then each input with its own.
    fn concat(&mut self) -> Result<bool, String> {
        let inputs = (2..self.op.inputs.len()).step_by(3);
        let inputs: Vec<String> = inputs
            .enumerate()
            .map(|(part, i)| self.dequantized(i, &format!("part{part}"), 1))
            .collect::<Result<_, _>>()?;
        let y = self.exact("Concat", &inputs.iter().map(String::as_str).collect::<Vec<_>>());
        self.quantized(&y, 0)
    }

    fn gemm(&mut self) -> Result<bool, String> {
        let axis = if self.op.int("transB", 0) != 0 { 0 } else { 1 };
        let x = self.dequantized(0, "input", 1)?;
        let w = self.dequantized(3, "weights", axis)?;
        let bias = self.bias(6, (1, 4))?.unwrap_or_default();
        if self.op.input(7).is_some() {
            let y = self.exact("Gemm", &[&x, &w, &bias]);
            return self.quantized(&y, 7);
        }
        // Without an output scale the result is real.
        let output = self.op.outputs.first().ok_or("expected an output")?.clone();
        self.ops.push(Op::new(&self.op.name, "Gemm", &[&x, &w, &bias], &output).with_attributes(self.op));
        Ok(true)
    }

    fn pool(&mut self, kind: &str) -> Result<bool, String> {
        if self.op.int("channels_last", 0) != 0 {
            return Err("channels_last: expected 0 (convert to batch × channels × height × width)".into());
        }
        let x = self.dequantized(0, "input", 1)?;
        let y = self.exact(kind, &[&x]);
        self.quantized(&y, 3)
    }
}
