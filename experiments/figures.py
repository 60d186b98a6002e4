"""Draws the paper's figures 1, 5 and 6, and robustness against area, as SVG of what stands in results/."""

import json

import matplotlib

matplotlib.use("svg")
# The same reports make the same bytes.
matplotlib.rcParams.update({"svg.hashsalt": "dq", "svg.fonttype": "none", "font.size": 9, "axes.grid": True,
                            "grid.alpha": 0.3, "axes.spines.top": False, "axes.spines.right": False})
import matplotlib.pyplot as plt

import cells
import reports

COLOURS = {"vanilla": "#b3423a", "dq-3e-4": "#7d9bc1", "dq-6e-4": "#4675ab", "dq-1e-3": "#1f4e8c"}
STYLES = {"a": ("--", "o"), "wa": ("-", "s")}


def shares(networks, column):
    """Returns mean, least and most of a column in percent; for one seed the ends of its interval."""
    tallies = [network.tallies[column] for network in networks.values() if column in network.tallies]
    if not tallies:
        return None
    values = [100 * tally["accuracy"] for tally in tallies]
    if len(values) == 1:
        return values[0], *(100 * bound for bound in tallies[0]["interval"])
    return sum(values) / len(values), min(values), max(values)


def curve(axes, points, label, colour, style):
    """Draws a curve with bars for its intervals; returns whether it has points."""
    points = [(x, y) for x, y in points if y is not None]
    if not points:
        return False
    xs, middle = [x for x, _ in points], [y[0] for _, y in points]
    errors = [[y[0] - y[1] for _, y in points], [y[2] - y[0] for _, y in points]]
    line, mark = style
    axes.errorbar(xs, middle, yerr=errors, label=label, color=colour, linestyle=line, marker=mark, markersize=4,
                  capsize=2, linewidth=1.3)
    return True


def against_bits(root, places, columns):
    """Draws table 1's networks against the bits of activations, a panel for each column."""
    figure, panels = plt.subplots(1, len(columns), figsize=(4.2 * len(columns), 3.4), squeeze=False)
    drawn = False
    for axes, (column, title) in zip(panels[0], columns):
        for row in cells.BETAS:
            for setting, shown in cells.SETTINGS.items():
                points = []
                for x, bits in enumerate(cells.BITS[1:] + ["float"], 1):
                    if bits == "float" and setting == "wa":
                        continue
                    some = reports.of_table1(root, places, f"{row}-a{bits}", setting)
                    points.append((x, shares(some, column)))
                drawn |= curve(axes, points, f"{row}, {shown}", COLOURS[row], STYLES[setting])
        axes.set(title=title, xlabel="bits of activations", ylabel="accuracy, %")
        axes.set_xticks(range(1, 7), [str(bits) for bits in cells.BITS[1:]] + ["float"])
    if drawn:
        panels[0][0].legend(fontsize=7)
    return figure if drawn else None


def against_beta(root, places):
    """Draws figure 6: clean accuracy and FGSM against β, activations of 4 bits."""
    figure, axes = plt.subplots(figsize=(4.6, 3.4))
    drawn = False
    for column, colour in (("clean", "#555555"), ("fgsm 8", "#1f4e8c")):
        for setting, shown in cells.SETTINGS.items():
            points = [(cell.keys["dq.beta"], shares(reports.networks(root, places, "figure6", cell), column))
                      for cell in cells.cells("figure6") if cell.setting == setting]
            drawn |= curve(axes, points, f"{column}, {shown}", colour, STYLES[setting])
    axes.set(title="Figure 6: accuracy against β", xlabel="β", ylabel="accuracy, %")
    if drawn:
        axes.legend(fontsize=7)
    return figure if drawn else None


def front(points):
    """Returns the points that no other beats in both area and robustness, by area."""
    best, kept = -1.0, []
    for area, share in sorted(points, key=lambda point: (point[0], -point[1])):
        if share > best:
            best, kept = share, [*kept, (area, share)]
    return kept


