"""Combinations of values: all of them, listed ones, or some; and what the kinds of design have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import ConfigError
from memvirt.sweep.plan.axes import Axis

Places = NDArray[np.int64]


class Grid:
    """Every combination, none of them written down: the last axis goes fastest."""

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts = list(counts)
        strides = np.cumprod([1, *reversed(self.counts)], dtype=object)
        self.strides = [int(stride) for stride in reversed(strides[:-1])]
        self.total = int(strides[-1])

    def __len__(self) -> int:
        return self.total

    def __getitem__(self, row: int) -> tuple[int, ...]:
        return tuple(row // stride % count for stride, count in zip(self.strides, self.counts, strict=True))

    def columns(self, axes: Sequence[int]) -> Places:
        """Places of some axes' values in every row: (rows, axes)."""
        rows = np.arange(self.total)
        return np.stack([rows // self.strides[axis] % self.counts[axis] for axis in axes], axis=1)


class Rows:
    """Combinations that are written down."""

    def __init__(self, places: NDArray[np.integer[Any]]) -> None:
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, row: int) -> tuple[int, ...]:
        return tuple(self.places[row].tolist())

    def columns(self, axes: Sequence[int]) -> Places:
        """Places of some axes' values in every row: (rows, axes)."""
        return self.places[:, list(axes)].astype(np.int64)


class Some:
    """Some rows of another."""

    def __init__(self, of: Grid | Rows, rows: Places) -> None:
        self.of, self.rows = of, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> tuple[int, ...]:
        return self.of[int(self.rows[row])]

    def columns(self, axes: Sequence[int]) -> Places:
        """Places of some axes' values in every row: (rows, axes)."""
        return self.of.columns(axes)[self.rows]


Choices = Grid | Rows | Some


class Design(NamedTuple):
    """The points of a sweep.

    Attributes
    ----------
    axes : list of Axis
        With their values.
    choices : Choices
        Row by row, the place of each axis's value.
    coordinates : (rows, axes) float64, optional
        Where on its way each interval was drawn; NaN for axes that aren't intervals.
    repeats : bool
        Whether a point may stand in it more than once.
    """

    axes: list[Axis]
    choices: Choices
    coordinates: NDArray[np.float64] | None = None
    repeats: bool = False


def no_intervals(axes: Sequence[Axis], kind: str) -> None:
    """Refuse intervals where every value must be named."""
    for axis in axes:
        if axis.interval is not None:
            why = f"an interval has no list of values for plan={kind}; use range(FROM,TO,STEP) or commas, or plan=sobol"
            raise ConfigError(axis.key, f"interval({axis.interval.low:g},{axis.interval.high:g})", why)


def number(plan: dict[str, Any], key: str, least: int, of: str = "plan") -> int:
    """Read a whole number among a plan's settings."""
    value = plan.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ConfigError(f"{of}.{key}", value, f"must be a whole number, {least} at the least")
    return value


def draw(axes: Sequence[Axis], coordinates: NDArray[np.float64]) -> Design:
    """Make a design of numbers between 0 and 1, one column an axis."""
    drawn = [axis.drawn(coordinates[:, place]) for place, axis in enumerate(axes)]
    places = np.stack([each for _, each in drawn], axis=1) if drawn else np.zeros((len(coordinates), 0), np.int32)
    return Design([axis for axis, _ in drawn], Rows(places), None, repeats=True)


def crossed(axes: Sequence[Axis], coordinates: NDArray[np.float64]) -> Design:
    """Make one study for each combination of the axes that aren't intervals, of the same rows over those that are."""
    inner = [place for place, axis in enumerate(axes) if axis.interval is not None]
    outer = [place for place, axis in enumerate(axes) if axis.interval is None]
    combinations = Grid([len(axes[place].values) for place in outer])
    total = len(combinations) * len(coordinates)
    places = np.zeros((total, len(axes)), np.int32)
    kept = np.full((total, len(axes)), np.nan)
    found = list(axes)
    for column, place in enumerate(inner):
        found[place], rows = axes[place].drawn(coordinates[:, column])
        places[:, place] = np.tile(rows, len(combinations))
        kept[:, place] = np.tile(coordinates[:, column], len(combinations))
    for column, place in enumerate(outer):
        places[:, place] = np.repeat(combinations.columns([column])[:, 0], len(coordinates))
    return Design(found, Rows(places), kept, repeats=True)


def intervals(axes: Sequence[Axis], kind: str) -> int:
    """How many axes are intervals; refuses none."""
    count = sum(axis.interval is not None for axis in axes)
    if not count:
        raise ConfigError("plan", kind, "needs at least one interval, such as overcommit.ratio=interval(1,2)")
    return count
