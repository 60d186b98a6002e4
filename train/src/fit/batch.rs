//! Makes batches: which images, in which order, changed how. Its functions are pure functions of (seed,
//! epoch, index); they never normalize.

use dq_data::Images;
use ndarray::{Axis, Slice};
use tch::{Device, Kind, Tensor};

use crate::random::{Stream, bits, permutation};
use crate::recipe::{Augment, Data};

/// Largest shift of [`Augment::Crop`], in pixels.
const SHIFT: i64 = 4;

/// Returns the indices of the training images and of the held-out ones (the last `holdout` of a permutation
/// by seed).
///
/// # Panics
/// Where `holdout` exceeds `images`.
pub fn split(images: usize, holdout: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut order = permutation(seed, Stream::Holdout, images);
    let held = order.split_off(images - holdout);
    (order, held)
}

/// Returns the order in which `epoch` visits `0..n`.
pub fn order(n: usize, seed: u64, epoch: usize) -> Vec<usize> {
    permutation(seed, Stream::Order(epoch as u64), n)
}

/// Holds the images on the device that learns from them.
pub struct Source<'a> {
    images: &'a Images,
    kind: Kind,
    device: Device,
    /// All images, as [`bordered`] gives them, on a GPU; `None` on a CPU.
    resident: Option<Tensor>,
}

/// Says how an image is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Change {
    flip: bool,
    down: i64,
    right: i64,
    /// Black square: the first row and column, and those one behind the last.
    hole: [i64; 4],
}

