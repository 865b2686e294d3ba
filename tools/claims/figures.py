"""The figures of the transition study, from its CSV files alone."""
import csv
import math

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "kronattn"  # the same figure is the same file
import matplotlib.pyplot as plt  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402

STYLES = {"papers": (0, (4, 2)), "tight": "-", "certified": (0, (1, 1))}
NAMES = {"papers": "the papers' rank", "tight": "tight rank, same degree", "certified": "certified rank"}


def read(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def numbers(rows, *columns):
    """The columns of the rows in which all of them have a number."""
    complete = [row for row in rows if all(row[name] != "" for name in columns)]
    return [[float(row[name]) for row in complete] for name in columns]


def save(figure, folder, name):
    paths = []
    for ending in ("png", "svg"):
        path = folder / f"{name}.{ending}"
        partial = folder / f"{name}.partial.{ending}"
        figure.savefig(partial, dpi=110, metadata={"Date": None} if ending == "svg" else None)
        partial.replace(path)
        paths.append(path)
    plt.close(figure)
    return paths


def colours(values):
    return {value: plt.cm.viridis(0.85 * i / max(1, len(values) - 1)) for i, value in enumerate(values)}


def time_exponents(measured, order):
    """Seconds of the polynomial method as a power of n, in units of the exact method's seconds per tuple."""
    points = {}
    exact = {row["log2_n"]: float(row["seconds"]) for row in measured if row["order"] == order and row["method"] == "exact"}
    for row in measured:
        if row["order"] == order and row["method"] == "polynomial" and row["log2_n"] in exact:
            log_n = float(row["log2_n"]) * math.log(2)
            exponent = int(order) + math.log(float(row["seconds"]) / exact[row["log2_n"]]) / log_n
            points.setdefault(row["log2_n"], []).append((float(row["x"]), exponent))
    return points


def draw_phase(folder, epsilon, name):
    formulas, certified, measured = (read(folder / f"{table}.csv") for table in ("formulas", "certified", "measured"))
    orders = sorted({row["order"] for row in formulas})
    figure, axes = plt.subplots(1, len(orders), figsize=(5.2 * len(orders), 5.4), squeeze=False)
    sizes = sorted({row["log2_n"] for row in formulas + certified if row["log2_n"] != "inf"}, key=int)
    colour = colours(sizes)
    for axis, order in zip(axes[0], orders):
        for size in sizes:
            for kind, style in STYLES.items():
                x, y = numbers([row for row in formulas if (row["order"], row["log2_n"], row["epsilon"], row["kind"])
                                == (order, size, epsilon, kind)], "x", "exponent")
                axis.plot(x, y, color=colour[size], linestyle=style, linewidth=1.2)
            x, y = numbers([row for row in certified if (row["order"], row["log2_n"], row["epsilon"])
                            == (order, size, epsilon)], "x", "exponent")
            axis.plot(x, y, "o", color=colour[size], markersize=4)
        if epsilon == "1/n":
            x, y = numbers([row for row in formulas if (row["order"], row["log2_n"]) == (order, "inf")], "x", "exponent")
            axis.plot(x, y, color="black", linewidth=0.8)
            for size, points in time_exponents(measured, order).items():
                axis.plot(*zip(*points), "^", color=colour.get(size, "grey"), markersize=7, markerfacecolor="none")
        axis.axhline(float(order), color="crimson", linewidth=1.5)
        axis.text(0.02, float(order) + 0.03, f"exact method: $n^{order}$", color="crimson")
        axis.set(title=f"order {order}", xlim=(0, 2), ylim=(0.95, float(order) + 1.6),
                 xlabel=f"$B / (\\ln n)^{{1/{order}}}$")
    axes[0][0].set_ylabel("log(cost) / log(n)")
    legend = [Line2D([], [], color="grey", linestyle=style, label=NAMES[kind]) for kind, style in STYLES.items()]
    legend.append(Line2D([], [], color="grey", marker="o", linestyle="", markersize=4, label="certified by kronattn"))
    if epsilon == "1/n":
        legend += [Line2D([], [], color="grey", marker="^", linestyle="", markerfacecolor="none", label="measured seconds"),
                   Line2D([], [], color="black", linewidth=0.8, label="tight rank, n to infinity")]
    legend += [Line2D([], [], color=colour[size], linewidth=3, label=f"$n = 2^{{{size}}}$") for size in sizes]
    figure.legend(handles=legend, loc="lower center", ncols=6, frameon=False)
    figure.suptitle(f"Cost of attention as a power of n, error {epsilon}")
    figure.tight_layout(rect=(0, 0.1, 1, 1))
    return save(figure, folder, name)


def draw_break_even(folder):
    rows = read(folder / "break-even.csv")
    orders = sorted({row["order"] for row in rows})
    figure, axis = plt.subplots(figsize=(7, 5), layout="constrained")
    colour = colours(orders)
    for order in orders:
        for kind, style in STYLES.items():
            n, x = numbers([row for row in rows if (row["order"], row["kind"]) == (order, kind)], "log2_n", "x")
            axis.plot(n, x, color=colour[order], linestyle=style, marker=".", label=f"order {order}, {NAMES[kind]}")
    axis.set(xlabel="$\\log_2 n$", ylabel="$B / (\\ln n)^{1/k}$ at which $n r = n^k$", ylim=(0, None),
             title="Break-even with the exact method, error 1/n\n(below a line the polynomial method is cheaper)")
    axis.legend(fontsize=7, ncols=2)
    return save(figure, folder, "break-even")


def draw_trade_off(folder):
    rows = read(folder / "trade-off.csv")
    sizes, exponents = (sorted({row[name] for row in rows}, key=float) for name in ("log2_n", "exponent"))
    figure, axes = plt.subplots(1, len(exponents), figsize=(6 * len(exponents), 5), squeeze=False, layout="constrained")
    colour = colours(sizes)
    for axis, exponent in zip(axes[0], exponents):
        for size in sizes:
            for kind, style in STYLES.items():
                k, bound = numbers([row for row in rows if (row["log2_n"], row["kind"], row["exponent"])
                                    == (size, kind, exponent)], "order", "bound")
                if k:
                    axis.plot(k, bound, color=colour[size], linestyle=style, marker="o", markersize=4,
                              label=f"$n = 2^{{{size}}}$, {NAMES[kind]}")
        axis.set(xlabel="order k", ylabel=f"largest B with cost at most $n^{{{exponent}}}$", ylim=(0, None),
                 xticks=sorted({int(row["order"]) for row in rows}))
    axes[0][-1].legend(fontsize=7)
    figure.suptitle("What an order costs: the entries that attention bears at a given cost, error 1/n")
    return save(figure, folder, "trade-off")


def draw(folder):
    """Draws all figures and returns their paths."""
    return (draw_phase(folder, "1/n", "phase-1n") + draw_phase(folder, "1e-6", "phase-1e-6") + draw_break_even(folder)
            + draw_trade_off(folder))
