//! Interprets a graph on one image, node by node in exact arithmetic: the meaning that the integer network is
//! held to. It knows nothing of chains, levels or wires.

mod tensor;
mod windows;

use crate::fold;
use crate::graph::{Graph, Op};
use crate::joined::joined;
use crate::lower::Image;
use crate::number::{Q, Real, Rounding, whole};
use crate::parameters::{clip_bounds, norm_axis, threshold_axis};
use crate::pick;
use crate::quantizer::{self, Constants, wanted};
use crate::tensor::{Constant, broadcast, transposed};
use crate::watch::Watch;
use num_traits::{Signed, Zero};
use std::cmp::Ordering;
use std::collections::HashMap;
use tensor::Tensor;

/// A tensor of the graph.
#[derive(Clone)]
enum Value {
    Constant(Constant),
    /// The roots of the constant's numbers.
    Root(Constant),
    Tensor(Tensor),
}

/// Returns the numbers of the tensor called `output` for one image (row-major, channels fastest); `watch` may
/// stop it between operators.
pub fn interpret(
    graph: &Graph,
    image: &Image,
    pixels: &[u8],
    output: &str,
    watch: Watch,
) -> Result<Vec<Real>, String> {
    let channels = image.input.shape.channels;
    let keys = image.place.iter().map(|&p| (p as usize % channels, pixels[p as usize]));
    let input = Tensor::of_keys(image.dims.clone(), keys, |&(c, pixel)| Ok(image.value(c, pixel).into()))?;
    let mut values: HashMap<&str, Value> = HashMap::new();
    values.insert(&graph.input.name, Value::Tensor(input));
    for (name, constant) in &graph.constants {
        values.insert(name, Value::Constant(constant.clone()));
    }
    for op in &graph.ops {
        if values.contains_key(output) {
            break;
        }
        watch.check()?;
        let named = |reason| format!("node `{}` ({}): {reason}", crate::error::shown(&op.name), op.kind);
        let value = node(op, &values, 0).map_err(named)?;
        for (part, name) in op.outputs.iter().enumerate().skip(1).filter(|_| op.kind == "Split") {
            values.insert(name, node(op, &values, part).map_err(named)?);
        }
        values.insert(op.outputs.first().map_or("", String::as_str), value);
    }
    match values.get(output) {
        Some(Value::Tensor(scores)) => Ok((0..scores.ids.len()).map(|i| scores.value(i).clone()).collect()),
        _ => Err(format!("output `{}`: not computed", crate::error::shown(output))),
    }
}

