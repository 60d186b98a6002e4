//! Holds a network on a device of libtorch, and shows it to attacks as the circuit that it is.

use crate::kind::{Pass, Site, kind};
use crate::number::{Number, magnitude};
use dq_net::layer::Input;
use dq_net::{Network, Shape, random};
use dq_sim::attack::suite::{Circuit, Judge, Verdict};
use dq_sim::report::Model;
use dq_sim::{Engine, GradientSource, Loss, LossGradient};
use ndarray::{Array2, Array4, ArrayView4, Axis, s};
use std::sync::Mutex;
use tch::{Device, Kind, Tensor};

/// Most images in a block, and bytes that a block may need, on a GPU and on a CPU.
const BLOCKS: [(usize, usize); 2] = [(64, 4 << 30), (8, 256 << 20)];
/// Number of images on which libtorch is held against the engine beforehand.
const PROBES: usize = 4;

/// Says why a network cannot be computed on a device of libtorch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It computes something else than the engine.
    #[error("{engine}: node `{node}`: expected {expected}, as the engine has, found {found}")]
    Inexact {
        /// What computed.
        engine: String,
        /// The first node that differs.
        node: String,
        /// The engine's value.
        expected: i32,
        /// The value found.
        found: i32,
    },
    /// It has too little memory.
    #[error("{engine}: expected {megabytes} MB of free memory, which the network needs, found less")]
    Memory {
        /// What was to compute.
        engine: String,
        /// What a block of images needs.
        megabytes: usize,
    },
}

/// Holds an integer network on a device of libtorch.
pub struct TorchEngine {
    network: Network,
    device: Device,
    /// Number of images that are computed at once.
    block: usize,
    /// Bytes that one image needs.
    bytes: usize,
    /// The nodes' passes. One call computes at a time: libtorch uses all of the device for it.
    passes: Mutex<Vec<Box<dyn Pass>>>,
}

impl TorchEngine {
    /// Puts `network` on `device`, and compares every node of a few images with the engine.
    ///
    /// # Errors
    /// If a node differs: libtorch does not compute exactly on this device. If the device has too little memory
    /// for one block of images.
    pub fn new(network: &Network, device: Device) -> Result<Self, Unusable> {
        let found = Self::unchecked(network, device);
        found.reserve(found.block * found.bytes)?;
        found.check(&Engine::new(network))?;
        Ok(found)
    }

    fn unchecked(network: &Network, device: Device) -> Self {
        let nodes = network.nodes().iter().enumerate();
        let pass = |(i, node): (usize, &dq_net::Node)| {
            let output = network.wire(i);
            let inputs = match network.sources(i) {
                [] => vec![output],
                sources => sources.iter().map(|&source| network.wire(source)).collect(),
            };
            kind(&node.layer).pass(&Site { device, inputs, output })
        };
        let passes: Vec<Box<dyn Pass>> = nodes.map(pass).collect();
        let bytes = |i: usize| {
            let wire = network.wire(i);
            // Slopes are as many as values.
            wire.shape.len() * (4 + Number::holding(magnitude(wire.range)).kind().elt_size_in_bytes())
        };
        let values: usize = (0..passes.len()).map(bytes).sum();
        // The windows of one layer are there twice: as they are read, and as a slope's.
        let scratch = passes.iter().map(|pass| 2 * pass.scratch()).max().unwrap_or(0);
        let (most, budget) = BLOCKS[usize::from(device == Device::Cpu)];
        let bytes = values + scratch;
        let block = (budget / bytes).clamp(1, most);
        Self { network: network.clone(), device, block, bytes, passes: Mutex::new(passes) }
    }

    /// Takes so much memory and gives it back: libtorch keeps it for what follows.
    fn reserve(&self, bytes: usize) -> Result<(), Unusable> {
        let found = Tensor::f_empty([bytes as i64], (Kind::Uint8, self.device));
        found.map(drop).map_err(|_| Unusable::Memory { engine: self.told(), megabytes: bytes >> 20 })
    }

    /// Compares every node of a few images with those of `engine`.
    fn check(&self, engine: &Engine) -> Result<(), Unusable> {
        let images = random::images(1, PROBES, self.network.input());
        let (found, expected) = (self.nodes(images.view()), engine.nodes(images.view()));
        for (node, (found, expected)) in self.network.nodes().iter().zip(found.iter().zip(&expected)) {
            if let Some((&found, &expected)) = found.iter().zip(expected).find(|(a, b)| a != b) {
                let (engine, node) = (self.told(), node.name.clone());
                return Err(Unusable::Inexact { engine, node, expected, found });
            }
        }
        Ok(())
    }

    /// Returns what reports call it.
    fn told(&self) -> String {
        let device = match self.device {
            Device::Cpu => "CPU",
            Device::Cuda(_) => "CUDA",
            Device::Mps => "Metal",
            Device::Vulkan => "Vulkan",
        };
        format!("libtorch on {device}")
    }

