//! Reads and writes checkpoints: named tensors and a small state, in one safetensors file, written atomically
//! and with the same bytes for the same content. Reading checks every name, type and shape against the model
//! it is for.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use safetensors::tensor::{Dtype, Metadata, SafeTensors, View};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor, no_grad};

use crate::tensor::{Tensors, finite};

/// Key of the metadata entry that holds the state as JSON.
const STATE: &str = "dq";
/// Largest checkpoint that is read, in bytes; larger ones are refused before anything is read.
const MAX_BYTES: u64 = 4 << 30;

/// Says how far a training run has come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Number of completed epochs.
    pub epochs: usize,
    /// Number of steps of the next epoch that were made.
    #[serde(default)]
    pub step: usize,
    /// Sum of the losses of those steps.
    #[serde(default)]
    pub loss: f64,
    /// Number of images that those steps labelled right.
    #[serde(default)]
    pub right: i64,
    /// Highest held-out accuracy so far (attacked or certified, where the recipe chooses by that), 0…1.
    pub best_accuracy: f64,
    /// The epoch (from 1) that reached it.
    pub best_epoch: usize,
    /// Height, width and channels of the images on which it was trained.
    pub image: [usize; 3],
    /// Number of classes.
    pub classes: usize,
}

impl State {
    /// Makes the state before the first step, on images of such a shape and so many classes.
    pub fn new(image: [usize; 3], classes: usize) -> State {
        State { epochs: 0, step: 0, loss: 0.0, right: 0, best_accuracy: 0.0, best_epoch: 0, image, classes }
    }

    /// Ends an epoch that scored `score` on the held-out images, and says whether it is the best so far.
    pub fn finish_epoch(&mut self, score: f64) -> bool {
        self.epochs += 1;
        (self.step, self.loss, self.right) = (0, 0.0, 0);
        let is_best = self.best_epoch == 0 || score > self.best_accuracy;
        if is_best {
            (self.best_accuracy, self.best_epoch) = (score, self.epochs);
        }
        is_best
    }
}

/// Writes `tensors` (fp32 or f64) and `state` to `path`: to a temporary file beside it, then renamed.
pub fn save<S: Serialize>(path: &Path, tensors: &Tensors, state: &S) -> Result<()> {
    let payload: Vec<(&str, Payload)> =
        tensors.iter().map(|(name, t)| (name.as_str(), Payload::of(t))).collect();
    let metadata = HashMap::from([(STATE.to_owned(), serde_json::to_string(state)?)]);
    let bytes = safetensors::serialize(payload, Some(metadata)).context("cannot serialize the checkpoint")?;
    write_atomically(path, &bytes)
}

/// Reads a checkpoint written by [`save`]. Never trusts the file: sizes and types are checked by the format.
pub fn load<S: DeserializeOwned>(path: &Path) -> Result<(Tensors, S)> {
    let bytes = read(path)?;
    let damaged = || format!("{}: not a checkpoint of this program, or damaged", path.display());
    let (_, metadata): (usize, Metadata) = SafeTensors::read_metadata(&bytes).with_context(damaged)?;
    let state = metadata.metadata().as_ref().and_then(|entries| entries.get(STATE));
    let state = serde_json::from_str(state.with_context(damaged)?).with_context(damaged)?;
    Ok((tensors(path, &bytes)?, state))
}

/// Returns the tensors of any safetensors file, as fp32 or f64.
pub fn load_tensors(path: &Path) -> Result<Tensors> {
    tensors(path, &read(path)?)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let size = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(size.is_file(), "{}: expected a file", path.display());
    ensure!(
        size.len() <= MAX_BYTES,
        "{}: {} bytes is no checkpoint of this program",
        path.display(),
        size.len()
    );
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn tensors(path: &Path, bytes: &[u8]) -> Result<Tensors> {
    let damaged = || format!("{}: not a safetensors file, or damaged", path.display());
    let mut tensors = Tensors::new();
    for (name, view) in SafeTensors::deserialize(bytes).with_context(damaged)?.iter() {
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::F64 => Kind::Double,
            Dtype::F16 => Kind::Half,
            Dtype::BF16 => Kind::BFloat16,
            other => {
                bail!("{}: tensor `{name}`: expected F32, F64, F16 or BF16, found {other:?}", path.display())
            }
        };
        let most = |count: u64, &n: &usize| count.checked_mul(n.max(1) as u64).filter(|&n| n <= MAX_BYTES);
        if view.shape().iter().try_fold(1, most).is_none() {
            // Without an element it has no bytes that would contradict it.
            bail!("{}: tensor `{name}`: shape {:?} is too large", path.display(), view.shape());
        }
        let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
        let tensor = Tensor::from_data_size(view.data(), &shape, kind);
        let wide = if kind == Kind::Double { tensor } else { tensor.to_kind(Kind::Float) };
        tensors.insert(name.to_owned(), wide);
    }
    Ok(tensors)
}

