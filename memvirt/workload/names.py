"""Which workloads there are: generators, recorded programs, page lives, and `trace` for a file of one's own."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from memvirt.errors import ConfigError
from memvirt.policy import load, names

SYNTHETIC, LIFE = "workload.synthetic", "workload.life"
NOTHING = "none"  #: the detail of a life of which no translation is simulated
MOST = 1 << 40  #: of an option of a workload's own
RECORDED = Path(__file__).parent / "recorded"


@cache
def recorded() -> tuple[str, ...]:
    """Names of the programs whose traces the package carries."""
    return tuple(sorted(path.stem for path in RECORDED.glob("*.parquet")))


def trace_file(name: str, path: str | None) -> Path | None:
    """The file behind a workload; None for a synthetic one."""
    if name == "trace":
        return Path(path or "")
    return RECORDED / f"{name}.parquet" if name in recorded() else None


def family_of(name: str) -> str | None:
    """The family of a workload that is a file of one; None of a recorded one."""
    return next((family for family in (SYNTHETIC, LIFE) if name in names(family)), None)


def check(name: str, path: str | None, options: dict[str, Any], detail: str | dict[str, Any] | None = None) -> None:
    """Refuse a workload that can't be.

    Raises
    ------
    ConfigError
        If the name or an option of its own isn't known, a trace has no path, or a file that isn't a trace can't be read.
    """
    if name == "trace" and not path:
        raise ConfigError("workload.path", path, "workload=trace needs the trace's file: workload.path=FILE")
    family = family_of(name)
    reads_file = getattr(load(family, name, "workload"), "READS_FILE", None) if family else None
    if family == LIFE and reads_file and not path:
        raise ConfigError("workload.path", path, f"workload={name} needs a table: workload.path=FILE")
    if detail not in (None, NOTHING) and family != LIFE:
        why = f"is for page lives; {name} is an access-level workload and its own detail: only none can be said of it"
        raise ConfigError("workload.detail", detail, why)
    if path and reads_file:
        reads_file(path, **{key: str(value) for key, value in options.items() if key == "columns"})
    elif name != "trace" and path:
        raise ConfigError("workload.path", path, f"only workload=trace reads a file; workload is {name}")
    if trace_file(name, path) is not None:
        known: dict[str, Any] = {}
    elif family:
        known = load(family, name, "workload").OPTIONS
    else:
        choices = [*names(SYNTHETIC), *names(LIFE), *recorded(), "trace"]
        raise ConfigError("workload", name, "there is no such workload", choices)
    for key, value in options.items():
        if key not in known:
            raise ConfigError(f"workload.{key}", value, f"{name} has no such key", known)
        if isinstance(value, bool) != isinstance(known[key], bool) or not isinstance(value, (int, float, type(known[key]))):
            raise ConfigError(f"workload.{key}", value, f"must be like {known[key]}")
        if isinstance(value, (int, float)) and not 0 <= value <= MOST:
            raise ConfigError(f"workload.{key}", value, "must be from 0 to 2 ** 40")
    if family and hasattr(load(family, name, "workload"), "check"):
        load(family, name, "workload").check(**{**known, **options})
