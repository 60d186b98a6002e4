"""The module as its users meet it. Run by `cargo xtask test`, or after `pip install ./python` by
`python -m unittest discover python/tests`. Tests that need PyTorch say so where it is missing."""

import importlib.util
import json
import pathlib
import signal
import tempfile
import threading
import time
import unittest

import numpy as np

import dqnet

ROOT = pathlib.Path(__file__).parents[2]
MODEL = ROOT / "models/signs-tiny-dq/model.json"
HAS_TORCH = importlib.util.find_spec("torch") is not None


def draw(count, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


class Scores(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.net = dqnet.load(MODEL)

    def test_scores_are_those_of_the_reference(self):
        images = draw(3)
        scores = self.net(images)
        self.assertEqual(scores.dtype, np.int32)
        self.assertEqual(scores.shape, (3, self.net.classes))
        self.assertTrue((self.net.labels(images) == scores.argmax(axis=1)).all())
        self.assertGreater(self.net.verify(images, random=2), 0)

    def test_results_do_not_depend_on_the_batch_or_on_strides(self):
        images = draw(9)
        together = self.net(images)
        alone = np.concatenate([self.net(images[i : i + 1]) for i in range(9)])
        self.assertTrue((together == alone).all())
        turned = np.asfortranarray(images)[::-1]
        self.assertTrue((self.net(turned) == together[::-1]).all())
        self.assertEqual(self.net(images[:0]).shape, (0, self.net.classes))

    def test_the_gradient_is_linear_and_goes_with_the_scores(self):
        images = draw(4)
        rng = np.random.default_rng(2)
        one, two = (rng.normal(size=(4, self.net.classes)).astype(np.float32) for _ in range(2))
        scores, slopes = self.net.vjp(images, one)
        self.assertTrue((scores == self.net(images)).all())
        self.assertEqual((slopes.dtype, slopes.shape), (np.float32, images.shape))
        self.assertGreater(np.abs(slopes).max(), 0)
        both = self.net.vjp(images, one + 2 * two)[1]
        apart = slopes + 2 * self.net.vjp(images, two)[1]
        self.assertLess(np.abs(both - apart).max(), 1e-3 * np.abs(apart).max())

    def test_other_arrays_are_refused_and_the_error_says_how_to_convert(self):
        images = draw(2)
        for wrong, kind, words in [
            (images.astype(np.float32) / 255, TypeError, "np.rint(images * 255).astype(np.uint8)"),
            (images.astype(np.int64), TypeError, "images.astype(np.uint8)"),
            (images.transpose(0, 3, 1, 2), dqnet.DqError, "images.transpose(0, 2, 3, 1)"),
            (images[0], dqnet.DqError, "images[None]"),
            (images[:, :16], dqnet.DqError, "(N, 32, 32, 3)"),
            (images.tolist(), TypeError, "NumPy array of uint8, found list"),
        ]:
            with self.assertRaises(kind) as caught:
                self.net(wrong)
            self.assertIn(words, str(caught.exception))
        with self.assertRaisesRegex(dqnet.DqError, r"cotangents: expected shape \(2, 10\)"):
            self.net.vjp(images, np.zeros((2, 9), np.float32))

    def test_files_that_are_no_network_are_refused(self):
        with self.assertRaises(FileNotFoundError):
            dqnet.load("nowhere/model.json")
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "model.json")
            path.write_text("{}")
            with self.assertRaisesRegex(dqnet.DqError, "model.json"):
                dqnet.load(path)
            self.net.save(path)
            self.assertEqual(dqnet.load(path).hash, self.net.hash)

    def test_it_shows_itself(self):
        self.assertIn("signs-tiny-dq", repr(self.net))
        table = self.net._repr_html_()
        for layer in self.net.layers():
            self.assertIn(f"<td>{layer['name']}</td>", table)
        info = self.net.info()
        self.assertEqual(info["hash"], self.net.hash)
        self.assertGreater(info["proof"]["boundaries"], 0)


class Data(unittest.TestCase):
    def test_the_built_in_set_is_what_the_network_was_trained_for(self):
        images, labels, classes = dqnet.data("signs")
        self.assertEqual((images.shape, labels.shape, len(classes)), ((2000, 32, 32, 3), (2000,), 10))
        net = dqnet.load(MODEL)
        self.assertGreater((net.labels(images[:200]) == labels[:200]).mean(), 0.8)
        for arguments, words in [(("sings",), "unknown data set"), (("mnist",), "name their folder")]:
            with self.assertRaisesRegex(dqnet.DqError, words):
                dqnet.data(*arguments)


class Hardware(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.net = dqnet.load(MODEL)

    def test_a_plan_meets_its_frame_rate_and_emit_writes_the_circuit(self):
        planned = self.net.plan(fps=200, device="ecp5-85f")
        self.assertGreaterEqual(planned["report"]["frames_per_second"], 200)
        with tempfile.TemporaryDirectory() as folder:
            rtl = pathlib.Path(folder, "rtl")
            report = self.net.emit(rtl, fps=200, device="ecp5-85f")
            self.assertEqual(report["timing"], planned["report"]["timing"])
            self.assertIn("module top", (rtl / "top.v").read_text())
            self.assertEqual(json.loads((rtl / "plan.json").read_text()), planned["plan"])
            with self.assertRaisesRegex(FileExistsError, "new or empty folder"):
                self.net.emit(rtl)
        with self.assertRaisesRegex(dqnet.DqError, "device: expected one of"):
            self.net.plan(device="ecp5-86f")
        with self.assertRaisesRegex(dqnet.DqError, "output: expected"):
            self.net.plan(output="logits")


class Onnx(unittest.TestCase):
    def test_a_network_comes_back_from_qonnx_with_its_hash(self):
        net = dqnet.load(MODEL)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "net.onnx")
            self.assertEqual(net.to_qonnx(path), [])
            again, report = dqnet.import_onnx(path)
            self.assertTrue(report["as_written"])
            self.assertEqual((again.hash, again.name), (net.hash, net.name))
            path.write_bytes(b"\x08")
            with self.assertRaisesRegex(dqnet.DqError, "net.onnx"):
                dqnet.import_onnx(path)
        with self.assertRaises(FileNotFoundError):
            dqnet.import_onnx("nowhere.onnx")
        with self.assertRaisesRegex(TypeError, "mean: expected numbers, found str"):
            dqnet.import_onnx("nowhere.onnx", mean="half")

    @unittest.skipUnless(importlib.util.find_spec("qonnx"), "qonnx is not installed: it executes no network")
    def test_qonnx_itself_gives_the_circuits_scores(self):
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes

        def shapes(model):
            made = [name for node in model.graph.node for name in node.output]
            return {name: model.get_tensor_shape(name) for name in made}

        paths = [MODEL, ROOT / "models/mnist-mlp-certified.json", ROOT / "models/cifar10-wrn-16-4-robust-w4a4.json"]
        for path in paths:
            net = dqnet.load(path)
            with tempfile.TemporaryDirectory() as folder:
                file = str(pathlib.Path(folder, "net.onnx"))
                net.to_qonnx(file)
                model, bare = ModelWrapper(file), ModelWrapper(file)
            del bare.graph.value_info[:]
            self.assertEqual(shapes(bare.transform(InferShapes())), shapes(model), path)
            (entry,), (scores,) = model.graph.input, model.graph.output
            images = np.random.default_rng(5).integers(0, 256, (3, *net.shape), dtype=np.uint8)
            for image, wanted in zip(images, net(images)):
                given = {entry.name: image.transpose(2, 0, 1)[None].astype(np.float32)}
                self.assertTrue((execute_onnx(model, given)[scores.name].ravel() == wanted).all(), path)


class Interrupts(unittest.TestCase):
    def stop(self, work):
        """Sends Ctrl-C's signal early in `work`, and compares how long it takes with the whole."""
        begin = time.monotonic()
        work()
        whole = time.monotonic() - begin
        timer = threading.Timer(0.02, signal.raise_signal, [signal.SIGINT])
        begin = time.monotonic()
        timer.start()
        with self.assertRaises(KeyboardInterrupt):
            work()
            timer.join()
        self.assertLess(time.monotonic() - begin, 0.5 * whole)

    def test_an_import_stops(self):
        net = dqnet.load(ROOT / "models/mnist-mlp-certified.json")
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "net.onnx")
            net.to_qonnx(path)
            self.stop(lambda: dqnet.import_onnx(path, uint8=True))

    def test_an_attack_stops(self):
        net, (images, labels, _) = dqnet.load(MODEL), dqnet.data("signs")
        self.stop(lambda: net.attack(images[:200], labels[:200], attacks="pgd", eps=[8, 16]))


