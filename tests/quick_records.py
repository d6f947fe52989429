"""Tables of records for kernels that run as plain Python: their fields are found as a type's own attributes are, in C.

`numpy.recarray` and `numpy.record` look for an attribute of their own, catch that there is none, and ask the dtype, which is most
of what such a run takes. A process that is to use these puts `QuickTable` where `numpy.recarray` stands.
"""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import numpy as np


class QuickRecord(np.void):
    """A row; its fields are added as they become known."""


class QuickTable(np.ndarray):
    """A table; a column is an array, unless it has the name of something that all arrays have."""

    def __array_finalize__(self, origin: Any) -> None:
        if self.dtype.names is not None and self.dtype.type is not QuickRecord:
            for name in self.dtype.names:
                _add_field(name)
            self.dtype = np.dtype((QuickRecord, self.dtype))


def _add_field(name: str) -> None:
    if not hasattr(QuickRecord, name):
        setattr(QuickRecord, name, property(itemgetter(name), lambda record, value: record.__setitem__(name, value)))
    if not hasattr(QuickTable, name):
        setattr(
            QuickTable,
            name,
            property(lambda table: table[name].view(np.ndarray), lambda table, value: table.__setitem__(name, value)),
        )


def quicken() -> None:
    """Have this process make its tables so from now on."""
    np.recarray = QuickTable  # type: ignore[misc, assignment]
