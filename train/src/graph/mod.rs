//! Builds the training graph: a list of named nodes in topological order, node for node what the integer
//! network will hold. It is built from a recipe and the shape of the data, and holds no tensors. One file per
//! family of networks builds the nodes, each with its own bits. Model, evaluation, export and proof know the
//! kinds of node; none knows an architecture.

mod chain;
mod residual;

use anyhow::{Result, bail, ensure};

use crate::node::bit_depth::BitDepth;
use crate::node::conv::Conv;
use crate::node::dense::Dense;
use crate::node::global_sum::GlobalSum;
use crate::node::input::Input;
use crate::node::logits::Logits;
use crate::node::max_pool::MaxPool;
use crate::node::median::Median;
use crate::node::mix::{Mix, Shares};
use crate::node::norm::Norm;
use crate::node::rescale::Rescale;
use crate::node::step::Step;
use crate::node::{Node, Op};
use crate::recipe::{Architecture, BitWidths, Model, Normalization, Squeeze};

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
        Architecture::Strided => chain::strided(&mut graph, model)?,
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

/// Returns rows and columns of each node's output.
pub fn sizes(nodes: &[Node]) -> Vec<[usize; 2]> {
    let mut sizes: Vec<[usize; 2]> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let input = node.inputs.first().map_or([1, 1], |&i| sizes[i]);
        sizes.push(node.op.kind().size(input));
    }
    sizes
}

/// Returns the last node that reads each node's output (itself where none does), from what each node reads.
pub fn last_uses<'a>(inputs: impl Iterator<Item = &'a [usize]>) -> Vec<usize> {
    let mut last = Vec::new();
    for (i, sources) in inputs.enumerate() {
        last.push(i);
        sources.iter().for_each(|&source| last[source] = i);
    }
    last
}

/// Sets what `bits.layers` says of single nodes.
fn set_bits(nodes: &mut [Node], bits: &BitWidths) -> Result<()> {
    for (name, &bits) in &bits.layers {
        let place = match name.as_str() {
            "first" => nodes.iter().position(|n| n.op.kind().weights().is_some()),
            "last" => nodes.len().checked_sub(1),
            name => nodes.iter().position(|n| n.name == name && n.op.kind().bits().is_some()),
        };
        let Some(place) = place else {
            let known: Vec<&str> =
                nodes.iter().filter(|n| n.op.kind().bits().is_some()).map(|n| n.name.as_str()).collect();
            bail!("`bits.layers.{name}`: expected `first`, `last` or one of {}", known.join(", "));
        };
        *nodes[place].op.kind_mut().bits_mut().expect("has bits") = bits;
    }
    Ok(())
}

/// Holds a graph that is being built: nodes are appended after the last one, or after the one that `at`
/// names.
struct Graph<'a> {
    model: &'a Model,
    bits: &'a BitWidths,
    nodes: Vec<Node>,
    at: Place,
}

