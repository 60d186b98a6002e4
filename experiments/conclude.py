"""Says which of the paper's conclusions hold: differences between networks of table 1, with intervals. A conclusion
holds where the whole interval is on its side, is refuted where the whole is on the other, and is open otherwise."""

import cells
import reports

FLOAT = ("vanilla-afloat", "a")
BITS = [bits for bits in cells.BITS if bits != "float"]

# The paper's three conclusions: what is compared with what, for the activations' bits and a setting, and which sign
# of the difference the paper finds.
CONCLUSIONS = [
    ("Quantized networks without DQ are less robust than the float network", -1,
     lambda bits, setting: ((f"vanilla-a{bits}", setting), FLOAT)),
    ("DQ makes quantized networks more robust", 1,
     lambda bits, setting: ((f"dq-1e-3-a{bits}", setting), (f"vanilla-a{bits}", setting))),
    ("DQ with quantization is more robust than the float network", 1,
     lambda bits, setting: ((f"dq-1e-3-a{bits}", setting), FLOAT)),
    ("DQ with quantization is more robust than DQ in floats", 1,
     lambda bits, setting: ((f"dq-1e-3-a{bits}", setting), ("dq-1e-3-afloat", "a"))),
]
# FGSM as in the paper, and what stronger attacks leave: AutoAttack's first two, and all four.
COLUMNS = ["clean", "fgsm 8", "apgd 1", "auto 1"]
# What only follows the gradients, and so overstates a network that hides them.
BY_GRADIENT = ("fgsm 8", "apgd 1")


def verdict(middle, half, sign):
    """Returns a word for the difference."""
    if sign * middle > half:
        return "holds"
    return "refuted" if sign * middle < -half else "open"


def lines(root, places):
    """Returns the section of the page."""
    text = ["## What it says of the paper's conclusions", "",
            "Differences in points between networks of table 1, with a 95 % interval: over the images, which are the",
            "same for both, where a network has one seed; over the seeds where both have several. Of one seed it says",
            "nothing of other trainings: such a verdict is of these two networks alone. The column `clean` shows what",
            "the comparison costs or gains without an attack. *Doubted* is a verdict by gradients alone where an attack",
            "without gradients broke what they did not ([below](#which-networks-the-reports-doubt)): the column `auto 1`,",
            "which has that attack in it, decides there. To save time, the whole of AutoAttack runs on the first seeds of",
            "circuits and of the float networks that they are compared with; other seeds, and float networks with quantized",
            "activations, have its first two attacks alone (`apgd`). Verdicts under `auto` therefore rest on one seed.", ""]
    for title, sign, pair in CONCLUSIONS:
        rows, sizes, verdicts = [], {}, {column: {} for column in COLUMNS[1:]}
        for setting, shown in cells.SETTINGS.items():
            for bits in BITS:
                one, other = (reports.of_table1(root, places, *names) for names in pair(bits, setting))
                if not (one and other):
                    continue
                row = []
                for column in COLUMNS:
                    found, word = cell(one, other, column, sign)
                    row.append(f"{found}: {word}" if word else found)
                    sizes |= {column: len(network.outcomes[column]) for network in one.values() if column in network.outcomes}
                    if word:
                        verdicts[column].setdefault(word, []).append(f"{bits} ({shown})")
                rows.append(f"| {bits}, {shown} | " + " | ".join(row) + " |")
        if rows:
            heads = [f"{column}, n = {sizes[column]:,}" if column in sizes else column for column in COLUMNS]
            text += [f"**{title}?**", "", *summary(verdicts), f"| bits of activations | {' | '.join(heads)} |",
                     "|---|" + "---|" * len(COLUMNS), *rows, ""]
    return text if any(line.startswith("|") for line in text) else []


def summary(verdicts):
    """Returns what follows in words, a line for each attack: at which bits of activations the conclusion holds."""
    said = [f"- `{column}`: " + "; ".join(f"{word} at {', '.join(at)}" for word, at in found.items()) + "."
            for column, found in verdicts.items() if found]
    return said + [""] if said else []


def cell(one, other, column, sign):
    """Returns one difference, and whether it bears the conclusion out; no word without an attack."""
    # The whole of `auto` is run on first seeds alone.
    one, other = ({s: network for s, network in some.items() if column in network.tallies} for some in (one, other))
    if not (one and other):
        return "–", ""
    middle, half = reports.difference(one, other, column)
    text = f"{middle:+.1f} ± {half:.1f}"
    if column == "clean":
        return text, ""
    notes = ["one seed"] if min(len(one), len(other)) == 1 else []
    hidden = any(network.doubts for some in (one, other) for network in some.values())
    notes += ["doubted"] if hidden and column in BY_GRADIENT else []
    return text, verdict(middle, half, sign) + (f" ({', '.join(notes)})" if notes else "")
