//! Computes a Conv: windows times weights, by the integer kernels.

use super::pass::{Backward, Bounds, Forward, Kind, Locality, Part, Site, Twin};
use super::relax::Relax;
use super::relax::weights::Weights;
use super::weighted::{SIGNS, centred};
use crate::linear::{FixedLinear, Linear, PartLinear, Precision, RealLinear};
use crate::region::Region;
use crate::tensor::Tensor;
use dq_net::FloatLayer;
use dq_net::float::layer as float;
use dq_net::layer::Conv;

impl Kind for Conv {
    fn forward(&self, site: &Site) -> Box<dyn Forward> {
        Box::new(Linear::conv(site.kernel, self, site.input(), site.output.shape))
    }

    fn bounds(&self, site: &Site) -> Bounds {
        let (kernel, output) = (site.kernel, site.output.shape);
        if let Some([twice, apart]) = centred(site, self.weights.iter()) {
            let sums = Conv { pad_level: 2 * self.pad_level, ..self.clone() };
            let sizes = Conv { weights: self.weights.mapv(i8::abs), pad_level: 0, ..self.clone() };
            let layers = [(sums, twice), (sizes, apart)];
            return Bounds::Centred(Box::new(
                layers.map(|(layer, input)| Linear::conv(kernel, &layer, input, output)),
            ));
        }
        let half = |sign: fn(i8) -> i8| {
            let half = Conv { weights: self.weights.mapv(sign), ..self.clone() };
            Linear::conv(kernel, &half, site.input(), output)
        };
        Bounds::Signed(Box::new(SIGNS.map(half)))
    }

    fn relaxation(&self, site: &Site) -> Option<Box<dyn Relax>> {
        let (input, output) = (site.input(), site.output.shape);
        let padding = (self.pad_level != 0).then(|| {
            let zeros = Tensor::narrow(vec![0; input.shape.len()], input.range);
            Linear::conv(site.kernel, self, input, output).sums(site.kernel, &zeros, 1)
        });
        let transposed = FixedLinear::conv(site.kernel, self, input.shape, output);
        Some(Box::new(Weights { transposed, padding }))
    }

    fn backward(&self, site: &Site, precision: Precision) -> Box<dyn Backward> {
        let (input, output) = (site.input().shape, site.output.shape);
        match precision {
            Precision::Int16 => Box::new(FixedLinear::conv(site.kernel, self, input, output)),
            Precision::Float => {
                let weights = self.weights.mapv(f32::from);
                let (axes, groups) = (self.axes(), self.groups);
                Box::new(RealLinear::conv_transposed(weights.view(), input, output, axes, groups))
            }
        }
    }

    fn locality(&self, site: &Site) -> Locality {
        // Wider levels are rare: they are summed as a whole.
        if !Tensor::is_bytes(site.input().range) {
            return Locality::Whole;
        }
        let part = PartLinear::new(site.kernel, self, site.input(), site.output.shape);
        Locality::Windows { axes: self.axes(), part: Box::new(part) }
    }

    /// A float layer is padded with 0: where another level is, the level is taken off before and its share of
    /// each sum put on behind.
    fn twin(&self, site: &Site) -> Twin {
        let conv = FloatLayer::Conv(float::Conv {
            weights: self.weights.mapv(f32::from),
            stride: self.stride,
            pad: self.pad,
            groups: self.groups,
        });
        if self.pad_level == 0 {
            return Twin::one(conv);
        }
        let level = self.pad_level as f32;
        let channels = site.input().shape.channels;
        let off = float::Affine { scale: vec![1.0; channels], bias: vec![-level; channels] };
        let sums =
            self.weights.outer_iter().map(|weights| weights.iter().map(|&w| f32::from(w)).sum::<f32>());
        let bias: Vec<f32> = sums.map(|sum| level * sum).collect();
        let on = float::Affine { scale: vec![1.0; bias.len()], bias };
        Twin::chain(vec![FloatLayer::Affine(off), conv, FloatLayer::Affine(on)])
    }

    /// Computes `Σ slope · input` over all output pixels, in plain loops: the search for harmful bit flips
    /// asks a few times per flip.
    fn weight_slopes(&self, site: &Site, input: &Tensor, slopes: &[f32]) -> Vec<f32> {
        let (from, to) = (site.input().shape, site.output.shape);
        let (outputs, kernel_rows, kernel_columns, per_group) = self.weights.dim();
        let (rows, columns) = self.axes();
        let levels: Vec<f32> = input.words().iter().map(|&v| v as f32).collect();
        let padding = vec![self.pad_level as f32; from.channels];
        let mut found = vec![0.0; self.weights.len()];
        let window = kernel_rows * kernel_columns * per_group;
        for (slopes, levels) in slopes.chunks_exact(to.len()).zip(levels.chunks_exact(from.len())) {
            for (pixel, slopes) in slopes.chunks_exact(outputs).enumerate() {
                let (oy, ox) = (pixel / to.width, pixel % to.width);
                let taps = (0..kernel_rows).flat_map(|ky| (0..kernel_columns).map(move |kx| (ky, kx)));
                for (tap, (ky, kx)) in taps.enumerate() {
                    let place = rows.tap(oy, ky, from.height).zip(columns.tap(ox, kx, from.width));
                    let levels = match place {
                        Some((y, x)) => &levels[(y * from.width + x) * from.channels..][..from.channels],
                        None if self.pad_level == 0 => continue,
                        None => &padding[..],
                    };
                    for (o, &slope) in slopes.iter().enumerate().filter(|(_, slope)| **slope != 0.0) {
                        let group = o / (outputs / self.groups) * per_group;
                        let into = &mut found[o * window + tap * per_group..][..per_group];
                        into.iter_mut().zip(&levels[group..]).for_each(|(to, &level)| *to += slope * level);
                    }
                }
            }
        }
        found
    }
}

impl Part for PartLinear {
    fn run(&self, site: &Site, input: &Tensor, region: &Region) -> Tensor {
        let Tensor::Bytes(levels) = input else { unreachable!("only levels that are bytes have parts") };
        Tensor::narrow(self.run(site.kernel, levels, region), site.output.range)
    }
}
