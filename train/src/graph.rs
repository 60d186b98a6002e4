//! The training graph: a list of named nodes in topological order, node for node what the integer network will hold.
//! Built from a recipe and the shape of the data; holds no tensors.

use anyhow::{Result, ensure};

use crate::recipe::{Architecture, Model};

/// One node. `inputs` are indices of earlier nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Unique name; parameters are called `NAME.weight` and so on.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Where its inputs come from.
    pub inputs: Vec<usize>,
}

/// What a node computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Convolution, stride 1, zero padding `kernel / 2`, no bias.
    Conv {
        /// Input channels.
        inputs: usize,
        /// Output channels.
        outputs: usize,
        /// Square kernel.
        kernel: usize,
    },
    /// Fully connected, no bias.
    Dense {
        /// Input channels.
        inputs: usize,
        /// Output channels.
        outputs: usize,
    },
    /// Batch norm, ReLU6, quantizer.
    Step {
        /// Channels in and out.
        channels: usize,
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
        /// Input channels.
        inputs: usize,
        /// Classes.
        classes: usize,
    },
}

impl Op {
    /// Shape of the weights: out × in (× kernel × kernel), if this kind has any.
    pub fn weight_shape(&self) -> Option<Vec<i64>> {
        let shape: &[usize] = match *self {
            Op::Conv { inputs, outputs, kernel } => &[outputs, inputs, kernel, kernel],
            Op::Dense { inputs, outputs } | Op::Logits { inputs, classes: outputs } => &[outputs, inputs],
            Op::Input { .. } | Op::Step { .. } | Op::MaxPool | Op::GlobalSum { .. } => return None,
        };
        Some(shape.iter().map(|&n| n as i64).collect())
    }
}

/// Builds the graph of `model` for images of height × width × channels and `classes` classes.
///
/// # Errors
/// Where the image is too small for that many pools.
pub fn build(model: &Model, shape: [usize; 3], classes: usize) -> Result<Vec<Node>> {
    match model.architecture {
        Architecture::Vgg => vgg(model, shape, classes),
    }
}

/// Convolutions in blocks, each ended by a max pool; global sum; hidden dense layers; logits.
fn vgg(model: &Model, [height, width, channels]: [usize; 3], classes: usize) -> Result<Vec<Node>> {
    let pools = model.blocks.len();
    ensure!(
        height >> pools > 0 && width >> pools > 0,
        "`model.blocks`: {pools} blocks halve a {height}×{width} image to nothing"
    );
    let mut nodes = Vec::new();
    let mut push = |name: String, op: Op| {
        let inputs = nodes.len().checked_sub(1).into_iter().collect();
        nodes.push(Node { name, op, inputs });
    };
    push("input".to_owned(), Op::Input { height, width, channels });
    let mut inputs = channels;
    for (b, block) in model.blocks.iter().enumerate() {
        for (i, &outputs) in block.iter().enumerate() {
            let place = format!("{}_{}", b + 1, i + 1);
            push(format!("conv{place}"), Op::Conv { inputs, outputs, kernel: model.kernel });
            push(format!("step{place}"), Op::Step { channels: outputs });
            inputs = outputs;
        }
        push(format!("pool{}", b + 1), Op::MaxPool);
    }
    push("sum".to_owned(), Op::GlobalSum { positions: (height >> pools) * (width >> pools) });
    for (i, &outputs) in model.dense.iter().enumerate() {
        push(format!("dense{}", i + 1), Op::Dense { inputs, outputs });
        push(format!("dense{}_step", i + 1), Op::Step { channels: outputs });
        inputs = outputs;
    }
    push("logits".to_owned(), Op::Logits { inputs, classes });
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vgg_names_and_shapes() {
        let model = Model { blocks: vec![vec![4, 5], vec![6]], dense: vec![7], ..Model::default() };
        let nodes = build(&model, [9, 8, 3], 10).unwrap();
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
        assert!(build(&model, [3, 8, 3], 10).unwrap_err().to_string().contains("`model.blocks`"));
    }
}
