//! Computes operators whose inputs are all constants: weights through their quantizers, and the arithmetic of
//! shapes that exporters leave in graphs.

use crate::graph::{Graph, Op};
use crate::joined::joined;
use crate::number::{Q, whole};
use crate::parameters::clip_bounds;
use crate::pick;
use crate::quantizer;
use crate::tensor::{Constant, Data, Element, axis, broadcast, reshape, transposed};
use num_traits::{Signed, ToPrimitive, Zero};
use std::sync::Arc;

/// Most elements of a constant on which general arithmetic is done.
const MAX_ARITHMETIC: usize = 1 << 20;

/// Returns the result of an operator whose inputs are all constants; `None` where it is none that is
/// computed.
pub fn fold(op: &Op, inputs: &[Option<Constant>]) -> Result<Option<Constant>, String> {
    let get = |i: usize| inputs.get(i).cloned().flatten();
    let x = || get(0).ok_or_else(|| "input 0: expected a constant".to_string());
    Ok(Some(match op.kind.as_str() {
        "Identity" | "Dropout" | "Cast" => cast(op, x()?)?,
        "Quant" | "IntQuant" | "BipolarQuant" | "QuantizeLinear" => {
            let x = x()?;
            quantizer::read(op, &get, &x.dims)?.constant(&x)?
        }
        "DequantizeLinear" => quantizer::dequantized(op, &get, &x()?)?,
        "Transpose" => transpose(op, &x()?)?,
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => {
            let x = x()?;
            let dims = new_shape(op, &x.dims, &get)?;
            x.reshaped(dims)
        }
        "Shape" => shape(op, &x()?.dims)?,
        "Gather" | "Slice" => {
            let x = x()?;
            let picked = pick::picked(op, &x.dims, &get, 0)?;
            x.picked(picked.dims, &picked.positions, None)
        }
        "Clip" => clip(op, &x()?, &get)?,
        "Relu" | "Abs" | "Floor" | "Ceil" | "Round" | "Reciprocal" => unary(op, &x()?)?,
        "Concat" => concat(op, inputs)?,
        "Add" | "Sub" | "Mul" | "Div" | "Max" | "Min" if inputs.len() == 2 => {
            arithmetic(op, &x()?, &get(1).ok_or("input 1: expected a constant")?)?
        }
        "Neg" => arithmetic(&Op::new("", "Mul", &[], ""), &x()?, &Constant::ints(vec![], vec![-1]))?,
        "ConstantOfShape" => filled(op, &x()?)?,
        _ => return Ok(None),
    }))
}

/// Computes once and for all what depends on constants only. What cannot be computed stays, for its error to
/// be said with all others.
pub fn fold_graph(graph: &mut Graph) {
    let ops = std::mem::take(&mut graph.ops);
    for op in ops {
        let known = |name: &String| name.is_empty() || graph.constants.contains_key(name);
        let inputs = || op.inputs.iter().map(|name| graph.constants.get(name).cloned()).collect::<Vec<_>>();
        let folds = op.outputs.len() == 1
            && op.outputs[0] != graph.output
            && op.inputs.iter().all(known)
            && crate::support::refusal(&op).is_none();
        match folds.then(|| fold(&op, &inputs())) {
            Some(Ok(Some(constant))) => {
                graph.constants.insert(op.outputs[0].clone(), constant);
            }
            _ => graph.ops.push(op),
        }
    }
}

/// Returns the squares of what `Sqrt`, or `Pow` with exponent ½, makes of a constant; `None` for other
/// operators.
pub fn squares(op: &Op, inputs: &[Option<Constant>]) -> Result<Option<Constant>, String> {
    let get = |i: usize| inputs.get(i).and_then(Option::as_ref);
    let half = || Q::new(1.into(), 2.into());
    match (op.kind.as_str(), get(0), get(1)) {
        ("Sqrt", Some(x), _) => {
            if x.values().iter().any(Signed::is_negative) {
                return Err("input: expected numbers of at least 0".into());
            }
            Ok(Some(x.clone()))
        }
        ("Pow", Some(x), Some(y)) if y.len() == 1 && y.value(0) == half() => {
            squares(&Op::new("", "Sqrt", &[], ""), &[Some(x.clone())])
        }
        ("Pow" | "Sqrt", ..) => Err("expected the root of a constant".into()),
        _ => Ok(None),
    }
}

