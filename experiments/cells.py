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
    data: str = "cifar10"  # the set of its images

    def attacked(self, seed):
        """Returns the attack sets of a seed: beside the first seed's `auto`, others take only its first two attacks."""
        return self.attacks if seed == self.seeds[0] else tuple("apgd" if a == "auto" else a for a in self.attacks)


# A network of another architecture, trained on PGD's adversaries, whose gradients the black-box attacks of
# tables 5 and 6 use, as in the paper; those of the other tables use SUBSTITUTE below.
ROBUST_SUBSTITUTE = "models/substitute-cifar10-vgg-16-pgd-w8a8.json"

# What each attack run asks for: attacks, radii, and whose gradients it uses beside ("also") or instead of ("from") the
# network's own.
ATTACKS = {
    "fgsm8": {"attack": "fgsm", "eps": "8", "also": "plain"},
    "paper": {"attack": "random,fgsm,r-fgsm,pgd", "eps": "2,8,16"},
    "blackbox": {"attack": "fgsm,pgd", "eps": "2,8,16", "from": "plain"},
    "masking": {"attack": "fgsm", "eps": "8", "also": "robust"},
    "madry": {"attack": "fgsm,madry-7,madry-20", "eps": "8", "also": "robust"},
    # The first two attacks of "auto", each on every image: they break nearly all that it breaks, in a fifth of the time.
    "apgd": {"attack": "apgd-ce,apgd-t", "eps": "1,2,8"},
    "auto": {"attack": "auto", "eps": "1,2,8"},
    # What needs no other network: of table 1's attacks, the one by the network's own gradients.
    "white": {"attack": "fgsm", "eps": "8"},
}

# The strong attacks of each setting: all of AutoAttack's on circuits, and on the float networks that table 1's circuits
# are compared with.
STRONG = {"a": "apgd", "wa": "auto"}

# The plot of robustness against area: the tables whose circuits it shows, at this throughput on this device.
PLOTTED = ("table1", "table3")
DEVICE, FPS = "ecp5-85f", 500


def count(scale, attack):
    """Returns how many test images an attack takes; none: all. Of 2,000 the interval is within 2.2 points."""
    return {"apgd": 1000, "auto": 1000, **({} if scale == "full" else {"paper": 2000, "blackbox": 2000, "madry": 2000})}.get(attack)


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
                # Conclusions rest on float, 1 and 4 bits of the two ends.
                telling = row in ("vanilla", "dq-1e-3") and bits in ("float", 1, 4)
                strong = "auto" if bits == "float" else STRONG[setting]
                yield Cell("table1", f"{row}-a{bits}", setting, keys, ("fgsm8", strong),
                           {"clean": clean, "fgsm 8": attacked}, (1, 2, 3) if telling else (1,))


def columns(figures):
    """Names the figures of a row of tables 2 and 3: a list for each attack, a figure for each radius."""
    names = ["random", "fgsm", "r-fgsm", "pgd", "fgsm from a substitute", "pgd from a substitute"]
    paper = {}
    for name, values in zip(names, figures):
        attack, *source = name.split(" ", 1)
        paper |= {" ".join([attack, str(eps), *source]): value for eps, value in zip((2, 8, 16), values)}
    return paper


def defences(table, rows, more, data):
    """Accuracy of the rows' networks under the paper's attacks; rows: β, keys, clean accuracy, figures."""
    for row, (beta, keys, clean, figures) in rows.items():
        for setting in SETTINGS:
            # The paper's "Normal" is a float network; the others have activations of one bit.
            bits = "float" if row in ("normal", "fs", "r-fgsm", "pgd") and setting == "a" else 1
            all_keys = {"bits.weights": weights(setting), "bits.activations": bits, "dq.beta": beta, **more, **keys}
            attacks = ("paper", "blackbox", STRONG[setting])
            yield Cell(table, row, setting, all_keys, attacks, {"clean": clean, **columns(figures)}, data=data)


SQUEEZE = {"squeeze.bits": 5, "squeeze.median": True}


