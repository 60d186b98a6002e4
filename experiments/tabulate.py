"""Writes docs/results.md and its figures of what stands in results/: each cell beside the paper's, with its interval,
number of images and seeds, and what follows for the paper's conclusions. Nothing is typed by hand; cells that are
missing are listed with the time that they would take.

Usage: tabulate.py [--scale small] [--results results] [--out docs/results.md]"""

import argparse
import statistics
from collections import defaultdict
from pathlib import Path

import cells
import conclude
import figures
import reports

TITLES = {
    "table1": "Table 1: accuracy against the bits of activations and β, under FGSM at ε 8",
    "table2": "Table 2: defences, SVHN",
    "table3": "Table 3: defences",
    "table4": "Table 4: ReLU1 against ReLU6",
    "table5": "Table 5: tanh masks gradients",
    "table6": "Table 6: training by FGSM masks gradients",
    "figure6": "Figure 6: accuracy against β, activations of 4 bits",
    "reasons": "Why: one thing varied at a time",
}

# The networks that are built to mask gradients.
CONTROLS = ("table5: tanh", "table6: adv-fgsm")


def left(network):
    """Says what each attack left of a network."""
    return ", ".join(f"{column} {100 * tally['accuracy']:.1f}" for column, tally in network.tallies.items())


def table(root, name, places):
    """Returns the lines of one table, its missing cells, and those that the reports doubt."""
    rows, order = defaultdict(dict), []  # (row, column) -> setting -> text
    doubted, missing = [], []
    for cell in cells.cells(name):
        found = reports.networks(root, places, name, cell)
        shown = f"{name}: {cell.name}, {cells.SETTINGS[cell.setting]}"
        missing += [(name, cell, seed) for seed in cell.seeds if seed not in found or found[seed].missing]
        doubted += [f"{shown}, seed {seed}: {doubt}" for seed, network in found.items() for doubt in network.doubts]
        if shown.startswith(CONTROLS):
            doubted += [f"{shown}, seed {seed}: not doubted; {left(network)}" for seed, network in found.items()
                        if not network.doubts]
        columns = {column: None for network in found.values() for column in network.tallies}
        for column in {**cell.paper, **columns} if found else {}:
            if (cell.name, column) not in order:
                order.append((cell.name, column))
            tallies = [network.tallies[column] for network in found.values() if column in network.tallies]
            rows[(cell.name, column)] |= {"paper": cell.paper.get(column, "")}
            rows[(cell.name, column)] |= {cell.setting: reports.percent(tallies)} if tallies else {}
    if not order:
        return [], missing, doubted
    lines = [f"## {TITLES[name]}", "", "| network | column | paper | A only, float model | W+A, circuit |",
             "|---|---|---|---|---|"]
    for row, column in order:
        at = rows[(row, column)]
        lines.append(f"| {row} | {column} | {at['paper']} | {at.get('a', '–')} | {at.get('wa', '–')} |")
    return lines + [""], missing, doubted


def controls(doubted):
    """Returns the lines on masked gradients: which networks the reports doubt."""
    proved = "black-box-beats-white-box"
    lines = ["## Which networks the reports doubt", "",
             "Two kinds are built to mask gradients, and should be doubted: the tanh network of table 5 and the one that",
             "is trained on FGSM's adversaries of table 6; one that is not did not learn to mask at this scale, as what",
             "is left of it says. Where another network is doubted because an attack without gradients broke more than",
             "those with them, its adversaries themselves prove the doubt: figures by gradients alone overstate that",
             "network. Any other doubt would be a false alarm.", ""]

    def shown(doubt):
        return f"- {doubt}{'' if doubt.startswith(CONTROLS) or proved in doubt else ' **(a false alarm?)**'}"

    return lines + ([shown(doubt) for doubt in doubted] or ["None so far."]) + [""]


def wanted(name):
    """Returns how many networks and seeds a table asks for."""
    return sum(len(cell.seeds) for cell in cells.cells(name))


def absent(name, gone):
    """Returns the lines that name a table's missing networks."""
    seeds = defaultdict(list)
    for _, cell, seed in gone:
        seeds[f"{cell.name} ({cells.SETTINGS[cell.setting]})"].append(str(seed))
    shown = [title if found == ["1"] else f"{title} seeds {' '.join(found)}" for title, found in seeds.items()]
    return [f"- {name}, {len(gone)} of {wanted(name)}: {', '.join(shown)}"] if gone else []


def page(args, root, places):
    """Returns the page's lines and the number of missing cells."""
    lines = [
        "# The paper's tables, with a third column",
        "",
        f"Scale `{args.scale}` (`experiments/scales/{args.scale}.toml`). In percent; in brackets the Wilson 95 %",
        "interval of one network, or least and most of several seeds. *A only* is a float model with quantized",
        "activations, as in the paper; *W+A* is an integer circuit with weights of 4 bits, proved equal to its own",
        "float model. `auto N` is what AutoAttack's four attacks leave at ε N, `apgd N` what the first two of them",
        "leave, of the first 1,000 test images.",
        "[The workflow](experiments.md) makes what is missing; `experiments/tabulate.py` writes this page from the",
        "reports in `results/`.",
        "",
    ]
    body, gone, doubted = [], [], []
    for name in cells.TABLES:
        text, missing, doubts = table(root, name, places)
        body += text
        gone += missing
        doubted += doubts
    lines += conclude.lines(root, places)
    lines += figures.draw(root, places, args.out.parent / "results", args.scale)
    lines += body + controls(doubted)
    if gone:
        took = reports.minutes(root)
        each = f", about {statistics.median(took):.0f} minutes of training each" if took else ""
        lines += [f"## Missing: {len(gone)} of {sum(map(wanted, cells.TABLES))} networks and seeds{each}", ""]
        lines += [line for name in cells.TABLES for line in absent(name, [cell for cell in gone if cell[0] == name])]
    return lines, len(gone)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", default="small")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--out", type=Path, default=Path("docs/results.md"))
    args = parser.parse_args()
    lines, gone = page(args, args.results / args.scale, cells.folders(args.scale))
    args.out.write_text("\n".join(lines).rstrip() + "\n")
    print(f"{args.out}: {gone} cells are missing")


if __name__ == "__main__":
    main()