/// Returns the roots of a constant's numbers, where all are rational.
pub fn rational_roots(squares: &Constant) -> Option<Constant> {
    let root = |q: &Q| crate::number::Real::root(q).rational().cloned();
    let roots = squares.values().iter().map(root).collect::<Option<Vec<Q>>>()?;
    Some(Constant::exact(squares.dims.clone(), roots))
}

fn cast(op: &Op, x: Constant) -> Result<Constant, String> {
    if op.kind != "Cast" {
        return Ok(x);
    }
    let element = Element::of(op.int("to", 1) as i32)?;
    let Some((lo, hi)) = element.limits() else { return Ok(Constant { element, ..x }) };
    let values = (0..x.len()).map(|i| x.value(i).trunc().to_i64().filter(|v| (lo..=hi).contains(v)));
    let values = values.collect::<Option<Vec<i64>>>().ok_or("to: expected values that fit the type")?;
    Ok(Constant { element, ..Constant::ints(x.dims.clone(), values) })
}

fn transpose(op: &Op, x: &Constant) -> Result<Constant, String> {
    let order = order(op, x.dims.len())?;
    let (dims, positions) = transposed(&x.dims, &order);
    let mut axes = vec![0; order.len()];
    order.iter().enumerate().for_each(|(new, &old)| axes[old] = new);
    Ok(x.picked(dims, &positions, Some(&axes)))
}

/// Returns the order of a `Transpose`'s axes.
pub fn order(op: &Op, rank: usize) -> Result<Vec<usize>, String> {
    let Some(perm) = op.ints("perm") else { return Ok((0..rank).rev().collect()) };
    let order = perm.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
    let all = (0..rank).all(|a| order.contains(&a));
    if all && order.len() == rank {
        Ok(order)
    } else {
        Err(format!("perm: expected each of {rank} axes once"))
    }
}

/// Returns the shape that `Reshape`, `Flatten`, `Squeeze` or `Unsqueeze` makes of `dims`.
pub fn new_shape(op: &Op, dims: &[usize], get: quantizer::Constants) -> Result<Vec<usize>, String> {
    let list = |attribute: &str, i: usize| -> Result<Option<Vec<i64>>, String> {
        match (op.ints(attribute), get(i), op.input(i)) {
            (Some(ints), ..) => Ok(Some(ints.to_vec())),
            (None, Some(c), _) => c.whole_values(attribute).map(Some),
            (None, None, None) => Ok(None),
            (None, None, Some(_)) => Err(format!("{attribute}: expected a constant")),
        }
    };
    match op.kind.as_str() {
        "Reshape" => {
            let wanted = list("shape", 1)?.ok_or("shape: expected one")?;
            reshape(dims, &wanted, op.int("allowzero", 0) != 0)
        }
        "Flatten" => {
            let first = op.int("axis", 1);
            let cut = if first == dims.len() as i64 { dims.len() } else { axis(first, dims.len())? };
            Ok(vec![dims[..cut].iter().product(), dims[cut..].iter().product()])
        }
        "Squeeze" => {
            let axes = match list("axes", 1)? {
                Some(axes) => axes.iter().map(|&a| axis(a, dims.len())).collect::<Result<Vec<_>, _>>()?,
                None => (0..dims.len()).filter(|&a| dims[a] == 1).collect(),
            };
            match axes.iter().find(|&&a| dims[a] != 1) {
                Some(&a) => Err(format!("axes: expected axes of size 1, found {} at {a}", dims[a])),
                None => Ok((0..dims.len()).filter(|a| !axes.contains(a)).map(|a| dims[a]).collect()),
            }
        }
        _ => {
            let axes = list("axes", 1)?.ok_or("axes: expected some")?;
            let rank = dims.len() + axes.len();
            let axes = axes.iter().map(|&a| axis(a, rank)).collect::<Result<Vec<_>, _>>()?;
            let mut old = dims.iter();
            let one = |a: usize| if axes.contains(&a) { Some(1) } else { old.next().copied() };
            (0..rank).map(one).collect::<Option<_>>().ok_or_else(|| "axes: expected each once".into())
        }
    }
}

