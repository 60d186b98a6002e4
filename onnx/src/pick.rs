//! Says which elements of a tensor `Slice`, `Gather` and `Split` take.

use crate::graph::Op;
use crate::quantizer::Constants;
use crate::tensor::{axis, inner, strided};

/// Most elements that are taken.
const MAX_TAKEN: usize = 1 << 26;

/// The elements that an operator takes, row-major.
pub struct Picked {
    /// Their shape.
    pub dims: Vec<usize>,
    /// Where each lies in the tensor that they are taken from.
    pub positions: Vec<usize>,
}

/// Returns what output `part` of a `Slice`, `Gather` or `Split` takes of a tensor of shape `dims`.
pub fn picked(op: &Op, dims: &[usize], get: Constants, part: usize) -> Result<Picked, String> {
    match op.kind.as_str() {
        "Gather" => gather(op, dims, get),
        "Slice" => slice(op, dims, get),
        _ => split(op, dims, get, part),
    }
}

fn gather(op: &Op, dims: &[usize], get: Constants) -> Result<Picked, String> {
    let indices = get(1).ok_or("indices: expected a constant")?;
    let along = axis(op.int("axis", 0), dims.len())?;
    let found = indices.whole_values("indices")?;
    let found = found.iter().map(|&v| axis(v, dims[along])).collect::<Result<Vec<_>, _>>()?;
    let (inside, outside) = (inner(dims, along), dims[..along].iter().product::<usize>());
    if outside.checked_mul(inside).and_then(|n| n.checked_mul(found.len())).is_none_or(|n| n > MAX_TAKEN) {
        return Err(format!("indices: expected at most {MAX_TAKEN} elements"));
    }
    let mut positions = vec![];
    for before in 0..outside {
        for &index in &found {
            let base = (before * dims[along] + index) * inside;
            positions.extend(base..base + inside);
        }
    }
    Ok(Picked { dims: [&dims[..along], &indices.dims, &dims[along + 1..]].concat(), positions })
}

fn slice(op: &Op, dims: &[usize], get: Constants) -> Result<Picked, String> {
    let list = |i: usize, name: &str| match (get(i), op.ints(name), op.input(i)) {
        (Some(c), ..) => c.whole_values(name).map(Some),
        (None, Some(ints), _) => Ok(Some(ints.to_vec())),
        (None, None, None) => Ok(None),
        (None, None, Some(_)) => Err(format!("{name}: expected a constant")),
    };
    let starts = list(1, "starts")?.ok_or("starts: expected some")?;
    let ends = list(2, "ends")?.ok_or("ends: expected some")?;
    let axes = list(3, "axes")?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = list(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] || steps.iter().any(|&s| s < 1) {
        return Err("steps: expected starts, ends and axes of one length, and steps of at least 1".into());
    }
    let mut taken = Taken { dims: dims.to_vec(), strides: vec![], base: 0 };
    taken.strides = (0..dims.len()).map(|a| inner(dims, a)).collect();
    for (((start, end), a), step) in starts.into_iter().zip(ends).zip(axes).zip(steps) {
        let a = axis(a, dims.len())?;
        let size = dims[a] as i64;
        let at = |v: i64| (if v < 0 { v.saturating_add(size) } else { v }).clamp(0, size);
        let count = (at(end) - at(start)).max(0) as usize;
        taken.cut(a, at(start) as usize, count, step.min(size.max(1)) as usize);
    }
    Ok(taken.positions())
}

fn split(op: &Op, dims: &[usize], get: Constants, part: usize) -> Result<Picked, String> {
    let along = axis(op.int("axis", 0), dims.len())?;
    let count = op.outputs.len().max(1);
    let sizes = match (get(1), op.ints("split")) {
        (Some(c), _) => c.whole_values("split")?,
        (None, Some(ints)) => ints.to_vec(),
        // Parts of one size; the last one is smaller where they do not fit.
        (None, None) => {
            let size = dims[along].div_ceil(count);
            let of = |i: usize| size.min(dims[along].saturating_sub(i * size)) as i64;
            (0..count).map(of).collect()
        }
    };
    let all = sizes.iter().try_fold(0i64, |sum, &size| sum.checked_add(size).filter(|_| size >= 0));
    if sizes.len() != count || all != Some(dims[along] as i64) {
        return Err(format!("split: expected {count} sizes that make {}, found {sizes:?}", dims[along]));
    }
    let first: i64 = sizes[..part].iter().sum();
    let mut taken = Taken { dims: dims.to_vec(), strides: vec![], base: 0 };
    taken.strides = (0..dims.len()).map(|a| inner(dims, a)).collect();
    taken.cut(along, first as usize, sizes[part] as usize, 1);
    Ok(taken.positions())
}

/// A box of a tensor.
struct Taken {
    dims: Vec<usize>,
    strides: Vec<usize>,
    base: usize,
}

impl Taken {
    /// Leaves every `step`-th of `count` indices from `first` on along an axis.
    fn cut(&mut self, axis: usize, first: usize, count: usize, step: usize) {
        self.base += first * self.strides[axis];
        self.dims[axis] = count.div_ceil(step);
        self.strides[axis] *= step;
    }

    fn positions(self) -> Picked {
        let positions = strided(&self.dims, &self.strides).iter().map(|p| p + self.base).collect();
        Picked { dims: self.dims, positions }
    }
}