/// Copies `from[prefix + name]` into every tensor of `to`, in place.
///
/// # Errors
/// Where one is missing, has another shape, or holds a number that is not finite.
pub fn restore(to: &mut Tensors, from: &Tensors, prefix: &str, path: &Path) -> Result<()> {
    for (name, target) in to {
        let place = || format!("{}: tensor `{prefix}{name}`", path.display());
        let source =
            from.get(&format!("{prefix}{name}")).with_context(|| format!("{} is missing", place()))?;
        copy(target, source, place)?;
    }
    Ok(())
}

/// Copies `source` into `target`, in place; `place` is what errors call it.
///
/// # Errors
/// Where the shapes differ, or a number is not finite.
pub fn copy(target: &mut Tensor, source: &Tensor, place: impl Fn() -> String) -> Result<()> {
    let (expected, found) = (target.size(), source.size());
    ensure!(expected == found, "{}: expected shape {expected:?}, found {found:?}", place());
    ensure!(finite(source), "{} holds a number that is not finite", place());
    no_grad(|| target.copy_(source));
    Ok(())
}

/// Replaces `path` by `bytes`, or leaves it as it was.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    dq_net::atomic::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// Holds a tensor's bytes for safetensors.
struct Payload {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Payload {
    fn of(tensor: &Tensor) -> Payload {
        let (dtype, width) = match tensor.kind() {
            Kind::Float => (Dtype::F32, 4),
            Kind::Double => (Dtype::F64, 8),
            other => unreachable!("checkpoints hold fp32 and f64, not {other:?}"),
        };
        let tensor = tensor.detach().to_device(tch::Device::Cpu).contiguous();
        let mut bytes = vec![0; tensor.numel() * width];
        tensor.copy_data_u8(&mut bytes, tensor.numel());
        Payload { dtype, shape: tensor.size().iter().map(|&n| n as usize).collect(), bytes }
    }
}

impl View for Payload {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_and_refuses_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        let tensors = Tensors::from([
            ("x".to_owned(), Tensor::from_slice(&[1.5f32, -2.0])),
            ("y".to_owned(), Tensor::from_slice(&[0.1f64])),
        ]);
        let mut state = State::new([4, 4, 1], 2);
        (state.epochs, state.step, state.loss, state.best_accuracy) = (3, 7, 0.1, 0.5);
        save(&path, &tensors, &state).unwrap();
        let (read, found): (Tensors, State) = load(&path).unwrap();
        assert_eq!(found, state);
        assert!(read.len() == 2 && read["x"] == tensors["x"] && read["y"] == tensors["y"]);

        let mut target =
            Tensors::from([("x".to_owned(), Tensor::zeros([3], (Kind::Float, tch::Device::Cpu)))]);
        let error = restore(&mut target, &read, "", &path).unwrap_err().to_string();
        assert!(error.contains("`x`: expected shape [3], found [2]"), "{error}");
        let error = restore(&mut target, &read, "momentum.", &path).unwrap_err().to_string();
        assert!(error.contains("`momentum.x` is missing"), "{error}");

        let whole = std::fs::read(&path).unwrap();
        for length in [0, 7, 40, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let error = load::<State>(&path).unwrap_err().to_string();
            assert!(error.contains("damaged"), "{length} bytes: {error}");
        }
        // A tensor of no bytes, whose other sizes nothing contradicts.
        let header = r#"{"x":{"dtype":"F32","shape":[0,9223372036854775808],"data_offsets":[0,0]}}"#;
        std::fs::write(&path, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat())
            .unwrap();
        let error = load_tensors(&path).unwrap_err().to_string();
        assert!(error.contains("tensor `x`: shape [0, 9223372036854775808] is too large"), "{error}");
        let error = load::<State>(folder.path()).unwrap_err().to_string();
        assert!(error.contains("expected a file"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    }
}
