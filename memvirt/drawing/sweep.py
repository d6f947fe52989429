"""The figures that a sweep draws of itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation

from memvirt.cost import PARTS
from memvirt.drawing.style import (
    DASHES,
    HATCHES,
    MARKERS,
    Picture,
    binned,
    facets,
    means,
    needs,
    note,
    ordered,
    outer_labels,
    spans_decades,
)
from memvirt.drawing.traffic import has_traffic, node_traffic
from memvirt.drawing.words import is_number, said, short
from memvirt.errors import MemvirtError

#: Axes that are worth a colour of their own, the first first.
COLOURED = ("mmu", "reclaim", "reclaim.replacement", "tlb.replacement", "machine", "tlb", "workload", "numa")
MOST_MARKS, MOST_PANELS = 8, 4  #: values that colours, dashes or bars can tell apart; panels beside each other
MOST_BARS, MOST_COLUMNS = 12, 6  #: bars of a panel, panels of a line of them
APART, MOST_APART = 3.0, 12  #: points between marks of the same place, at most, and up to how many places of an axis
WIDTH = 200  #: points of a panel of lines, about
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
    "stall_cycles": "waiting for memory",
}


class Roles(NamedTuple):
    """What stands for each varied key in a picture; those left over are averaged."""

    x: str | None = None
    hue: str | None = None
    style: str | None = None
    col: str | None = None
    row: str | None = None

    @property
    def keys(self) -> list[str]:
        """Those that there are."""
        return [name for name in self if name]


def roles(frame: pd.DataFrame, axes: list[str]) -> Roles:
    """Give each varied key its place: the number of most values along x, then colours, dashes, panels."""
    free = [axis for axis in axes if frame[axis].nunique() > 1]
    numbers = [axis for axis in free if is_number(frame[axis])]
    x = max(numbers, key=lambda axis: frame[axis].nunique(), default=None)
    rest = [axis for axis in free if axis != x]
    rest.sort(key=lambda axis: COLOURED.index(axis) if axis in COLOURED else len(COLOURED))
    if x is None and rest:
        x = rest.pop(0)
    few = [axis for axis in rest if frame[axis].nunique() <= MOST_MARKS]  # what has more values is averaged too
    return Roles(x, *few[:2], *[axis for axis in few[2:] if frame[axis].nunique() <= MOST_PANELS][: 4 - len(few[:2])])


def left_over(frame: pd.DataFrame, axes: list[str]) -> list[str]:
    """Varied keys that have no place in a picture."""
    shown = roles(frame, axes).keys
    return [axis for axis in axes if frame[axis].nunique() > 1 and axis not in shown]


class Looks(NamedTuple):
    """How values of two keys look: colours of one, and dashes, markers and hatches of the other."""

    hue: str | None
    style: str | None
    hues: list[Any]
    styles: list[Any]

    @classmethod
    def of(cls, frame: pd.DataFrame, hue: str | None, style: str | None) -> Looks:
        """Looks of the values that a frame has."""
        return cls(hue, style, ordered(frame[hue]) if hue else [None], ordered(frame[style]) if style else [None])

    def colour(self, hue: Any) -> Any:
        """Colour of a value."""
        return sns.color_palette("colorblind", max(len(self.hues), 1))[self.hues.index(hue)]

    def series(self, part: pd.DataFrame) -> Iterable[tuple[Any, int, str, pd.DataFrame]]:
        """Colour, place of the style, name and rows of each pair of values that there is."""
        for hue in self.hues:
            for place, style in enumerate(self.styles):
                mine = part if hue is None else part[part[self.hue] == hue]
                mine = mine if style is None else mine[mine[self.style] == style]
                if not mine.empty:
                    yield self.colour(hue), place, ", ".join(said(each) for each in (hue, style) if each is not None), mine

    def legend(self, figure: Picture, bars: bool) -> None:
        """Say them beside the panels."""
        handles: list[Any] = []
        names: list[str] = []
        for key, values, colours in ((self.hue, self.hues, True), (self.style, self.styles, False)):
            if key is None:
                continue
            handles.append(Line2D([], [], linestyle=""))
            names.append(f"{short(key)}:")
            for place, value in enumerate(values):
                colour = self.colour(value) if colours else "white" if bars else "0.25"
                if bars:
                    handles.append(Patch(facecolor=colour, edgecolor="black", hatch="" if colours else HATCHES[place]))
                else:
                    look: dict[str, Any] = {} if colours else {"marker": MARKERS[place], "dashes": DASHES[place % len(DASHES)]}
                    handles.append(Line2D([], [], color=colour, linewidth=2, **look))
                names.append(said(value))
        if handles:
            figure.legend_beside(handles, names)


def slowdowns(frame: pd.DataFrame, role: Roles) -> Picture:
    """Mean slowdown of the VMs over the first axis, the others as colours, dashes and panels."""
    assert role.x is not None
    keys, told = role.keys, binned(frame, role.x)
    said_of = note(told, keys, "whiskers")
    rows = means(told, keys, "slowdown")
    number = is_number(rows[role.x])
    looks = Looks.of(rows, role.hue, role.style)
    across = 1.4 + (2.8 if number else 0.26 * rows[role.x].nunique() * len(looks.hues) * len(looks.styles))
    figure, found = facets(rows, role.col, role.row, width=max(across, 3.6), height=2.9)
    for axes, _, part in found:
        (_lines if number else _bars)(figure, axes, part, role.x, looks, ordered(rows[role.x]))
        axes.axhline(1, color="0.4", linewidth=0.8, linestyle=":")
    top = np.nanmax(rows[["slowdown", "high"]].to_numpy(float))
    for axes, _, _ in found:
        if number and spans_decades(rows["slowdown"]):
            axes.set(yscale="log", ylim=(0.8 * min(1, np.nanmin(rows[["slowdown", "low"]].to_numpy(float))), 1.25 * top))
        else:
            axes.set_ylim(0, 1.06 * max(1, top))
        if number:
            low, high = rows[role.x].min(), rows[role.x].max()
            if spans_decades(rows[role.x]):
                room = (high / low) ** 0.07
                axes.set(xscale="log", xlim=(low / room, high * room))
            else:
                room = 0.07 * (high - low or 1)
                axes.set_xlim(low - room, high + room)
    outer_labels(found, short(role.x), "slowdown\n(× native, alone, no faults)")
    looks.legend(figure, bars=not number)
    figure.say(said_of)
    return figure


def _whiskers(part: pd.DataFrame) -> Any:
    """How far each mean's spread reaches down and up; None where no mark is a mean of several."""
    reach = np.array([part["slowdown"] - part["low"], part["high"] - part["slowdown"]], float)
    return None if np.isnan(reach).all() or not np.nanmax(reach) > 0 else np.nan_to_num(np.clip(reach, 0, None))


