//! Runs convolutions: windows are copied into a matrix, which the weights' matrix multiplies.

use super::pass::{Kind, Pass, Site};
use super::window::Windows;
use crate::number::Number;
use dq_net::layer::Conv;
use tch::{Kind as Dtype, Tensor};

/// Holds the weights of a convolution, and where its windows lie.
struct Product {
    /// Weights: group × outputs of the group × (input channel of the group, row, column).
    weights: Tensor,
    /// The same in f32, transposed, for slopes.
    transposed: Tensor,
    windows: Windows,
    /// Padding as libtorch takes it: left, right, top, bottom.
    pad: [i64; 4],
    pad_level: f64,
    out: Dtype,
    scratch: usize,
}

impl Kind for Conv {
    fn pass(&self, site: &Site) -> Box<dyn Pass> {
        // A tap in the padding reads a level of the input's range, or 0.
        Box::new(Product::new(self, site, Number::of_weights(&self.weights, site.most())))
    }
}

impl Product {
    fn new(conv: &Conv, site: &Site, number: Number) -> Self {
        let (outputs, rows, columns, per_group) = conv.weights.dim();
        let (groups, taps) = (conv.groups, rows * columns * per_group);
        let weights: Vec<f32> = conv.weights.iter().map(|&w| w.into()).collect();
        let shape = [outputs, rows, columns, per_group].map(|size| size as i64);
        let matrix = [groups, outputs / groups, taps].map(|size| size as i64);
        let weights = Tensor::from_slice(&weights).reshape(shape).permute([0, 3, 1, 2]).reshape(matrix);
        let weights = weights.to_device(site.device);
        let [top, bottom, left, right] = conv.pad.map(|size| size as i64);
        let output = site.output.shape;
        let windows =
            Windows { window: [rows, columns], stride: conv.stride, output: [output.height, output.width] };
        Self {
            transposed: weights.transpose(1, 2).contiguous(),
            weights: weights.to_kind(number.kind()),
            windows,
            pad: [left, right, top, bottom],
            pad_level: conv.pad_level.into(),
            out: site.out(),
            scratch: groups * taps * output.height * output.width * number.kind().elt_size_in_bytes(),
        }
    }

    /// Multiplies each group's windows, or slopes (batch × channels × …), by its `matrix` (group × rows ×
    /// columns): (batch · group) × rows × positions.
    fn multiply(matrix: &Tensor, columns: &Tensor) -> Tensor {
        let [groups, rows, depth] = matrix.size()[..] else { unreachable!("three dimensions") };
        let count = columns.size()[0];
        let all = matrix.unsqueeze(0).expand([count, groups, rows, depth], false);
        all.reshape([count * groups, rows, depth]).bmm(&columns.reshape([count * groups, depth, -1]))
    }
}

impl Pass for Product {
    fn forward(&self, inputs: &[&Tensor]) -> Tensor {
        let Windows { window, stride, output } = self.windows;
        let [rows, columns] = window.map(|size| size as i64);
        let input = inputs[0].to_kind(self.weights.kind());
        let padded = input.pad(self.pad, "constant", self.pad_level);
        let windows = padded.unfold(2, rows, stride[0] as i64).unfold(3, columns, stride[1] as i64);
        // Batch × channel × row of the window × column × row of the output × column.
        let windows = windows.permute([0, 1, 4, 5, 2, 3]).contiguous();
        let sums = Self::multiply(&self.weights, &windows).to_kind(self.out);
        sums.reshape([input.size()[0], -1, output[0] as i64, output[1] as i64])
    }

    fn backward(&self, slopes: &Tensor, inputs: &[&Tensor], _: usize) -> Tensor {
        let [count, channels, height, width] = inputs[0].size()[..] else { unreachable!("four dimensions") };
        let [left, right, top, bottom] = self.pad;
        let found = Self::multiply(&self.transposed, &slopes.contiguous());
        let [rows, columns] = self.windows.output.map(|size| size as i64);
        let found = found.reshape([count, channels, self.windows.len() as i64, rows, columns]);
        let size = [count, channels, height + top + bottom, width + left + right];
        let into = Tensor::zeros(size, (Dtype::Float, slopes.device()));
        self.windows.add(&into, (0..self.windows.len()).map(|tap| found.select(2, tap as i64)));
        into.narrow(2, top, height).narrow(3, left, width).contiguous()
    }

    fn scratch(&self) -> usize {
        self.scratch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dq_net::{Range, Shape, Wire};
    use ndarray::Array4;
    use tch::Device;

    /// Returns a layer of two outputs over `taps` inputs of a level of 8 bits, whose weights' magnitudes add up
    /// to `sum`, and its surroundings.
    fn layer(taps: usize, sum: usize, most: i64) -> (Conv, Site) {
        let weight = |tap: usize| (sum / taps + usize::from(tap < sum % taps)) as i8;
        let weights = Array4::from_shape_fn((2, 1, 1, taps), |(o, _, _, tap)| match o {
            0 => weight(tap),
            _ => -weight(tap),
        });
        let conv = Conv { weights, weight_bits: 8, stride: [1; 2], pad: [0; 4], pad_level: 0, groups: 1 };
        let wire = |channels, range| Wire { shape: Shape::new(1, 1, channels), range };
        let input = wire(taps, Range::new(0, most));
        let range = Range::new(-(sum as i64) * most, sum as i64 * most);
        (conv, Site { device: Device::Cpu, inputs: vec![input], output: wire(2, range) })
    }

    fn sums(conv: &Conv, site: &Site, number: Number) -> Vec<f64> {
        let (taps, most) = (conv.weights.dim().3 as i64, site.most() as f64);
        let levels = Tensor::full([1, taps, 1, 1], most, (Dtype::Float, Device::Cpu));
        let found = Product::new(conv, site, number).forward(&[&levels]).to_kind(Dtype::Double);
        Vec::try_from(found.reshape([-1])).expect("one dimension")
    }

    /// Sums of 2^24 are exact in f32. One weight more, and they are not: f64 is chosen.
    #[test]
    fn floats_change_where_sums_pass_what_f32_holds() {
        // 2^24 = 257 · 65281 - 1 has no divisor but powers of two: the level is 2^8.
        for (most, sum, number_wanted) in [
            (256, 1 << 16, Number::Single),
            (256, (1 << 16) + 1, Number::Double),
            (255, 65_793, Number::Single), // 2^24 - 1
            (255, 65_794, Number::Double),
        ] {
            let (conv, site) = layer(1024, sum, most);
            assert_eq!(Number::of_weights(&conv.weights, site.most()), number_wanted, "{sum}");
            let wanted = sum as f64 * most as f64;
            assert_eq!(sums(&conv, &site, number_wanted), [wanted, -wanted], "{sum}");
        }
        // f32 is refused for a reason: an odd sum above 2^24 is no number that it has.
        let (conv, site) = layer(1024, 65_795, 255);
        let wanted = 65_795.0 * 255.0;
        assert_eq!(sums(&conv, &site, Number::of_weights(&conv.weights, site.most())), [wanted, -wanted]);
        assert_ne!(sums(&conv, &site, Number::Single), [wanted, -wanted]);
    }
}
