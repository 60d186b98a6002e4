"""The reader of docs/model.md computes the scores of every shipped network."""

import base64
import hashlib
import json
import pathlib
import tempfile
import textwrap
import unittest

import numpy as np

import dqnet

ROOT = pathlib.Path(__file__).parents[2]


def reader():
    """Runs the page's code and returns what it defines."""
    text = (ROOT / "docs/model.md").read_text().split("## A reader\n", 1)[1]
    defined = {}
    exec(textwrap.dedent(text), defined)
    return defined


class Reader(unittest.TestCase):
    def test_it_computes_the_scores_of_every_shipped_network(self):
        scores, kinds = reader()["scores"], set()
        paths = sorted(path for path in ROOT.glob("models/**/*.json") if b'"dq-network"' in path.read_bytes()[:99])
        self.assertGreater(len(paths), 4)
        for path in paths:
            net = dqnet.load(path)
            kinds.update(layer["kind"] for layer in net.layers())
            images = np.random.default_rng(7).integers(0, 256, (2, *net.shape), dtype=np.uint8)
            for image, wanted in zip(images, net(images)):
                self.assertTrue((scores(path, image) == wanted).all(), path)
        self.assertGreater(kinds, {"conv", "dense", "step", "max_pool", "global_sum", "rescale", "mix"})

    def test_a_file_written_by_the_page_is_read_and_means_the_same(self):
        """The kinds that no shipped network has, in a file made from the page alone, checksum included."""
        rng = np.random.default_rng(3)
        nodes = [
            ("input", [], {"input": {
                "shape": {"height": 6, "width": 5, "channels": 2}, "levels": 100, "lowest": -3.0, "unit": 0.5}}),
            ("colours", ["input"], {"bit_depth": {"bits": 3}}),
            ("colours_again", ["colours"], {"max_pool": {"window": [2, 1], "stride": [1, 2]}}),
            ("smooth", ["colours"], {"median": {}}),
            ("conv", ["smooth"], {"conv": {
                "weights": pack(rng.integers(-4, 4, (4, 3, 2, 1)), 3, -4), "weight_bits": 3, "stride": [1, 2],
                "pad": [1, 0, 0, 1], "groups": 2}}),
            ("step", ["conv"], {"step": {
                "bits": 2, "dir": [1, -1, 1, 1],
                "thresholds": pack(np.sort(rng.integers(-20, 20, (4, 3)), axis=1), 7, -64),
                "surrogate": {"gain": [0.1, -0.1, 0.1, 0.1], "open_lo": [-9] * 4, "open_hi": [9] * 4, "unit": 1.0}}}),
            ("both", ["step", "colours_again"], {"concat": {}}),
            ("pool", ["both"], {"sum_pool": {"window": [2, 2], "stride": [2, 1]}}),
            ("classifier", ["pool"], {"dense": {
                "weights": pack(rng.integers(0, 2, (3, 24)), 1, 0), "weight_bits": 1}}),
            ("logits", ["classifier"], {"logits": {"bias": [3, 0, -5], "scale": 0.5}}),
        ]
        nodes = [{"name": name, "inputs": inputs, "layer": layer} for name, inputs, layer in nodes]
        document = {"format": "dq-network", "version": 4, "name": "by-hand", "provenance": {}, "nodes": nodes}
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "model.json")
            path.write_text(json.dumps({**document, "checksum": ""}))
            with self.assertRaisesRegex(dqnet.DqError, "checksum"):
                dqnet.load(path)
            compact = json.dumps({**document, "checksum": ""}, separators=(",", ":"))
            checksum = "sha256:" + hashlib.sha256(compact.encode()).hexdigest()
            path.write_text(json.dumps({**document, "checksum": checksum}))
            net = dqnet.load(path)
            scores = reader()["scores"]
            self.assertEqual((net.levels, net.lowest, net.unit), (100, -3.0, 0.5))
            with self.assertRaisesRegex(dqnet.DqError, r"images\[0\]: expected levels of 0 to 99, found 100"):
                net(np.full((1, *net.shape), 100, np.uint8))
            for image in rng.integers(0, 100, (20, *net.shape), dtype=np.uint8):
                self.assertTrue((scores(path, image) == net(image[None])[0]).all())


def pack(values, bits, offset):
    """Packs a tensor as the page says."""
    words = (np.asarray(values).ravel() - offset)[:, None] >> np.arange(bits) & 1
    data = base64.b64encode(np.packbits(words.ravel().astype(np.uint8), bitorder="little").tobytes())
    return {"shape": list(np.shape(values)), "bits": bits, "offset": offset, "data": data.decode()}


if __name__ == "__main__":
    unittest.main()