def table2():
    """The defences of table 2, on SVHN."""
    rows = {
        "normal": (0.0, {}, 96.8, [[97, 97, 96], [74, 42, 26], [86, 55, 35], [77, 5, 0], [90, 62, 40], [92, 58, 30]]),
        "dq": (2e-3, {}, 96.7, [[96, 96, 96], [77, 45, 31], [87, 59, 40], [79, 10, 0], [90, 63, 42], [92, 60, 31]]),
        "fs": (0.0, SQUEEZE, 96.3,
               [[96, 96, 95], [69, 34, 20], [84, 48, 28], [72, 3, 0], [89, 61, 38], [91, 56, 27]]),
        "fs-dq": (2e-3, SQUEEZE, 96.2,
                  [[96, 96, 96], [75, 42, 28], [86, 56, 36], [77, 6, 0], [90, 63, 40], [92, 59, 30]]),
        "r-fgsm": (0.0, {"adversarial.attack": "r+fgsm"}, 96.6,
                   [[97, 96, 96], [84, 53, 38], [91, 70, 57], [87, 30, 6], [93, 74, 54], [94, 83, 72]]),
        "r-fgsm-dq": (1e-3, {"adversarial.attack": "r+fgsm"}, 96.6,
                      [[97, 96, 95], [88, 59, 40], [93, 77, 61], [91, 47, 17], [94, 80, 61], [95, 89, 84]]),
    }
    # Mirrored digits are others.
    yield from defences("table2", rows, {"data.set": "svhn", "data.augment": []}, "svhn")


def table3():
    """The defences of table 3, at the bits of section 5.2."""
    rows = {
        "normal": (0.0, {}, 94.8, [[95, 91, 77], [59, 39, 29], [72, 37, 17], [56, 1, 0], [88, 63, 36], [90, 64, 42]]),
        "dq": (2e-3, {}, 95.9, [[96, 94, 84], [68, 53, 42], [77, 50, 30], [62, 4, 0], [84, 59, 40], [87, 50, 27]]),
        "fs": (0.0, SQUEEZE, 94.1,
               [[94, 92, 81], [61, 35, 27], [76, 40, 21], [64, 2, 0], [87, 62, 30], [89, 70, 42]]),
        "fs-dq": (2e-3, SQUEEZE, 94.9,
                  [[95, 93, 82], [66, 48, 33], [77, 51, 29], [66, 6, 1], [87, 62, 29], [90, 70, 43]]),
        "r-fgsm": (0.0, {"adversarial.attack": "r+fgsm"}, 91.6,
                   [[92, 91, 91], [81, 52, 38], [87, 69, 48], [84, 43, 11], [92, 89, 85], [92, 91, 89]]),
        "r-fgsm-dq": (1e-3, {"adversarial.attack": "r+fgsm"}, 94.0,
                      [[94, 93, 93], [85, 63, 51], [90, 74, 58], [87, 50, 22], [93, 91, 87], [94, 92, 92]]),
        "pgd": (0.0, {"adversarial.attack": "pgd"}, 86.6,
                [[86, 86, 86], [74, 46, 31], [79, 63, 46], [76, 44, 20], [84, 83, 81], [84, 83, 83]]),
        "pgd-dq": (1e-3, {"adversarial.attack": "pgd"}, 87.5,
                   [[87, 87, 87], [79, 53, 36], [83, 69, 52], [81, 50, 22], [87, 86, 82], [87, 86, 86]]),
    }
    yield from defences("table3", rows, {}, "cifar10")


def table4():
    """ReLU1 against ReLU6, clean."""
    for row, beta, paper in [("vanilla", 0.0, (93.49, 94.41)), ("dq", 1e-3, (95.14, 95.09))]:
        for activation, clean in zip(("relu1", "relu6"), paper):
            for setting in SETTINGS:
                keys = {"bits.weights": weights(setting), "bits.activations": 4, "dq.beta": beta}
                # ReLU6 is the scales' own, so that its networks are those of table 1.
                keys |= {} if activation == "relu6" else {"model.activation": activation}
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
            yield Cell("table5", row, setting, keys, ("madry", STRONG[setting]),
                       {"clean": clean, "madry-20 8": white, "madry-20 8 from a substitute": black})


def table6():
    """Training by FGSM masks gradients, training by R+FGSM does not."""
    for row, attack, clean, white, black in [
        ("adv-fgsm", "fgsm", 94.55, 94.18, 51.65), ("adv-r-fgsm", "r+fgsm", 91.61, 51.65, 87.39),
    ]:
        for setting in SETTINGS:
            bits = "float" if setting == "a" else 4
            keys = {"bits.weights": weights(setting), "bits.activations": bits, "dq.beta": 0.0,
                    "adversarial.attack": attack}
            yield Cell("table6", row, setting, keys, ("masking", STRONG[setting]),
                       {"clean": clean, "fgsm 8": white, "fgsm 8 from a substitute": black})


def figure6():
    """Accuracy against β at four bits."""
    for beta in (0.0, 5e-4, 1e-3, 2e-3, 5e-3):
        for setting in SETTINGS:
            keys = {"bits.weights": weights(setting), "bits.activations": 4, "dq.beta": beta}
            yield Cell("figure6", f"beta-{beta:g}", setting, keys, ("fgsm8",))


