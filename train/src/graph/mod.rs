//! The training graph: a list of named nodes in topological order, node for node what the integer network will hold.
//! Built from a recipe and the shape of the data; holds no tensors. One file a family of networks.

mod chain;
mod residual;

use anyhow::{Result, bail, ensure};
use dq_net::layer::window::Axis;

use crate::recipe::{Activation, Architecture, BitWidths, Bits, Model, Normalization, Squeeze};

/// One node. `inputs` are indices of earlier nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Unique name; parameters are called `NAME.weight` and so on.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Where its inputs come from.
    pub inputs: Vec<usize>,
}

/// What a node computes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Op {
    /// uint8 pixels.
    Input {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Channels.
        channels: usize,
    },
    /// Pixels at fewer bits.
    BitDepth {
        /// Bits of a level.
        bits: u32,
    },
    /// 2×2 median.
    Median,
    /// Convolution, zero padding on every side, no bias.
    Conv {
        /// Input channels.
        inputs: usize,
        /// Output channels.
        outputs: usize,
        /// Square kernel.
        kernel: usize,
        /// Rows and columns between two windows.
        stride: usize,
        /// Padding on each side.
        pad: usize,
        /// Bits of a weight.
        bits: Bits,
    },
    /// Fully connected over the feature map in stream order (channels fastest), no bias.
    Dense {
        /// Input elements.
        inputs: usize,
        /// Output channels.
        outputs: usize,
        /// Bits of a weight.
        bits: Bits,
    },
    /// Normalization, activation, quantizer.
    Step {
        /// Channels in and out.
        channels: usize,
        /// What stands before it.
        norm: Norm,
        /// What is quantized.
        activation: Activation,
        /// Bits of a level.
        bits: Bits,
    },
    /// Normalization into the fixed-point residual stream.
    Rescale {
        /// Channels in and out.
        channels: usize,
        /// What stands before it.
        norm: Norm,
        /// Bits of the stream.
        bits: u32,
    },
    /// Two residual streams, skip first, become one.
    Mix {
        /// In which shares.
        shares: Shares,
        /// Bits of the stream.
        bits: u32,
    },
    /// 2×2 maximum, stride 2; an odd last row or column is dropped.
    MaxPool,
    /// Sum over all positions.
    GlobalSum {
        /// How many positions are summed.
        positions: usize,
    },
    /// Fully connected with bias: the scores.
    Logits {
        /// Input elements.
        inputs: usize,
        /// Classes.
        classes: usize,
        /// Bits of a weight.
        bits: Bits,
        /// How many times further than the image they move at most, where all weights are rescaled.
        bound: Option<f64>,
    },
}

/// What stands before an activation or the residual stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norm {
    /// Batch normalization with gain and bias.
    Batch,
    /// The mean taken away, almost-orthogonal rescaling by the weights that the node reads from, one factor for all
    /// channels, a bias.
    Aol,
    /// None: the real value.
    None,
}

/// Shares of a residual's two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shares {
    /// Learned, on the simplex.
    Learned,
    /// Plain addition: the skip is the mean of so many terms, the result of one more. Its real value is their sum.
    Sum {
        /// Terms in the skip, at least 1.
        terms: usize,
    },
}

impl Op {
    /// Shape of the weights: out × in (× kernel × kernel), if this kind has any.
    pub fn weight_shape(&self) -> Option<Vec<i64>> {
        let shape: &[usize] = match *self {
            Op::Conv { inputs, outputs, kernel, .. } => &[outputs, inputs, kernel, kernel],
            Op::Dense { inputs, outputs, .. } | Op::Logits { inputs, classes: outputs, .. } => {
                &[outputs, inputs]
            }
            _ => return None,
        };
        Some(shape.iter().map(|&n| n as i64).collect())
    }

    /// Channels that are normalized by what is measured of them, and how, if this node does.
    pub fn normalized(&self) -> Option<(usize, Norm)> {
        match *self {
            Op::Step { channels, norm, .. } | Op::Rescale { channels, norm, .. } if norm != Norm::None => {
                Some((channels, norm))
            }
            _ => None,
        }
    }

