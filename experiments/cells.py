"""Defines the cells of the paper's tables and figures: what is trained, what attacks it, and what the paper says.

A cell is one network: a base recipe of a scale, with keys set. Its folder's name ends in a hash of the whole
recipe, so that a result is found again by what it is of."""

import hashlib
import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
# β of the paper's table 1, as dq's recipes have it; 0 is vanilla.
BETAS = {"vanilla": 0.0, "dq-3e-4": 3e-4, "dq-6e-4": 6e-4, "dq-1e-3": 1e-3}
BITS = ["float", 1, 2, 3, 4, 5]
SETTINGS = {"a": "A only", "wa": "W+A"}


@dataclass(frozen=True)
class Cell:
    """One network of a table: its name, the keys of the recipe, the attacks and the paper's figures."""

    table: str
    name: str
    setting: str  # "a": float weights, as in the paper; "wa": a circuit
    keys: dict = field(hash=False)
    attacks: tuple  # names of attack sets below
    paper: dict = field(default_factory=dict, hash=False)  # column of the table: the paper's figure
    seeds: tuple = (1,)


# What each attack run asks for: attacks, radii, number of test images (none: all), and whether a substitute gives
# the gradients.
ATTACKS = {
    "fgsm8": {"attack": "fgsm", "eps": "8"},
    "paper": {"attack": "random,fgsm,r-fgsm,pgd", "eps": "2,8,16"},
    "blackbox": {"attack": "fgsm,pgd", "eps": "2,8,16", "substitute": True},
    "madry": {"attack": "madry-7,madry-20", "eps": "8"},
    "auto": {"attack": "auto", "eps": "2,8", "count": 1000},
}


def weights(setting):
    return "float" if setting == "a" else 4


def table1():
    """Accuracy against bits and β, clean and under FGSM at ε 8; figures 1 and 5 are drawn of it."""
    paper = {
        "vanilla": ([94.8, 42.0, 84.9, 92.8, 93.9, 94.7], [39.3, 9.0, 8.5, 14.1, 19.0, 30.2]),
        "dq-3e-4": ([95.3, 95.2, 95.3, 95.1, 95.1, 95.1], [41.8, 43.2, 41.1, 40.1, 39.8, 39.3]),
        "dq-6e-4": ([95.6, 95.7, 95.2, 95.4, 95.6, 95.5], [45.7, 48.3, 47.9, 43.8, 43.9, 44.6]),
        "dq-1e-3": ([95.9, 95.8, 95.6, 95.6, 95.8, 95.8], [49.1, 51.3, 50.4, 51.3, 49.8, 51.8]),
    }
    for row, beta in BETAS.items():
        for column, bits in enumerate(BITS):
            for setting in SETTINGS:
                if bits == "float" and setting == "wa":
                    continue  # a network with float activations is no circuit
                clean, attacked = (figures[column] for figures in paper[row])
                keys = {"bits.weights": weights(setting), "bits.activations": bits, "dq.beta": beta}
                attacks = ("fgsm8", "blackbox") if setting == "a" else ("fgsm8", "blackbox", "auto")
                # Conclusions rest on float, 1 and 4 bits of the two ends.
                telling = row in ("vanilla", "dq-1e-3") and bits in ("float", 1, 4)
                yield Cell("table1", f"{row}-a{bits}", setting, keys, attacks,
                           {"clean": clean, "fgsm 8": attacked}, (1, 2, 3) if telling else (1,))


def table3():
    """The defences of table 3, at the bits of section 5.2."""
    columns = ["random", "fgsm", "r-fgsm", "pgd"]
    rows = {
        "normal": (0.0, {}, 94.8, [[95, 91, 77], [59, 39, 29], [72, 37, 17], [56, 1, 0]]),
        "dq": (2e-3, {}, 95.9, [[96, 94, 84], [68, 53, 42], [77, 50, 30], [62, 4, 0]]),
        "fs": (0.0, {"squeeze.bits": 5, "squeeze.median": True}, 94.1,
               [[94, 92, 81], [61, 35, 27], [76, 40, 21], [64, 2, 0]]),
        "fs-dq": (2e-3, {"squeeze.bits": 5, "squeeze.median": True}, 94.9,
                  [[95, 93, 82], [66, 48, 33], [77, 51, 29], [66, 6, 1]]),
        "r-fgsm": (0.0, {"adversarial.attack": "r+fgsm"}, 91.6,
                   [[92, 91, 91], [81, 52, 38], [87, 69, 48], [84, 43, 11]]),
        "r-fgsm-dq": (1e-3, {"adversarial.attack": "r+fgsm"}, 94.0,
                      [[94, 93, 93], [85, 63, 51], [90, 74, 58], [87, 50, 22]]),
        "pgd": (0.0, {"adversarial.attack": "pgd"}, 86.6,
                [[86, 86, 86], [74, 46, 31], [79, 63, 46], [76, 44, 20]]),
        "pgd-dq": (1e-3, {"adversarial.attack": "pgd"}, 87.5,
                   [[87, 87, 87], [79, 53, 36], [83, 69, 52], [81, 50, 22]]),
    }
    for row, (beta, more, clean, figures) in rows.items():
        for setting in SETTINGS:
            # The paper's "Normal" is a float network; the others have activations of one bit.
            bits = "float" if row in ("normal", "fs", "r-fgsm", "pgd") and setting == "a" else 1
            paper = {"clean": clean}
            for column, values in zip(columns, figures):
                paper |= {f"{column} {eps}": value for eps, value in zip((2, 8, 16), values)}
            keys = {"bits.weights": weights(setting), "bits.activations": bits, "dq.beta": beta, **more}
            attacks = ("paper", "blackbox") if setting == "a" else ("paper", "blackbox", "auto")
            yield Cell("table3", row, setting, keys, attacks, paper)