    /// Returns the network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Computes every node's output for a batch of images (batch × height × width × channels), in node order:
    /// for comparing engines.
    ///
    /// # Panics
    /// If the images are not of the network's input shape, or have levels that its input has not.
    pub fn nodes(&self, images: ArrayView4<u8>) -> Vec<Array4<i32>> {
        self.check_images(images);
        let empty = |i: usize| {
            let (height, width, channels) = self.network.wire(i).shape.dim();
            Array4::zeros((0, height, width, channels))
        };
        let mut all: Vec<Array4<i32>> = (0..self.network.nodes().len()).map(empty).collect();
        for block in images.axis_chunks_iter(Axis(0), self.block) {
            let passes = self.passes.lock().expect("no call panics");
            for ((i, value), all) in self.values(&passes, block, true).iter().enumerate().zip(&mut all) {
                let value = value.as_ref().expect("all are kept");
                let value = to_maps(value, self.network.wire(i).shape).mapv(|v| v as i32);
                all.append(Axis(0), value.view()).expect("maps of one shape");
            }
        }
        all
    }

    fn check_images(&self, images: ArrayView4<u8>) {
        let (_, height, width, channels) = images.dim();
        assert_eq!((height, width, channels), self.network.input_shape().dim(), "image shape");
        self.network.input().check_images(images).unwrap_or_else(|fault| panic!("{fault}"));
    }

    /// Runs one block. Keeps every node's output, or the last one's alone.
    fn values(&self, passes: &[Box<dyn Pass>], images: ArrayView4<u8>, keep: bool) -> Vec<Option<Tensor>> {
        let shape: Vec<i64> = images.shape().iter().map(|&size| size as i64).collect();
        let bytes: Vec<u8> = images.iter().copied().collect();
        let pixels = Tensor::from_data_size(&bytes, &shape, Kind::Uint8).to_device(self.device);
        let pixels = pixels.permute([0, 3, 1, 2]);
        let mut values: Vec<Option<Tensor>> = Vec::with_capacity(passes.len());
        for (i, pass) in passes.iter().enumerate() {
            let sources = self.network.sources(i);
            let inputs =
                sources.iter().map(|&source| values[source].as_ref().expect("a value is kept until read"));
            let inputs: Vec<&Tensor> = if i == 0 { vec![&pixels] } else { inputs.collect() };
            let value = pass.forward(&inputs);
            values.push(Some(value));
            for &source in sources.iter().filter(|_| !keep) {
                if self.network.readers(source).last() == Some(&i) {
                    values[source] = None;
                }
            }
        }
        values
    }

    /// Computes the scores of one block: image × class.
    fn block_scores(&self, passes: &[Box<dyn Pass>], images: ArrayView4<u8>) -> Array2<i32> {
        let mut values = self.values(passes, images, false);
        let scores = values.pop().flatten().expect("the last node has no reader");
        self.to_scores(&scores)
    }

    /// Returns the scores that `values` of the last node are.
    fn to_scores(&self, values: &Tensor) -> Array2<i32> {
        let scores: Vec<i32> = numbers(values).into_iter().map(|score| score as i32).collect();
        let classes = self.network.classes();
        Array2::from_shape_vec((scores.len() / classes, classes), scores).expect("a score a class")
    }

    /// Carries the slopes of the scores (batch × classes × 1 × 1) back to those of the pixels.
    fn backward(&self, passes: &[Box<dyn Pass>], values: &[Option<Tensor>], slopes: Tensor) -> Tensor {
        let mut gradients: Vec<Option<Tensor>> = values.iter().map(|_| None).collect();
        *gradients.last_mut().expect("checked: not empty") = Some(slopes);
        for i in (1..values.len()).rev() {
            // The scores depend on no node whose slopes are missing.
            let Some(slopes) = gradients[i].take() else { continue };
            let sources = self.network.sources(i);
            let inputs: Vec<&Tensor> =
                sources.iter().map(|&source| values[source].as_ref().expect("all are kept")).collect();
            for (port, &source) in sources.iter().enumerate() {
                let found = passes[i].backward(&slopes, &inputs, port);
                gradients[source] = Some(match gradients[source].take() {
                    Some(before) => before + found,
                    None => found,
                });
            }
        }
        gradients.swap_remove(0).expect("the scores depend on the image")
    }

    /// Computes losses, gradient and logits of one block, whose first image is image `first` of the loss.
    ///
    /// The block is filled up with black images: every sum of slopes is then computed in the same way
    /// whatever the batch, and a gradient does not depend on what else is asked for with it.
    fn block_gradient(
        &self,
        first: usize,
        images: ArrayView4<u8>,
        labels: &[u8],
        loss: Loss,
    ) -> LossGradient {
        let (count, classes) = (labels.len(), self.network.classes());
        let (_, height, width, channels) = images.dim();
        let mut filled = Array4::zeros((self.block, height, width, channels));
        filled.slice_mut(s![..count, .., .., ..]).assign(&images);
        let passes = self.passes.lock().expect("no call panics");
        let values = self.values(&passes, filled.view(), true);
        let scores = self.to_scores(values.last().and_then(Option::as_ref).expect("all are kept"));
        let scale = self.network.logits().scale;
        let logits = scores.slice(s![..count, ..]).mapv(|score| f64::from(score) * scale);
        let mut losses = Vec::with_capacity(count);
        let mut slopes = vec![0f32; self.block * classes];
        for (i, (&label, slopes)) in labels.iter().zip(slopes.chunks_exact_mut(classes)).enumerate() {
            let (value, slope) = loss.of(first + i, &logits.row(i).to_vec(), label.into());
            losses.push(value);
            slopes.iter_mut().zip(slope).for_each(|(to, slope)| *to = (slope * scale) as f32);
        }
        let slopes = Tensor::from_slice(&slopes).to_device(self.device);
        let found = self.backward(&passes, &values, slopes.reshape([-1, classes as i64, 1, 1]));
        let gradient = to_maps(&found.narrow(0, 0, count as i64), self.network.input_shape());
        LossGradient { losses, gradient: gradient.mapv(|slope| slope as f32), logits }
    }
}

