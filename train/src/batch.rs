//! Batches: which images, in which order, changed how. Pure functions of (seed, epoch, index); never normalizes.

use dq_net::data::Images;
use ndarray::{Axis, Slice};
use tch::{Device, Kind, Tensor};

use crate::random::{Stream, bits, permutation};
use crate::recipe::Augment;

/// Furthest shift of [`Augment::Crop`], pixels.
const SHIFT: i64 = 4;

/// Indices of the training images and of the held-out ones (the last `holdout` of a permutation by seed).
///
/// # Panics
/// Where `holdout` exceeds `images`.
pub fn split(images: usize, holdout: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut order = permutation(seed, Stream::Holdout, images);
    let held = order.split_off(images - holdout);
    (order, held)
}

/// The order in which `epoch` visits `0..n`.
pub fn order(n: usize, seed: u64, epoch: usize) -> Vec<usize> {
    permutation(seed, Stream::Order(epoch as u64), n)
}

/// Images `indices` as raw pixels (0…255) in `kind`, batch × channels × height × width in channels-last memory.
pub fn pixels(images: &Images, indices: &[usize], kind: Kind, device: Device) -> Tensor {
    let buffer: Vec<u8> = indices.iter().flat_map(|&i| image(images, i)).copied().collect();
    to_tensor(&buffer, images.shape(), kind, device)
}

/// As [`pixels`], augmented as `epoch` does it.
pub fn augmented(
    images: &Images,
    indices: &[usize],
    augment: &[Augment],
    seed: u64,
    epoch: usize,
    kind: Kind,
    device: Device,
) -> Tensor {
    let [height, width, channels] = images.shape();
    let size = height * width * channels;
    let mut buffer = vec![0u8; size * indices.len()];
    for (&i, target) in indices.iter().zip(buffer.chunks_exact_mut(size)) {
        let random = bits(seed, Stream::Augment(epoch as u64), i as u64);
        let flip = augment.contains(&Augment::Flip) && random & 1 == 1;
        let shift = |r: u64| {
            if augment.contains(&Augment::Crop) { (r % (2 * SHIFT as u64 + 1)) as i64 - SHIFT } else { 0 }
        };
        let (down, right) = (shift(random >> 1 & 0xffff_ffff), shift(random >> 33));
        copy_moved(image(images, i), target, [height, width, channels], flip, down, right);
    }
    to_tensor(&buffer, [height, width, channels], kind, device)
}

/// Labels of images `indices`, int64.
pub fn labels(images: &Images, indices: &[usize], device: Device) -> Tensor {
    let labels: Vec<i64> = indices.iter().map(|&i| images.labels[i].into()).collect();
    Tensor::from_slice(&labels).to_device(device)
}

fn image(images: &Images, index: usize) -> &[u8] {
    let one = images.pixels.slice_axis(Axis(0), Slice::from(index..index + 1));
    one.to_slice().expect("images lie in standard layout")
}

fn to_tensor(buffer: &[u8], [height, width, channels]: [usize; 3], kind: Kind, device: Device) -> Tensor {
    let n = buffer.len() / (height * width * channels);
    let shape = [n, height, width, channels].map(|d| d as i64);
    Tensor::from_data_size(buffer, &shape, Kind::Uint8).to_device(device).permute([0, 3, 1, 2]).to_kind(kind)
}

/// Copies an image mirrored and shifted; pixels from outside stay 0.
fn copy_moved(
    from: &[u8],
    to: &mut [u8],
    [height, width, channels]: [usize; 3],
    flip: bool,
    down: i64,
    right: i64,
) {
    for y in 0..height {
        let Some(source) = usize::try_from(y as i64 - down).ok().filter(|&s| s < height) else { continue };
        for x in 0..width {
            let Some(column) = usize::try_from(x as i64 - right).ok().filter(|&c| c < width) else {
                continue;
            };
            let column = if flip { width - 1 - column } else { column };
            let (a, b) = ((source * width + column) * channels, (y * width + x) * channels);
            to[b..b + channels].copy_from_slice(&from[a..a + channels]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_is_a_partition_and_epochs_differ() {
        let (train, held) = split(100, 10, 3);
        let mut both = [train.clone(), held.clone()].concat();
        both.sort_unstable();
        assert!(both.into_iter().eq(0..100));
        assert_eq!(held.len(), 10);
        assert_ne!(order(90, 3, 0), order(90, 3, 1));
        assert_eq!(order(90, 3, 1), order(90, 3, 1));
    }

    #[test]
    fn moves() {
        let from = [1, 2, 3, 4, 5, 6]; // 2 × 3 × 1
        let mut to = [0; 6];
        copy_moved(&from, &mut to, [2, 3, 1], false, 1, -1);
        assert_eq!(to, [0, 0, 0, 2, 3, 0]);
        let mut to = [0; 6];
        copy_moved(&from, &mut to, [2, 3, 1], true, 0, 0);
        assert_eq!(to, [3, 2, 1, 6, 5, 4]);
    }
}
