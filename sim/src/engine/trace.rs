//! Runs images forward so that slopes can be carried back.

use super::Engine;
use crate::buffers;
use crate::tensor::Tensor;
use ndarray::ArrayView4;

/// Holds what a block of images leaves behind for the way back.
pub(crate) struct Trace {
    /// Every node's output, but for those of which only a gate behind them is to be known.
    values: Vec<Option<Tensor>>,
    /// Where slopes pass, of the gates behind those.
    open: Vec<Option<Vec<u8>>>,
}

impl Trace {
    /// Holds every node's output.
    pub fn whole(values: Vec<Tensor>) -> Self {
        let open = values.iter().map(|_| None).collect();
        Self { values: values.into_iter().map(Some).collect(), open }
    }

    /// Returns the values of node `i`, if they are there.
    pub fn value(&self, i: usize) -> Option<&Tensor> {
        self.values[i].as_ref()
    }

    /// Returns the scores.
    pub fn last(&self) -> &Tensor {
        self.values.last().and_then(Option::as_ref).expect("no gate is behind the last node")
    }

    /// Returns where slopes pass node `i`, if it is a gate and its input is not there.
    pub fn open(&self, i: usize) -> Option<&[u8]> {
        self.open[i].as_deref()
    }

    /// Gives its memory back.
    pub fn give(self) {
        self.values.into_iter().flatten().for_each(Tensor::give);
        self.open.into_iter().flatten().for_each(buffers::give);
    }
}

impl Engine {
    /// Runs one block and returns what its way back needs.
    pub(crate) fn trace(&self, images: ArrayView4<u8>) -> Trace {
        let mut trace = Trace { values: Vec::with_capacity(self.nodes.len()), open: vec![] };
        for (i, node) in self.nodes.iter().enumerate() {
            let source = self.network.sources(i).first().filter(|&&source| self.nodes[source].is_gated);
            let (value, open) = match (source, node.forward.gate()) {
                _ if node.is_gated => (None, None),
                (Some(&source), Some(gate)) => {
                    let feed = self.feed(source, &trace.values);
                    let (value, open) = gate.run(&node.site, &feed, images.dim().0);
                    (Some(value), Some(open))
                }
                _ => (Some(self.run_node(i, images, &trace.values)), None),
            };
            trace.values.push(value);
            trace.open.push(open);
        }
        trace
    }
}
