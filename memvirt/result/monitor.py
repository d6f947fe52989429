"""What one would see on one's monitors: pressure, progress, rates and thrashing, of counters alone; and what had warned.

A VM *thrashes* in an epoch in which it waits for memory for more than half of the time that it doesn't sleep. The notion is
Denning's (Thrashing: its causes and prevention, AFIPS 1968): a program that has less memory than its working set spends its time
waiting for pages. The measure is that of Linux's PSI, ``full`` of one task: time stalled over time
(Documentation/accounting/psi.rst).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.counters import Column

Counts = dict[str, NDArray[Any]]

THRASH = 0.5  #: pressure above which a VM thrashes
AVERAGES = (5, 30, 150)  #: epochs: the kernel samples every 2 s and averages over 10, 60 and 300


class Signal(NamedTuple):
    """Something that a monitor shows.

    Attributes
    ----------
    column : str
        Of the epochs' table.
    threshold : float
    above : bool
        Whether it warns above the threshold, or below it.
    why : str
        Where the threshold is from.
    """

    column: str
    threshold: float
    above: bool
    why: str

    def passed(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Where it warns; never where there is nothing to see (NaN)."""
        return np.asarray(values > self.threshold if self.above else values < self.threshold)


ESXTOP = "esxtop's usual threshold: any"
SIGNALS = {
    "pressure": Signal("pressure", 0.1, True, "lmkd's partial stall, 70 to 200 ms in a second"),
    "pressure_avg": Signal(f"pressure_avg{AVERAGES[0]}", 0.1, True, "the same of the kernel's avg10"),
    "major_faults": Signal("major_fault_rate", 1.0, True, "one a ms: a tenth of the time at 0.1 ms a fault"),
    "swap_out": Signal("swap_out_rate", 0.0, True, ESXTOP),
    "swap_in": Signal("swap_in_rate", 0.0, True, ESXTOP),
    "refaults": Signal("refault_rate", 0.0, True, "any: the working set comes back (Linux, mm/workingset.c)"),
    "balloon": Signal("balloon_pages", 0.0, True, ESXTOP),
    "compression": Signal("compressed_pages", 0.0, True, ESXTOP),
    "active": Signal("active_share", 1.0, True, "the working set outgrows what the VM had; a host can't see that"),
    "active_estimate": Signal("active_estimate_share", 1.0, True, "the same of the host's estimate"),
    "host_free": Signal("host_free_share", 0.06, False, "ESX's soft threshold of old, 6 % (Waldspurger, OSDI'02)"),
    "memory_state": Signal("memory_state", 0.0, True, "the host has left its state of plenty"),
}

#: Columns of epochs and of whole runs, of epochs, and of whole runs.
COLUMNS = (
    Column("pressure", "share", doc="time waited for memory ÷ time not asleep (PSI's `full` of one task)"),
    Column("progress", "instructions/s", doc="of the time not asleep"),
    Column("major_fault_rate", "faults/ms", doc="`major_faults` and `guest_major_faults`, of the time not asleep"),
    Column("swap_in_rate", "pages/ms", doc="`swap_in_pages` and `guest_swap_in_pages`, of the time not asleep"),
    Column("swap_out_rate", "pages/ms", doc="`swap_out_pages` and `guest_swap_out_pages`, of the time not asleep"),
    Column("refault_rate", "faults/ms", doc="`refaults`, of the time not asleep"),
    Column(
        "pressure_avg{}",
        "share",
        doc="running average of the pressure over so many epochs",
        over=tuple(map(str, AVERAGES)),
        tables=("epochs",),
    ),
    Column("active_share", "share", doc="`active_pages` ÷ what was resident when the epoch before ended", tables=("epochs",)),
    Column("active_estimate_share", "share", doc="`active_estimate` ÷ the same", tables=("epochs",)),
    Column("host_free_share", "share", doc="`host_free_pages` ÷ `host_pages`", tables=("epochs",)),
    Column("thrash", "0 or 1", doc="whether the VM thrashes ([model.md](model.md#monitoring))", kind="int", tables=("epochs",)),
    Column("thrash_epochs", "epochs", doc="in which the VM thrashes", kind="int", tables=("results",)),
    Column("first_thrash_epoch", "epoch", doc="first of those, null if there is none", kind="int", tables=("results",)),
    Column(
        "alarm_{}",
        "epoch",
        doc="first in which a signal passed its threshold ([which](model.md#monitoring))",
        kind="int",
        over=tuple(SIGNALS),
        tables=("results",),
    ),
    Column(
        "warned_{}",
        "epochs",
        doc="that the alarm was ahead of `first_thrash_epoch`; null if it wasn't",
        kind="int",
        over=tuple(SIGNALS),
        tables=("results",),
    ),
)


def ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """Divide; NaN where there is nothing to divide by."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(whole > 0, part / whole, np.nan)


def rates(values: Counts) -> Counts:
    """The `COLUMNS` that epochs and whole runs have.

    Parameters
    ----------
    values : dict of arrays of one shape
        Counters of the memory room; ``elapsed_ns`` is the time that the VM didn't sleep, waiting included.

    Returns
    -------
    dict
        ``pressure``, a share of that time; ``progress``, instructions a second of it; rates a millisecond of it, what guests
        do on their own swap among them.
    """
    elapsed = values["elapsed_ns"]

    def rate(*names: str) -> NDArray[np.float64]:
        return 1e6 * ratio(np.sum([values[name] for name in names], axis=0), elapsed)

    return {
        "pressure": ratio(values["stall_ns"], elapsed),
        "progress": 1e9 * ratio(values["instructions"], elapsed),
        "major_fault_rate": rate("major_faults", "guest_major_faults"),
        "swap_in_rate": rate("swap_in_pages", "guest_swap_in_pages"),
        "swap_out_rate": rate("swap_out_pages", "guest_swap_out_pages"),
        "refault_rate": rate("refaults"),
    }


def running(pressure: NDArray[np.float64], span: int) -> NDArray[np.float64]:
    """Average pressure as the kernel does: exponentially, over ``span`` epochs; one in which the VM slept has none.

    Parameters
    ----------
    pressure : (vms, epochs) float64
    """
    found, average, fade = np.zeros_like(pressure), np.zeros(pressure.shape[0]), np.exp(-1 / span)
    for epoch in range(pressure.shape[1]):
        average = fade * average + (1 - fade) * np.nan_to_num(pressure[:, epoch])
        found[:, epoch] = average
    return found


def watch(values: Counts) -> Counts:
    """What a monitor shows of each epoch: the `COLUMNS` of epochs.

    Shares of active pages are of those that were resident when the epoch before ended.

    Parameters
    ----------
    values : dict of (vms, epochs)
        Counters of the memory room, without the warm-up.
    """
    seen = rates(values)
    for span in AVERAGES:
        seen[f"pressure_avg{span}"] = running(seen["pressure"], span)
    held = np.pad(values["resident_pages"], ((0, 0), (1, 0)))[:, :-1]
    seen["active_share"] = ratio(values["active_pages"], held)
    seen["active_estimate_share"] = ratio(values["active_estimate"], held)
    seen["host_free_share"] = ratio(values["host_free_pages"], values["host_pages"])
    seen["thrash"] = (seen["pressure"] > THRASH).astype(np.int64)
    return seen


def first(where: NDArray[np.bool_]) -> list[int | None]:
    """First epoch of each VM where something holds; None if it never does."""
    return [int(np.argmax(each)) if each.any() else None for each in where]


def warned(seen: Counts, lived: NDArray[np.bool_]) -> dict[str, Any]:
    """What each signal would have warned of: the `COLUMNS` of whole runs alone.

    Parameters
    ----------
    seen : dict of (vms, epochs)
        As `watch` gives, and the counters that signals read.
    lived : (vms, epochs) bool
        Epochs that there are.

    Returns
    -------
    dict
        Epochs in which each VM thrashed and the first of them; for each signal the first epoch in which it passed its threshold
        (``alarm_*``), and how many epochs that was ahead of the first thrashing one (``warned_*``: None if it passed it later
        or never, or no epoch thrashed).
    """
    thrash = (seen["thrash"] > 0) & lived
    fell = first(thrash)
    found: dict[str, Any] = {"thrash_epochs": thrash.sum(axis=1), "first_thrash_epoch": fell}
    for name, signal in SIGNALS.items():
        found[f"alarm_{name}"] = first(signal.passed(seen[signal.column]) & lived)
    for name in SIGNALS:
        pairs = zip(fell, found[f"alarm_{name}"], strict=True)
        found[f"warned_{name}"] = [None if end is None or at is None or at > end else end - at for end, at in pairs]
    return found
