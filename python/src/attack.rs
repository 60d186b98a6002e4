//! `Network.attack`: the suite of `dq attack`, its report as a dictionary.

use crate::error::raise;
use crate::images::{labels, pixels, view};
use crate::interrupt::interruptible;
use crate::json::to_python;
use crate::network::Network;
use dq_data::Images;
use dq_sim::attack::suite::{Adversary, Subject, Suite, Watch};
use dq_sim::attack::{ALL, Start};
use ndarray::Array4;
use numpy::{IntoPyArray, PyArray4};
use pyo3::prelude::*;

/// Names the attacks that `Network.attack` knows, in the order in which a suite runs them.
#[pyfunction]
pub fn attacks() -> Vec<&'static str> {
    ALL.iter().map(|(name, _)| *name).collect()
}

/// One value, or several.
#[derive(FromPyObject)]
enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    fn into_vec(self) -> Vec<T> {
        match self {
            OneOrMore::One(value) => vec![value],
            OneOrMore::More(values) => values,
        }
    }
}

/// What to run.
struct Settings {
    attacks: Vec<String>,
    eps: Vec<u8>,
    seed: u64,
    start: String,
    each: bool,
}

impl Settings {
    fn suite(&self) -> PyResult<Suite> {
        let start = match self.start.as_str() {
            "signs" => Start::Signs,
            "uniform" => Start::Uniform,
            other => return Err(raise(format!("start: expected `signs` or `uniform`, found `{other}`"))),
        };
        Ok(Suite::named(&self.attacks, self.each, &self.eps, self.seed, start))
    }
}

/// The report, and the adversary of each image: the first that broke it, else the image itself.
type Attacked<'py> = (Bound<'py, PyAny>, Bound<'py, PyArray4<u8>>);

#[pymethods]
impl Network {
    /// Attack the network on the uint8 lattice; the circuit's own label is the judge.
    ///
    /// images: uint8, N x height x width x channels. labels: N true classes.
    /// attacks: a name, several, or a set: `paper`, `auto`, `auto-plus`, `auto-l2`, `auto-plus-l2`; `dqnet.attacks()` lists the names.
    /// eps: a radius in levels (grey levels, of 255, where the input is pixels), or several.
    /// seed: of every random number: the same seed gives the same report.
    /// start: where PGD starts: `signs` (the paper's) or `uniform`.
    /// each: every attack gets every image, under `auto` too.
    ///
    /// Returns the report of `dq attack` as a dict, and the images, each replaced by the first adversary that
    /// broke it.
    #[pyo3(signature = (images, labels, *, attacks=OneOrMore::One("paper".to_owned()),
        eps=OneOrMore::More(vec![2, 8, 16]), seed=1, start="signs".to_owned(), each=false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn attack_with_images<'py>(
        &self,
        py: Python<'py>,
        images: &Bound<'py, PyAny>,
        labels: &Bound<'py, PyAny>,
        attacks: OneOrMore<String>,
        eps: OneOrMore<u8>,
        seed: u64,
        start: String,
        each: bool,
    ) -> PyResult<Attacked<'py>> {
        let settings = Settings { attacks: attacks.into_vec(), eps: eps.into_vec(), seed, start, each };
        self.run(py, images, labels, &settings)
    }

    /// Attack the network as `attack_with_images` does, and return the report alone.
    #[pyo3(signature = (images, labels, *, attacks=OneOrMore::One("paper".to_owned()),
        eps=OneOrMore::More(vec![2, 8, 16]), seed=1, start="signs".to_owned(), each=false))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn attack<'py>(
        &self,
        py: Python<'py>,
        images: &Bound<'py, PyAny>,
        labels: &Bound<'py, PyAny>,
        attacks: OneOrMore<String>,
        eps: OneOrMore<u8>,
        seed: u64,
        start: String,
        each: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let settings = Settings { attacks: attacks.into_vec(), eps: eps.into_vec(), seed, start, each };
        Ok(self.run(py, images, labels, &settings)?.0)
    }
}

impl Network {
    fn run<'py>(
        &self,
        py: Python<'py>,
        images: &Bound<'py, PyAny>,
        truth: &Bound<'py, PyAny>,
        settings: &Settings,
    ) -> PyResult<Attacked<'py>> {
        let images = pixels(images, self.network().input())?;
        let images = view(&images).to_owned();
        let classes = self.network().classes();
        let labels = labels(truth, images.dim().0, classes)?;
        if labels.is_empty() {
            return Err(raise("images: expected at least one, found none"));
        }
        let classes = (0..classes).map(|class| class.to_string()).collect();
        let images = Images { name: "images".into(), pixels: images, labels, classes };
        let suite = settings.suite()?;
        let mut found: Array4<u8> = images.pixels.clone();
        let mut is_found = vec![false; images.len()];
        let report = interruptible(py, |stop| {
            let mut keep = |adversary: Adversary| {
                if !std::mem::replace(&mut is_found[adversary.index], true) {
                    found.index_axis_mut(ndarray::Axis(0), adversary.index).assign(&adversary.image);
                }
            };
            let watch = Watch { progress: &|_| {}, keep: &mut keep, stop };
            let subject = Subject { target: &self.white_box, substitute: None, images: &images };
            dq_sim::attack::suite::run(&subject, &suite, None, watch)
        });
        let report = report?.map_err(raise)?;
        Ok((to_python(py, &report)?, found.into_pyarray(py)))
    }
}