class Attacks(unittest.TestCase):
    def test_adversaries_lie_in_the_ball_and_are_counted(self):
        net = dqnet.load(MODEL)
        images = draw(6)
        labels = net.labels(images)
        report, found = net.attack_with_images(images, labels, attacks=["fgsm", "pgd"], eps=4)
        self.assertEqual(report, net.attack(images, labels, attacks=["fgsm", "pgd"], eps=[4]))
        distance = np.abs(found.astype(int) - images).reshape(6, -1).max(axis=1)
        self.assertLessEqual(distance.max(), 4)
        broken = net.labels(found) != labels
        self.assertTrue((broken == (distance > 0)).all())
        self.assertEqual(report["worst"][0]["tally"]["correct"], 6 - broken.sum())
        with self.assertRaisesRegex(dqnet.DqError, "unknown attack `fgsn`"):
            net.attack(images, labels, attacks="fgsn")
        with self.assertRaisesRegex(dqnet.DqError, r"labels\[0\]: expected 0 to 9, found 10"):
            net.attack(images, [10] * 6)
        with self.assertRaisesRegex(dqnet.DqError, "labels: expected 6"):
            net.attack(images, labels[:5])


@unittest.skipUnless(HAS_TORCH, "PyTorch is not installed: the module for it is not tested")
class Torch(unittest.TestCase):
    def test_it_rounds_inside_and_its_gradient_goes_straight_through(self):
        import torch

        net = dqnet.load(MODEL)
        model = net.torch().eval()
        images = draw(5)
        x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        nudged = (x + 0.4 / 255).clamp(0, 1).requires_grad_()
        logits = model(nudged)
        wanted = net(images) * net.scale
        self.assertLess(np.abs(logits.detach().numpy() - wanted).max(), 1e-3)
        labels = torch.from_numpy(net.labels(images))
        torch.nn.functional.cross_entropy(logits, labels, reduction="sum").backward()
        cotangents = (torch.softmax(logits, 1) - torch.nn.functional.one_hot(labels, net.classes)).detach()
        slopes = net.vjp(images, (cotangents * net.scale).numpy())[1].transpose(0, 3, 1, 2) * 255
        self.assertLess(np.abs(nudged.grad.numpy() - slopes).max(), 1e-3 * np.abs(slopes).max() + 1e-9)
        for wrong, error in [(x * 255, ValueError), (x.permute(0, 2, 3, 1), ValueError), ((x * 255).long(), TypeError)]:
            with self.assertRaises(error):
                model(wrong)


if __name__ == "__main__":
    unittest.main()
