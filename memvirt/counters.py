"""What is counted: a counter is declared in the file of who counts it, and columns, their documentation and tests follow.

A module lists its own in ``COUNTERS``, and its kernels add to fields of those names (``world.counts[vm, epoch].merges += 1``): a
field that nobody declared doesn't compile. The counters of a room's own modules are always there. Those of a policy's file, a
plug-in's as well, are there where it is in use, and null in the tables where it isn't.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import MemvirtError
from memvirt.policy import plugin_packages
from memvirt.types import Counters

OVER_EPOCHS = ("sum", "mean", "last", "max")
OVER_VMS = ("sum", "mean", "max", "same")
UNSCALED = (
    "ns",
    "state",
    "calls",
    "scans",
    "moves",
)  #: units of what isn't sampled where one page of many is: time, and what concerns all pages or none


class Counter(NamedTuple):
    """What one counter is.

    Attributes
    ----------
    name : str
        Of its column. With ``over`` it has a ``{}``, for which the names of those stand.
    unit : str
    doc : str
        A line for the documentation.
    epochs : {'sum', 'mean', 'last', 'max'}
        What a run's value is of those of its epochs: of what happens, the sum; of what is the case when an epoch ends, the mean
        over those that the VM lived through, the last, or the largest.
    vms : {'sum', 'mean', 'max', 'same'}
        What the host's value is of those of its VMs; ``same``: each VM has that of the whole host.
    over : tuple of str
        The things of which it counts each: several columns, and in kernels one field, an array.
    """

    name: str
    unit: str
    doc: str
    epochs: str = "sum"
    vms: str = "sum"
    over: tuple[str, ...] = ()

    @property
    def field(self) -> str:
        """Its name in a kernel."""
        return self.name.replace("_{}", "")

    @property
    def names(self) -> tuple[str, ...]:
        """Its columns."""
        return tuple(self.name.replace("{}", each) for each in self.over) or (self.name,)

    @property
    def kind(self) -> str:
        """Of what type its columns are: sums are whole numbers."""
        return "int" if self.epochs == "sum" else "float"

    @property
    def is_sampled(self) -> bool:
        """Whether it counts what happens to single pages, so that each stands for as many as the page does (`vms.scale`)."""
        return self.unit not in UNSCALED


class Column(NamedTuple):
    """A column of the result tables that is worked out of counters.

    Attributes
    ----------
    name, unit, doc, over
        As of a `Counter`.
    kind : {'int', 'float', 'str'}
    tables : tuple of {'results', 'epochs'}
        Which tables have it.
    """

    name: str
    unit: str
    doc: str
    kind: str = "float"
    over: tuple[str, ...] = ()
    tables: tuple[str, ...] = ("results", "epochs")

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that it stands for."""
        return tuple(self.name.replace("{}", each) for each in self.over) or (self.name,)


def names_of(counters: Iterable[Counter | Column]) -> tuple[str, ...]:
    """Columns of counters."""
    return tuple(name for counter in counters for name in counter.names)


def told_apart(counters: Iterable[Counter]) -> tuple[Counter, ...]:
    """The counters, whose names must differ.

    Raises
    ------
    MemvirtError
        Naming one that is declared twice.
    """
    found = tuple(counters)
    names = names_of(found)
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise MemvirtError(f"the counter {twice} is declared twice, in COUNTERS of two files; each counter has one place")
    return found


def record_of(counters: Iterable[Counter]) -> np.dtype[Any]:
    """The record in which kernels count."""
    return np.dtype([(each.field, "<i8", (len(each.over),) if each.over else ()) for each in counters], align=True)


def as_numbers(counts: NDArray[np.void]) -> NDArray[np.int64]:
    """The numbers of records: one axis more."""
    whole = np.ascontiguousarray(counts)
    return np.asarray(whole).view(np.int64).reshape(*whole.shape, whole.dtype.itemsize // 8)


def as_counters(values: NDArray[Any], counters: Iterable[Counter]) -> Counters:
    """What a room hands on of its counts, (vms, epochs) records of its counters or numbers of one axis more."""
    counters = tuple(counters)
    how = tuple(each.epochs for each in counters for _ in each.names)
    return Counters(names_of(counters), as_numbers(values).copy() if values.dtype.names else values, how)


def _modules(package: str) -> Iterator[tuple[str, bool]]:
    """Modules of a package that declare counters, sorted by name, and whether each is a policy: a file of a family's folder."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.submodule_search_locations is None:
        return
    found = [(package, False)]
    for info in pkgutil.walk_packages(spec.submodule_search_locations, f"{package}."):
        below = info.name.removeprefix(f"{package}.")
        found.append((info.name, "." in below and not info.ispkg and not below.rpartition(".")[2].startswith("_")))
    for name, is_policy in sorted(found):
        origin = getattr(importlib.util.find_spec(name), "origin", None)
        if origin is not None and "\nCOUNTERS" in Path(origin).read_text():
            yield name, is_policy


def of_module(name: str) -> tuple[Counter, ...]:
    """What a module declares."""
    return tuple(getattr(importlib.import_module(name), "COUNTERS", ()))


@cache
def own(room: str) -> tuple[Counter, ...]:
    """Counters that a room always has: those of its modules that aren't policies.

    Parameters
    ----------
    room : str
        Folder below memvirt.
    """
    return tuple(counter for name, is_policy in _modules(f"memvirt.{room}") if not is_policy for counter in of_module(name))


def in_use(room: str, states: Iterable[object]) -> tuple[Counter, ...]:
    """Counters of a room, and of the policies whose states these are."""
    modules = dict.fromkeys(type(state).__module__ for state in states)
    return told_apart((*own(room), *(counter for name in modules for counter in getattr(sys.modules[name], "COUNTERS", ()))))


def of_policies(room: str, packages: Iterable[str] = ("memvirt",)) -> dict[str, tuple[Counter, ...]]:
    """Counters of each policy of a room, by the name of its module."""
    return {name: of_module(name) for package in packages for name, is_policy in _modules(f"{package}.{room}") if is_policy}


@cache
def every(room: str) -> tuple[Counter, ...]:
    """Counters of a room, and of all policies that there are for it, plug-ins' too."""
    policies = of_policies(room, ("memvirt", *plugin_packages()))
    return told_apart((*own(room), *(counter for found in policies.values() for counter in found)))


def weights(room: str, scale: float) -> dict[str, float]:
    """How many each of a room's columns counts at a time, where each page stands for ``scale``."""
    return {name: scale if counter.is_sampled else 1.0 for counter in every(room) for name in counter.names}