/// Returns a tensor's numbers, row-major.
fn numbers(values: &Tensor) -> Vec<f64> {
    let values = values.to_kind(Kind::Double).to_device(Device::Cpu).reshape([-1]);
    Vec::try_from(values).expect("one dimension of f64")
}

/// Returns feature maps of `shape` as arrays have them, channels last.
fn to_maps(values: &Tensor, shape: Shape) -> Array4<f64> {
    let (height, width, channels) = shape.dim();
    let count = values.size()[0] as usize;
    let values = numbers(&values.permute([0, 2, 3, 1]).contiguous());
    Array4::from_shape_vec((count, height, width, channels), values).expect("counted")
}

impl GradientSource for TorchEngine {
    fn input(&self) -> Input {
        self.network.input()
    }

    fn classes(&self) -> usize {
        self.network.classes()
    }

    fn engine(&self) -> Option<String> {
        Some(self.told())
    }

    fn loss_gradient(&self, images: ArrayView4<u8>, labels: &[u8], loss: Loss) -> LossGradient {
        self.check_images(images);
        assert_eq!(labels.len(), images.dim().0, "one label per image");
        let mut all = LossGradient {
            losses: vec![],
            gradient: Array4::zeros(images.raw_dim()),
            logits: Array2::zeros((labels.len(), self.classes())),
        };
        let blocks = images.axis_chunks_iter(Axis(0), self.block).zip(labels.chunks(self.block));
        for (b, (images, labels)) in blocks.enumerate() {
            let first = b * self.block;
            let found = self.block_gradient(first, images, labels, loss);
            let own = first..first + labels.len();
            all.losses.extend(found.losses);
            all.gradient.slice_mut(s![own.clone(), .., .., ..]).assign(&found.gradient);
            all.logits.slice_mut(s![own, ..]).assign(&found.logits);
        }
        all
    }

    fn real_logits(&self, images: ArrayView4<u8>) -> Array2<f64> {
        let scale = self.network.logits().scale;
        self.scores(images).mapv(|score| f64::from(score) * scale)
    }
}

impl Judge for TorchEngine {
    fn judge(&self, images: ArrayView4<u8>) -> Vec<Verdict> {
        self.scores(images).rows().into_iter().map(Verdict::of).collect()
    }

    fn model(&self) -> Model {
        Model::of(&self.network)
    }
}

impl Circuit for TorchEngine {
    fn scores(&self, images: ArrayView4<u8>) -> Array2<i32> {
        self.check_images(images);
        let mut all = Array2::zeros((0, self.classes()));
        for images in images.axis_chunks_iter(Axis(0), self.block) {
            let passes = self.passes.lock().expect("no call panics");
            all.append(Axis(0), self.block_scores(&passes, images).view()).expect("a score a class");
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dq_net::Layer;

    /// A network on libtorch is handed out only where every node has the engine's values.
    #[test]
    fn what_computes_something_else_is_refused() {
        let network = random::network(3, &random::Options::default());
        let engine = TorchEngine::unchecked(&network, Device::Cpu);
        assert_eq!(engine.check(&Engine::new(&network)), Ok(()));
        let mut nodes = network.nodes().to_vec();
        let last = nodes.last_mut().expect("not empty");
        let Layer::Logits(logits) = &mut last.layer else { unreachable!("the last node") };
        logits.bias[0] += 1;
        let name = last.name.clone();
        let other = Network::new("other", nodes).expect("a bias more");
        let error = engine.check(&Engine::new(&other)).expect_err("another bias");
        let Unusable::Inexact { node, expected, found, .. } = &error else { panic!("{error}") };
        assert_eq!((node.as_str(), expected - found), (name.as_str(), 1));
        assert!(
            error.to_string().starts_with(&format!("libtorch on CPU: node `{name}`: expected ")),
            "{error}"
        );
    }

    #[test]
    fn too_little_memory_is_an_error() {
        let network = random::network(3, &random::Options::default());
        let engine = TorchEngine::unchecked(&network, Device::Cpu);
        assert_eq!(engine.reserve(engine.block * engine.bytes), Ok(()));
        let error = engine.reserve(1 << 60).expect_err("an exabyte");
        assert!(error.to_string().starts_with("libtorch on CPU: expected 1099511627776 MB of free memory"));
    }
}