/// Returns output `part` of an operator.
fn node(op: &Op, values: &HashMap<&str, Value>, part: usize) -> Result<Value, String> {
    let value = |i: usize| op.input(i).and_then(|name| values.get(name));
    let get = |i: usize| match value(i) {
        Some(Value::Constant(constant)) => Some(constant.clone()),
        _ => None,
    };
    let constants: Vec<Option<Constant>> = (0..op.inputs.len()).map(get).collect();
    let constant = (0..op.inputs.len()).all(|i| !matches!(value(i), Some(Value::Tensor(_))));
    if constant && let Some(squares) = fold::squares(op, &constants)? {
        return Ok(fold::rational_roots(&squares).map_or(Value::Root(squares), Value::Constant));
    }
    if constant && let Some(constant) = fold::fold(op, &constants)? {
        return Ok(Value::Constant(constant));
    }
    let tensor = |i: usize| match value(i) {
        Some(Value::Tensor(tensor)) => Ok(tensor),
        _ => Err(format!("input {i}: expected values that depend on the image")),
    };
    let x = || tensor(0);
    Ok(Value::Tensor(match op.kind.as_str() {
        "Identity" | "Dropout" | "Cast" => x()?.clone(),
        "Shape" => return Ok(Value::Constant(fold::shape(op, &x()?.dims)?)),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => {
            let x = x()?;
            Tensor { dims: fold::new_shape(op, &x.dims, &get)?, ..x.clone() }
        }
        "Transpose" => {
            let x = x()?;
            let (dims, positions) = transposed(&x.dims, &fold::order(op, x.dims.len())?);
            x.picked(dims, &positions)
        }
        "Slice" | "Gather" | "Split" => {
            let x = x()?;
            let picked = pick::picked(op, &x.dims, &get, part)?;
            x.picked(picked.dims, &picked.positions)
        }
        "Quant" | "IntQuant" | "BipolarQuant" | "QuantizeLinear" => quantize(op, x()?, &get)?,
        "DequantizeLinear" => {
            let x = x()?;
            let (scale, zero) = quantizer::linear_constants(op, &get, &x.dims)?;
            with_two(x, &scale, &zero, |x, s, z| Ok(x.plus(&-z).times(s)))?
        }
        "MultiThreshold" => multi_threshold(op, x()?, &get)?,
        "Trunc" => truncate(op, x()?, &get)?,
        "BatchNormalization" => normalize(op, x()?, &get)?,
        "Conv" => windows::conv(op, x()?, &wanted(&get, 1, "weights")?, get(2).as_ref())?,
        "MatMul" | "Gemm" => dense(op, x()?, &get)?,
        "Pad" => windows::pad(op, x()?, &get)?,
        "PRelu" => with_one(x()?, &wanted(&get, 1, "slope")?, |x, slope| {
            Ok(if x.sign() == Ordering::Less { x.times(slope) } else { x.clone() })
        })?,
        "MaxPool" | "GlobalMaxPool" => windows::max_pool(op, x()?)?,
        "AveragePool" => windows::mean_pool(op, x()?)?,
        "Concat" => concat(op, &(0..op.inputs.len()).map(tensor).collect::<Result<Vec<_>, _>>()?)?,
        "GlobalAveragePool" | "ReduceMean" => {
            let x = x()?;
            let mut dims = vec![1, x.dims[1]];
            if op.kind != "ReduceMean" || op.int("keepdims", 1) != 0 {
                dims.extend(vec![1; x.dims.len() - 2]);
            }
            windows::global_mean(x, dims)?
        }
        "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" => match (value(0), value(1)) {
            (Some(Value::Tensor(a)), Some(Value::Tensor(b))) => two_tensors(op, a, b)?,
            (Some(Value::Tensor(a)), Some(Value::Root(squares))) => {
                with_one(a, squares, |x, square| binary(op, x, &Real::root(square)))?
            }
            (Some(Value::Root(squares)), Some(Value::Tensor(b))) => {
                with_one(b, squares, |x, square| binary(op, &Real::root(square), x))?
            }
            (Some(Value::Tensor(a)), _) => {
                with_one(a, &wanted(&get, 1, "input 1")?, |x, c| binary(op, x, &c.clone().into()))?
            }
            _ => with_one(tensor(1)?, &wanted(&get, 0, "input 0")?, |x, c| binary(op, &c.clone().into(), x))?,
        },
        _ => {
            let bounds = if op.kind == "Clip" { clip_bounds(op, &get)? } else { (None, None) };
            let x = x()?;
            x.map(&vec![0; x.ids.len()], |x, _| unary(op, x, &bounds))?
        }
    }))
}

/// Applies a function of a number and one constant that stretches to the tensor.
fn with_one(
    x: &Tensor,
    constant: &Constant,
    f: impl Fn(&Real, &Q) -> Result<Real, String>,
) -> Result<Tensor, String> {
    let values = constant.values();
    x.map(&broadcast(&constant.dims, &x.dims)?, |x, p| f(x, &values[p]))
}