def _told(part: pd.DataFrame, x: str, name: str) -> list[str]:
    texts = []
    for _, row in part.iterrows():
        spread = f" ({row['low']:.4g} to {row['high']:.4g})" if row["high"] > row["low"] else ""
        texts.append(f"{name + ', ' if name else ''}{short(x)} {said(row[x])}: slowdown {row['slowdown']:.4g}{spread}")
    return texts


def _narrowest(values: list[Any]) -> float:
    """The narrowest gap between neighbouring values, as a share of the axis."""
    places = np.log(values) if spans_decades(pd.Series(values)) else np.array(values, float)
    return float(np.diff(places).min() / np.ptp(places)) if len(values) > 1 else 1.0


def _lines(figure: Picture, axes: Any, part: pd.DataFrame, x: str, looks: Looks, values: list[Any]) -> None:
    """A line a pair of values, each a little apart from the next, so that whiskers don't lie on each other."""
    count = len(looks.hues) * len(looks.styles)
    step = min(APART, _narrowest(values) * WIDTH / 2 / count)
    for number, (colour, style, name, mine) in enumerate(looks.series(part)):
        mine = mine.sort_values(x)
        apart = step * (number - (count - 1) / 2) if len(values) <= MOST_APART else 0.0
        place = axes.transData + ScaledTranslation(apart / 72, 0, figure.dpi_scale_trans)
        axes.vlines(mine[x], mine["low"], mine["high"], color=colour, linewidth=0.9, transform=place)
        (line,) = axes.plot(
            mine[x], mine["slowdown"], color=colour, marker=MARKERS[style], dashes=DASHES[style % len(DASHES)], markersize=4.5,
            markeredgecolor="white", markeredgewidth=0.5, transform=place,
        )  # fmt: skip
        figure.tell(line, *_told(mine, x, name))
    if len(values) <= 6:
        axes.set_xticks(values, [said(float(each)) for each in values])