def against_area(root, places, columns):
    """Draws robust accuracy against LUTs at equal throughput: every point is a circuit."""
    figure, panels = plt.subplots(1, len(columns), figsize=(4.2 * len(columns), 3.4), squeeze=False)
    drawn = set()
    for table in cells.PLOTTED:
        for cell in [cell for cell in cells.cells(table) if cell.setting == "wa"]:
            some = reports.networks(root, places, table, cell)
            planned = [network for network in some.values() if network.plan]
            if not planned:
                continue
            area = planned[0].plan["estimate"]["total"]["lut"]
            # The other tables' networks have one colour.
            kind = cell.name.rsplit("-a", 1)[0] if table == "table1" else None
            for axes, (column, _) in zip(panels[0], columns):
                at = shares(some, column)
                if at:
                    axes.plot(area, at[0], "s", color=COLOURS.get(kind, "#3a8a4d"), markersize=4)
                    axes.annotate(cell.name, (area, at[0]), fontsize=6, xytext=(3, 3), textcoords="offset points")
                    drawn.add((column, area, at[0]))
                    if planned[0].placed:
                        axes.plot(reports.placed_luts(planned[0].placed), at[0], "x", color="#000000", markersize=5)
    for axes, (column, title) in zip(panels[0], columns):
        line = front([(area, share) for name, area, share in drawn if name == column])
        axes.plot([x for x, _ in line], [y for _, y in line], color="#999999", linewidth=1, zorder=0)
        axes.set(title=title, xlabel=f"LUTs of the plan, {cells.DEVICE}, {cells.FPS} frames/s",
                 ylabel="accuracy, %")
    return figure if drawn else None


def noise(root):
    """Draws figure 3: noise after the first block with and without a quantizer, and noise from layer to layer."""
    path = root / "figure3" / "amplify.json"
    if not path.exists():
        return None
    report = json.loads(path.read_text())
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.4, 3.4))
    block = report["networks"][0]["first_block"]
    left.plot(report["eps"], [at["mean"] for at in block["unquantized"]], "k--", marker="o", markersize=3,
              label="not quantized")
    for curve, colour in zip(block["quantized"], plt.cm.viridis([0, 0.2, 0.4, 0.6, 0.75, 0.9])):
        left.plot(report["eps"], [at["mean"] for at in curve["distance"]], marker="o", markersize=3, color=colour,
                  label=f"{curve['bits']} bits")
    left.set(title=f"3a: after the first block, {report['networks'][0]['model']['name']}", xlabel="ε, grey levels",
             ylabel="relative distance")
    left.legend(fontsize=7)
    at = report["eps"].index(8)
    for network in report["networks"]:
        nodes = [node for node in network["nodes"] if node["read_by"] or node is network["nodes"][-1]]
        right.plot(range(len(nodes)), [node["distance"][at]["mean"] for node in nodes], marker="o", markersize=3,
                   label=network["model"]["name"])
    right.set(title="3b: at the input of each layer and at the scores, PGD, ε 8", xlabel="layer",
              ylabel="relative distance")
    right.legend(fontsize=7)
    return figure


def draw(root, places, folder, scale):
    """Writes the figures whose reports are there."""
    made = {
        "figure-1": against_bits(root, places, [("clean", "clean"), ("fgsm 8", "FGSM, ε 8"), ("apgd 1", "APGD, ε 1")]),
        "figure-3": noise(root),
        "figure-5": against_bits(root, places, [("fgsm 8 from a substitute", "FGSM from VGG-16, ε 8")]),
        "figure-6": against_beta(root, places),
        "area": against_area(root, places, [("fgsm 8", "FGSM, ε 8"), ("auto 2", "auto, ε 2"), ("auto 8", "auto, ε 8")]),
    }
    folder.mkdir(exist_ok=True)
    for name, figure in made.items():
        if figure is not None:
            figure.tight_layout()
            figure.savefig(folder / f"{scale}-{name}.svg", metadata={"Date": None, "Creator": None})
            plt.close(figure)
