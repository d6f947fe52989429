"""Checks of the options that policies have in common."""

from __future__ import annotations

from memvirt.config import parse_time_ns
from memvirt.errors import ConfigError


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
    """A number above 0."""
    return a_number(key, value, 5e-324, float("inf"), "is a number above 0")


def a_scale(value: object) -> float:
    """How many times smaller than a real one the host is; 1 where that is left to the VMs, which aren't known here."""
    return 1.0 if value is None else above_zero("reclaim.scale", value)


def a_time(key: str, value: object, least: float = 1.0) -> float:
    """A time, 1 ns or more (ns)."""
    try:
        time = parse_time_ns(value)
    except ValueError as wrong:
        raise ConfigError(key, str(value), str(wrong)) from None
    if time < least:
        raise ConfigError(key, str(value), "must be more than 0")
    return time