def reasons():
    """Varies one thing at a time from DQ of β 1e-3 at four bits: how strong the penalty is, which weights it sees, and how
    long is trained."""
    for name, varied in [("latent-1e-2", {"dq.beta": 1e-2}), ("quantized-1e-3", {"dq.on": "quantized"}),
                         ("half-the-epochs", {"train.epochs": 10})]:
        keys = {"bits.weights": weights("wa"), "bits.activations": 4, "dq.beta": 1e-3, **varied}
        yield Cell("reasons", name, "wa", keys, ("white", "apgd"))


# The networks whose gradients the black-box attacks of tables 1 to 3 use: VGG-16 in floats, trained plainly.
SUBSTITUTES = {
    data: Cell("substitute", f"vgg-16-{data}", "a", more, (), data=data)
    for data, more in (("cifar10", {}), ("svhn", {"data.set": "svhn", "data.augment": []}))
}

TABLES = {"table1": table1, "table2": table2, "table3": table3, "table4": table4, "table5": table5,
          "table6": table6, "figure6": figure6, "reasons": reasons}


# Studies of several networks of table 1: those of figure 3 (what noise becomes) and of appendix C (samples, of which
# the first network's adversaries are shown to all: circuits alone, since these are committed).
STUDIES = {
    "figure3": [("vanilla-afloat", "a"), ("vanilla-a4", "a"), ("dq-1e-3-a4", "a"), ("vanilla-a4", "wa"),
                ("dq-1e-3-a4", "wa")],
    "samples": [("vanilla-a4", "wa"), ("dq-1e-3-a4", "wa"), ("vanilla-a1", "wa")],
}
# What these ask for: radii and quantizers of figure 3, and how many images the samples are taken of.
NOISE = {"eps": "1,2,3,4,6,8,16", "bits": "1,2,3,4,5,8"}
SAMPLES = 16


# The circuits whose layers' norms are compared: what is varied, and where the first seed of it stands.
VARIED = [
    ("no penalty", "table1", "vanilla-a4"),
    ("β 5e-4 on latent weights", "figure6", "beta-0.0005"),
    ("β 1e-3 on latent weights, DQ of table 1", "table1", "dq-1e-3-a4"),
    ("β 2e-3 on latent weights", "figure6", "beta-0.002"),
    ("β 5e-3 on latent weights", "figure6", "beta-0.005"),
    ("β 1e-2 on latent weights", "reasons", "latent-1e-2"),
    ("β 1e-3 on quantized weights", "reasons", "quantized-1e-3"),
    ("β 1e-3, half the epochs", "reasons", "half-the-epochs"),
]


def cells(table):
    return list(TABLES[table]())


def base(scale, cell):
    """Returns the path of the cell's base recipe: the first of those that the scale has, from its own to all networks'."""
    kinds = {"substitute": ["-substitute"], "table2": ["-svhn"], "table5": ["-madry"]}.get(cell.table, [])
    kinds += ["-pgd"] if cell.keys.get("adversarial.attack") == "pgd" else []
    paths = [HERE / "scales" / f"{scale}{kind}.toml" for kind in (*kinds, "")]
    return next(path for path in paths if path.exists())


def toml(value):
    """Writes a value as `dq train --set` reads it."""
    return value if isinstance(value, str) else json.dumps(value)


def digest(scale, cell, seed):
    """Returns the hash of the cell's whole recipe but for its name."""
    whole = {"base": tomllib.loads(base(scale, cell).read_text()), "keys": cell.keys, "seed": seed}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:10]


def folders(scale):
    """Returns the folder of each (table, name, setting, seed), with the cell that it is named after: one recipe has
    one folder, whichever tables ask for it."""
    found, first = {}, {}
    for cell in [cell for table in TABLES for cell in cells(table)] + list(SUBSTITUTES.values()):
        for seed in cell.seeds:
            key = digest(scale, cell, seed)
            first.setdefault(key, (f"{cell.table}/{cell.name}-{cell.setting}-s{seed}-{key}", cell))
            found[(cell.table, cell.name, cell.setting, seed)] = first[key]
    return found


def substitutes(scale, root, places, data, attack):
    """Returns the paths of the networks whose gradients an attack set uses on images of a set, by the flags that name
    them. There is one substitute that is trained on PGD's adversaries, and it is of CIFAR-10."""
    paths = {}
    for key, flag in (("from", "--from"), ("also", "--also-from")):
        if ATTACKS[attack].get(key) == "robust" and data == "cifar10" and scale != "test":
            paths[flag] = ROBUST_SUBSTITUTE
        elif key in ATTACKS[attack]:
            cell = SUBSTITUTES[data]
            paths[flag] = f"{root}/{places[(cell.table, cell.name, cell.setting, 1)][0]}/model.json"
    return paths