/// Returns what `Shape` makes of `dims`.
pub fn shape(op: &Op, dims: &[usize]) -> Result<Constant, String> {
    let rank = dims.len() as i64;
    let at = |v: i64| (if v < 0 { v + rank } else { v }).clamp(0, rank) as usize;
    let (start, end) = (at(op.int("start", 0)), at(op.int("end", rank)));
    let values: Vec<i64> = dims.get(start..end).unwrap_or_default().iter().map(|&d| d as i64).collect();
    Ok(Constant::ints(vec![values.len()], values))
}

/// Clips a constant; weights of millions of elements stay as small as they are.
fn clip(op: &Op, x: &Constant, get: quantizer::Constants) -> Result<Constant, String> {
    let (lo, hi) = clip_bounds(op, get)?;
    let within = |v: Q| {
        let v = lo.as_ref().map_or(v.clone(), |lo| v.max(lo.clone()));
        hi.as_ref().map_or(v.clone(), |hi| v.min(hi.clone()))
    };
    let data = match &x.data {
        Data::Int(values) => {
            let bound = |q: &Option<Q>, none: i64| match q {
                Some(q) if q.is_integer() => q.to_i64(),
                None => Some(none),
                _ => None,
            };
            let bounds = bound(&lo, i64::MIN).zip(bound(&hi, i64::MAX));
            let (lo, hi) = bounds.ok_or("min, max: expected whole numbers")?;
            Data::Int(Arc::new(values.iter().map(|&v| v.max(lo).min(hi)).collect()))
        }
        Data::Float(values) => {
            let exact = |q: &Option<Q>, none: f32| match q {
                Some(q) => q.to_f32().filter(|&f| crate::number::of_f32(f).as_ref() == Some(q)),
                None => Some(none),
            };
            let bounds = exact(&lo, f32::NEG_INFINITY).zip(exact(&hi, f32::INFINITY));
            let (lo, hi) = bounds.ok_or("min, max: expected float32")?;
            Data::Float(Arc::new(values.iter().map(|v| v.max(lo).min(hi)).collect()))
        }
        _ => return mapped(x, within),
    };
    Ok(Constant { data, ..x.clone() })
}

/// Returns a function of every element of a constant of few elements.
fn mapped(x: &Constant, f: impl Fn(Q) -> Q) -> Result<Constant, String> {
    if x.len() > MAX_ARITHMETIC {
        return Err(format!("shape: expected arithmetic on at most {MAX_ARITHMETIC} constant elements"));
    }
    let values: Vec<Q> = (0..x.len()).map(|i| f(x.value(i))).collect();
    let ints = matches!(x.data, Data::Int(_)).then(|| values.iter().map(ToPrimitive::to_i64).collect());
    if let Some(Some(ints)) = ints {
        return Ok(Constant { element: x.element, ..Constant::ints(x.dims.clone(), ints) });
    }
    Ok(Constant::exact(x.dims.clone(), values))
}

fn unary(op: &Op, x: &Constant) -> Result<Constant, String> {
    if op.kind == "Reciprocal" && (0..x.len()).any(|i| x.value(i).is_zero()) {
        return Err("expected numbers other than 0".into());
    }
    let half_even = |v: Q| whole(crate::number::Rounding::HalfEven.exact(&v.into()));
    mapped(x, |v| match op.kind.as_str() {
        "Relu" => v.max(Q::zero()),
        "Abs" => v.abs(),
        "Floor" => v.floor(),
        "Ceil" => v.ceil(),
        "Reciprocal" => v.recip(),
        _ => half_even(v),
    })
}

