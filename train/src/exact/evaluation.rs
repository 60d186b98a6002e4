//! Builds the float evaluation graph: the trained network as it is exported, in f64 on integer-valued
//! tensors. Sums of magnitudes of products are checked to stay below 2^53, so accumulators are exact whatever
//! the order of summation; where they stay below 2^24, as they nearly always do, f32 is as exact and ten
//! times faster on a CPU, and convolves. Node for node it is the integer network. Quantizers aside, it never
//! rounds anything that is not a whole number already.

use anyhow::Result;
use dq_data::Images;
use dq_net::Range;
use ndarray::{Array2, Array4};
use tch::{Device, Kind, Reduction, Tensor, no_grad};

use crate::fit::batch;
use crate::fit::model::Model;
use crate::node::Node;
use crate::node::kind::{Exact, Facts, Frozen, Place, Source};
use crate::recipe::Bits;
use crate::tensor::{Tensors, vector};

/// Number of images that are evaluated at once.
pub(super) const CHUNK: usize = 10;

/// Holds the float evaluation graph of one run at one bit width.
#[derive(Debug)]
pub struct Evaluation {
    /// Nodes in topological order: the training graph's, with the last one split into `classifier` and
    /// `logits`.
    pub(super) nodes: Vec<ExactNode>,
    /// Height, width and channels of the image.
    image: [usize; 3],
    /// Whether all weights and activations are quantized; otherwise residual streams are real too.
    integer: bool,
    device: Device,
}

/// Holds one node.
#[derive(Debug)]
pub(super) struct ExactNode {
    /// Its name in the exported network.
    pub name: String,
    /// What it computes.
    pub op: Box<dyn Exact>,
    /// The nodes that it reads, as indices of earlier ones.
    pub inputs: Vec<usize>,
    /// The known facts about its output.
    pub facts: Facts,
}

impl ExactNode {
    fn source(&self) -> Source<'_> {
        Source { facts: &self.facts, sums: self.op.sums() }
    }
}

impl Evaluation {
    /// Makes the graph of trained parameters and the f64 statistics (`NODE.mean`, `NODE.var`) of every
    /// normalization.
    ///
    /// # Errors
    /// Where accumulators would outgrow 2^30, or their sums of magnitudes 2^53.
    pub(crate) fn new(
        model: &Model,
        statistics: &Tensors,
        image: [usize; 3],
        device: Device,
    ) -> Result<Evaluation> {
        let integer = model.nodes.iter().all(|node| node.op.kind().bits() != Some(Bits::Float));
        let mut evaluation = Evaluation { nodes: Vec::new(), image, integer, device };
        for node in &model.nodes {
            let frozen = evaluation.frozen(model, node, statistics);
            let before = node.op.kind().exact_before(&frozen);
            let op = node.op.kind().exact(&frozen);
            let mut inputs = node.inputs.clone();
            if let Some((name, op)) = before {
                evaluation.push(name, op, inputs)?;
                inputs = vec![evaluation.nodes.len() - 1];
            }
            evaluation.push(&node.name, op, inputs)?;
        }
        Ok(evaluation)
    }

    /// Says where `node` of `model` stands, for its exact twin.
    fn frozen<'a>(&'a self, model: &'a Model, node: &'a Node, statistics: &'a Tensors) -> Frozen<'a> {
        Frozen {
            name: &node.name,
            values: &model.values,
            statistics,
            source: node.inputs.first().map(|&i| self.nodes[i].source()),
            integer: self.integer,
            image: self.image,
            device: self.device,
        }
    }

    /// Returns whether every value in it is a whole number: it can be exported as an integer network.
    pub(super) fn is_integer(&self) -> bool {
        self.integer
    }

    /// Returns the scores of every image, image × class: whole accumulator units where weights and
    /// activations are quantized. One unit is [`scale`](Self::scale).
    pub fn scores(&self, images: &Images) -> Array2<f64> {
        let indices: Vec<usize> = (0..images.len()).collect();
        let mut scores = Vec::new();
        for chunk in indices.chunks(CHUNK) {
            let pixels = batch::pixels(images, chunk, Kind::Double, self.device);
            let outputs = no_grad(|| self.outputs(&pixels));
            scores.extend(vector(outputs.last().expect("a graph has nodes")));
        }
        let classes = scores.len() / images.len().max(1);
        Array2::from_shape_vec((images.len(), classes), scores).expect("image × class")
    }

    /// Returns the cross entropy of every image's real logits for its label, and its gradient by the pixel
    /// values (0…255), image × height × width × channels: autograd's, straight through the quantizers.
    pub fn loss_gradient(&self, images: &Images) -> (Vec<f64>, Array4<f64>) {
        let indices: Vec<usize> = (0..images.len()).collect();
        let (mut losses, mut gradients) = (Vec::new(), Vec::new());
        for chunk in indices.chunks(CHUNK) {
            let pixels = batch::pixels(images, chunk, Kind::Double, self.device).set_requires_grad(true);
            let scores = self.outputs(&pixels).pop().expect("a graph has nodes");
            let labels = batch::labels(images, chunk, self.device);
            let logits = scores * self.scale();
            let each = logits.cross_entropy_loss(&labels, None::<Tensor>, Reduction::None, -100, 0.0);
            each.sum(Kind::Double).backward();
            losses.extend(vector(&each.detach()));
            gradients.extend(vector(&pixels.grad().permute([0, 2, 3, 1])));
        }
        let gradients = Array4::from_shape_vec(images.pixels.dim(), gradients).expect("a slope per pixel");
        (losses, gradients)
    }

    /// Returns the real logit of one unit of a score.
    pub fn scale(&self) -> f64 {
        self.nodes.last().and_then(|node| node.op.scale()).unwrap_or(1.0)
    }