/// Applies a function of a number and two constants that stretch to the tensor.
fn with_two(
    x: &Tensor,
    first: &Constant,
    second: &Constant,
    f: impl Fn(&Real, &Q, &Q) -> Result<Real, String>,
) -> Result<Tensor, String> {
    let (a, b) = (first.values(), second.values());
    let (at_a, at_b) = (broadcast(&first.dims, &x.dims)?, broadcast(&second.dims, &x.dims)?);
    let positions: Vec<usize> = at_a.iter().zip(&at_b).map(|(i, j)| i * b.len() + j).collect();
    x.map(&positions, |x, p| f(x, &a[p / b.len()], &b[p % b.len()]))
}

fn concat(op: &Op, parts: &[&Tensor]) -> Result<Tensor, String> {
    let axis = crate::tensor::axis(op.int("axis", 1), parts[0].dims.len())?;
    let shapes: Vec<&[usize]> = parts.iter().map(|part| part.dims.as_slice()).collect();
    let (dims, places) = joined(&shapes, axis)?;
    let keys = places.into_iter().map(|(part, at)| (part, parts[part].ids[at]));
    Tensor::of_keys(dims, keys, |&(part, id)| Ok(parts[part].table[id as usize].clone()))
}

fn two_tensors(op: &Op, a: &Tensor, b: &Tensor) -> Result<Tensor, String> {
    if a.dims != b.dims {
        return Err(format!("expected two tensors of one shape, found {:?} and {:?}", a.dims, b.dims));
    }
    let keys = a.ids.iter().copied().zip(b.ids.iter().copied());
    Tensor::of_keys(a.dims.clone(), keys, |&(i, j)| binary(op, &a.table[i as usize], &b.table[j as usize]))
}

fn binary(op: &Op, a: &Real, b: &Real) -> Result<Real, String> {
    let larger = || Ok::<bool, String>(a.add(&b.negative())?.sign() == Ordering::Greater);
    match op.kind.as_str() {
        "Add" => a.add(b),
        "Sub" => a.add(&b.negative()),
        "Mul" => a.mul(b),
        "Div" if b.sign() == Ordering::Equal => Err("division by 0".into()),
        "Div" => a.mul(&b.reciprocal()),
        "Max" => Ok(if larger()? { a.clone() } else { b.clone() }),
        _ => Ok(if larger()? { b.clone() } else { a.clone() }),
    }
}

fn unary(op: &Op, x: &Real, (lo, hi): &(Option<Q>, Option<Q>)) -> Result<Real, String> {
    let negative = x.sign() == Ordering::Less;
    let at_least = |x: Real, q: &Q| if x.compare(q) == Ordering::Less { q.clone().into() } else { x };
    let at_most = |x: Real, q: &Q| if x.compare(q) == Ordering::Greater { q.clone().into() } else { x };
    Ok(match op.kind.as_str() {
        "Relu" => at_least(x.clone(), &Q::zero()),
        "Clip" => {
            let x = lo.as_ref().map_or(x.clone(), |q| at_least(x.clone(), q));
            hi.as_ref().map_or(x.clone(), |q| at_most(x.clone(), q))
        }
        "HardSigmoid" => {
            let y = x.times(&op.float("alpha", 0.2)?).plus(&op.float("beta", 0.5)?);
            at_most(at_least(y, &Q::zero()), &whole(1))
        }
        "LeakyRelu" if negative => x.times(&op.float("alpha", 0.01)?),
        "LeakyRelu" => x.clone(),
        "Neg" => x.negative(),
        "Floor" => Real::whole(x.floor()),
        "Ceil" => Real::whole(-x.negative().floor()),
        "Round" => Real::whole(Rounding::HalfEven.exact(x)),
        "Sign" => Real::whole(x.sign() as i8),
        _ => return Err("not interpreted".into()),
    })
}

fn quantize(op: &Op, x: &Tensor, get: Constants) -> Result<Tensor, String> {
    let quantizer = quantizer::read(op, get, &x.dims)?;
    with_two(x, &quantizer.scale, &quantizer.zero, |x, s, z| Ok(quantizer.value(x, s, z).into()))
}

