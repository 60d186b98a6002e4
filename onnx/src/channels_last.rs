//! Rewrites operators of qonnx and FINN that have their channels last, are lowered to matrices or count bits,
//! as the operators of ONNX that they mean.

use crate::graph::{Graph, Op};
use crate::support::{CHANNELS_LAST_DOMAIN, QONNX_DOMAINS};
use crate::tensor::Constant;
use std::collections::{HashMap, HashSet};

/// Rewrites a graph; what is no such operator stays as it is.
pub fn rewrite(graph: &mut Graph) -> Result<(), String> {
    let columns = columns(graph);
    let mut parts = Parts { ops: vec![], constants: &mut graph.constants };
    for op in std::mem::take(&mut graph.ops) {
        let named =
            |reason: String| format!("node `{}` ({}): {reason}", crate::error::shown(&op.name), op.kind);
        let general = QONNX_DOMAINS.contains(&op.domain.as_str());
        let of_columns = columns.get(first(&op.inputs)).filter(|_| op.kind == "MatMul");
        match op.kind.as_str() {
            "Conv" if op.domain == CHANNELS_LAST_DOMAIN => parts.conv(&op).map_err(named)?,
            "MaxPool" if op.domain == CHANNELS_LAST_DOMAIN => parts.max_pool(&op).map_err(named)?,
            "MaxPoolNHWC" if general => parts.max_pool(&op).map_err(named)?,
            "QuantAvgPool2d" if general => parts.truncated_mean(&op).map_err(named)?,
            "XnorPopcountMatMul" if general => parts.count_of_ones(&op).map_err(named)?,
            "Im2Col" if columns.contains_key(first(&op.outputs)) => {}
            _ => match of_columns {
                Some(columns) => parts.of_columns(&op, columns).map_err(named)?,
                None => parts.ops.push(op),
            },
        }
    }
    graph.ops = parts.ops;
    Ok(())
}

fn first(names: &[String]) -> &str {
    names.first().map_or("", String::as_str)
}

/// Returns the `Im2Col` nodes that only products read, by their output.
fn columns(graph: &Graph) -> HashMap<String, Op> {
    let made = |op: &&Op| op.kind == "Im2Col" && QONNX_DOMAINS.contains(&op.domain.as_str());
    let mut columns: HashMap<String, Op> =
        graph.ops.iter().filter(made).map(|op| (first(&op.outputs).to_string(), op.clone())).collect();
    let others = graph.ops.iter().flat_map(|op| {
        let product = op.kind == "MatMul" && op.domain.is_empty();
        op.inputs.iter().skip(usize::from(product))
    });
    let others: HashSet<&str> = others.map(String::as_str).chain([graph.output.as_str()]).collect();
    columns.retain(|name, _| !others.contains(name.as_str()));
    columns
}

struct Parts<'a> {
    ops: Vec<Op>,
    constants: &'a mut HashMap<String, Constant>,
}

/// Names a tensor that the file does not have.
fn tensor(op: &Op, part: &str) -> String {
    format!("{}\u{0}{part}", first(&op.outputs))
}

/// Returns the order of axes that brings the channels of a tensor first, and that which brings them last.
fn orders(rank: usize) -> Result<(Vec<i64>, Vec<i64>), String> {
    match rank {
        3 => Ok((vec![0, 2, 1], vec![0, 2, 1])),
        4 => Ok((vec![0, 3, 1, 2], vec![0, 2, 3, 1])),
        _ => Err(format!("kernel_shape: expected 1 or 2 sizes, found {}", rank.saturating_sub(2))),
    }
}

