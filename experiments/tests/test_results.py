"""What is committed in results/ is what the workflow asks for, and docs/results.md is what it says. Pure Python; where
Snakemake is installed, it agrees. Run by `python3 -m unittest discover -s experiments/tests`."""

import importlib.util
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "experiments"))

import cells
import found
import tabulate

SCALE = "small"
RESULTS = ROOT / "results" / SCALE
PLACES = cells.folders(SCALE)


def is_right(cell, path, name, count=None):
    """Returns whether a report is what the workflow asks for of a cell under an attack set."""
    others = [ROOT / other for other in cells.substitutes(SCALE, RESULTS, PLACES, cell.data, name).values()]
    network = path.parent / "model.json"
    return found.attack(path, network, cells.ATTACKS[name], others, cell.data, count or cells.count(SCALE, name))


def committed():
    """Yields the cell, the path and the attack set of every report of an attack on a cell's network."""
    for folder, cell in dict(PLACES.values()).items():
        for path in sorted((RESULTS / folder).glob("*.json")):
            if path.stem in cells.ATTACKS:
                yield cell, path, path.stem


def planned(*arguments):
    """Returns what Snakemake says it would do."""
    command = [sys.executable, "-m", "snakemake", "-s", "experiments/Snakefile", "-n", "-c1", *arguments]
    plan = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return plan.stdout + plan.stderr


class Results(unittest.TestCase):
    def test_the_page_is_what_the_results_say(self):
        page, _ = tabulate.page(RESULTS, SCALE, ROOT / "docs/results")
        self.assertEqual(page, (ROOT / "docs/results.md").read_text(), "run experiments/tabulate.py")

    def test_every_folder_is_of_a_recipe(self):
        folders = {str(path.parent.relative_to(RESULTS)) for path in RESULTS.glob("*/*/*")}
        studies = {"samples/pictures"}
        self.assertLessEqual(folders - studies, {folder for folder, _ in PLACES.values()})

    def test_every_report_is_what_the_workflow_asks_for(self):
        reports = list(committed())
        self.assertGreater(len(reports), 30)
        for cell, path, name in reports:
            self.assertTrue(is_right(cell, path, name), path)
        for path in RESULTS.glob("*/*/plan.json"):
            self.assertTrue(found.plan(path, path.with_name("model.json"), cells.DEVICE, cells.FPS), path)
        for path in RESULTS.glob("*/*/norms.json"):
            self.assertTrue(found.norms(path, path.with_name("model.json")), path)

    def test_all_reports_of_a_network_are_of_the_same_weights(self):
        said = {}
        for _, path, _ in committed():
            said.setdefault(path.parent, set()).add(json.loads(path.read_text())["model"]["content_hash"])
        for folder, hashes in said.items():
            self.assertEqual(len(hashes), 1, folder)

    def test_another_report_is_not_taken_for_it(self):
        cell, path, name = next(row for row in committed() if row[2] == "fgsm8" and row[0].setting == "wa")
        self.assertFalse(is_right(cell, path, name, count=40))
        self.assertFalse(is_right(cell, path, "white"), "it has a run more, by a substitute")
        edits = {
            "radius": lambda report: report["runs"][0].update(eps=9),
            "attack": lambda report: report["runs"][0].update(attack="pgd"),
            "network": lambda report: report["model"].update(content_hash="0" * 64),
            "images": lambda report: report["data"].update(digest="0" * 64),
            "end": lambda report: report.update(complete=False),
            "field": lambda report: report.pop("data"),
        }
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "model.json").symlink_to(path.with_name("model.json"))
            copy = Path(folder) / path.name
            for what, edit in {"nothing": lambda report: None, **edits}.items():
                report = json.loads(path.read_text())
                edit(report)
                copy.write_text(json.dumps(report))
                self.assertEqual(is_right(cell, copy, name), what == "nothing", what)
            copy.unlink()
            self.assertFalse(is_right(cell, copy, name))

    @unittest.skipUnless(importlib.util.find_spec("snakemake"), "Snakemake is not installed: its plan is not looked at")
    def test_snakemake_makes_nothing_of_it_again(self):
        paths = [path for _, path, _ in committed()] + [*RESULTS.glob("*/*/plan.json"), *RESULTS.glob("*/*/norms.json")]
        targets = [str(path.relative_to(ROOT)) for path in paths] + ["figure3", "samples"]
        self.assertIn("Nothing to be done", planned(*targets))

    @unittest.skipUnless(importlib.util.find_spec("snakemake"), "Snakemake is not installed: its plan is not looked at")
    def test_trainings_go_on_whatever_they_had_saved(self):
        folder = min(folder for folder, _ in PLACES.values())
        with tempfile.TemporaryDirectory() as empty:
            plan = planned("-p", "--config", f"results={empty}", "--", f"{empty}/{SCALE}/{folder}/model.json")
        self.assertIn(" --resume ", plan)


if __name__ == "__main__":
    unittest.main()
