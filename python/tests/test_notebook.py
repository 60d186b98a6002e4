"""The notebook of `python/examples`: what is stored of it, and that it runs, which takes a minute."""

import importlib.util
import json
import pathlib
import re
import tempfile
import unittest

NOTEBOOK = pathlib.Path(__file__).parents[1] / "examples/brevitas_to_verilog.ipynb"
IS_COMPLETE = all(importlib.util.find_spec(name) for name in ("brevitas", "ipykernel", "nbclient", "torch"))

#: Runs behind the notebook's own cells and tells what they found.
FOUND = """
import json
print(json.dumps({
    "accuracy": (ours == test_labels).mean(), "differ": differ, "tolerance": report["tolerance"],
    "units": float(farthest / report["scale"]), "curve": list(curve.values()),
    "fps": plan["frames_per_second"], "files": sorted(path.name for path in (folder / "rtl").iterdir()),
}))
"""


class Notebook(unittest.TestCase):
    def test_what_is_stored_is_small_and_names_no_machine(self):
        text = NOTEBOOK.read_text()
        self.assertLess(len(text), 60_000)
        self.assertIsNone(re.search(r"/(home|root|tmp|work|Users)\b|0x[0-9a-f]{6}", text))
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        outputs = [output for cell in cells for output in cell["outputs"]]
        self.assertTrue(any("image/svg+xml" in output.get("data", {}) for output in outputs))
        self.assertFalse(any(output["output_type"] == "error" or output.get("name") == "stderr" for output in outputs))

    @unittest.skipUnless(IS_COMPLETE, "PyTorch, Brevitas, nbclient or ipykernel is not installed: it is not run")
    def test_it_runs_and_finds_what_it_tells(self):
        import nbclient
        import nbformat

        notebook = nbformat.read(NOTEBOOK, 4)
        notebook.cells.append(nbformat.v4.new_code_cell(FOUND))
        with tempfile.TemporaryDirectory() as folder:
            resources = {"metadata": {"path": folder}}
            nbclient.NotebookClient(notebook, timeout=1800, kernel_name="python3", resources=resources).execute()
        (output,) = notebook.cells[-1].outputs
        found = json.loads(output.text)
        self.assertGreater(found["accuracy"], 0.8)
        # Float32 may move a label that lies next to a boundary.
        self.assertLessEqual(found["differ"], 2)
        self.assertLessEqual(found["units"], found["tolerance"] + 0.1)
        self.assertEqual(found["curve"], sorted(found["curve"], reverse=True))
        self.assertLess(found["curve"][-1], found["curve"][0] - 0.3)
        self.assertGreaterEqual(found["fps"], 1000)
        self.assertLess({"top.v", "tb.v", "plan.json", "conv1_conv_mvau.v"}, set(found["files"]))


if __name__ == "__main__":
    unittest.main()
