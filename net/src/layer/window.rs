//! Computes where each output pixel's sliding window lies, for convolution and pooling.

use crate::{error::Fault, shape::Shape};

/// Describes a window along one axis: its size, stride and padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Size of the window, in elements.
    pub kernel: usize,
    /// Distance between windows.
    pub stride: usize,
    /// Padding before the first element.
    pub before: usize,
    /// Padding after the last element.
    pub after: usize,
}

impl Axis {
    /// Returns the output size for `input` elements; a last window that does not fit is dropped.
    pub fn output(&self, input: usize, field: &str) -> Result<usize, Fault> {
        if self.kernel == 0 || self.stride == 0 {
            return Err(Fault::new(field, "window and stride of at least 1", format!("{self:?}")));
        }
        if self.before >= self.kernel || self.after >= self.kernel {
            let rule = format!("padding smaller than the window of {}", self.kernel);
            return Err(Fault::new("pad", rule, self.before.max(self.after)));
        }
        let padded = input.checked_add(self.before + self.after).filter(|&p| p >= self.kernel);
        let Some(padded) = padded else {
            let found = format!("{} on {input} padded by {} and {}", self.kernel, self.before, self.after);
            return Err(Fault::new(field, "a window no larger than its padded input", found));
        };
        Ok((padded - self.kernel) / self.stride + 1)
    }

    /// Returns the input element under tap `tap` of output `out`; `None` in the padding.
    #[inline]
    pub fn tap(&self, out: usize, tap: usize, input: usize) -> Option<usize> {
        (out * self.stride + tap).checked_sub(self.before).filter(|&i| i < input)
    }
}

/// Returns the output shape of windows over `input` that give `channels` channels.
pub fn output_shape(input: Shape, rows: Axis, columns: Axis, channels: usize) -> Result<Shape, Fault> {
    let shape =
        Shape::new(rows.output(input.height, "window")?, columns.output(input.width, "window")?, channels);
    shape.checked_len().map(|_| shape).ok_or_else(|| Fault::new("shape", "at most 2^26 elements", shape))
}
