"""Says what is missing of the tables, network by network, and what its training would cost by the trainings at hand."""

import json
import statistics
import textwrap
import tomllib
from collections import Counter, defaultdict
from dataclasses import dataclass

import cells

# Kinds of training, by `adversarial.attack`: what makes the adversaries decides what a step costs.
KINDS = {None: "plain", "fgsm": "FGSM, R+FGSM", "r+fgsm": "FGSM, R+FGSM", "pgd": "PGD"}
# An epoch of SVHN has more images than one of CIFAR-10.
LONGER = {"svhn": 73_257 / 50_000}


@dataclass(frozen=True)
class Network:
    """One recipe and seed, of whichever tables ask for it."""

    cell: cells.Cell  # the one that its folder is named after
    seed: int
    folder: str
    epochs: int
    is_trained: bool
    lacks: tuple  # the attacks that some table asks for and no report holds

    @property
    def kind(self):
        return KINDS[self.cell.keys.get("adversarial.attack")]

    @property
    def is_to_be_trained(self):
        """Weights of float networks are not committed: what is to be attacked is to be trained again."""
        return not self.is_trained or self.cell.setting == "a" and bool(self.lacks)


def seconds(root, folder):
    """Returns the seconds of each epoch of a training; none where it has no record."""
    path = root / folder / "metrics.jsonl"
    return [json.loads(line)["seconds"] for line in path.read_text().splitlines()] if path.exists() else []


def networks(root, scale, places):
    """Returns all distinct networks that the tables ask for, and the substitutes."""
    asked = defaultdict(dict)  # folder -> attacks, in the order in which tables ask
    named = {}
    for table in cells.TABLES:
        for cell in cells.cells(table):
            for seed in cell.seeds:
                folder, first = places[(table, cell.name, cell.setting, seed)]
                named[folder] = (first, seed)
                asked[folder] |= dict.fromkeys(cell.attacked(seed))
    for cell in cells.SUBSTITUTES.values():
        folder = places[(cell.table, cell.name, cell.setting, 1)][0]
        named[folder], asked[folder] = (cell, 1), {}
    found = []
    for folder, (cell, seed) in named.items():
        base = tomllib.loads(cells.base(scale, cell).read_text())
        epochs = cell.keys.get("train.epochs", base["train"]["epochs"])
        lacks = tuple(name for name in asked[folder] if not (root / folder / f"{name}.json").exists())
        found.append(Network(cell, seed, folder, epochs, len(seconds(root, folder)) == epochs, lacks))
    return found


def prices(root, some):
    """Returns of each kind of training its minutes on one core, by the median epoch of the median run, and how many runs
    that is of."""
    took = defaultdict(list)
    for network in some:
        if network.is_trained and network.cell.table != "substitute":
            took[network.kind].append(statistics.median(seconds(root, network.folder)) * network.epochs / 60)
    return {kind: (statistics.median(runs), len(runs)) for kind, runs in took.items()}


def hours(some, price):
    """Returns the core-hours of training some networks; None where a kind has no run to go by."""
    if any(network.kind not in price for network in some):
        return None
    return sum(price[network.kind][0] * LONGER.get(network.cell.data, 1) for network in some) / 60


def row(title, some, cost):
    """Returns a row of the table of costs: networks by kind of training, and core-hours."""
    kinds = Counter(network.kind for network in some)
    counts = [str(kinds[kind] or "–") for kind in dict.fromkeys(KINDS.values())]
    return f"| {title} | {' | '.join(counts)} | {len(some)} | {'?' if cost is None else f'{cost:.0f}'} |"


def by_table(some, with_attacks):
    """Returns the lines that name networks, under the first table that asks for each."""
    tables = defaultdict(lambda: defaultdict(list))
    for network in some:
        name = f"{network.cell.name} ({cells.SETTINGS[network.cell.setting]})"
        name += f" {', '.join(network.lacks)}" if with_attacks and network.lacks else ""
        tables[network.cell.table][name].append(str(network.seed))
    lines = []
    for table, names in tables.items():
        shown = [name if seeds == ["1"] else f"{name} seed {' '.join(seeds)}" for name, seeds in names.items()]
        lines.append(f"- {table}: {'; '.join(shown)}")
    return lines


def from_nothing(places, some, price):
    """Says what table 1 costs from nothing, and whether that is within the ten hours of two cores that are its goal."""
    seeds = [(cell, seed) for cell in cells.cells("table1") for seed in cell.seeds]
    folders = {places[("table1", cell.name, cell.setting, seed)][0] for cell, seed in seeds}
    cost = hours([network for network in some if network.folder in folders], price)
    if cost is None:
        return ""
    return (f"Table 1 from nothing is {len(folders)} trainings, {cost:.0f} core-hours: {cost / 2:.1f} hours of two cores, its attacks "
            f"and the training of its substitute beside. The goal of 10 hours is {'met' if cost / 2 <= 10 else 'not met'}.")


def lines(root, scale, places):
    """Returns the page's section, and how many networks are not whole."""
    some = networks(root, scale, places)
    price = prices(root, some)
    untrained = [network for network in some if not network.is_trained]
    # A substitute is trained again where a network is to be attacked with its gradients.
    sets = {network.cell.data for network in some for name in network.lacks if "plain" in cells.ATTACKS[name].values()}
    again = [network for network in some if network.is_trained and (
        network.is_to_be_trained or network.cell.table == "substitute" and network.cell.data in sets)]
    attacked = [network for network in some if network.lacks and not network.is_to_be_trained]
    gone = untrained + again + attacked
    if not gone:
        return [], 0
    runs = [f"{kind} {minutes:.0f} minutes ({count} run{'s' if count > 1 else ''})" for kind, (minutes, count) in price.items()]
    known = (f"Of {len(some)} distinct networks (a recipe and a seed, whichever tables ask for it; the substitutes of black boxes "
             f"are two of them) {len(some) - len(gone)} are whole. What a training takes of one core is the median over runs of "
             f"their median epoch, beside other work: {'; '.join(runs) or 'none is at hand'}. SVHN counts longer by its "
             "images. No report says how long an attack took: attacks are not in these hours.")
    kinds = list(dict.fromkeys(KINDS.values()))
    text = ["## Missing", "", *textwrap.wrap(known, 116), "",
            f"| | {' | '.join(kinds)} | networks | core-hours of training |", "|---|" + "---|" * (len(kinds) + 2),
            row("to be trained", untrained, hours(untrained, price)),
            row("trained, in floats: again, since weights are not committed", again, hours(again, price)),
            row("circuits that lack attacks alone", attacked, 0),
            row("all", gone, hours(untrained + again, price)), ""]
    if scale == "small":
        text += [*textwrap.wrap(from_nothing(places, some, price), 116), ""]
    for title, group, with_attacks in [
        ("To be trained, under the first table that asks for each:", untrained, False),
        ("To be trained again, for these attacks (the substitute for those of others):", again, True),
        ("To be attacked:", attacked, True),
    ]:
        text += [title, "", *by_table(group, with_attacks), ""] if group else []
    return text, len(gone)
