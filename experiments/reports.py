"""Reads what stands in results/: the reports of a cell's networks, one for each seed. Nothing else opens these
files."""

import functools
import json
import math
import statistics
from dataclasses import dataclass

import cells


@dataclass(frozen=True)
class Network:
    """The reports of one trained network. A column is `clean`, `fgsm 8`, `auto 2` and so on: what is left after it."""

    tallies: dict  # column: correct, total, accuracy, interval
    outcomes: dict  # column: for each image, whether its label was right and stayed
    doubts: list
    missing: list  # attacks without a report
    plan: dict | None
    placed: dict | None  # the record of a board that it was built for


def outcomes(runs, clean):
    """Returns which images kept their label through all of these runs."""
    return [right and all(run["outcomes"][i] not in "x=" for run in runs) for i, right in enumerate(clean)]


def tally(kept):
    """Returns what a report says of as many images, with the Wilson 95 % interval."""
    n, share, z = len(kept), sum(kept) / len(kept), 1.959964
    middle, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    interval = [(middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)]
    return {"correct": sum(kept), "total": n, "accuracy": share, "interval": interval}


def read(path, name):
    """Returns tallies and outcomes of a report, by column."""
    report = json.loads(path.read_text())
    first = report["runs"][0]
    clean = [letter != "-" for letter in first["outcomes"]]
    if name not in cells.STRONG.values():
        tallies, kept = {"clean": report["clean"]}, {"clean": clean}
        for run in report["runs"]:
            title = f"{run['attack']} {run['eps']}" + (" from a substitute" if run["source"] else "")
            tallies[title], kept[title] = run["tally"], outcomes([run], clean)
            assert sum(kept[title]) == run["tally"]["correct"], f"{path}: {title}: outcomes and tally differ"
    else:
        # Of the strong attacks, only what all of them left says something; on fewer images.
        tallies, kept = {}, {}
        for eps in sorted({run["eps"] for run in report["runs"]}):
            runs = [run for run in report["runs"] if run["eps"] == eps]
            kept[f"apgd {eps}"] = outcomes([run for run in runs if run["attack"].startswith("apgd")], clean)
            if name == "auto":
                kept[f"auto {eps}"] = outcomes(runs, clean)
        tallies = {title: tally(right) for title, right in kept.items()}
    return tallies, kept, [f"{doubt['rule']}: {doubt['text']}" for doubt in report["doubts"]]


@functools.cache
def load(root, folder, attacks):
    """Returns the reports of a network that are there; None where it has none. Figures, tables and conclusions ask for
    the same ones, and a report is large."""
    tallies, kept, doubts, missing = {}, {}, [], []
    for name in attacks:
        path = root / folder / f"{name}.json"
        if not path.exists():
            missing.append(name)
            # The first two attacks of "auto" may be there by themselves.
            if name == "auto":
                name, path = "apgd", root / folder / "apgd.json"
            if not path.exists():
                continue
        found = read(path, name)
        # The clean accuracy of all images stands before that of some.
        tallies = found[0] | tallies
        kept = found[1] | kept
        doubts += found[2]
    files = (root / folder / name for name in ("plan.json", "record.json"))
    plan, placed = (json.loads(path.read_text()) if path.exists() else None for path in files)
    return Network(tallies, kept, doubts, missing, plan, placed) if tallies else None


def placed_luts(record):
    """Returns the LUTs of a placed circuit as plans count them: a LUT RAM's write port is two."""
    used = record["utilization"]
    return used["TRELLIS_COMB"]["used"] + 2 * used["TRELLIS_RAMW"]["used"]


def networks(root, places, table, cell):
    """Returns the cell's networks that are there, by seed."""
    folders = {seed: places[(table, cell.name, cell.setting, seed)][0] for seed in cell.seeds}
    found = {seed: load(root, folder, cell.attacked(seed)) for seed, folder in folders.items()}
    return {seed: network for seed, network in found.items() if network is not None}


def percent(tallies, names_seed=True):
    """Writes the mean of seeds, with the interval of one or the range of several. `tallies` has them by seed."""
    shares = [100 * tally["accuracy"] for tally in tallies.values()]
    if len(shares) > 1:
        return f"{statistics.mean(shares):.1f} ({min(shares):.1f}–{max(shares):.1f}; {len(shares)} seeds)"
    (seed, tally), = tallies.items()
    low, high = (100 * bound for bound in tally["interval"])
    return f"{shares[0]:.1f} ({low:.1f}–{high:.1f}{f'; seed {seed}' if names_seed else ''})"


def difference(one, other, column):
    """Returns by how many points `one` keeps more images than `other`, with a 95 % interval: of the images, which
    are the same, where each is one seed; of the seeds (Welch's t) where both are several."""
    if len(one) > 1 and len(other) > 1:
        shares = [[100 * network.tallies[column]["accuracy"] for network in some.values()] for some in (one, other)]
        parts = [statistics.variance(values) / len(values) for values in shares]
        freedom = sum(parts) ** 2 / sum(p**2 / (len(v) - 1) for p, v in zip(parts, shares)) if sum(parts) else 1
        middle = statistics.mean(shares[0]) - statistics.mean(shares[1])
        return middle, quantile(freedom) * math.sqrt(sum(parts))
    (a,), (b,) = ([network.outcomes[column] for network in list(some.values())[:1]] for some in (one, other))
    more, fewer = (sum(x and not y for x, y in pairs) for pairs in (zip(a, b), zip(b, a)))
    n = len(a)
    spread = math.sqrt(max(more + fewer - (more - fewer) ** 2 / n, 0)) / n
    return 100 * (more - fewer) / n, 196 * spread


def quantile(freedom):
    """Returns Student's t of 97.5 % for so many degrees of freedom, rounded down."""
    table = [12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23]
    return table[min(max(math.floor(freedom), 1), len(table)) - 1]


def of_table1(root, places, name, setting):
    """Returns the networks of a cell of table 1, by its names."""
    cell = next(cell for cell in cells.cells("table1") if (cell.name, cell.setting) == (name, setting))
    return networks(root, places, "table1", cell)
