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
COLUMNS = ["clean", "fgsm 8", "apgd 1"]


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
            "the comparison costs or gains without an attack.", ""]
    for title, sign, pair in CONCLUSIONS:
        rows = []
        for setting, shown in cells.SETTINGS.items():
            for bits in BITS:
                one, other = (reports.of_table1(root, places, *names) for names in pair(bits, setting))
                if one and other:
                    rows.append(f"| {bits}, {shown} | " + " | ".join(cell(one, other, c, sign) for c in COLUMNS) + " |")
        if rows:
            text += [f"**{title}?**", "", "| bits of activations | " + " | ".join(COLUMNS) + " |",
                     "|---|" + "---|" * len(COLUMNS), *rows, ""]
    return text if len(text) > 6 else []


def cell(one, other, column, sign):
    """Writes one difference."""
    if any(column not in network.tallies for some in (one, other) for network in some.values()):
        return "–"
    middle, half = reports.difference(one, other, column)
    text = f"{middle:+.1f} ± {half:.1f}"
    alone = " (one seed)" if min(len(one), len(other)) == 1 else ""
    return text if column == "clean" else f"{text}: {verdict(middle, half, sign)}{alone}"
