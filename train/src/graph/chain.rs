//! Builds networks without branches: VGG and its small relatives, strided ones, FINN's CNV, dense layers
//! alone.

use anyhow::Result;

use super::Graph;
use crate::recipe::Model;

/// Appends convolutions in blocks, each ended by a max pool; global sum; hidden dense layers.
pub fn vgg(graph: &mut Graph, model: &Model) -> Result<()> {
    for (b, block) in model.blocks.iter().enumerate() {
        for (i, &outputs) in block.iter().enumerate() {
            let place = format!("{}_{}", b + 1, i + 1);
            graph.conv(format!("conv{place}"), outputs, [model.kernel, 1, model.kernel / 2])?;
            graph.step(format!("step{place}"), graph.norm());
        }
        graph.max_pool(format!("pool{}", b + 1))?;
    }
    graph.global_sum();
    dense(graph, model);
    Ok(())
}

/// Appends convolutions in blocks, the last of each with stride 2, and dense layers over the map, as certified
/// training has them (Gowal 2018): no maximum widens bounds, and positions are told apart.
pub fn strided(graph: &mut Graph, model: &Model) -> Result<()> {
    for (b, block) in model.blocks.iter().enumerate() {
        for (i, &outputs) in block.iter().enumerate() {
            let place = format!("{}_{}", b + 1, i + 1);
            let stride = if i + 1 == block.len() { 2 } else { 1 };
            graph.conv(format!("conv{place}"), outputs, [model.kernel, stride, model.kernel / 2])?;
            graph.step(format!("step{place}"), graph.norm());
        }
    }
    dense(graph, model);
    Ok(())
}

/// Appends pairs of unpadded 3×3 convolutions of 64, 128 and 256 channels, a pool after the first two pairs.
pub fn cnv(graph: &mut Graph, model: &Model) -> Result<()> {
    for (pair, channels) in [64, 128, 256].into_iter().enumerate() {
        for i in 1..=2 {
            let place = format!("{}_{i}", pair + 1);
            graph.conv(format!("conv{place}"), graph.scaled(channels), [3, 1, 0])?;
            graph.step(format!("step{place}"), graph.norm());
        }
        if pair < 2 {
            graph.max_pool(format!("pool{}", pair + 1))?;
        }
    }
    dense(graph, model);
    Ok(())
}

/// Appends dense layers over the pixels.
pub fn mlp(graph: &mut Graph, model: &Model) {
    dense(graph, model);
}

fn dense(graph: &mut Graph, model: &Model) {
    for (i, &outputs) in model.dense.iter().enumerate() {
        graph.dense(format!("dense{}", i + 1), outputs);
        graph.step(format!("dense{}_step", i + 1), graph.norm());
    }
}
