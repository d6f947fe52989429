"""Checks of the options that policies have in common."""

from __future__ import annotations

from memvirt.config import parse_size, parse_time_ns
from memvirt.errors import ConfigError

SHORTEST_NS = 1e3  #: between two steps of background work


def a_number(key: str, value: object, low: float, high: float, why: str) -> float:
    """A number from ``low`` up to, but without, ``high``.

    Raises
    ------
    ConfigError
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value < high:
        raise ConfigError(key, str(value), why)
    return float(value)


def a_share(key: str, value: object) -> float:
    """A share, from 0 to below 1."""
    return a_number(key, value, 0.0, 1.0, "is a share, from 0 to below 1")


def above_zero(key: str, value: object) -> float:
    """A number above 0, and not beyond what is counted."""
    return a_number(key, value, 1e-9, 1e12, "is a number above 0, from 1e-9 to 1e12")


def a_part(key: str, value: object, of: str) -> float:
    """A share above 0, up to 1."""
    return a_number(key, value, 5e-324, 1.0 + 1e-15, f"is a share of {of}, above 0 and up to 1")


def a_count(key: str, value: object, most: int) -> int:
    """A whole number from 1 to ``most``."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ConfigError(key, str(value), f"is a whole number from 1 to {most:,}")
    return value


def a_period(key: str, value: object) -> float:
    """A time between steps of background work (ns); steps closer together than 1 us have nothing to do between them."""
    time = a_time(key, value)
    if time < SHORTEST_NS:
        raise ConfigError(key, str(value), "must be 1us at the least, with its unit")
    return time


def a_scale(key: str, value: object) -> float:
    """How many times smaller than a real one the host is; 1 where that is left to the VMs, which aren't known here."""
    return 1.0 if value is None else a_number(key, value, 1e-3, 1e6, "is a number from 0.001 to 1000000, or null")


def a_size(key: str, value: object) -> int:
    """A size of memory, a page or more (bytes)."""
    try:
        size = parse_size(value)
    except ValueError as wrong:
        raise ConfigError(key, str(value), str(wrong)) from None
    if size < 4096:
        raise ConfigError(key, str(value), "must be a page at the least, 4KiB")
    return size


def a_time(key: str, value: object, least: float = 1.0) -> float:
    """A time, 1 ns or more (ns)."""
    try:
        time = parse_time_ns(value)
    except ValueError as wrong:
        raise ConfigError(key, str(value), str(wrong)) from None
    if time < least:
        raise ConfigError(key, str(value), "must be more than 0")
    return time