def table4():
    """ReLU1 against ReLU6, clean."""
    for row, beta, paper in [("vanilla", 0.0, (93.49, 94.41)), ("dq", 1e-3, (95.14, 95.09))]:
        for activation, clean in zip(("relu1", "relu6"), paper):
            for setting in SETTINGS:
                keys = {"bits.weights": weights(setting), "bits.activations": 4, "dq.beta": beta,
                        "model.activation": activation}
                yield Cell("table4", f"{row}-{activation}", setting, keys, ("fgsm8",), {"clean": clean})


def table5():
    """Tanh masks gradients: trained by PGD, activations of two bits."""
    for row, more, clean, white, black in [
        ("float", {"bits.activations": "float"}, 83.47, 50.51, 65.58),
        ("tanh", {"model.activation": "tanh"}, 81.60, 71.03, 61.57),
        ("relu6", {}, 78.97, 48.90, 59.44),
    ]:
        for setting in SETTINGS:
            if row == "float" and setting == "wa":
                continue
            keys = {"bits.weights": weights(setting), "bits.activations": 2, "dq.beta": 0.0,
                    "adversarial.attack": "pgd", **more}
            attacks = ("madry", "blackbox") if setting == "a" else ("madry", "blackbox", "auto")
            yield Cell("table5", row, setting, keys, attacks,
                       {"clean": clean, "madry-20 8": white, "fgsm 8 from a substitute": black})


def table6():
    """Training by FGSM masks gradients, training by R+FGSM does not."""
    for row, attack, clean, white, black in [
        ("adv-fgsm", "fgsm", 94.55, 94.18, 51.65), ("adv-r-fgsm", "r+fgsm", 91.61, 51.65, 87.39),
    ]:
        for setting in SETTINGS:
            bits = "float" if setting == "a" else 4
            keys = {"bits.weights": weights(setting), "bits.activations": bits, "dq.beta": 0.0,
                    "adversarial.attack": attack}
            attacks = ("fgsm8", "blackbox") if setting == "a" else ("fgsm8", "blackbox", "auto")
            yield Cell("table6", row, setting, keys, attacks,
                       {"clean": clean, "fgsm 8": white, "fgsm 8 from a substitute": black})


def figure6():
    """Accuracy against β at four bits."""
    for beta in (0.0, 5e-4, 1e-3, 2e-3, 5e-3):
        for setting in SETTINGS:
            keys = {"bits.weights": weights(setting), "bits.activations": 4, "dq.beta": beta}
            yield Cell("figure6", f"beta-{beta:g}", setting, keys, ("fgsm8",))


# The network whose gradients the black-box attacks use: floats, trained plainly.
SUBSTITUTE = Cell("substitute", "plain", "a",
                  {"bits.weights": "float", "bits.activations": "float", "dq.beta": 0.0}, ())

TABLES = {"table1": table1, "table3": table3, "table4": table4, "table5": table5, "table6": table6,
          "figure6": figure6}


def cells(table):
    return list(TABLES[table]())


def base(scale):
    """Returns the path of a scale's base recipe."""
    return HERE / "scales" / f"{scale}.toml"


def toml(value):
    """Writes a value as `dq train --set` reads it."""
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def digest(scale, cell, seed):
    """Returns the hash of the cell's whole recipe but for its name."""
    whole = {"base": tomllib.loads(base(scale).read_text()), "keys": cell.keys, "seed": seed}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:10]


def folders(scale):
    """Returns the folder of each (table, name, setting, seed), with the cell that it is named after: one recipe has
    one folder, whichever tables ask for it."""
    found, first = {}, {}
    for cell in [cell for table in TABLES for cell in cells(table)] + [SUBSTITUTE]:
        for seed in cell.seeds:
            key = digest(scale, cell, seed)
            first.setdefault(key, (f"{cell.table}/{cell.name}-{cell.setting}-s{seed}-{key}", cell))
            found[(cell.table, cell.name, cell.setting, seed)] = first[key]
    return found
