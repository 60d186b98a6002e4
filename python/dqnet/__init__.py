"""Integer networks exactly as the circuit computes them: scores, gradients, attacks, plans and Verilog.

Images are NumPy arrays of uint8, N x height x width x channels. Scores are int32, N x classes, and equal to
those of the emitted circuit on every input. Everything runs on all cores without Python's global lock;
``RAYON_NUM_THREADS`` sets another number of threads.

>>> net = dqnet.load("model.json")
>>> net(images).argmax(axis=1)
>>> model = net.torch()            # N x C x H x W floats in [0, 1], for PyTorch and its attack toolboxes
"""

from ._dqnet import DqError, Network, __version__, attacks, data, import_onnx, load

__all__ = ["DqError", "Network", "__version__", "attacks", "data", "import_onnx", "load"]
