"""Writes docs/results.md and its figures of what stands in results/: each cell beside the paper's, with its interval,
number of images and seeds, and what follows for the paper's conclusions. Nothing is typed by hand; what is missing is
listed with what its training would take.

Usage: tabulate.py [--scale small] [--results results] [--out docs/results.md] [--check]
With --check nothing is written or drawn: the page is compared with what the results say, and a difference is an error."""

import argparse
import difflib
import sys
from collections import defaultdict
from pathlib import Path

import cells
import conclude
import missing
import reports
import studies

TITLES = {
    "table1": "Table 1: accuracy against the bits of activations and β, under FGSM at ε 8",
    "table2": "Table 2: defences, SVHN",
    "table3": "Table 3: defences",
    "table4": "Table 4: ReLU1 against ReLU6",
    "table5": "Table 5: tanh masks gradients",
    "table6": "Table 6: training by FGSM masks gradients",
    "figure6": "Figure 6: accuracy against β, activations of 4 bits",
}

# What stands below each figure; figures.py draws them.
FIGURES = {
    "figure-1": "Figure 1: accuracy against the bits of activations, clean and under FGSM at ε 8",
    "figure-3": "Figure 3: what noise becomes, at a quantizer and from layer to layer",
    "figure-5": "Figure 5: black box, FGSM at ε 8 from VGG-16",
    "figure-6": "Figure 6: accuracy against β",
    "area": "Robust accuracy against area: every point is a circuit, the line is the front; a cross is a placed and routed one",
}
# What the plot of area does not show.
AREA = ["A cross counts more than its point not only because of place and route: it has the board's wrapper in it (UART, clock)",
        "and the route-throughs, LUTs that only pass a wire on, neither of which plans count.", ""]

# The networks that are built to mask gradients.
CONTROLS = ("table5: tanh", "table6: adv-fgsm")


def left(network):
    """Says what each attack left of a network."""
    return ", ".join(f"{column} {100 * tally['accuracy']:.1f}" for column, tally in network.tallies.items())


def table(root, name, places):
    """Returns the lines of one table, and what the reports doubt in it."""
    rows, order, doubted = defaultdict(dict), [], []  # rows: (row, column) -> setting -> text
    for cell in cells.cells(name):
        found = reports.networks(root, places, name, cell)
        shown = f"{name}: {cell.name}, {cells.SETTINGS[cell.setting]}"
        doubted += [f"{shown}, seed {seed}: {doubt}" for seed, network in found.items() for doubt in network.doubts]
        if shown.startswith(CONTROLS):
            doubted += [f"{shown}, seed {seed}: not doubted; {left(network)}" for seed, network in found.items()
                        if not network.doubts]
        columns = {column: None for network in found.values() for column in network.tallies}
        for column in {**cell.paper, **columns} if found else {}:
            if (cell.name, column) not in order:
                order.append((cell.name, column))
            at = rows[(cell.name, column)]
            tallies = {seed: network.tallies[column] for seed, network in found.items() if column in network.tallies}
            at["paper"] = cell.paper.get(column, "")
            at["n"] = at.get("n", set()) | {tally["total"] for tally in tallies.values()}
            at |= {cell.setting: reports.percent(tallies)} if tallies else {}
    if not order:
        return [], doubted
    lines = [f"## {TITLES[name]}", "", "| network | column | n | paper | A only, float model | W+A, circuit |",
             "|---|---|---|---|---|---|"]
    for row, column in order:
        at = rows[(row, column)]
        n = ", ".join(f"{total:,}" for total in sorted(at["n"]))
        lines.append(f"| {row} | {column} | {n} | {at['paper']} | {at.get('a', '–')} | {at.get('wa', '–')} |")
    return lines + [""], doubted


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


def drawn(folder, scale):
    """Returns the lines that show the figures that stand in `folder`."""
    lines = []
    for name, title in FIGURES.items():
        if (folder / f"{scale}-{name}.svg").exists():
            lines += [f"![{title}](results/{scale}-{name}.svg)", "", *(AREA if name == "area" else [])]
    return ["## Figures", "", *lines] if lines else []


def head(scale):
    """Returns the lines that say what the page's figures are, and what of them can be checked."""
    return f"""# The paper's tables, with a third column

Scale `{scale}` (`experiments/scales/{scale}.toml`). In percent; in brackets the Wilson 95 % interval of one network and
its seed, or least and most of several seeds. *A only* is a float model with quantized activations, as in the paper;
*W+A* is an integer circuit with weights of 4 bits, proved equal to its own float model. Tables 1 to 6 have the paper's
columns and ours:

- `n`: the first so many test images, on which the row stands. The same network's clean accuracy differs from table to
  table where these take more or fewer of them.
- `clean`: right without an attack. `random`, `fgsm`, `r-fgsm`, `pgd`, `madry-7`, `madry-20` and a number: right under
  the paper's attack of this name at this ε, in grey levels; `from a substitute`: by the gradients of another network.
- `apgd N`: what the first two of AutoAttack's four attacks leave at ε N; `auto N`: what all four leave.

**What can be checked without training.** The circuits (W+A) are committed, and so every report on them by gradients of
their own. One command makes these again; `git diff` then shows what came out otherwise, and nothing else changes:

    snakemake -s experiments/Snakefile -c2 -R attack --config cifar10=DIR -- \\
        $(git ls-files results | grep -E -e '-wa-.*/(apgd|auto|paper|white).json')

Float networks (A only) and the VGG-16 whose gradients black boxes take are not committed (1.5 MB each). The columns
*A only* and `from a substitute` can be checked only after training these again, on another processor to other weights
within rounding; tables 5 and 6 take a substitute that is committed.

[The workflow](experiments.md) makes what is missing; `experiments/tabulate.py` writes this page from the reports in
`results/`.
""".splitlines() + [""]


def page(root, scale, figures):
    """Returns the page's text, given the folder of its figures, and how many networks are missing."""
    places = cells.folders(scale)
    body, doubted = [], []
    for name in TITLES:
        text, doubts = table(root, name, places)
        body += text
        doubted += doubts
    gone, count = missing.lines(root, scale, places)
    lines = head(scale) + conclude.lines(root, places) + studies.why(root, places) + drawn(figures, scale)
    lines += body + studies.samples(root) + controls(doubted) + gone
    return "\n".join(lines).rstrip() + "\n", count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--scale", default="small")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--out", type=Path, default=Path("docs/results.md"))
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    root, folder = args.results / args.scale, args.out.parent / "results"
    if not args.check:
        # Only drawing needs matplotlib.
        import figures

        figures.draw(root, cells.folders(args.scale), folder, args.scale)
    text, count = page(root, args.scale, folder)
    if args.check:
        page_lines, wanted = args.out.read_text().splitlines(), text.splitlines()
        sys.exit("\n".join(difflib.unified_diff(page_lines, wanted, str(args.out), "results", lineterm="")) or None)
    args.out.write_text(text)
    print(f"{args.out}: {count} networks are missing")


if __name__ == "__main__":
    main()