fn concat(op: &Op, inputs: &[Option<Constant>]) -> Result<Constant, String> {
    let parts: Vec<&Constant> = inputs.iter().flatten().collect();
    let first = parts.first().ok_or("inputs: expected some")?;
    let axis = axis(op.int("axis", 0), first.dims.len())?;
    let shapes: Vec<&[usize]> = parts.iter().map(|part| part.dims.as_slice()).collect();
    let (dims, places) = joined(&shapes, axis)?;
    let values: Vec<Q> = places.into_iter().map(|(part, at)| parts[part].value(at)).collect();
    let ints = parts.iter().all(|p| matches!(p.data, Data::Int(_)));
    if ints {
        let values = values.iter().map(Q::to_i64).collect::<Option<Vec<_>>>();
        return Ok(Constant::ints(dims, values.ok_or("inputs: expected int64")?));
    }
    Ok(Constant::exact(dims, values))
}

fn filled(op: &Op, x: &Constant) -> Result<Constant, String> {
    let shape = x.whole_values("shape")?;
    let dims: Option<Vec<usize>> = shape.iter().map(|&v| usize::try_from(v).ok()).collect();
    let len = dims.iter().flatten().try_fold(1usize, |n, &d| n.checked_mul(d));
    let (Some(dims), Some(len @ ..=MAX_ARITHMETIC)) = (dims, len) else {
        return Err(format!("shape: expected at most {MAX_ARITHMETIC} elements, found {shape:?}"));
    };
    let value = match op.attribute("value").and_then(|a| a.t.as_ref()) {
        Some(tensor) => crate::load::constant(tensor, std::path::Path::new(""))?,
        None => Constant::exact(vec![], vec![Q::zero()]),
    };
    Ok(value.picked(dims, &vec![0; len], None))
}

fn arithmetic(op: &Op, x: &Constant, y: &Constant) -> Result<Constant, String> {
    if let (Data::Levels { ints, scale, axis }, 1, "Mul" | "Div") = (&x.data, y.len(), op.kind.as_str()) {
        let factor = y.scalar("factor")?;
        if factor.is_zero() {
            return Err("factor: expected one other than 0".into());
        }
        let factor = if op.kind == "Mul" { factor } else { factor.recip() };
        let scale = Arc::new(scale.iter().map(|s| s * &factor).collect());
        return Ok(Constant { data: Data::Levels { ints: ints.clone(), scale, axis: *axis }, ..x.clone() });
    }
    if let (Data::Levels { .. }, "Mul", 1) = (&y.data, op.kind.as_str(), x.len()) {
        return arithmetic(op, y, x);
    }
    let rank = x.dims.len().max(y.dims.len());
    let size = |c: &Constant, a: usize| (a + c.dims.len()).checked_sub(rank).map_or(1, |i| c.dims[i]);
    let dims: Vec<usize> = (0..rank).map(|a| if size(x, a) == 1 { size(y, a) } else { size(x, a) }).collect();
    if dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).is_none_or(|n| n > MAX_ARITHMETIC) {
        return Err(format!("shape: expected arithmetic on at most {MAX_ARITHMETIC} constant elements"));
    }
    let (at_x, at_y) = (broadcast(&x.dims, &dims)?, broadcast(&y.dims, &dims)?);
    let ints = matches!((&x.data, &y.data), (Data::Int(_), Data::Int(_)));
    let one = |(&i, &j): (&usize, &usize)| {
        let (a, b) = (x.value(i), y.value(j));
        Some(match op.kind.as_str() {
            "Add" => a + b,
            "Sub" => a - b,
            "Mul" => a * b,
            "Max" => a.max(b),
            "Min" => a.min(b),
            _ if b.is_zero() => return None,
            _ if ints => (a / b).trunc(),
            _ => a / b,
        })
    };
    let values = at_x.iter().zip(&at_y).map(one).collect::<Option<Vec<Q>>>();
    let values = values.ok_or("divisor: expected one other than 0")?;
    if ints && let Some(values) = values.iter().map(ToPrimitive::to_i64).collect::<Option<Vec<_>>>() {
        return Ok(Constant::ints(dims, values));
    }
    Ok(Constant::exact(dims, values))
}
