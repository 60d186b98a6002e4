//! Computes the scores of images that differ in a few pixels from one whose values are known: of each node
//! only the pixels that those reach, and nothing behind a node that stays as it was. The scores are those of
//! [`Engine::scores`].

use super::{BLOCK, Engine, Node};
use crate::kind::{Feed, Locality, Site};
use crate::region::Region;
use crate::tensor::Tensor;
use dq_net::Shape;
use ndarray::{ArrayView3, ArrayView4, Axis};

/// Remembers an image and the values of all nodes at it, and can take in another one.
pub(crate) struct NearImage<'e> {
    engine: &'e Engine,
    /// Every node's output for the image that was asked about last, but for nodes that are fused.
    values: Vec<Option<Tensor>>,
    /// What turns these into the values at the remembered image, the last change first to be undone: node,
    /// pixels and their values.
    changes: Vec<(usize, Region, Tensor)>,
}

impl<'e> NearImage<'e> {
    /// Remembers `image`. Returns `None` where its values would take too much memory.
    pub fn new(engine: &'e Engine, image: ArrayView3<u8>) -> Option<Self> {
        let values = || engine.execute(image.insert_axis(Axis(0)), super::Keep::Stored);
        (engine.block == BLOCK).then(|| Self { engine, values: values(), changes: vec![] })
    }

    /// Computes the scores of `image`.
    pub fn scores(&mut self, image: ArrayView3<u8>) -> Vec<i32> {
        for (i, region, before) in std::mem::take(&mut self.changes).into_iter().rev() {
            let shape = self.shape(i);
            region.put(shape, self.stored_mut(i), &before);
        }
        let batch = image.insert_axis(Axis(0));
        let mut changed: Vec<Option<Region>> = vec![None; self.values.len()];
        let pixels = Tensor::of_pixels(image);
        changed[0] = self.take(0, Region::whole(self.shape(0)), pixels);
        for i in 1..self.values.len() {
            let Some(region) = self.reached(i, &changed) else { continue };
            changed[i] = if self.engine.nodes[i].is_fused {
                Some(region)
            } else if 2 * region.pixels() > self.shape(i).height * self.shape(i).width {
                let whole = self.engine.run_node(i, batch, &self.values);
                self.take(i, Region::whole(self.shape(i)), whole)
            } else {
                let part = self.part(i, &region, batch);
                self.take(i, region, part)
            };
        }
        let last = self.values.last().and_then(Option::as_ref).expect("the last node is not fused");
        last.words().into_owned()
    }

    /// Remembers the image that was asked about last instead.
    pub fn move_on(&mut self) {
        self.changes.clear();
    }

    fn shape(&self, i: usize) -> Shape {
        self.engine.nodes[i].site.output.shape
    }

    fn stored_mut(&mut self, i: usize) -> &mut Tensor {
        self.values[i].as_mut().expect("only fused nodes are not stored")
    }

    fn stored(&self, i: usize) -> &Tensor {
        self.values[i].as_ref().expect("only fused nodes are not stored")
    }

    /// Puts `part` in place of what node `i` has in `region`. Returns where that changes it, if it does.
    fn take(&mut self, i: usize, region: Region, part: Tensor) -> Option<Region> {
        let shape = self.shape(i);
        let before = region.of(shape, self.stored(i));
        let differing = region.put(shape, self.stored_mut(i), &part);
        if differing.is_some() {
            self.changes.push((i, region, before));
        }
        differing
    }

    /// Returns the pixels of node `i` that may change where its inputs have `changed`.
    fn reached(&self, i: usize, changed: &[Option<Region>]) -> Option<Region> {
        let sources = self.engine.network.sources(i).iter();
        let from = sources.filter_map(|&source| changed[source].clone()).reduce(|a, b| a.join(&b))?;
        match &self.engine.localities()[i] {
            Locality::Whole => Some(Region::whole(self.shape(i))),
            Locality::Pixels => Some(from),
            Locality::Windows { axes: (rows, columns), .. } => from.seen_by(*rows, *columns, self.shape(i)),
        }
    }

    /// Computes the pixels `region` of node `i`.
    fn part(&self, i: usize, region: &Region, batch: ArrayView4<u8>) -> Tensor {
        let sources = self.engine.network.sources(i);
        let Node { site, forward, .. } = &self.engine.nodes[i];
        match &self.engine.localities()[i] {
            Locality::Whole => region.of(self.shape(i), &self.engine.run_node(i, batch, &self.values)),
            Locality::Windows { part, .. } => part.run(site, self.stored(sources[0]), region),
            Locality::Pixels => {
                let input = |&source: &usize| match &self.values[source] {
                    Some(values) => region.of(self.shape(source), values),
                    None => self.part(source, region, batch),
                };
                let inputs: Vec<Tensor> = sources.iter().map(input).collect();
                let feeds: Vec<Feed> = inputs.iter().map(Feed::Values).collect();
                forward.run(&cropped(site, region), &feeds, 1)
            }
        }
    }
}

/// Describes the surroundings of a node of which only `region` is there.
fn cropped(site: &Site, region: &Region) -> Site {
    let mut site = site.clone();
    for wire in site.inputs.iter_mut().chain([&mut site.output]) {
        wire.shape = region.shape(wire.shape.channels);
    }
    site
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use dq_net::random::{self, Options};
    use std::collections::BTreeSet;

    /// Networks of all kinds of layer give the engine's scores for images that differ in a rectangle from the
    /// last one that was taken in, whatever was asked about in between; parts of nodes are computed, and
    /// changes end at some.
    #[test]
    fn scores_near_an_image_are_the_engines() {
        let (mut in_part, mut ended) = (BTreeSet::new(), 0);
        for seed in 0..200 {
            let options = Options { residuals: seed % 2 == 1, max_side: 14, ..Options::default() };
            let network = random::network(seed, &options);
            let engine = Engine::new(&network);
            let mut image = random::image(seed, network.input());
            let mut near = NearImage::new(&engine, image.view()).expect("small");
            let mut random = Random::keyed(seed, "near", 0, 0);
            let (height, width, channels) = image.dim();
            for _ in 0..12 {
                let mut other = image.clone();
                let (y, x) = (random.within(0, height as i32 - 1), random.within(0, width as i32 - 1));
                let (rows, columns) = (random.within(1, 3), random.within(1, 3));
                for y in (y..y + rows).filter(|&y| y < height as i32) {
                    for x in (x..x + columns).filter(|&x| x < width as i32) {
                        for c in 0..channels {
                            other[[y as usize, x as usize, c]] =
                                random.within(0, i32::from(network.input().top())) as u8;
                        }
                    }
                }
                let wanted = engine.scores(other.view().insert_axis(Axis(0)));
                assert_eq!(near.scores(other.view()), wanted.row(0).to_vec(), "seed {seed}");
                for (i, region, _) in &near.changes {
                    if region.pixels() < near.shape(*i).height * near.shape(*i).width {
                        in_part.insert(network.nodes()[*i].layer.kind().name());
                    }
                }
                ended += usize::from(
                    other != image && near.changes.last().is_none_or(|last| last.0 + 1 < near.values.len()),
                );
                if random.within(0, 2) == 0 {
                    near.move_on();
                    image = other;
                }
            }
        }
        for kind in ["conv", "step", "max_pool", "sum_pool", "sum", "mix", "concat", "rescale"] {
            assert!(in_part.contains(kind), "{kind}: {in_part:?}");
        }
        assert!(ended > 20, "{ended}");
    }
}
