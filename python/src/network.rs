//! `dqnet.Network`: scores, labels, gradients, what the network is made of.

use crate::error::{raise, raise_of_file};
use crate::images::{pixels, view};
use crate::json::to_python;
use dq_net::Shape;
use dq_sim::WhiteBox;
use dq_sim::nodes::{node_infos, without_norms};
use ndarray::{ArrayView4, Axis};
use numpy::{IntoPyArray, PyArray1, PyArray2, PyArray4, PyReadonlyArray2};
use pyo3::prelude::*;
use serde_json::json;
use std::path::PathBuf;

/// Reads an integer network (`model.json`).
#[pyfunction]
pub fn load(path: PathBuf) -> PyResult<Network> {
    let network = dq_net::read_network(&path).map_err(raise_of_file)?;
    Ok(Network { white_box: WhiteBox::new(&network) })
}

/// An integer network as the circuit computes it.
#[pyclass(frozen, module = "dqnet")]
pub struct Network {
    pub(crate) white_box: WhiteBox,
}

impl Network {
    pub(crate) fn network(&self) -> &dq_net::Network {
        self.white_box.network()
    }
}

/// Two arrays that belong together: scores, and the gradient of their weighted sum.
type ScoresAndGradient<'py> = (Bound<'py, PyArray2<i32>>, Bound<'py, PyArray4<f32>>);

#[pymethods]
impl Network {
    /// The network's name.
    #[getter]
    fn name(&self) -> &str {
        &self.network().name
    }

    /// Height, width and channels of an image.
    #[getter]
    fn shape(&self) -> (usize, usize, usize) {
        self.network().input_shape().dim()
    }

    /// The number of levels of an image's elements: 256 for uint8 pixels.
    #[getter]
    fn levels(&self) -> u16 {
        self.network().input().levels
    }

    /// What level 0 of an image stands for, in units: a level's value is (level + lowest) · unit.
    #[getter]
    fn lowest(&self) -> f64 {
        self.network().input().lowest
    }

    /// The real value of one step between levels of an image: 1/255 for uint8 pixels.
    #[getter]
    fn unit(&self) -> f64 {
        self.network().input().unit
    }

    /// The number of classes.
    #[getter]
    fn classes(&self) -> usize {
        self.network().classes()
    }

    /// The real logit of one unit of a score: for losses, never for the label.
    #[getter]
    fn scale(&self) -> f64 {
        self.network().logits().scale
    }

    /// SHA-256 (hex) of what the network computes.
    #[getter]
    fn hash(&self) -> String {
        dq_net::content_hash(self.network())
    }