    /// Returns every node's output for raw pixels, batch × channels × height × width, f64.
    pub(super) fn outputs(&self, pixels: &Tensor) -> Vec<Tensor> {
        let mut outputs: Vec<Tensor> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let inputs: Vec<&Tensor> = match node.inputs[..] {
                [] => vec![pixels],
                ref sources => sources.iter().map(|&i| &outputs[i]).collect(),
            };
            let output = node.op.compute(&node.facts, &inputs);
            outputs.push(output);
        }
        outputs
    }

    /// Says where node `i` stands in the exported network.
    pub(super) fn place(&self, i: usize) -> Place<'_> {
        let node = &self.nodes[i];
        let sources = node.inputs.iter().map(|&i| self.nodes[i].source()).collect();
        Place { name: &node.name, facts: &node.facts, sources }
    }

    /// Returns where it is computed.
    pub(super) fn device(&self) -> Device {
        self.device
    }

    /// Gives node `i` the constants that follow from other statistics of `node`, its twin in `model`; it and
    /// the nodes behind it then have other ranges.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(super) fn renormalize(
        &mut self,
        i: usize,
        (model, node): (&Model, &Node),
        statistics: &Tensors,
    ) -> Result<()> {
        self.nodes[i].op = node.op.kind().exact(&self.frozen(model, node, statistics));
        for j in i..self.nodes.len() {
            let node = &self.nodes[j];
            // A layer with weights reads levels, whose range follows from their bits.
            if node.op.sums().is_some() {
                continue;
            }
            let ranges: Option<Vec<Range>> = node.inputs.iter().map(|&s| self.nodes[s].facts.range).collect();
            self.nodes[j].facts.range = node.op.range(&node.name, ranges.as_deref())?;
        }
        Ok(())
    }

    fn push(&mut self, name: &str, op: Box<dyn Exact>, inputs: Vec<usize>) -> Result<()> {
        let sources: Vec<&Facts> = inputs.iter().map(|&i| &self.nodes[i].facts).collect();
        let ranges: Option<Vec<Range>> = sources.iter().map(|facts| facts.range).collect();
        let first = sources.first();
        let (unit, offset) = op.unit(&sources);
        let facts = Facts {
            range: op.range(name, ranges.as_deref())?,
            unit,
            offset,
            reach: op.reach(&sources),
            flat: op.is_flat(first.is_some_and(|facts| facts.flat)),
            // A GPU may compute f32 with reduced precision, so f64 is used there.
            format: match self.device {
                Device::Cpu => op.number_format(first.and_then(|facts| facts.range)),
                _ => Kind::Double,
            },
        };
        self.nodes.push(ExactNode { name: name.to_owned(), op, inputs, facts });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph;
    use crate::random::{Stream, bits, normal};
    use crate::recipe::Recipe;

    /// Whole networks, of random weights and of those that training starts from, quantizers left out: no two
    /// images' logits move apart by more than the recipe says.
    #[test]
    fn logits_keep_their_bound() {
        for architecture in [
            "architecture = \"vgg\", blocks = [[6, 5], [8]]",
            "architecture = \"mlp\", dense = [9, 7]",
            "architecture = \"wrn\", depth = 10, width = 0.25",
            "architecture = \"resnet\", depth = 8, width = 0.25, residual = \"add\"",
        ] {
            let text = format!(
                "data.set = \"cifar10\"\nbits = {{activations = \"float\"}}\nsqueeze.median = true\n\
                 model = {{normalization = \"aol\", lipschitz = 3.0, {architecture}}}"
            );
            let recipe = Recipe::parse(&text, "test", &[]).unwrap();
            let nodes = graph::build(&recipe.model, recipe.squeeze, &recipe.bits, [8, 8, 3], 4).unwrap();
            let mut model = Model::new(nodes, &recipe.bits, 5, Device::Cpu);
            let image = |seed: u64| -> Tensor {
                let draw = |i| (bits(seed, Stream::Probe(0), i) % 256) as f64;
                Tensor::from_slice(&(0..192).map(draw).collect::<Vec<f64>>()).reshape([1, 3, 8, 8])
            };
            let check = |model: &Model| {
                let evaluation =
                    Evaluation::new(model, &model.values.statistics, [8, 8, 3], Device::Cpu).unwrap();
                let logits = |x: &Tensor| evaluation.outputs(x).pop().unwrap() * evaluation.scale();
                let ratios = (0..20).map(|seed| {
                    let a = image(seed);
                    let b = if seed % 2 == 0 {
                        image(seed + 100)
                    } else {
                        (&a + image(seed + 100) / 64.0).floor()
                    };
                    let moved = (logits(&a) - logits(&b)).norm().double_value(&[]);
                    moved / ((a - b).norm().double_value(&[]) / 255.0)
                });
                let largest = ratios.fold(0.0, f64::max);
                assert!(largest <= 3.0 && largest > 1e-9, "{architecture}: {largest}");
            };
            // The statistics are those of the images, as training leaves them.
            let batch = Tensor::cat(&(0..16).map(image).collect::<Vec<_>>(), 0).to_kind(Kind::Float);
            for _ in 0..60 {
                let _ = tch::no_grad(|| model.forward(&batch, true));
            }
            check(&model);
            for (i, tensor) in model.values.parameters.values_mut().enumerate() {
                let n = tensor.numel() as u64;
                let draw = |k| normal(9, Stream::Weights(i as u64), k) as f32;
                let drawn =
                    Tensor::from_slice(&(0..n).map(draw).collect::<Vec<f32>>()).reshape(tensor.size());
                // The shares of a residual lie on the simplex.
                if n != 2 {
                    tch::no_grad(|| tensor.copy_(&drawn));
                }
            }
            check(&model);
        }
    }
}
