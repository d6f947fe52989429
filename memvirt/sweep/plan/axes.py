"""What a sweep varies: keys, each with its values or with an interval that a design draws values from."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

import numpy as np
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from numpy.typing import NDArray

from memvirt.errors import ConfigError

PLAIN_NUMBER = re.compile(r"[+-]?(0|[1-9][0-9]*)(\.[0-9]+)?")


class Interval(NamedTuple):
    """Numbers between two others, both of them included where they are whole.

    Attributes
    ----------
    low, high : float
    integer : bool
        Written ``int(interval(LOW,HIGH))``.
    log : bool
        Drawn evenly on a logarithmic scale; written ``tag(log,interval(LOW,HIGH))``.
    """

    low: float
    high: float
    integer: bool
    log: bool

    def at(self, coordinates: NDArray[np.float64]) -> NDArray[Any]:
        """Numbers at coordinates (0 to 1) of the way."""
        if self.integer:
            low, high = round(self.low), round(self.high)
            if self.log:
                return np.asarray(np.clip(np.exp(self._log(coordinates, low - 0.5, high + 0.5)).round(), low, high), np.int64)
            return np.asarray(np.minimum(low + np.floor(coordinates * (high - low + 1)), high), np.int64)
        if self.log:
            return np.asarray(np.exp(self._log(coordinates, self.low, self.high)))
        return np.asarray(self.low + coordinates * (self.high - self.low))

    def __str__(self) -> str:
        written = f"interval({self.low!r},{self.high!r})"
        if self.integer:
            written = f"int({written})"
        return f"tag(log,{written})" if self.log else written

    @staticmethod
    def _log(coordinates: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
        return np.asarray(math.log(low) + coordinates * (math.log(high) - math.log(low)))


def is_optional(key: str) -> bool:
    """Whether it is a key that an option needn't have: of a TLB's array, or a fleet's table."""
    return re.fullmatch(r"tlb\.\w+\.(index|side|hit_cycles)|vms\.path", key) is not None


def written(key: str) -> str:
    """A key as Hydra takes it, there already or not."""
    return f"++{key}" if is_optional(key) else key


class Axis(NamedTuple):
    """A key that the sweep varies.

    Attributes
    ----------
    key : str
        Dotted, as the result's column is named.
    values : tuple
        In the order given; empty for an interval that no design has drawn from yet.
    texts : tuple of str
        Each as Hydra is told it.
    is_group : bool
        Whether the values are options of a config group.
    interval : Interval, optional
    """

    key: str
    values: tuple[Any, ...]
    texts: tuple[str, ...]
    is_group: bool
    interval: Interval | None = None

    def override(self, at: int) -> str:
        """What Hydra is told for a value."""
        return f"{self.key.replace('.', '/') if self.is_group else written(self.key)}={self.texts[at]}"

    def drawn(self, coordinates: NDArray[np.float64]) -> tuple[Axis, NDArray[np.int32]]:
        """Take values at coordinates (0 to 1) of the way: the axis with those values, and the place of each among them."""
        if self.interval is None:
            return self, np.minimum((coordinates * len(self.values)).astype(np.int32), len(self.values) - 1)
        values, places = np.unique(self.interval.at(coordinates), return_inverse=True)
        listed = tuple(values.tolist())
        return self._replace(values=listed, texts=tuple(map(repr, listed))), places.astype(np.int32)


def _interval(key: str, override: Override) -> Interval:
    sweep = override.value()
    assert isinstance(sweep, IntervalSweep)
    low, high = sweep.start, sweep.end
    assert low is not None and high is not None
    log = "log" in sweep.tags
    if not (math.isfinite(low) and math.isfinite(high) and low < high) or (log and low <= 0):
        raise ConfigError(key, override.get_value_string(), "must go up" + (", from more than 0" if log else ""))
    integer = isinstance(low, int) and isinstance(high, int)
    return Interval(low, high, integer, log)


def parse_value(text: str) -> Any:
    """Read a value as the command line would; plain numbers without Hydra's parser, which takes a millisecond for each."""
    if PLAIN_NUMBER.fullmatch(text):
        return float(text) if "." in text else int(text)
    return OverridesParser.create().parse_override(f"key={text}").value()


def make_axis(override: Override, is_group: bool) -> Axis:
    """Make an axis of an override that sweeps.

    Raises
    ------
    ConfigError
        If a value can't be swept or stands twice.
    """
    key = override.get_key_element().lstrip("+").replace("/", ".")
    if override.is_interval_sweep():
        if is_group:
            raise ConfigError(key, override.get_value_string(), "a group has options, not an interval")
        return Axis(key, (), (), False, _interval(key, override))
    texts = tuple(override.sweep_string_iterator())
    return checked_axis(Axis(key, tuple(texts if is_group else map(parse_value, texts)), texts, is_group))


def checked_axis(axis: Axis) -> Axis:
    """Refuse values that can't be swept."""
    seen = set()
    for value in axis.values:
        if isinstance(value, dict):
            raise ConfigError(axis.key, value, "a swept value must be a number, a text or a list; sweep its keys instead")
        if (type(value), repr(value)) in seen:
            raise ConfigError(axis.key, value, "stands twice in the grid")
        seen.add((type(value), repr(value)))
    return axis
