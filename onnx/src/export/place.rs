//! Where a layer stands among the tensors of the graph: names, shapes, and whether they are maps or vectors.

use super::write::{DOUBLE, FLOAT, Tensor, Writer};
use dq_net::layer::Layer;
use dq_net::{Network, Shape};

/// Where a layer stands: its name, those of its inputs, and what they are.
pub struct Place<'a> {
    /// Name of the layer, and of what it makes.
    pub name: &'a str,
    /// Names of the tensors that it reads.
    pub inputs: Vec<String>,
    /// Shape of the first input.
    pub from: Shape,
    /// Whether it reads vectors, not maps.
    pub is_vector: bool,
    /// What it makes.
    pub made: Tensor,
}

impl<'a> Place<'a> {
    /// Returns the place of node `i`; a vector that it reads as a map becomes one.
    pub fn new(w: &mut Writer, network: &'a Network, i: usize) -> Self {
        let node = &network.nodes()[i];
        let made = network.wire(i).shape;
        // Scores are a vector whatever they are made of.
        let dims = match is_vector(network, i) || matches!(node.layer, Layer::Logits(_)) {
            true => vec![1, made.len()],
            false => vec![1, made.channels, made.height, made.width],
        };
        let mut place = Place {
            name: &node.name,
            inputs: node.inputs.clone(),
            from: network.wire(network.sources(i).first().copied().unwrap_or(i)).shape,
            is_vector: reads_vectors(network, i),
            made: Tensor { name: node.name.clone(), element: FLOAT, dims },
        };
        maps(w, network, i, &mut place);
        place
    }

    /// Returns the name of something of this layer.
    pub fn named(&self, what: &str) -> String {
        format!("{}_{what}", self.name)
    }

    /// Describes a tensor of float32 in between, in the shape `dims`.
    pub fn floats(&self, what: &str, dims: &[usize]) -> Tensor {
        Tensor { name: self.named(what), element: FLOAT, dims: dims.to_vec() }
    }

    /// Describes a tensor of float32 in between, in the shape of what the layer makes.
    pub fn part(&self, what: &str) -> Tensor {
        self.floats(what, &self.made.dims)
    }

    /// Describes a tensor of float64 in between, in the shape of what the layer makes.
    pub fn wide(&self, what: &str) -> Tensor {
        Tensor { element: DOUBLE, ..self.part(what) }
    }

    /// Shape of a constant with one number per channel.
    pub fn per_channel(&self, channels: usize) -> Vec<usize> {
        if self.is_vector { vec![1, channels] } else { vec![1, channels, 1, 1] }
    }
}

/// Returns whether node `i` makes a vector: a dense layer, and what reads only vectors element by element.
fn is_vector(network: &Network, i: usize) -> bool {
    match &network.nodes()[i].layer {
        Layer::Dense(_) => true,
        layer => !needs_map(layer) && reads_vectors(network, i),
    }
}

/// Returns whether all that node `i` reads are vectors.
fn reads_vectors(network: &Network, i: usize) -> bool {
    let sources = network.sources(i);
    !sources.is_empty() && sources.iter().all(|&source| is_vector(network, source))
}

/// Returns whether a layer is an operator on height and width.
fn needs_map(layer: &Layer) -> bool {
    matches!(
        layer,
        Layer::Conv(_) | Layer::MaxPool(_) | Layer::SumPool(_) | Layer::GlobalSum(_) | Layer::Median(_)
    )
}

/// Gives vectors a height and width of 1 where node `i` works on these, or reads a map beside them.
fn maps(w: &mut Writer, network: &Network, i: usize, place: &mut Place) {
    if needs_map(&network.nodes()[i].layer) {
        place.is_vector = false;
    }
    if place.is_vector || matches!(network.nodes()[i].layer, Layer::Dense(_) | Layer::Logits(_)) {
        return;
    }
    for (input, &source) in network.sources(i).iter().enumerate() {
        if is_vector(network, source) {
            let map = place.floats("map", &[1, network.wire(source).shape.len(), 1, 1]);
            let axes = w.integers(place.named("map_axes"), &[2, 3]);
            w.op("Unsqueeze", &[&place.inputs[input], &axes], &map, vec![]);
            place.inputs[input] = map.name;
        }
    }
}
