"""Writes docs/results.md of what stands in results/: each cell beside the paper's, with its interval, number of
images and seeds. Nothing is typed by hand; cells that are missing are listed with the time that they would take.

Usage: tabulate.py [--scale small] [--results results] [--out docs/results.md]"""

import argparse
import json
import statistics
from collections import defaultdict
from pathlib import Path

import cells

TITLES = {
    "table1": "Table 1: accuracy against the bits of activations and β, under FGSM at ε 8",
    "table3": "Table 3: defences",
    "table4": "Table 4: ReLU1 against ReLU6",
    "table5": "Table 5: tanh masks gradients",
    "table6": "Table 6: training by FGSM masks gradients",
    "figure6": "Figure 6: accuracy against β, activations of 4 bits",
}


def columns(report, name):
    """Returns what a report says, by column: a tally each."""
    if name == "auto":
        # Its attacks run in sequence, so that only what all of them left says something; on fewer images.
        return {f"auto {worst['eps']}": worst["tally"] for worst in report["worst"]}
    found = {"clean": report["clean"]}
    for run in report["runs"]:
        title = f"{run['attack']} {run['eps']}" + (" from a substitute" if run["source"] else "")
        found[title] = run["tally"]
    return found


def percent(tallies):
    """Writes the mean of seeds, with the interval of one or the range of several."""
    shares = [100 * tally["accuracy"] for tally in tallies]
    if len(shares) > 1:
        return f"{statistics.mean(shares):.1f} ({min(shares):.1f}–{max(shares):.1f}, {len(shares)} seeds)"
    low, high = (100 * bound for bound in tallies[0]["interval"])
    return f"{shares[0]:.1f} ({low:.1f}–{high:.1f})"


def load(root, folder, attacks):
    """Returns the cell's columns, the doubts of its reports, and how many images were attacked; none where a
    report is missing."""
    found, doubts = {}, []
    for name in attacks:
        path = root / folder / f"{name}.json"
        if not path.exists():
            return None
        report = json.loads(path.read_text())
        found |= {title: tally for title, tally in columns(report, name).items() if title not in found}
        doubts += [f"{doubt['rule']}: {doubt['text']}" for doubt in report["doubts"]]
    return found, doubts


def table(root, scale, name, places):
    """Returns the lines of one table, and its missing cells."""
    rows = defaultdict(dict)  # (row, column) -> setting -> tallies
    order, doubted, missing = [], [], []
    for cell in cells.cells(name):
        seeds = defaultdict(list)
        for seed in cell.seeds:
            folder, _ = places[(name, cell.name, cell.setting, seed)]
            loaded = load(root, folder, cell.attacks)
            if loaded is None:
                missing.append(f"{cell.name}, {cells.SETTINGS[cell.setting]}, seed {seed}")
                continue
            for column, tally in loaded[0].items():
                seeds[column].append(tally)
            doubted += [f"{cell.name}, {cells.SETTINGS[cell.setting]}, seed {seed}: {doubt}" for doubt in loaded[1]]
        for column in {**cell.paper, **seeds}:
            if (cell.name, column) not in order:
                order.append((cell.name, column))
            rows[(cell.name, column)] |= {"paper": cell.paper.get(column, ""), cell.setting: seeds.get(column)}
    lines = [f"## {TITLES[name]}", "", "| network | column | paper | A only, float model | W+A, circuit |",
             "|---|---|---|---|---|"]
    for row, column in order:
        at = rows[(row, column)]
        ours = [percent(at[setting]) if at.get(setting) else "–" for setting in ("a", "wa")]
        if at["paper"] != "" or ours != ["–", "–"]:
            lines.append(f"| {row} | {column} | {at['paper']} | {ours[0]} | {ours[1]} |")
    if doubted:
        lines += ["", "Doubts that the reports raise:", ""] + [f"- {doubt}" for doubt in doubted]
    return lines + [""], missing


def seconds(root):
    """Returns how long the trainings took that are there."""
    epochs = [path.read_text().splitlines() for path in root.glob("*/*/metrics.jsonl")]
    return [sum(json.loads(line)["seconds"] for line in lines) for lines in epochs]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", default="small")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--out", type=Path, default=Path("docs/results.md"))
    args = parser.parse_args()
    root, places = args.results / args.scale, cells.folders(args.scale)
    lines = [
        "# The paper's tables, with a third column",
        "",
        f"Scale `{args.scale}` (`experiments/scales/{args.scale}.toml`). In percent; in brackets the Wilson 95 %",
        "interval of one network, or least and most of several seeds. *A only* is a float model with quantized",
        "activations, as in the paper; *W+A* is an integer circuit, proved equal to its own float model. Written by",
        "`experiments/tabulate.py` from the reports in `results/`; `snakemake` makes what is missing.",
        "",
    ]
    gone, took = [], seconds(root)
    for name in cells.TABLES:
        text, missing = table(root, args.scale, name, places)
        lines += text
        gone += [f"- {name}: {cell}" for cell in missing]
    if gone:
        each = f", about {statistics.median(took) / 60:.0f} minutes of training each" if took else ""
        lines += [f"## Missing: {len(gone)} cells{each}", ""] + gone + [""]
    args.out.write_text("\n".join(lines))
    print(f"{args.out}: {len(gone)} cells are missing")


if __name__ == "__main__":
    main()
