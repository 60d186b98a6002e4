//! Says where the elements of tensors lie that are joined along an axis.

/// A tensor among those that are joined, and a position in it.
pub type Place = (usize, usize);

/// Returns the shape of tensors of the shapes `parts` joined along `axis`, and for each element, row-major,
/// the tensor that it comes from and its position there.
pub fn joined(parts: &[&[usize]], axis: usize) -> Result<(Vec<usize>, Vec<Place>), String> {
    let mut dims = parts.first().ok_or("inputs: expected some")?.to_vec();
    dims[axis] = 0;
    for part in parts {
        let same = |a: usize| a == axis || part.get(a) == dims.get(a);
        if part.len() != dims.len() || !(0..dims.len()).all(same) {
            return Err(format!("inputs: expected shapes that differ along axis {axis} only"));
        }
        dims[axis] += part[axis];
    }
    let outside: usize = dims[..axis].iter().product();
    let inside: usize = dims[axis + 1..].iter().product();
    let blocks: Vec<usize> = parts.iter().map(|part| part[axis] * inside).collect();
    let mut places = vec![];
    for before in 0..outside {
        for (part, &block) in blocks.iter().enumerate() {
            places.extend((before * block..(before + 1) * block).map(|at| (part, at)));
        }
    }
    Ok((dims, places))
}