impl<'a> Source<'a> {
    /// Makes a source of `images`, as raw pixels (0…255) in `kind`.
    pub fn new(images: &'a Images, kind: Kind, device: Device) -> Source<'a> {
        let resident = device.is_cuda().then(|| bordered(images, device));
        Source { images, kind, device, resident }
    }

    /// Returns images `indices`, batch × channels × height × width in channels-last memory.
    pub fn pixels(&self, indices: &[usize]) -> Tensor {
        pixels(self.images, indices, self.kind, self.device)
    }

    /// Returns what [`pixels`](Self::pixels) does, augmented as `epoch` does it.
    pub fn augmented(&self, indices: &[usize], data: &Data, seed: u64, epoch: usize) -> Tensor {
        let shape = self.images.shape();
        let changes: Vec<Change> = indices.iter().map(|&i| change(data, seed, epoch, i, shape)).collect();
        match &self.resident {
            Some(all) => self.gather(all, indices, &changes),
            None => {
                let size = shape.iter().product();
                let mut buffer = vec![0u8; size * indices.len()];
                for ((&i, change), target) in indices.iter().zip(&changes).zip(buffer.chunks_exact_mut(size))
                {
                    copy_changed(image(self.images, i), target, shape, change);
                }
                to_tensor(&buffer, shape, self.kind, self.device)
            }
        }
    }

    /// Does what [`copy_changed`] does, on the device.
    fn gather(&self, all: &Tensor, indices: &[usize], changes: &[Change]) -> Tensor {
        let [height, width, _] = self.images.shape().map(|n| n as i64);
        let n = indices.len() as i64;
        let column = |values: Vec<i64>| Tensor::from_slice(&values).to_device(self.device).reshape([n, 1]);
        let each = |value: fn(&Change) -> i64| column(changes.iter().map(value).collect());
        let range = |length| Tensor::arange(length, (Kind::Int64, self.device)).unsqueeze(0);
        let rows = range(height) - each(|c| c.down) + SHIFT;
        let flip = each(|c| c.flip.into());
        let straight = range(width) - each(|c| c.right);
        let columns = &straight + &flip * (width - 1 - &straight * 2) + SHIFT;
        let indices = column(indices.iter().map(|&i| i as i64).collect()).unsqueeze(-1);
        let taken = all.index(&[Some(indices), Some(rows.unsqueeze(2)), Some(columns.unsqueeze(1))]);
        let within = |low: Tensor, high: Tensor, length| {
            let at = range(length);
            at.ge_tensor(&low).logical_and(&at.lt_tensor(&high))
        };
        let hole = within(each(|c| c.hole[0]), each(|c| c.hole[1]), height)
            .unsqueeze(2)
            .logical_and(&within(each(|c| c.hole[2]), each(|c| c.hole[3]), width).unsqueeze(1));
        let kept = taken.masked_fill(&hole.unsqueeze(-1), 0i64);
        kept.permute([0, 3, 1, 2]).to_kind(self.kind)
    }

    /// Returns the labels of images `indices`, int64.
    pub fn labels(&self, indices: &[usize]) -> Tensor {
        labels(self.images, indices, self.device)
    }
}

/// Returns all images with a black border of [`SHIFT`], uint8: images × height × width × channels.
fn bordered(images: &Images, device: Device) -> Tensor {
    let all: Vec<usize> = (0..images.len()).collect();
    let pixels = pixels(images, &all, Kind::Uint8, device);
    pixels.constant_pad_nd([SHIFT, SHIFT, SHIFT, SHIFT]).permute([0, 2, 3, 1]).contiguous()
}

/// Returns how `epoch` changes image `i`.
fn change(data: &Data, seed: u64, epoch: usize, i: usize, [height, width, _]: [usize; 3]) -> Change {
    let does = |augment| data.augment.contains(&augment);
    let random = bits(seed, Stream::Augment(epoch as u64), i as u64);
    let shift = |r: u64| {
        if does(Augment::Crop) { (r % (2 * SHIFT as u64 + 1)) as i64 - SHIFT } else { 0 }
    };
    let mut hole = [0; 4];
    if does(Augment::Cutout) {
        let random = bits(seed, Stream::Cutout(epoch as u64), i as u64);
        let side = data.cutout as i64;
        let span = |random: u64, length: usize| {
            let first = (random % length as u64) as i64 - side / 2;
            (first.max(0), (first + side).min(length as i64))
        };
        let (rows, columns) = (span(random & 0xffff_ffff, height), span(random >> 32, width));
        hole = [rows.0, rows.1, columns.0, columns.1];
    }
    Change {
        flip: does(Augment::Flip) && random & 1 == 1,
        down: shift(random >> 1 & 0xffff_ffff),
        right: shift(random >> 33),
        hole,
    }
}

/// Returns images `indices` as raw pixels (0…255) in `kind`, batch × channels × height × width in
/// channels-last memory.
pub fn pixels(images: &Images, indices: &[usize], kind: Kind, device: Device) -> Tensor {
    let buffer: Vec<u8> = indices.iter().flat_map(|&i| image(images, i)).copied().collect();
    to_tensor(&buffer, images.shape(), kind, device)
}

/// Returns the labels of images `indices`, int64.
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

/// Copies an image mirrored, shifted and with a hole; pixels from outside stay 0.
fn copy_changed(from: &[u8], to: &mut [u8], [height, width, channels]: [usize; 3], change: &Change) {
    let Change { flip, down, right, hole } = *change;
    for y in 0..height {
        let Some(source) = usize::try_from(y as i64 - down).ok().filter(|&s| s < height) else { continue };
        let holed = (hole[0]..hole[1]).contains(&(y as i64));
        for x in 0..width {
            if holed && (hole[2]..hole[3]).contains(&(x as i64)) {
                continue;
            }
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
        let moved = |flip, down, right, hole| {
            let mut to = [0; 6];
            copy_changed(&from, &mut to, [2, 3, 1], &Change { flip, down, right, hole });
            to
        };
        assert_eq!(moved(false, 1, -1, [0; 4]), [0, 0, 0, 2, 3, 0]);
        assert_eq!(moved(true, 0, 0, [0; 4]), [3, 2, 1, 6, 5, 4]);
        assert_eq!(moved(false, 0, 0, [0, 1, 1, 3]), [1, 0, 0, 4, 5, 6]);
    }

    /// The gather of a GPU, done on the CPU, equals the plain copy.
    #[test]
    fn gathered_is_copied() {
        let pixels =
            ndarray::Array4::from_shape_fn((9, 6, 5, 3), |(n, y, x, c)| (n * 90 + y * 15 + x * 3 + c) as u8);
        let images =
            Images { name: "n".into(), pixels, labels: vec![0; 9], classes: vec!["a".into(), "b".into()] };
        let data = Data {
            augment: vec![Augment::Flip, Augment::Crop, Augment::Cutout],
            cutout: 3,
            ..Data::default()
        };
        let mut source = Source::new(&images, Kind::Float, Device::Cpu);
        let indices = [8, 0, 3, 3, 5, 1, 2];
        let copied = source.augmented(&indices, &data, 4, 2);
        source.resident = Some(bordered(&images, Device::Cpu));
        assert_eq!(source.augmented(&indices, &data, 4, 2), copied);
        assert_ne!(source.augmented(&indices, &data, 4, 3), copied);
    }
}