/// Names a node's output.
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
            op: Input { height, width, channels }.into(),
            inputs: vec![],
        }];
        let mut graph = Graph { model, bits, nodes, at: Place { node: 0, height, width, channels } };
        if squeeze.bits < 8 {
            graph.push("bit_depth".to_owned(), BitDepth { bits: squeeze.bits });
        }
        if squeeze.median {
            graph.push("median".to_owned(), Median);
        }
        graph
    }

    fn push(&mut self, name: String, op: impl Into<Op>) -> Place {
        let inputs = vec![self.at.node];
        self.at.node = self.nodes.len();
        self.nodes.push(Node { name, op: op.into(), inputs });
        self.at
    }

    /// Appends a convolution: `kernel` rows and columns, `stride`, `pad`.
    fn conv(&mut self, name: String, outputs: usize, [kernel, stride, pad]: [usize; 3]) -> Result<()> {
        let Place { height, width, channels: inputs, .. } = self.at;
        let conv = Conv { inputs, outputs, kernel, stride, pad, bits: self.bits.weights };
        let Some([out_height, out_width]) = conv.output([height, width]) else {
            bail!("`{name}`: a kernel of {kernel}×{kernel} does not fit a map of {height}×{width}");
        };
        self.push(name, conv);
        (self.at.height, self.at.width, self.at.channels) = (out_height, out_width, outputs);
        Ok(())
    }

    fn dense(&mut self, name: String, outputs: usize) {
        let inputs = self.at.height * self.at.width * self.at.channels;
        self.push(name, Dense { inputs, outputs, bits: self.bits.weights });
        (self.at.height, self.at.width, self.at.channels) = (1, 1, outputs);
    }

    fn step(&mut self, name: String, norm: Norm) -> Place {
        let (channels, activation, bits) = (self.at.channels, self.model.activation, self.bits.activations);
        self.push(name, Step { channels, norm, activation, bits })
    }

    fn rescale(&mut self, name: String, norm: Norm) -> Place {
        self.push(name, Rescale { channels: self.at.channels, norm, bits: self.model.stream_bits })
    }

    /// Appends the mix of `skip` and the last node.
    fn mix(&mut self, name: String, skip: Place, shares: Shares) -> Place {
        let branch = self.at.node;
        self.push(name, Mix { shares, bits: self.model.stream_bits });
        self.nodes.last_mut().expect("just pushed").inputs = vec![skip.node, branch];
        self.at
    }

    fn max_pool(&mut self, name: String) -> Result<()> {
        let Place { height, width, .. } = self.at;
        ensure!(
            height > 1 && width > 1,
            "`{name}`: a map of {height}×{width} cannot be halved: the network has too many pools for \
             these images"
        );
        self.push(name, MaxPool);
        (self.at.height, self.at.width) = (height / 2, width / 2);
        Ok(())
    }

    fn global_sum(&mut self) {
        self.push("sum".to_owned(), GlobalSum { positions: self.at.height * self.at.width });
        (self.at.height, self.at.width) = (1, 1);
    }

    fn logits(&mut self, classes: usize) {
        let inputs = self.at.height * self.at.width * self.at.channels;
        let bound = (self.model.normalization == Normalization::Aol).then_some(self.model.lipschitz);
        self.push("logits".to_owned(), Logits { inputs, classes, bits: self.bits.weights, bound });
    }

    /// Returns what stands behind weights.
    fn norm(&self) -> Norm {
        match self.model.normalization {
            Normalization::Batch => Norm::Batch,
            Normalization::Aol => Norm::Aol,
        }
    }

    /// Returns what stands behind a residual stream: its values are bounded already where weights are
    /// rescaled.
    fn stream_norm(&self) -> Norm {
        match self.model.normalization {
            Normalization::Batch => Norm::Batch,
            Normalization::Aol => Norm::None,
        }
    }

    /// Returns the family's `channels` at the recipe's width.
    fn scaled(&self, channels: usize) -> usize {
        ((channels as f64 * self.model.width).round() as usize).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Bits;

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
        assert_eq!(nodes[3].op.kind().weights().unwrap().shape, [5, 4, 3, 3]);
        assert_eq!(nodes[9].op, GlobalSum { positions: 4 }.into());
        assert_eq!(nodes[12].inputs, [11]);
        assert!(graph(&model, [3, 8, 3]).unwrap_err().to_string().contains("`pool2`"));
    }

    #[test]
    fn strided_names_and_shapes() {
        let architecture = Architecture::Strided;
        let model =
            Model { architecture, blocks: vec![vec![4, 5], vec![6]], dense: vec![7], ..Model::default() };
        let nodes = graph(&model, [9, 8, 3]).unwrap();
        let names: Vec<&str> = nodes.iter().map(|n| n.name.as_str()).collect();
        let expected = ["input", "conv1_1", "step1_1", "conv1_2", "step1_2", "conv2_1", "step2_1"];
        assert_eq!(names[..7], expected);
        assert_eq!(names[7..], ["dense1", "dense1_step", "logits"]);
        assert_eq!(sizes(&nodes)[..7], [[9, 8], [9, 8], [9, 8], [5, 4], [5, 4], [3, 2], [3, 2]]);
        assert_eq!(nodes[7].op.kind().weights().unwrap().shape, [7, 36]);
    }

    /// Parameters of the published networks: WRN-28-10 has 36.5 M, WRN-16-4 2.7 M, ResNet-18 for CIFAR 11.2
    /// M.
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
            let weights = nodes.iter().filter_map(|n| n.op.kind().weights());
            let found = weights.map(|w| w.shape.iter().product::<i64>()).sum::<i64>() as f64 / 1e6;
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
        let bits_of = |name: &str| nodes.iter().find(|n| n.name == name).unwrap().op.kind().bits();
        assert_eq!(bits_of("conv1_1"), Some(Bits::Int(8)));
        assert_eq!(bits_of("logits"), Some(Bits::Int(6)));
        assert_eq!(bits_of("step1_2"), Some(Bits::Int(2)));
        assert_eq!(bits_of("conv1_2"), Some(Bits::Int(4)));
        bits.layers.insert("conv9".to_owned(), Bits::Int(2));
        let error = build(&Model::default(), Squeeze::default(), &bits, [32, 32, 3], 10).unwrap_err();
        assert!(error.to_string().contains("`bits.layers.conv9`: expected"), "{error}");
    }
}