    /// Bits of its weights or levels, where a recipe sets them.
    pub fn bits(&self) -> Option<Bits> {
        match *self {
            Op::Conv { bits, .. }
            | Op::Dense { bits, .. }
            | Op::Step { bits, .. }
            | Op::Logits { bits, .. } => Some(bits),
            _ => None,
        }
    }

    fn bits_mut(&mut self) -> Option<&mut Bits> {
        match self {
            Op::Conv { bits, .. }
            | Op::Dense { bits, .. }
            | Op::Step { bits, .. }
            | Op::Logits { bits, .. } => Some(bits),
            _ => None,
        }
    }
}

/// Builds the graph of `model` for images of height × width × channels and `classes` classes.
///
/// # Errors
/// Where the image is too small for the network, or `bits.layers` names no layer.
pub fn build(
    model: &Model,
    squeeze: Squeeze,
    bits: &BitWidths,
    shape: [usize; 3],
    classes: usize,
) -> Result<Vec<Node>> {
    let mut graph = Graph::new(model, squeeze, bits, shape);
    match model.architecture {
        Architecture::Vgg => chain::vgg(&mut graph, model)?,
        Architecture::Cnv => chain::cnv(&mut graph, model)?,
        Architecture::Mlp => chain::mlp(&mut graph, model),
        Architecture::Wrn => residual::wrn(&mut graph, model)?,
        Architecture::Resnet => residual::resnet(&mut graph, model)?,
    }
    graph.logits(classes);
    let mut nodes = graph.nodes;
    set_bits(&mut nodes, bits)?;
    Ok(nodes)
}

/// Rows and columns of each node's output.
pub fn sizes(nodes: &[Node]) -> Vec<[usize; 2]> {
    let mut sizes: Vec<[usize; 2]> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let input = node.inputs.first().map_or([1, 1], |&i| sizes[i]);
        sizes.push(match node.op {
            Op::Input { height, width, .. } => [height, width],
            Op::Conv { kernel, stride, pad, .. } => {
                input.map(|n| axis(kernel, stride, pad).output(n, "map").expect("checked when it was built"))
            }
            Op::MaxPool => input.map(|n| n / 2),
            Op::Dense { .. } | Op::GlobalSum { .. } | Op::Logits { .. } => [1, 1],
            Op::BitDepth { .. } | Op::Median | Op::Step { .. } | Op::Rescale { .. } | Op::Mix { .. } => input,
        });
    }
    sizes
}

/// The last node that reads each node's output (itself where none does), from what each node reads.
pub fn last_uses<'a>(inputs: impl Iterator<Item = &'a [usize]>) -> Vec<usize> {
    let mut last = Vec::new();
    for (i, sources) in inputs.enumerate() {
        last.push(i);
        sources.iter().for_each(|&source| last[source] = i);
    }
    last
}

/// Windows of a square convolution along rows or columns.
fn axis(kernel: usize, stride: usize, pad: usize) -> Axis {
    Axis { kernel, stride, before: pad, after: pad }
}

/// Sets what `bits.layers` says of single nodes.
fn set_bits(nodes: &mut [Node], bits: &BitWidths) -> Result<()> {
    for (name, &bits) in &bits.layers {
        let place = match name.as_str() {
            "first" => nodes.iter().position(|n| n.op.weight_shape().is_some()),
            "last" => nodes.len().checked_sub(1),
            name => nodes.iter().position(|n| n.name == name && n.op.bits().is_some()),
        };
        let Some(place) = place else {
            let known: Vec<&str> =
                nodes.iter().filter(|n| n.op.bits().is_some()).map(|n| n.name.as_str()).collect();
            bail!("`bits.layers.{name}`: expected `first`, `last` or one of {}", known.join(", "));
        };
        *nodes[place].op.bits_mut().expect("has bits") = bits;
    }
    Ok(())
}

