"""The figures that a sweep draws of itself."""

from __future__ import annotations

from typing import Any

import pandas as pd
import seaborn as sns

from memvirt.cost import PARTS
from memvirt.drawing.style import DASHES, HATCHES, MARKERS, binned, label, ordered, replicated, spans_decades, subplots, use
from memvirt.errors import MemvirtError

#: Axes that are worth a colour of their own, the first first.
COLOURED = ("mmu", "reclaim", "reclaim.replacement", "tlb.replacement", "machine", "tlb", "workload", "numa")
MOST_MARKS, MOST_PANELS = 8, 4  #: values that colours, dashes or bars can tell apart; panels beside each other
PART_NAMES = {
    "base_cycles": "instructions",
    "tlb_cycles": "TLB look-ups",
    "walk_cycles": "page walks",
    "data_cycles": "data beyond L1D",
    "exit_cycles": "VM exits",
    "shootdown_cycles": "invalidating translations",
    "fault_cycles": "page faults",
    "clearing_cycles": "clearing pages",
    "syscall_cycles": "unmapping and protecting",
    "stall_cycles": "waiting for swap",
}


def roles(frame: pd.DataFrame, axes: list[str]) -> dict[str, str | None]:
    """Give each varied key its place in a picture: x, hue, style, col, row; what is left over is averaged."""
    free = [axis for axis in axes if frame[axis].nunique() > 1]
    numbers = [axis for axis in free if pd.api.types.is_numeric_dtype(frame[axis])]
    x = max(numbers, key=lambda axis: frame[axis].nunique(), default=None)
    rest = [axis for axis in free if axis != x]
    rest.sort(key=lambda axis: COLOURED.index(axis) if axis in COLOURED else len(COLOURED))
    if x is None and rest:
        x = rest.pop(0)
    few = [axis for axis in rest if frame[axis].nunique() <= MOST_MARKS]  # what has more values is averaged too
    names: list[str | None] = [
        *few[:2],
        *[axis for axis in few[2:] if frame[axis].nunique() <= MOST_PANELS],
        None,
        None,
        None,
        None,
    ]
    return dict(zip(("x", "hue", "style", "col", "row"), [x, *names], strict=False))


def left_over(frame: pd.DataFrame, axes: list[str]) -> list[str]:
    """Varied keys that have no place in a picture."""
    shown = roles(frame, axes).values()
    return [axis for axis in axes if frame[axis].nunique() > 1 and axis not in shown]


def slowdowns(frame: pd.DataFrame, role: dict[str, str | None]) -> Any:
    """Mean slowdown of the VMs over the numeric axis, the other axes as colours, dashes and panels."""
    x, hue, style, col, row = (role[name] for name in ("x", "hue", "style", "col", "row"))
    assert x is not None
    frame = binned(frame, x)
    replicates = frame["replicate"].nunique() if "replicate" in frame else 1
    frame, spread = replicated(frame, [name for name in (x, hue, style, col, row) if name], "slowdown")
    spread = spread if replicates > 1 else None
    options: dict[str, Any] = {"hue": hue, "hue_order": ordered(frame[hue])} if hue else {}
    if pd.api.types.is_numeric_dtype(frame[x]):
        if style:
            count = frame[style].nunique()
            options |= {"style": style, "style_order": ordered(frame[style]), "markers": MARKERS[:count]}
            options |= {"dashes": DASHES[:count]} if count <= len(DASHES) else {"dashes": False}
        else:
            options |= {"marker": "o"}
        grid = sns.relplot(
            frame, x=x, y="slowdown", col=col, row=row, kind="line", height=2.9, aspect=1.35, errorbar=spread,
            facet_kws={"margin_titles": True}, **options,
        )  # fmt: skip
        if frame[x].nunique() <= 6:
            grid.set(xticks=ordered(frame[x]))
    else:
        grid = sns.catplot(
            frame, x=x, y="slowdown", col=style, row=col, kind="bar", height=2.9, aspect=1.35, errorbar=spread,
            edgecolor="black", linewidth=0.6, margin_titles=True, **options,
        )  # fmt: skip
    if spans_decades(frame["slowdown"]):
        grid.set(yscale="log")
    told = f"\nmean of {replicates} replicates, 95 % interval" if replicates > 1 else ""
    grid.set_axis_labels(label(x), f"mean slowdown of the VMs\n(× native, alone, no faults){told}")
    for axes in grid.axes.flat:
        axes.axhline(1, color="0.4", linewidth=0.8, linestyle=":")
    return grid.figure


def cycle_parts(frame: pd.DataFrame, role: dict[str, str | None]) -> Any:
    """What an access's cycles are spent on: stacked bars by colour axis, a panel for each x."""
    bars = role["hue"] or role["x"]
    panel = role["x"] if role["hue"] else None
    assert bars is not None
    values = ordered(frame[panel]) if panel else [None]
    values = values[:6]
    figure, grid = subplots(1, len(values), figsize=(1.2 + 2.9 * len(values), 3.5), squeeze=False)
    colours = sns.color_palette("colorblind", len(PARTS))
    for axes, value in zip(grid[0], values, strict=True):
        part = frame if panel is None else frame[frame[panel] == value]
        names = [str(each) for each in ordered(frame[bars])]
        bottom = [0.0] * len(names)
        for number, column in enumerate(PARTS):
            heights = []
            for each in ordered(frame[bars]):
                chosen = part[part[bars] == each]
                total = chosen["accesses"].sum()
                heights.append(float(chosen[column].sum() / total) if total else 0.0)
            axes.bar(
                names, heights, 0.7, bottom=bottom, label=PART_NAMES[column], color=colours[number],
                hatch=HATCHES[number], edgecolor="black", linewidth=0.5,
            )  # fmt: skip
            bottom = [low + high for low, high in zip(bottom, heights, strict=True)]
        if panel:
            axes.set_title(f"{panel} = {value}")
        axes.set_xlabel(label(bars))
        axes.grid(visible=False, axis="x")
        if len(names) > 4:
            axes.tick_params(axis="x", rotation=40)
    grid[0][0].set_ylabel("cycles per access")
    handles, texts = grid[0][0].get_legend_handles_labels()
    figure.legend(handles[::-1], texts[::-1], loc="outside right upper", title="spent on")
    return figure


def overview(frame: pd.DataFrame, axes: list[str], averages: bool = True) -> list[tuple[str, Any]]:
    """Figures of a sweep by name.

    Raises
    ------
    MemvirtError
        If no row went well, or without ``averages`` some varied key has no place.
    """
    good = frame[frame["status"] == "ok"]
    if good.empty:
        raise MemvirtError("no row went well")
    hidden = [] if averages else left_over(good, axes)
    if hidden:
        also = ", ".join(hidden)
        raise MemvirtError(f"the list's points differ in {also} as well; python -m memvirt.figures draws chosen columns")
    role = roles(good, axes)
    use()
    if role["x"] is None:  # one point: its VMs
        return [("cycles", cycle_parts(good, {**role, "x": "vm"}))]
    return [("slowdown", slowdowns(good, role)), ("cycles", cycle_parts(good, role))]
