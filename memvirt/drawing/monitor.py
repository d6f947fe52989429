"""Monitors over a run: what each VM has, how long it waits, when it is stalled, and when each signal first warned."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.ticker import MaxNLocator

from memvirt.drawing.style import Picture, needs, use
from memvirt.result.monitor import SIGNALS, STALLED

#: What is drawn of memory: (column, name, line style).
MEMORY = (
    ("resident_pages", "resident", "-"),
    ("active_pages", "active (true)", (0, (4, 1.5))),
    ("active_estimate", "active (estimated)", (0, (1, 1))),
    ("balloon_pages", "balloon", (0, (3, 1, 1, 1))),
    ("swapped_pages", "on host swap", (0, (5, 1, 1, 1, 1, 1))),
    ("compressed_pages", "compressed", (0, (2, 1))),
    ("saved_pages", "saved by sharing", (0, (6, 2))),
)
#: Signals that are marked, where they warned, with their thresholds in words.
NAMES = {
    "pressure": f"pressure > {100 * SIGNALS['pressure'].threshold:g} %",
    "major_faults": f"major faults > {SIGNALS['major_faults'].threshold:g} a ms",
    "swap_out": "any swap-out",
    "swap_in": "any swap-in",
    "refaults": "any refault",
    "activations": "any refault too soon",
    "balloon": "any balloon",
    "compression": "any compressed page",
    "active": "active > held",
    "active_estimate": "active (estimated) > held",
    "host_free": f"host's free memory < {100 * SIGNALS['host_free'].threshold:g} %",
    "memory_state": "host's memory state",
}
SHADE, MARK = "0.85", "0.2"
MOST_VMS = 6  #: that are drawn


def first_alarms(epochs: pd.DataFrame) -> dict[str, int]:
    """First epoch, of any of the VMs, in which each signal passed its threshold, in the order of their coming."""
    found = {}
    for name in NAMES:
        passed = epochs.loc[SIGNALS[name].passed(epochs[SIGNALS[name].column].to_numpy(float)), "epoch"]
        if not passed.empty:
            found[name] = int(passed.min())
    return dict(sorted(found.items(), key=lambda pair: pair[1]))


def first_bad(epochs: pd.DataFrame, column: str) -> int | None:
    """First epoch in which any of the VMs was ``stalled``, or the host did ``thrash``."""
    bad = epochs.loc[epochs[column] > 0, "epoch"]
    return None if bad.empty else int(bad.min())


def monitor(epochs: pd.DataFrame, names: dict[int, str] | None = None, last: int | None = None, title: str = "") -> Any:
    """Draw one point's monitors: a column a VM, memory above, pressure below, and below those what warned when.

    Parameters
    ----------
    epochs : DataFrame
        The epochs of one point.
    names : dict of str, optional
        Of the VMs.
    last : int, optional
        Epochs after this one are left out.
    title : str
        Which point it is.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MemvirtError
        If a column isn't there.
    """
    from matplotlib.patches import Patch

    use()
    needs(
        epochs,
        [
            "epoch",
            "vm",
            "stall_ns",
            "stalled",
            "thrash",
            *(column for column, _, _ in MEMORY),
            *(SIGNALS[name].column for name in NAMES),
        ],
    )
    if last is not None:
        epochs = epochs[epochs["epoch"] <= last]
    waited = epochs.groupby("vm")["stall_ns"].sum().sort_values(ascending=False, kind="stable")
    vms = sorted(waited.index[:MOST_VMS])
    figure = Picture(figsize=(max(6.4, 1.2 + 2.6 * len(vms)), 6.4), layout="constrained")
    grid = figure.add_gridspec(3, len(vms), height_ratios=[1.25, 0.9, 1.25])
    colours = sns.color_palette("colorblind", len(MEMORY))
    lines = [each for each in MEMORY if (epochs[each[0]] > 0).any()]
    unit, pages = ("GiB", 1 << 18) if max(epochs[column].max() for column, _, _ in MEMORY) >= 1 << 18 else ("MiB", 1 << 8)
    memory: list[Any] = []
    waiting: list[Any] = []
    for place, vm in enumerate(vms):
        mine = epochs[epochs["vm"] == vm]
        above = figure.add_subplot(grid[0, place], sharey=memory[0] if memory else None)
        below = figure.add_subplot(grid[1, place], sharex=above, sharey=waiting[0] if waiting else None)
        for column, text, style in lines:
            colour = colours[[each[0] for each in MEMORY].index(column)]
            above.plot(mine["epoch"], mine[column] / pages, label=text, color=colour, linestyle=style, linewidth=1.3)
        below.plot(mine["epoch"], 100 * mine["pressure"].fillna(0), color="black", linewidth=1.0, label="pressure")
        below.axhline(100 * STALLED, color=MARK, linewidth=0.8, linestyle="--")
        for axes in (above, below):
            shade(axes, mine)
            axes.set_xlim(0, max(1, epochs["epoch"].max()))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        above.set_title(names.get(vm, f"VM {vm}") if names else f"VM {vm}")
        below.set(ylim=(-4, 104), xlabel="epoch")
        if place:
            above.tick_params(labelleft=False)
            below.tick_params(labelleft=False)
        above.tick_params(labelbottom=False)
        memory.append(above)
        waiting.append(below)
    memory[0].set_ylabel(f"memory ({unit})")
    waiting[0].set_ylabel("time waited for\nmemory (%)")
    alarms(figure.add_subplot(grid[2, :]), epochs)
    handles, texts = memory[0].get_legend_handles_labels()
    few = f"; {len(vms)} of {len(waited)} VMs, those that wait longest" if len(waited) > len(vms) else ""
    figure.legend([*handles, Patch(color=SHADE)], [*texts, f"stalled{few}"], loc="outside upper center", ncols=5)
    figure.supxlabel(title, fontsize="small", color="0.3")
    return figure


def shade(axes: Any, epochs: pd.DataFrame) -> None:
    """Shade the epochs in which a VM is stalled."""
    bad = epochs.loc[epochs["stalled"] > 0, "epoch"]
    for _, stretch in bad.groupby((bad.diff() != 1).cumsum()):
        axes.axvspan(stretch.iloc[0] - 0.5, stretch.iloc[-1] + 0.5, color=SHADE, linewidth=0, zorder=0)


def alarms(axes: Any, epochs: pd.DataFrame) -> None:
    """Draw when each signal was beyond its threshold, of any VM, and how many epochs before the first VM was stalled that began."""
    found, end, thrash = first_alarms(epochs), first_bad(epochs, "stalled"), first_bad(epochs, "thrash")
    for row, name in enumerate(found):
        signal = SIGNALS[name]
        passed = epochs[signal.passed(epochs[signal.column].to_numpy(float))]["epoch"].unique()
        axes.plot(passed, [row] * len(passed), linestyle="", marker="|", markersize=6, color="0.55")
        axes.plot(found[name], row, marker=">", markersize=6, color="black", linestyle="")
        if end is not None and found[name] <= end:
            text = f"{end - found[name]} ahead" if found[name] < end else "at once"
            right = found[name] > 0.12 * epochs["epoch"].max()  # else there is no room on the left
            offset = {"xytext": (-7 if right else 7, 0), "textcoords": "offset points", "ha": "right" if right else "left"}
            axes.annotate(text, (found[name], row), fontsize="small", va="center", bbox={"color": "white", "pad": 0.5}, **offset)
    for at, text, side in ((end, "a VM is stalled", "right"), (thrash, "the host thrashes", "left")):
        if at is not None:
            axes.axvline(at, color="C3", linewidth=1.2)
            place = (at, 1.0)
            words = {"xycoords": ("data", "axes fraction"), "color": "C3", "va": "bottom", "fontsize": "small", "ha": side}
            axes.annotate(f" {text} from {at} ", place, **words)
    axes.set_yticks(range(len(found)), [NAMES[name] for name in found])
    axes.set(xlabel="epoch: when any VM's signal is beyond its threshold", xlim=(0, max(1, epochs["epoch"].max())))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(len(found) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
