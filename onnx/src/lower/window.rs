//! Says where the windows of a convolution or a pool lie.

use crate::graph::Op;
use dq_net::Shape;

/// Where the windows of a convolution or a pool lie.
pub(super) struct Window {
    /// Rows and columns, with dilation.
    pub kernel: (usize, usize),
    /// Strides along rows and columns.
    pub stride: [usize; 2],
    /// Padding: top, bottom, left, right.
    pub pad: [usize; 4],
    /// Distance of taps along rows and columns.
    pub dilation: [usize; 2],
}

impl Window {
    /// Reads strides, pads and dilations of a node with `spatial` spatial axes.
    pub(super) fn read(op: &Op, spatial: usize, kernel: [usize; 2], input: Shape) -> Result<Self, String> {
        let pair = |sizes: Vec<usize>, one: usize| match sizes[..] {
            [columns] => [one, columns],
            [rows, columns] => [rows, columns],
            _ => [one; 2],
        };
        let stride = pair(op.sizes("strides", spatial, 1)?, 1);
        let dilation = pair(op.sizes("dilations", spatial, 1)?, 1);
        if stride.contains(&0)
            || dilation.contains(&0)
            || kernel.contains(&0)
            || dilation.iter().any(|&d| d > 64)
        {
            return Err("strides, dilations: expected at least 1".into());
        }
        let span = |axis: usize| (kernel[axis] - 1) * dilation[axis] + 1;
        let pads = op.sizes("pads", 2 * spatial, 0)?;
        let sizes = [input.height, input.width];
        let same = |axis: usize| {
            let out = sizes[axis].div_ceil(stride[axis]);
            ((out - 1) * stride[axis] + span(axis)).saturating_sub(sizes[axis])
        };
        let pad = match (op.text("auto_pad", "NOTSET").as_str(), &pads[..]) {
            ("NOTSET" | "", &[left, right]) => [0, 0, left, right],
            ("NOTSET" | "", &[top, left, bottom, right]) => [top, bottom, left, right],
            ("VALID", _) => [0; 4],
            ("SAME_UPPER", _) => [same(0) / 2, same(0).div_ceil(2), same(1) / 2, same(1).div_ceil(2)],
            ("SAME_LOWER", _) => [same(0).div_ceil(2), same(0) / 2, same(1).div_ceil(2), same(1) / 2],
            (other, _) => {
                return Err(format!(
                    "auto_pad: expected a known one, found `{}`",
                    crate::error::shown(other)
                ));
            }
        };
        Ok(Window { kernel: (span(0), span(1)), stride, pad, dilation })
    }

    /// Returns what a rounding up of the output's size adds to the padding behind the last element. A window
    /// that would begin in that padding is left out.
    pub(super) fn added_by_ceiling(&self, axis: usize, input: Shape) -> usize {
        let size = [input.height, input.width][axis];
        let [before, after] = [self.pad[2 * axis], self.pad[2 * axis + 1]];
        let (kernel, stride) = ([self.kernel.0, self.kernel.1][axis], self.stride[axis]);
        let Some(room) = (size + before + after).checked_sub(kernel) else { return 0 };
        let mut windows = room.div_ceil(stride) + 1;
        if (windows - 1) * stride >= size + before {
            windows -= 1;
        }
        ((windows - 1) * stride).saturating_sub(room)
    }
}
