"""Writes the page's sections beside the tables: why (one thing varied at a time, with the norms of the layers) and the
samples of appendix C."""

import csv
import json
import math
import textwrap

import cells
import reports

COLUMNS = ("clean", "fgsm 8", "apgd 1")


def norms_of_weights(root, folder):
    """Returns the exact norms of the layers' weights after the last epoch; none where there is no training."""
    path = root / folder / "metrics.jsonl"
    return dict(json.loads(path.read_text().splitlines()[-1])["norm"]) if path.exists() else {}


def norms_of_layers(root, folder):
    """Returns the exact norms of the exported circuit's layers, which have batch norm in them; none without a report."""
    path = root / folder / "norms.json"
    nodes = json.loads(path.read_text())["nodes"] if path.exists() else []
    return {node["name"]: node["lipschitz"] for node in nodes if node["lipschitz"] is not None}


def mean(norms):
    """Returns the geometric mean."""
    return math.prod(norms.values()) ** (1 / len(norms))


def summed_up(norms):
    """Returns the geometric mean of norms and the largest one."""
    if not norms:
        return "– | –"
    name = max(norms, key=norms.get)
    return f"{mean(norms):.2f} | {norms[name]:.1f} ({name})"


def compared(plain, other, title):
    """Says what the penalty did to the norms and to robustness; `plain` is the network without one. Each is the network,
    its weights' norms and its layers' norms."""
    shrunk = [f"{mean(other[at]) / mean(plain[at]):.2f} {what}"
              for at, what in ((1, "by weights alone"), (2, "with batch norm")) if plain[at] and other[at]]
    moved = []
    for column in COLUMNS:
        middle, half = reports.difference({1: other[0]}, {1: plain[0]}, column)
        moved.append(f"`{column}` {middle:+.1f} ± {half:.1f}")
    return (f"{title}: the mean norm is {', '.join(shrunk)} times that without a penalty; accuracy changes by these points: "
            f"{', '.join(moved)}.")


def why(root, places):
    """Returns the section on what is varied one at a time."""
    rows, missing, plain, texts = [], [], None, []
    for title, table, name in cells.VARIED:
        cell = next(cell for cell in cells.cells(table) if (cell.name, cell.setting) == (name, "wa"))
        folder = places[(table, name, "wa", 1)][0]
        network = reports.load(root, folder, cell.attacked(1))
        if network is None:
            missing.append(title)
            continue
        norms = norms_of_weights(root, folder), norms_of_layers(root, folder)
        kept = [network.tallies.get(column) for column in COLUMNS]
        shown = [reports.percent({1: tally}, False) if tally else "–" for tally in kept]
        rows.append(f"| {title} | {' | '.join(shown)} | {summed_up(norms[0])} | {summed_up(norms[1])} |")
        if plain is None:
            plain = (network, *norms)
        elif all(kept):
            texts += textwrap.wrap("- " + compared(plain, (network, *norms), title), 116, subsequent_indent="  ")
    said = (
        "Circuits with activations of 4 bits, seed 1, on 10,000 test images (`apgd 1`: on the first 1,000). A layer's Lipschitz "
        "constant is the largest singular value of the map that it computes. *Weights alone* is that of its quantized weights "
        "after the last epoch, without batch norm. *With batch norm* is that of the exported layer, which computes both "
        "(`dq info --norms`): batch norm scales each channel, and may give back what the penalty took. Means are geometric, "
        "over the layers."
    )
    return ["## Why: one thing varied at a time", "", *textwrap.wrap(said, 116), "",
            f"| varied | {' | '.join(COLUMNS)} | weights alone, mean | largest | with batch norm, mean | largest |",
            "|---|" + "---|" * (len(COLUMNS) + 4), *rows, "", *texts, *([""] if texts else []),
            *([*textwrap.wrap(f"Missing: {'; '.join(missing)}.", 116), ""] if missing else [])]


def samples(root):
    """Returns the section of appendix C: what each network takes some images and their adversaries for."""
    path = root / "samples" / "verdicts.csv"
    if not path.exists():
        return []
    images, names = {}, {}
    for line in csv.DictReader(path.read_text().splitlines()):
        names[line["network"]] = None
        at = images.setdefault((line["index"], line["true class"]), {})
        at[(line["network"], line["picture"])] = f"{line['class']} {100 * float(line['probability']):.0f}"
    first, *_ = names
    rows = []
    for (index, label), at in images.items():
        verdicts = [f"{at[(name, 'image')]} → {at[(name, 'adversary')]}" for name in names]
        rows.append(f"| {index} | {label} | {' | '.join(verdicts)} |")
    said = (
        f"Test images that FGSM at ε 8 breaks on `{first}`: class and probability (softmax, in percent) of the image → of its "
        "adversary. The other circuits judge the same adversaries, which were not made for them. Pictures are not kept here; "
        "`snakemake -s experiments/Snakefile -c1 samples -R samples --config cifar10=DIR` makes them in seconds."
    )
    return ["## Appendix C: samples", "", *textwrap.wrap(said, 116, break_on_hyphens=False), "",
            f"| image | true class | {' | '.join(f'`{name}`' for name in names)} |", "|---|---|" + "---|" * len(names), *rows, ""]