/// A graph being built: nodes are appended after the last one, or after the one that `at` names.
struct Graph<'a> {
    model: &'a Model,
    bits: &'a BitWidths,
    nodes: Vec<Node>,
    at: Place,
}

/// A node's output.
#[derive(Debug, Clone, Copy)]
struct Place {
    node: usize,
    height: usize,
    width: usize,
    channels: usize,
}

impl<'a> Graph<'a> {
    /// Starts with the image and what squeezes it.
    fn new(model: &'a Model, squeeze: Squeeze, bits: &'a BitWidths, shape: [usize; 3]) -> Graph<'a> {
        let [height, width, channels] = shape;
        let nodes = vec![Node {
            name: "input".to_owned(),
            op: Op::Input { height, width, channels },
            inputs: vec![],
        }];
        let mut graph = Graph { model, bits, nodes, at: Place { node: 0, height, width, channels } };
        if squeeze.bits < 8 {
            graph.push("bit_depth".to_owned(), Op::BitDepth { bits: squeeze.bits });
        }
        if squeeze.median {
            graph.push("median".to_owned(), Op::Median);
        }
        graph
    }

    fn push(&mut self, name: String, op: Op) -> Place {
        let inputs = vec![self.at.node];
        self.at.node = self.nodes.len();
        self.nodes.push(Node { name, op, inputs });
        self.at
    }

    fn conv(&mut self, name: String, outputs: usize, kernel: usize, stride: usize, pad: usize) -> Result<()> {
        let Place { height, width, channels: inputs, .. } = self.at;
        let axis = axis(kernel, stride, pad);
        let (Ok(out_height), Ok(out_width)) = (axis.output(height, "map"), axis.output(width, "map")) else {
            bail!("`{name}`: a kernel of {kernel}×{kernel} does not fit a map of {height}×{width}");
        };
        self.push(name, Op::Conv { inputs, outputs, kernel, stride, pad, bits: self.bits.weights });
        (self.at.height, self.at.width, self.at.channels) = (out_height, out_width, outputs);
        Ok(())
    }

    fn dense(&mut self, name: String, outputs: usize) {
        let inputs = self.at.height * self.at.width * self.at.channels;
        self.push(name, Op::Dense { inputs, outputs, bits: self.bits.weights });
        (self.at.height, self.at.width, self.at.channels) = (1, 1, outputs);
    }

    fn step(&mut self, name: String, norm: Norm) -> Place {
        let (channels, activation, bits) = (self.at.channels, self.model.activation, self.bits.activations);
        self.push(name, Op::Step { channels, norm, activation, bits })
    }

    fn rescale(&mut self, name: String, norm: Norm) -> Place {
        self.push(name, Op::Rescale { channels: self.at.channels, norm, bits: self.model.stream_bits })
    }

    /// Of `skip` and the last node.
    fn mix(&mut self, name: String, skip: Place, shares: Shares) -> Place {
        let branch = self.at.node;
        self.push(name, Op::Mix { shares, bits: self.model.stream_bits });
        self.nodes.last_mut().expect("just pushed").inputs = vec![skip.node, branch];
        self.at
    }

    fn max_pool(&mut self, name: String) -> Result<()> {
        let Place { height, width, .. } = self.at;
        ensure!(
            height > 1 && width > 1,
            "`{name}`: a map of {height}×{width} cannot be halved: the network has too many pools for these images"
        );
        self.push(name, Op::MaxPool);
        (self.at.height, self.at.width) = (height / 2, width / 2);
        Ok(())
    }

    fn global_sum(&mut self) {
        self.push("sum".to_owned(), Op::GlobalSum { positions: self.at.height * self.at.width });
        (self.at.height, self.at.width) = (1, 1);
    }

    fn logits(&mut self, classes: usize) {
        let inputs = self.at.height * self.at.width * self.at.channels;
        let bound = (self.model.normalization == Normalization::Aol).then_some(self.model.lipschitz);
        self.push("logits".to_owned(), Op::Logits { inputs, classes, bits: self.bits.weights, bound });
    }

    /// What stands behind weights.
    fn norm(&self) -> Norm {
        match self.model.normalization {
            Normalization::Batch => Norm::Batch,
            Normalization::Aol => Norm::Aol,
        }
    }

    /// What stands behind a residual stream: its values are bounded already where weights are rescaled.
    fn stream_norm(&self) -> Norm {
        match self.model.normalization {
            Normalization::Batch => Norm::Batch,
            Normalization::Aol => Norm::None,
        }
    }

    /// The family's `channels` at the recipe's width.
    fn scaled(&self, channels: usize) -> usize {
        ((channels as f64 * self.model.width).round() as usize).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(model: &Model, shape: [usize; 3]) -> Result<Vec<Node>> {
        build(model, Squeeze::default(), &BitWidths::default(), shape, 10)
    }

    #[test]
    fn vgg_names_and_shapes() {
        let model = Model { blocks: vec![vec![4, 5], vec![6]], dense: vec![7], ..Model::default() };
        let nodes = graph(&model, [9, 8, 3]).unwrap();
        let names: Vec<&str> = nodes.iter().map(|n| n.name.as_str()).collect();
        let expected = [
            "input",
            "conv1_1",
            "step1_1",
            "conv1_2",
            "step1_2",
            "pool1",
            "conv2_1",
            "step2_1",
            "pool2",
            "sum",
            "dense1",
            "dense1_step",
            "logits",
        ];
        assert_eq!(names, expected);
        assert_eq!(nodes[3].op.weight_shape(), Some(vec![5, 4, 3, 3]));
        assert_eq!(nodes[9].op, Op::GlobalSum { positions: 4 });
        assert_eq!(nodes[12].inputs, [11]);
        assert!(graph(&model, [3, 8, 3]).unwrap_err().to_string().contains("`pool2`"));
    }

    /// Parameters of the published networks: WRN-28-10 has 36.5 M, WRN-16-4 2.7 M, ResNet-18 for CIFAR 11.2 M.
    #[test]
    fn published_sizes() {
        for (architecture, depth, width, millions) in [
            (Architecture::Wrn, 28, 10.0, 36.5),
            (Architecture::Wrn, 16, 4.0, 2.7),
            (Architecture::Resnet, 18, 1.0, 11.2),
            (Architecture::Resnet, 20, 1.0, 0.27),
            (Architecture::Cnv, 0, 1.0, 1.5),
        ] {
            let dense = if architecture == Architecture::Cnv { vec![512, 512] } else { vec![] };
            let model = Model { architecture, depth, width, dense, ..Model::default() };
            let nodes = graph(&model, [32, 32, 3]).unwrap();
            let weights = nodes.iter().filter_map(|n| n.op.weight_shape());
            let found = weights.map(|s| s.iter().product::<i64>()).sum::<i64>() as f64 / 1e6;
            assert!((found - millions).abs() < 0.04 * millions, "{architecture:?}-{depth}: {found} M");
        }
    }

    #[test]
    fn bits_are_set_by_name() {
        let mut bits = BitWidths::default();
        for (name, value) in [("first", 8), ("last", 6), ("step1_2", 2)] {
            bits.layers.insert(name.to_owned(), Bits::Int(value));
        }
        let nodes = build(&Model::default(), Squeeze::default(), &bits, [32, 32, 3], 10).unwrap();
        let of = |name: &str| nodes.iter().find(|n| n.name == name).unwrap().op.bits();
        assert_eq!(of("conv1_1"), Some(Bits::Int(8)));
        assert_eq!(of("logits"), Some(Bits::Int(6)));
        assert_eq!(of("step1_2"), Some(Bits::Int(2)));
        assert_eq!(of("conv1_2"), Some(Bits::Int(4)));
        bits.layers.insert("conv9".to_owned(), Bits::Int(2));
        let error = build(&Model::default(), Squeeze::default(), &bits, [32, 32, 3], 10).unwrap_err();
        assert!(error.to_string().contains("`bits.layers.conv9`: expected"), "{error}");
    }
}
