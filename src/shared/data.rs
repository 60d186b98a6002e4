//! Resolves `--data` to images.

use super::args::DataArg;
use anyhow::{Result, bail};
use dq_data::{Images, Split, load};
use dq_net::Shape;

/// Loads a split of the data set named `wanted`, whose folder (if it needs one) is among `given`.
#[cfg(feature = "train")]
pub fn find(wanted: &str, given: &[DataArg], split: Split) -> Result<Images> {
    match given.iter().find(|d| d.set == wanted) {
        Some(arg) => images(arg, split),
        None if given.is_empty() || wanted == "signs" => {
            images(&DataArg { set: wanted.into(), dir: None }, split)
        }
        None => bail!(
            "the recipe trains on `{wanted}`, but --data gives {}: add --data {wanted}=DIR",
            given.iter().map(|d| format!("`{}`", d.set)).collect::<Vec<_>>().join(", ")
        ),
    }
}

/// Loads a split of `arg`.
pub fn images(arg: &DataArg, split: Split) -> Result<Images> {
    Ok(load(&arg.set, arg.dir.as_deref(), split)?)
}

/// The first `count` test images of `arg` (none: all), which a network of this input and so many classes takes.
pub fn test_images(arg: &DataArg, count: Option<u64>, shape: Shape, classes: usize) -> Result<Images> {
    let images = first(images(arg, Split::Test)?, count);
    check_fit(&images, shape, classes)?;
    Ok(images)
}

/// The first `count` of `images`.
pub fn first(images: Images, count: Option<u64>) -> Images {
    match count {
        Some(count) if (count as usize) < images.len() => images.take(count as usize),
        _ => images,
    }
}

/// Refuses images that the network cannot take.
pub fn check_fit(images: &Images, shape: Shape, classes: usize) -> Result<()> {
    let (_, height, width, channels) = images.pixels.dim();
    let found = Shape::new(height, width, channels);
    if found != shape {
        bail!("data set `{}` has {found} images, the network takes {shape}", images.name);
    }
    if !images.fits_classes(classes) {
        bail!("data set `{}` has {} classes, the network {classes}", images.name, images.classes.len());
    }
    Ok(())
}