fn multi_threshold(op: &Op, x: &Tensor, get: Constants) -> Result<Tensor, String> {
    let thresholds = wanted(get, 1, "thresholds")?;
    let (rows, count) = (thresholds.dims[0], thresholds.dims[1]);
    let axis = threshold_axis(op, x.dims.len())?;
    let (inside, size) = (crate::tensor::inner(&x.dims, axis), x.dims[axis]);
    let row = |i: usize| if rows == 1 { 0 } else { i / inside % size };
    let positions: Vec<usize> = (0..x.ids.len()).map(row).collect();
    let (scale, bias) = (op.float("out_scale", 1.0)?, op.float("out_bias", 0.0)?);
    let values = thresholds.values();
    x.map(&positions, |x, r| {
        let row = &values[r * count..(r + 1) * count];
        let reached = row.iter().filter(|t| x.compare(t) != Ordering::Less).count();
        Ok((&scale * whole(reached as i64) + &bias).into())
    })
}

fn truncate(op: &Op, x: &Tensor, get: Constants) -> Result<Tensor, String> {
    let t = crate::truncation::read(op, get)?;
    let scaled = with_two(x, &t.scale, &t.zero, |x, s, z| {
        let level = whole(Rounding::HalfEven.exact(&x.times(&s.recip()).plus(z)));
        let mut y = level / &t.divisor;
        if let Some((lo, hi)) = t.limits {
            y = y.clamp(whole(lo), whole(hi));
        }
        Ok((whole(t.rounding.exact(&y.into())) - z / &t.zero_divisor).into())
    })?;
    with_one(&scaled, &t.out_scale, |y, s| Ok(y.times(s)))
}

fn normalize(op: &Op, x: &Tensor, get: Constants) -> Result<Tensor, String> {
    let of = |i: usize| wanted(get, i, "parameters").map(|c| c.values());
    let (gain, bias, mean, variance) = (of(1)?, of(2)?, of(3)?, of(4)?);
    let epsilon = op.float("epsilon", 1e-5)?;
    let per_channel = |c: usize| {
        let square = &variance[c] + &epsilon;
        if !square.is_positive() {
            return Err("a variance that is not above 0".to_string());
        }
        Ok(Real::root(&square).reciprocal().times(&gain[c]))
    };
    let axis = norm_axis(op, x.dims.len());
    let slopes: Vec<Real> = (0..x.dims[axis]).map(per_channel).collect::<Result<_, _>>()?;
    let inside = crate::tensor::inner(&x.dims, axis);
    let positions: Vec<usize> = (0..x.ids.len()).map(|i| i / inside % x.dims[axis]).collect();
    x.map(&positions, |x, c| Ok(x.plus(&-&mean[c]).mul(&slopes[c])?.plus(&bias[c])))
}

fn dense(op: &Op, x: &Tensor, get: Constants) -> Result<Tensor, String> {
    let weight = wanted(get, 1, "weights")?;
    let turned = op.kind == "Gemm" && op.int("transB", 0) != 0;
    let (first, second) = (weight.dims[0], weight.dims[1]);
    let (inputs, outputs) = if turned { (second, first) } else { (first, second) };
    let indices = |o: usize| -> Vec<usize> {
        (0..inputs).map(|k| if turned { o * inputs + k } else { k * outputs + o }).collect()
    };
    let y = windows::product(x, &weight, outputs, indices)?;
    if op.kind == "MatMul" {
        return Ok(y);
    }
    let (alpha, beta) = (op.float("alpha", 1.0)?, op.float("beta", 1.0)?);
    match get(2) {
        Some(bias) => with_one(&y, &bias, |y, b| Ok(y.times(&alpha).plus(&(&beta * b)))),
        None => y.map(&vec![0; y.ids.len()], |y, _| Ok(y.times(&alpha))),
    }
}
