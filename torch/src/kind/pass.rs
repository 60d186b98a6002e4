//! Defines what a kind of layer answers, and what passes through a node in either direction. Tensors are batch
//! × channels × height × width.

use crate::number::{Number, magnitude};
use dq_net::Wire;
use tch::{Device, Kind as Dtype, Tensor};

/// Describes the surroundings of one node.
pub(crate) struct Site {
    /// Where it is computed.
    pub device: Device,
    /// One wire per input; that of the input node is its own.
    pub inputs: Vec<Wire>,
    pub output: Wire,
}

impl Site {
    /// Returns what libtorch calls the floats of the node's output.
    pub fn out(&self) -> Dtype {
        Number::holding(magnitude(self.output.range)).kind()
    }

    /// Returns the largest magnitude of the first input.
    pub fn most(&self) -> i64 {
        magnitude(self.inputs[0].range)
    }

    /// Lays one whole number per channel along a feature map, in floats that hold them.
    pub fn channels(&self, values: impl Iterator<Item = i64>, number: Number) -> Tensor {
        let values: Vec<f64> = values.map(|value| value as f64).collect();
        self.along_channels(&values, number.kind())
    }

    /// Lays one factor of slopes per channel along a feature map.
    pub fn factors(&self, values: impl Iterator<Item = f64>) -> Tensor {
        self.along_channels(&values.collect::<Vec<f64>>(), Dtype::Float)
    }

    fn along_channels(&self, values: &[f64], dtype: Dtype) -> Tensor {
        Tensor::from_slice(values).to_kind(dtype).to_device(self.device).reshape([-1, 1, 1])
    }
}

/// Answers for a kind of layer.
pub(crate) trait Kind {
    /// Prepares the node's passes.
    fn pass(&self, site: &Site) -> Box<dyn Pass>;
}

/// Computes one node.
pub(crate) trait Pass: Send {
    /// Computes the output from those of the inputs: whole numbers, in the floats of [`Site::out`].
    fn forward(&self, inputs: &[&Tensor]) -> Tensor;

    /// Computes the gradient of input `port` (f32) from the slopes of the output and the inputs' values.
    fn backward(&self, slopes: &Tensor, inputs: &[&Tensor], port: usize) -> Tensor;

    /// Returns how many bytes the node needs for one image beside its output, in either direction.
    fn scratch(&self) -> usize {
        0
    }
}

/// Keeps the slopes where `is_open`, and gives 0 elsewhere.
pub(crate) fn where_open(slopes: Tensor, is_open: &Tensor) -> Tensor {
    slopes.masked_fill(&is_open.logical_not(), 0.0)
}
