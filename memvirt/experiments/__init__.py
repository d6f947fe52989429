"""Experiments: one folder per question or published figure, with what it measures and what was published.

A folder has ``README.md`` (question, set-up, sources), ``reference.csv`` (a row a claim: what was published, and from where to
where a simulated number may be), ``measure.py`` with ``measure(frame) -> dict`` of claims to numbers, and ``figure.py`` with
``draw(frame)``. The sweep behind it is the option of the same name in `conf/experiment`; its points are the table that
``measure.py`` makes by ``points()``, if it does. If that has ``EPOCHS``, the frame is that of epochs. ``measure.py`` may have
``remarks(frame) -> str`` besides, which is printed above the claims.
"""

from __future__ import annotations

import csv
import importlib
import math
import re
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from memvirt.errors import ConfigError

HERE = Path(__file__).parent


class Claim(NamedTuple):
    """A published number beside what it may be.

    Attributes
    ----------
    name, what : str
        Its row in PUBLISHED's tables, and what is measured.
    published : str
    low, high : float
        Bounds of a simulated number; infinite where there is none.
    tolerance, source, note : str
        How the bounds come about; the paper; why it is missed; only those that are known to be have one.
    """

    name: str
    what: str
    published: str
    low: float
    high: float
    tolerance: str
    source: str
    note: str

    @property
    def publication(self) -> str | None:
        """Who published it and where, without the place in it; None of a law that is derived here."""
        who, _, rest = re.split(r" \(| artifact| fig", re.sub("^derived from .* of ", "", self.source))[0].partition(", ")
        if who.startswith(("derived here", "assumed")) or re.search(r" [-+=/] ", who):
            return None
        if re.match("Linux|Documentation/", who):
            return "Linux"
        return f"{who}, {rest.partition(',')[0]}" if rest else who

    def holds(self, value: float) -> bool:
        """Whether a number is within the bounds (to rounding)."""
        slack = 1e-9 * max(abs(self.low) if math.isfinite(self.low) else 0.0, abs(value), 1.0)
        return self.low - slack <= value <= self.high + slack


def names() -> list[str]:
    """Names of the experiments."""
    return sorted(path.parent.name for path in HERE.glob("*/reference.csv"))


def claims(name: str) -> list[Claim]:
    """Claims of an experiment.

    Raises
    ------
    ConfigError
        If there is no such experiment.
    """
    if name not in names():
        raise ConfigError("experiment", name, "there is no such experiment", names())
    with (HERE / name / "reference.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Claim(
            row["claim"],
            row["what"],
            row["published"],
            float(row["low"] or "-inf"),
            float(row["high"] or "inf"),
            row["tolerance"],
            row["source"],
            row["note"],
        )
        for row in rows
    ]


class Family(NamedTuple):
    """What an experiment belongs to.

    Attributes
    ----------
    family : str
        ``translation``, ``overcommit``, ``numa`` or ``peers`` (other simulators and the real kernel).
    seconds : int
        CPU time that its sweep takes, compilation not counted, about.
    """

    family: str
    seconds: int


def families() -> dict[str, Family]:
    """Family of each experiment; one that has none yet is ``other``."""
    with (HERE / "families.csv").open(newline="") as file:
        known = {row["name"]: Family(row["family"], int(row["seconds"])) for row in csv.DictReader(file)}
    return {name: known.get(name, Family("other", 60)) for name in names()}


def counted(experiments: list[str]) -> str:
    """Say how many numbers experiments hold, of how many publications, and how long they take."""
    found = [claim for name in experiments for claim in claims(name)]
    orders = sum(not claim.published.replace(".", "", 1).isdigit() for claim in found)
    sources = {claim.publication for claim in found} - {None}
    minutes = sum(families()[name].seconds for name in experiments) / 60
    numbers = f"{len(found)} numbers ({orders} of them an order or a range) of {len(sources)} sources"
    return f"{len(experiments)} experiments, {numbers}, about {minutes:.0f} CPU-minutes after compilation"


def _module(name: str) -> Any:
    return importlib.import_module(f"memvirt.experiments.{name}.measure")


def points(name: str) -> pd.DataFrame | None:
    """Points of an experiment's sweep, a column a key, where they are a table and not the grid in its YAML file."""
    own = getattr(_module(name), "points", None)
    return own() if own else None


def table(name: str) -> str:
    """File of a sweep that an experiment is measured in."""
    return "epochs.parquet" if getattr(_module(name), "EPOCHS", False) else "results.parquet"


def measure(name: str, frame: pd.DataFrame) -> dict[str, float]:
    """Measure an experiment's claims in its `table`."""
    found: dict[str, float] = _module(name).measure(frame)
    return found


def remarks(name: str, frame: pd.DataFrame) -> str:
    """What an experiment says of its result table besides its claims."""
    own = getattr(_module(name), "remarks", None)
    return str(own(frame)) if own else ""


def draw(name: str, frame: pd.DataFrame) -> Any:
    """Draw an experiment's figure from its `table`."""
    return importlib.import_module(f"memvirt.experiments.{name}.figure").draw(frame)