    /// The instructions that the engine runs on.
    #[getter]
    fn kernel(&self) -> &'static str {
        self.white_box.engine().kernel().name()
    }

    /// Computes the scores of images: N × classes, int32, exactly those of the circuit.
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        images: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray2<i32>>> {
        let images = pixels(images, self.network().input())?;
        let images = view(&images);
        Ok(py.detach(|| self.white_box.engine().scores(images)).into_pyarray(py))
    }

    /// Computes the labels of images: the largest score's class, the lowest on ties; int64.
    fn labels<'py>(
        &self,
        py: Python<'py>,
        images: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyArray1<i64>>> {
        let images = pixels(images, self.network().input())?;
        let images = view(&images);
        let labels = py.detach(|| self.white_box.engine().labels(images));
        Ok(labels.into_iter().map(|label| label as i64).collect::<Vec<_>>().into_pyarray(py))
    }

    /// Computes the scores, and the straight-through gradient of `Σ cotangents · scores` by the pixels.
    fn vjp<'py>(
        &self,
        py: Python<'py>,
        images: &Bound<'py, PyAny>,
        cotangents: PyReadonlyArray2<'py, f32>,
    ) -> PyResult<ScoresAndGradient<'py>> {
        let images = pixels(images, self.network().input())?;
        let (images, cotangents) = (view(&images), cotangents.as_array());
        let wanted = (images.dim().0, self.classes());
        if cotangents.dim() != wanted {
            let found = cotangents.dim();
            return Err(raise(format!("cotangents: expected shape {wanted:?}, found {found:?}")));
        }
        let (scores, gradient) = py.detach(|| self.white_box.vjp(images, cotangents));
        Ok((scores.into_pyarray(py), gradient.into_pyarray(py)))
    }

    /// Describes the layers: a list of dictionaries. With `norms`, also their exact Lipschitz norms, which
    /// take a while.
    #[pyo3(signature = (*, norms=false))]
    fn layers<'py>(&self, py: Python<'py>, norms: bool) -> PyResult<Bound<'py, PyAny>> {
        let network = self.network();
        let nodes = py.detach(|| if norms { node_infos(network) } else { without_norms(network) });
        to_python(py, &nodes)
    }

    /// Describes the network: name, hash, layers without norms, provenance, proof.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let network = self.network();
        let nodes = without_norms(network);
        let macs: u64 = nodes.iter().map(|node| node.macs).sum();
        let weights: usize = nodes.iter().map(|node| node.weights).sum();
        to_python(
            py,
            &json!({"name": network.name, "hash": self.hash(), "macs": macs, "weights": weights,
                    "nodes": nodes, "provenance": network.provenance, "proof": network.proof}),
        )
    }

    /// Writes `model.json`, whole or not at all.
    fn save(&self, path: PathBuf) -> PyResult<()> {
        dq_net::write_network(self.network(), &path).map_err(raise_of_file)
    }

    /// Compares every node of the engine with the reference, on `images` and `random` random ones. Returns
    /// how many values were compared; raises at the first difference.
    #[pyo3(signature = (images=None, *, random=32))]
    fn verify<'py>(
        &self,
        py: Python<'py>,
        images: Option<&Bound<'py, PyAny>>,
        random: usize,
    ) -> PyResult<u64> {
        let drawn = dq_net::random::images(0, random, self.network().input());
        let given = images.map(|images| pixels(images, self.network().input())).transpose()?;
        let given = given.as_ref().map(view);
        let engine = self.white_box.engine();
        let compared = py.detach(|| {
            let batches = [("random image", Some(drawn.view())), ("image", given)];
            let batches = batches.iter().filter_map(|(what, batch)| Some((what, batch.as_ref()?)));
            let blocks = batches.flat_map(|(what, batch)| {
                batch.axis_chunks_iter(Axis(0), 16).enumerate().map(move |(b, block)| (what, 16 * b, block))
            });
            let compare = |(what, first, block): (&&str, usize, ArrayView4<u8>)| {
                engine.compare(block).map_err(|difference| difference.told(what, first))
            };
            blocks.map(compare).sum::<Result<u64, String>>()
        });
        compared.map_err(raise)
    }

    /// Returns a `torch.nn.Module`: N x C x H x W floats in [0, 1] to real logits.
    ///
    /// It rounds to grey levels inside `forward` and passes gradients straight through, so what an attack
    /// finds is judged exactly as the circuit judges it.
    fn torch(slf: Bound<'_, Self>) -> PyResult<Bound<'_, PyAny>> {
        let py = slf.py();
        py.import("dqnet._torch")?.getattr("Circuit")?.call1((slf,))
    }

    /// Shows the layers as a table in notebooks.
    fn _repr_html_(&self) -> String {
        let nodes = without_norms(self.network());
        let row = |node: &dq_sim::nodes::NodeInfo| {
            let [height, width, channels] = node.shape;
            let (name, kind, lo, hi, bits) = (&node.name, node.kind, node.lo, node.hi, node.bits);
            let weight_bits = node.weight_bits.map_or(String::new(), |bits| bits.to_string());
            format!(
                "<tr><td>{name}</td><td>{kind}</td><td>{height} × {width} × {channels}</td><td>{lo} to {hi}\
                 </td><td>{bits}</td><td>{}</td><td>{weight_bits}</td><td>{}</td></tr>",
                node.weights, node.macs
            )
        };
        let rows: String = nodes.iter().map(row).collect();
        // Names of nodes are plain ASCII, the network's may hold anything.
        let title = self.__repr__().replace('&', "&amp;").replace('<', "&lt;");
        format!(
            "<p><code>{title}</code></p><table><tr><th>node</th><th>kind</th><th>shape</th><th>values</th>\
             <th>bits</th><th>weights</th><th>weight bits</th><th>MACs</th></tr>{rows}</table>"
        )
    }

    fn __repr__(&self) -> String {
        let network = self.network();
        let Shape { height, width, channels } = network.input_shape();
        let nodes = network.nodes().len();
        let (name, classes) = (&network.name, network.classes());
        format!("<dqnet.Network {name}: {height}x{width}x{channels} -> {classes} classes, {nodes} nodes>")
    }
}