def _bars(figure: Picture, axes: Any, part: pd.DataFrame, x: str, looks: Looks, values: list[Any]) -> None:
    """Bars in groups, a group a value."""
    series = list(looks.series(part))
    wide = 0.84 / len(series)
    for number, (colour, style, name, mine) in enumerate(series):
        at = np.array([values.index(each) for each in mine[x]]) + wide * (number - (len(series) - 1) / 2)
        bars = axes.bar(
            at, mine["slowdown"], wide, yerr=_whiskers(mine), color=colour, hatch=HATCHES[style], edgecolor="black", linewidth=0.6,
            error_kw={"linewidth": 0.9, "capsize": 2},
        )  # fmt: skip
        for bar, text in zip(bars, _told(mine, x, name), strict=True):
            figure.tell(bar, text)
    axes.set_xticks(range(len(values)), [said(each) for each in values], **_slant(values))
    axes.grid(visible=False, axis="x")


def _slant(names: Iterable[Any]) -> dict[str, Any]:
    return {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if len("".join(map(str, names))) > 22 else {}


def cycle_parts(frame: pd.DataFrame, role: Roles) -> Picture:
    """What an access's cycles are spent on: stacked bars by colours and dashes, panels for x and for the next axis."""
    needs(frame, ["accesses", *PARTS])
    assert role.x is not None
    bars = [name for name in (role.hue, role.style) if name]
    if len(bars) == 2 and frame[bars].drop_duplicates().shape[0] > MOST_BARS:
        bars.pop()
    rest = [name for name in (role.style, role.col, role.row) if name and name not in bars]
    col, row = (role.x, next((name for name in rest if frame[name].nunique() <= MOST_PANELS), None)) if bars else (None, None)
    bars = bars or [role.x]
    frame = binned(frame, role.x)
    values = ordered(frame[role.x])
    said_of = note(frame, [*bars, *(name for name in (col, row) if name)], "whiskers")
    if col and len(values) > MOST_COLUMNS:
        chosen = [values[round(at)] for at in np.linspace(0, len(values) - 1, MOST_COLUMNS)]
        frame = frame[frame[col].isin(chosen)]
        few = f"{len(chosen)} of {len(values)} values of {short(col)}"
        said_of = f"{few}; {said_of}" if said_of else few
    names = {name: ordered(frame[name]) for name in bars}
    most = int(np.prod([len(each) for each in names.values()]))
    figure, found = facets(frame, col, row, width=max(1.1 + 0.4 * most, 3.0), height=3.4)
    for axes, _, part in found:
        _stacks(figure, axes, part, names)
    outer_labels(found, ", ".join(map(short, bars)), "cycles an access")
    handles = [
        Patch(facecolor=colour, hatch=hatch, edgecolor="black", linewidth=0.5, label=PART_NAMES[name])
        for name, colour, hatch in zip(PARTS, sns.color_palette("colorblind", len(PARTS)), HATCHES, strict=True)
        if frame[name].any()
    ]
    figure.legend_beside(handles[::-1], [str(each.get_label()) for each in handles[::-1]], "spent on")
    figure.say(said_of)
    return figure


def _stacks(figure: Picture, axes: Any, part: pd.DataFrame, names: dict[str, list[Any]]) -> None:
    """A stack for each combination of values that there is; whiskers are of the whole."""
    groups = dict(list(part.groupby(list(names), observed=True, sort=False)))
    ranks = {name: {value: place for place, value in enumerate(values)} for name, values in names.items()}
    there = sorted(groups, key=lambda values: [ranks[name][value] for name, value in zip(names, values, strict=True)])
    colours = sns.color_palette("colorblind", len(PARTS))
    texts = [", ".join(map(said, values)) for values in there]
    bottom = np.zeros(len(there))
    for number, column in enumerate(PARTS):
        heights = np.array([_per_access(groups[values], column) for values in there])
        drawn = axes.bar(
            range(len(there)), heights, 0.74, bottom=bottom, color=colours[number], hatch=HATCHES[number], edgecolor="black",
            linewidth=0.5,
        )  # fmt: skip
        for bar, text, height, values in zip(drawn, texts, heights, there, strict=True):
            share = height / max(_per_access(groups[values], "cycles"), 1e-12)
            figure.tell(bar, f"{text}: {PART_NAMES[column]} {height:.4g} cycles an access, {100 * share:.1f} %")
        bottom += heights
    if any(len(rows) > 1 for rows in groups.values()):
        spread = _spread(groups, there, bottom)
        axes.errorbar(range(len(there)), bottom, yerr=spread, linestyle="", color="black", linewidth=0.9, capsize=2)
    axes.set_xticks(range(len(there)), texts, **_slant(texts))
    axes.set_xlim(-0.6, len(there) - 0.4)
    axes.grid(visible=False, axis="x")


def _per_access(rows: pd.DataFrame, column: str) -> float:
    total = rows["accesses"].sum()
    columns = list(PARTS) if column == "cycles" else [column]
    return float(rows[columns].sum().sum() / total) if total else 0.0


def _spread(groups: dict[Any, pd.DataFrame], there: list[Any], tops: Any) -> Any:
    """How far cycles an access of rows, or with replicates their mean's interval, reach below and above the tops."""
    found = []
    for values, top in zip(there, tops, strict=True):
        rows = groups[values].assign(whole=groups[values][list(PARTS)].sum(axis=1) / groups[values]["accesses"], all="")
        spread = means(rows, ["all"], "whole").iloc[0]
        found.append((top - spread["low"], spread["high"] - top))
    return np.clip(np.nan_to_num(np.array(found, float).T), 0, None)


def overview(frame: pd.DataFrame, axes: list[str], averages: bool = True) -> list[tuple[str, Picture]]:
    """Figures of a sweep by name.

    Raises
    ------
    MemvirtError
        If no row went well, a column isn't there, or without ``averages`` some varied key has no place.
    """
    good = frame[frame["status"] == "ok"]
    if good.empty:
        raise MemvirtError("no row went well")
    needs(good, ["slowdown", *axes])
    names = [axis for axis in axes if not is_number(good[axis])]
    good = good.assign(**{axis: good[axis].where(good[axis].notna(), "none") for axis in names})
    over = [] if averages else left_over(good, axes)
    if over:
        raise MemvirtError(f"the list's points differ in {', '.join(over)} as well; python -m memvirt.figures draws chosen columns")
    role = roles(good, axes)
    traffic = [("traffic", node_traffic(good, axes))] if has_traffic(good, axes) else []
    if role.x is None:  # one point: its VMs
        return [("cycles", cycle_parts(good, Roles("vm"))), *traffic]
    return [("slowdown", slowdowns(good, role)), ("cycles", cycle_parts(good, role)), *traffic]
