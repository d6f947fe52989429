"""The building blocks of every config section: strict models, sizes, times, and a policy with its options."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from memvirt.errors import ConfigError

_SIZES = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
MOST_BYTES = 1 << 50
LONGEST_NS = 1e15
_TIMES = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}

PageSize = Literal["4K", "2M", "1G"]


def parse_size(value: object) -> int:
    """Bytes from ``64MiB``, ``2G``, ``4K``, ``32768 pages`` or a bare number of bytes (binary units throughout)."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("a size is written like 64MiB, 2G or 4096")
    pages = re.fullmatch(r"\s*(\d+)\s*pages\s*", str(value))
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", str(value), re.IGNORECASE)
    if pages is not None:
        size = float(pages[1]) * 4096
    elif match is not None:
        size = float(match[1]) * (1 << _SIZES[match[2].upper()])
    else:
        raise ValueError("a size is written like 64MiB, 2G or 4096")
    if size > MOST_BYTES:
        raise ValueError("is more than 1024T, which no machine has")
    if size != int(size):
        raise ValueError("a size is a whole number of bytes")
    return int(size)


def parse_time_ns(value: object) -> float:
    """Nanoseconds from ``80ns``, ``10us``, ``1.5ms``, ``2s`` or a bare number of nanoseconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("a time is written like 80ns, 10us or 2s")
    match = re.fullmatch(r"\s*(\d+(?:\.\d*)?(?:e[+-]?\d+)?)\s*(ns|us|ms|s|)\s*", str(value))
    if match is None:
        raise ValueError("a time is written like 80ns, 10us or 2s")
    time = float(match[1]) * _TIMES[match[2] or "ns"]
    if time > LONGEST_NS:
        raise ValueError("is more than 1000000s, which nobody simulates")
    return time


Size = Annotated[int, BeforeValidator(parse_size)]
TimeNs = Annotated[float, BeforeValidator(parse_time_ns)]
Seed = Annotated[int, Field(ge=0, lt=1 << 63)]
Many = Annotated[int, Field(le=1 << 40)]  #: a number of accesses, which a 64-bit count can hold whatever it is multiplied with


class Section(BaseModel):
    """A part of a point's config: frozen, and strict about the keys that it knows."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Choice(BaseModel):
    """A policy, by the name of its file, with the options that its YAML file sets."""

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Every key but the name."""
        return dict(self.model_extra or {})

    def call(self, key: str, function: Callable[..., Any], *args: Any, **told: Any) -> Any:
        """Call a function of the policy's file with its options.

        Raises
        ------
        ConfigError
            If it doesn't take them; ``key`` is to blame.
        """
        try:
            return function(*args, **told, **self.options)
        except TypeError as wrong:
            raise ConfigError(key, self.name, f"its options don't fit: {wrong}") from wrong
