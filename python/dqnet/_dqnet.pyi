from os import PathLike
from typing import Any, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

__version__: str

class DqError(ValueError):
    """A network, a plan or images that do not fit."""

class Network:
    """An integer network as the circuit computes it."""

    @property
    def name(self) -> str: ...
    @property
    def levels(self) -> int:
        """Number of levels of an image's elements: 256 for uint8 pixels."""
    @property
    def lowest(self) -> float:
        """What level 0 stands for, in units: a level's value is (level + lowest) * unit."""
    @property
    def unit(self) -> float:
        """Real value of one step between levels: 1/255 for uint8 pixels."""
    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
    @property
    def classes(self) -> int: ...
    @property
    def scale(self) -> float:
        """The real logit of one unit of a score: for losses, never for the label."""
    @property
    def hash(self) -> str:
        """SHA-256 (hex) of what the network computes."""
    @property
    def kernel(self) -> str:
        """The instructions that the engine runs on."""
    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Scores of images (N x height x width x channels): N x classes, exactly those of the circuit."""
    def labels(self, images: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Labels of images: the class of the largest score, the lowest on ties."""
    def vjp(
        self, images: NDArray[np.uint8], cotangents: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Scores, and the straight-through gradient of sum(cotangents * scores) per grey level of a pixel."""
    def layers(self, *, norms: bool = False) -> list[dict[str, Any]]:
        """The layers: name, kind, shape, range, bits, weights, MACs; with norms, exact Lipschitz norms too."""
    def info(self) -> dict[str, Any]:
        """Name, hash, layers, provenance, proof."""
    def save(self, path: str | PathLike[str]) -> None:
        """Write model.json, whole or not at all."""
    def verify(self, images: NDArray[np.uint8] | None = None, *, random: int = 32) -> int:
        """Compare every node of the engine with the reference; how many values were compared."""
    def verify_netlist(self, frames: int = 1, *, seed: int = 1) -> int:
        """Compare the netlist, clock by clock under random stalls, with the reference; words compared."""
    def plan(
        self, *, fps: int | None = None, mhz: int | None = None, device: str | None = None, output: str = "scores"
    ) -> dict[str, Any]:
        """Plan the circuit for a frame rate and a device: a dict of `plan` and `report`."""
    def emit(
        self,
        folder: str | PathLike[str],
        *,
        fps: int | None = None,
        mhz: int | None = None,
        device: str | None = None,
        output: str = "scores",
    ) -> dict[str, Any]:
        """Write Verilog, ROM images, testbench and plan.json into a new or empty folder; the report."""
    def attack(
        self,
        images: NDArray[np.uint8],
        labels: ArrayLike,
        *,
        attacks: str | Sequence[str] = "paper",
        eps: int | Iterable[int] = (2, 8, 16),
        seed: int = 1,
        start: str = "signs",
        each: bool = False,
    ) -> dict[str, Any]:
        """Attack the network; the report of `dq attack` as a dict. eps is in grey levels."""
    def attack_with_images(
        self,
        images: NDArray[np.uint8],
        labels: ArrayLike,
        *,
        attacks: str | Sequence[str] = "paper",
        eps: int | Iterable[int] = (2, 8, 16),
        seed: int = 1,
        start: str = "signs",
        each: bool = False,
    ) -> tuple[dict[str, Any], NDArray[np.uint8]]:
        """Attack the network; the report, and the images, each replaced by the first adversary found."""
    def to_qonnx(self, path: str | PathLike[str]) -> list[str]:
        """Write the network as QONNX; the nodes whose values pass 2^24, where float32 may round."""
    def torch(self) -> Any:
        """A torch.nn.Module: N x C x H x W floats in [0, 1] to real logits."""

def load(path: str | PathLike[str]) -> Network:
    """Read an integer network (model.json)."""

def import_onnx(
    path: str | PathLike[str],
    *,
    mean: float | Iterable[float] | None = None,
    std: float | Iterable[float] | None = None,
    uint8: bool | None = None,
    levels: bool = False,
    levels: bool = False,
    output: str | None = None,
    round_scores: bool = False,
) -> tuple[Network, dict[str, Any]]:
    """Import an ONNX file as its exact integer network, with proof; the network, and a report."""

def attacks() -> list[str]:
    """Names of the attacks."""

def data(
    name: str, folder: str | PathLike[str] | None = None, *, split: str = "test"
) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[str]]:
    """Load a data set: images (N x height x width x channels), labels, names of the classes."""
