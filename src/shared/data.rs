//! Resolves `--data` and `--count` to images.

use super::args::{DataArg, at_least_one};
use anyhow::{Result, bail};
use clap::Arg;
use dq_data::{Images, Split, load};
use dq_net::Shape;
use dq_net::layer::Input;

/// Loads a split of the data set named `wanted`, whose folder (if it needs one) is among `given`.
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

/// The test images that a command takes.
#[derive(clap::Args)]
pub struct TestImages {
    /// Data set whose test images are attacked, e.g. `signs` or `cifar10=DIR`.
    #[arg(long, value_name = "SET[=DIR]")]
    pub data: DataArg,
    /// First N test images.
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub count: Option<u64>,
}

impl TestImages {
    /// Loads them for a network of this input and so many classes.
    pub fn open(&self, input: Input, classes: usize) -> Result<Images> {
        self.first(self.count, input, classes)
    }

    /// Loads the first `count` instead.
    pub fn first(&self, count: Option<u64>, input: Input, classes: usize) -> Result<Images> {
        let images = first(images(&self.data, Split::Test)?, count);
        check_fit(&images, input, classes)?;
        Ok(images)
    }

    /// Loads the whole test set, whatever `--count` says.
    pub fn whole(&self) -> Result<Images> {
        images(&self.data, Split::Test)
    }

    /// Loads them where no network is known yet that they have to fit.
    pub fn open_all(&self) -> Result<Images> {
        Ok(first(images(&self.data, Split::Test)?, self.count))
    }
}

/// Says in `--help` what becomes of the images, such as "are classified", for `mut_arg("data", …)`.
pub fn images_that(become_of_them: &'static str) -> impl FnOnce(Arg) -> Arg {
    move |arg| arg.help(format!("Data set whose test images {become_of_them}, e.g. `signs` or `cifar10=DIR`"))
}

/// Says how many images a command takes by default (all, unless it says so), for `mut_arg("count", …)`.
pub fn first_images(count: &'static str) -> impl FnOnce(Arg) -> Arg {
    move |arg| arg.default_value(count)
}

/// Returns the first `count` of `images`; none: all.
pub fn first(images: Images, count: Option<u64>) -> Images {
    match count {
        Some(count) if (count as usize) < images.len() => images.take(count as usize),
        _ => images,
    }
}

/// Refuses images that the network cannot take.
pub fn check_fit(images: &Images, input: Input, classes: usize) -> Result<()> {
    let (_, height, width, channels) = images.pixels.dim();
    let found = Shape::new(height, width, channels);
    if found != input.shape {
        bail!("data set `{}` has {found} images, the network takes {}", images.name, input.shape);
    }
    if let Err(fault) = input.check_images(images.pixels.view()) {
        bail!("data set `{}`, {fault}", images.name);
    }
    if !images.fits_classes(classes) {
        bail!("data set `{}` has {} classes, the network {classes}", images.name, images.classes.len());
    }
    Ok(())
}