impl Parts<'_> {
    fn constant(&mut self, op: &Op, part: &str, value: Constant) -> String {
        let name = tensor(op, part);
        self.constants.insert(name.clone(), value);
        name
    }

    fn whole(&mut self, op: &Op, part: &str, values: &[i64]) -> String {
        self.constant(op, part, Constant::ints(vec![values.len()], values.to_vec()))
    }

    /// Adds an operator and returns the name of what it makes.
    fn add(&mut self, op: &Op, (part, kind): (&str, &str), inputs: &[&str]) -> String {
        let output = tensor(op, part);
        self.ops.push(Op::new(&format!("{}_{part}", op.name), kind, inputs, &output));
        output
    }

    fn turned(&mut self, op: &Op, part: &str, input: &str, order: &[i64]) -> String {
        let output = tensor(op, part);
        let turn = Op::new(&format!("{}_{part}", op.name), "Transpose", &[input], &output);
        self.ops.push(turn.with_ints("perm", order));
        output
    }

    /// Adds `exact`, an operator on channels first, between two transpositions; `others` are its other
    /// inputs.
    fn between(&mut self, op: &Op, (exact, others): (Op, &[&str]), rank: usize) -> Result<(), String> {
        let (first_order, last_order) = orders(rank)?;
        let x = self.turned(op, "first", op.input(0).ok_or("input 0: expected one")?, &first_order);
        let y = tensor(op, "result");
        let inputs = [&[x.as_str()], others].concat();
        self.ops.push(Op::new(&op.name, &exact.kind, &inputs, &y).with_attributes(&exact));
        let turn = Op::new(&format!("{}_last", op.name), "Transpose", &[&y], first(&op.outputs));
        self.ops.push(turn.with_ints("perm", &last_order));
        Ok(())
    }

    fn conv(&mut self, op: &Op) -> Result<(), String> {
        let rank = op.ints("kernel_shape").map_or(4, |k| k.len() + 2);
        let weights = op.input(1).ok_or("input 1: expected weights")?;
        let weights = self.turned(op, "weights", weights, &orders(rank)?.0);
        let bias = op.input(2).unwrap_or("");
        self.between(op, (op.clone(), &[&weights, bias]), rank)
    }

    fn max_pool(&mut self, op: &Op) -> Result<(), String> {
        let rank = op.ints("kernel_shape").map_or(4, |k| k.len() + 2);
        let exact = Op::new(&op.name, "MaxPool", &[], "").with_attributes(op);
        self.between(op, (exact, &[]), rank)
    }

    /// `QuantAvgPool2d`: the sum of the window, shifted right.
    fn truncated_mean(&mut self, op: &Op) -> Result<(), String> {
        let size = |name: &str| {
            let value = op.int(name, 1);
            if (1..=64).contains(&value) {
                Ok(value)
            } else {
                Err(format!("{name}: expected 1 to 64, found {value}"))
            }
        };
        let (kernel, stride) = (size("kernel")?, size("stride")?);
        let (input_bits, output_bits) = (size("ibits")?.min(32), size("obits")?.min(32));
        let largest = ((1i64 << input_bits) - 1) * kernel * kernel;
        let shift = (i64::from(64 - largest.leading_zeros()) - output_bits).max(0);
        let pool = Op::new(&op.name, "AveragePool", &[], "")
            .with_ints("kernel_shape", &[kernel; 2])
            .with_ints("strides", &[stride; 2]);
        let mut mean = op.clone();
        mean.outputs = vec![tensor(op, "mean")];
        if op.text("data_layout", "NCHW") == "NHWC" {
            self.between(&mean, (pool, &[]), 4)?;
        } else {
            let input = op.input(0).ok_or("input 0: expected one")?;
            self.ops.push(
                Op::new(&op.name, "AveragePool", &[input], first(&mean.outputs)).with_attributes(&pool),
            );
        }
        let (count, power) =
            (self.whole(op, "count", &[kernel * kernel]), self.whole(op, "power", &[1 << shift]));
        let sum = self.add(op, ("sum", "Mul"), &[&tensor(op, "mean"), &count]);
        let shifted = self.add(op, ("shifted", "Div"), &[&sum, &power]);
        self.ops.push(Op::new(&format!("{}_levels", op.name), "Floor", &[&shifted], first(&op.outputs)));
        Ok(())
    }

    /// `XnorPopcountMatMul`: how many of two rows of bits are alike.
    fn count_of_ones(&mut self, op: &Op) -> Result<(), String> {
        let (x, w) = op.input(0).zip(op.input(1)).ok_or("inputs: expected 2")?;
        let inputs = self.constants.get(w).and_then(|w| w.dims.first().copied());
        let inputs = inputs.ok_or("weights: expected a constant matrix")? as i64;
        let [one, two, all] =
            [("one", 1), ("two", 2), ("all", inputs)].map(|(part, v)| self.whole(op, part, &[v]));
        let bipolar = |parts: &mut Self, part: &str, input: &str| {
            let double = parts.add(op, (&format!("{part}_double"), "Mul"), &[input, &two]);
            parts.add(op, (part, "Sub"), &[&double, &one])
        };
        let (x, w) = (bipolar(self, "x", x), bipolar(self, "w", w));
        let y = tensor(op, "product");
        self.ops.push(Op::new(&op.name, "MatMul", &[&x, &w], &y));
        let sum = self.add(op, ("total", "Add"), &[&y, &all]);
        self.ops.push(Op::new(&format!("{}_count", op.name), "Div", &[&sum, &two], first(&op.outputs)));
        Ok(())
    }

    /// `Im2Col` and a product: a convolution with the channels last.
    fn of_columns(&mut self, op: &Op, columns: &Op) -> Result<(), String> {
        let list = |name: &str, default: i64| match columns.attribute(name) {
            Some(a) if a.ints.is_empty() => vec![a.i; 2],
            Some(a) => a.ints.clone(),
            None => vec![default; 2],
        };
        let (kernel, strides, dilations) = (list("kernel_size", 1), list("stride", 1), list("dilations", 1));
        let pads = match columns.attribute("pad_amount") {
            Some(a) if a.ints.is_empty() => vec![a.i; 4],
            Some(a) => a.ints.clone(),
            None => vec![0; 4],
        };
        if columns.int("pad_value", 0) != 0 && pads.iter().any(|&p| p != 0) {
            return Err("pad_value: expected 0 (pad in a node of its own)".into());
        }
        let shape = columns.text("input_shape", "");
        let sizes: Option<Vec<i64>> =
            shape.trim_matches(['(', ')', ' ']).split(',').map(|size| size.trim().parse().ok()).collect();
        let channels = sizes.filter(|s| s.len() == 4).and_then(|s| s.last().copied());
        let channels = channels.ok_or_else(|| {
            format!("input_shape: expected 4 sizes of the columns, found `{}`", crate::error::shown(&shape))
        })?;
        let weights = op.input(1).ok_or("input 1: expected weights")?;
        let [rows, columns_of_kernel] = kernel[..] else {
            return Err("kernel_size: expected 2 sizes".into());
        };
        let sizes = self.whole(op, "sizes", &[rows, columns_of_kernel, channels, -1]);
        let shaped = self.add(op, ("shaped", "Reshape"), &[weights, &sizes]);
        let weights = self.turned(op, "weights", &shaped, &[3, 2, 0, 1]);
        let conv = Op::new(&op.name, "Conv", &[], "")
            .with_ints("strides", &strides)
            .with_ints("dilations", &dilations)
            .with_ints("pads", &pads);
        let mut product = op.clone();
        product.inputs = columns.inputs.clone();
        self.between(&product, (conv, &[&weights]), 4)
    }
}
