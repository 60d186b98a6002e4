//! Evaluates the network with one node's output changed, as a circuit does whose registers are as wide as
//! their wires: a value that does not fit wraps.

use super::{Engine, Keep};
use crate::tensor::Tensor;
use ndarray::{Array3, ArrayView3, ArrayView4};

impl Engine {
    /// Computes the scores of a block of images where `change(image, values)` has changed the output of node
    /// `node` (height × width × channels of each image).
    pub(crate) fn changed_scores(
        &self,
        images: ArrayView4<u8>,
        node: usize,
        change: impl Fn(usize, &mut [i32]),
    ) -> Vec<i32> {
        let count = images.dim().0;
        let mut values = self.execute(images, Keep::All);
        let mut words = values[node].take().expect("all are kept").into_words();
        let length = self.network.wire(node).shape.len();
        words.chunks_exact_mut(length).enumerate().for_each(|(image, values)| change(image, values));
        let mut changed = vec![false; values.len()];
        let mut out_of_range = vec![false; values.len()];
        (values[node], out_of_range[node]) = self.registers(node, words);
        changed[node] = true;
        for i in node + 1..values.len() {
            let sources = self.network.sources(i);
            changed[i] = sources.iter().any(|&source| changed[source]);
            if !changed[i] {
                continue;
            }
            // The fast layers rely on their inputs' ranges; the reference meaning does not.
            if sources.iter().any(|&source| out_of_range[source]) {
                let words = self.meant_words(i, &values, count);
                (values[i], out_of_range[i]) = self.registers(i, words);
            } else {
                values[i] = Some(self.run_node(i, images, &values));
            }
        }
        values.pop().flatten().expect("the last node is kept").into_words()
    }

    /// Computes node `i` of `count` images by `dq_net`'s own plain loops.
    fn meant_words(&self, i: usize, values: &[Option<Tensor>], count: usize) -> Vec<i32> {
        let input = |image: usize, source: usize| -> Array3<i32> {
            let shape = self.network.wire(source).shape;
            let value = values[source].as_ref().expect("all are kept");
            let first = image * shape.len();
            let elements = (first..first + shape.len()).map(|at| value.get(at)).collect();
            Array3::from_shape_vec(shape.dim(), elements).expect("counted")
        };
        let mut words = Vec::with_capacity(count * self.network.wire(i).shape.len());
        for image in 0..count {
            let sources = self.network.sources(i).iter();
            let inputs: Vec<Array3<i32>> = sources.map(|&source| input(image, source)).collect();
            let views: Vec<ArrayView3<i32>> = inputs.iter().map(|input| input.view()).collect();
            words.extend(self.network.nodes()[i].layer.kind().eval(&views));
        }
        words
    }

    /// Returns `words` as registers of node `i`'s wire hold them, and whether any lies outside the wire's
    /// range.
    fn registers(&self, i: usize, mut words: Vec<i32>) -> (Option<Tensor>, bool) {
        let range = self.network.wire(i).range;
        let up = 32 - range.bits();
        for word in &mut words {
            let low = (*word as u32) << up;
            *word = if range.signed() { low as i32 >> up } else { (low >> up) as i32 };
        }
        let is_outside = words.iter().any(|&word| !range.contains(word.into()));
        (Some(if is_outside { Tensor::Words(words) } else { Tensor::narrow(words, range) }), is_outside)
    }
}
