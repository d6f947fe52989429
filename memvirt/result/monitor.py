"""What one would see on one's monitors: pressure, progress, rates and thrashing, of counters alone; and what had warned.

A VM is *stalled* in an epoch in which it waits for memory for more than half of the time that it doesn't sleep: a page is good for
less time than it takes to come (L < S in the words of Denning et al., Acta Informatica 7, 1976). The measure is that of Linux's PSI
(kernel/sched/psi.c), time stalled over time.

The host *thrashes* in an epoch in which paging has risen and the work that it does for all of its VMs together has collapsed
(Denning, Thrashing: its causes and prevention, AFIPS 1968), to less than half of what it was at its best before. A VM that is
stalled beside others that run is no thrashing, nor is a host whose VMs ask for less.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.counters import Column

Counts = dict[str, NDArray[Any]]

STALLED = 0.5  #: pressure above which a VM is stalled
COLLAPSED = 0.5  #: part of its best throughput below which a host's has collapsed: assumed, as no source gives a number
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
    "refaults": Signal("refault_rate", 0.0, True, "any page comes back (Linux, mm/workingset.c)"),
    "activations": Signal("activation_rate", 0.0, True, "any: the working set comes back (Linux, mm/workingset.c)"),
    "balloon": Signal("balloon_pages", 0.0, True, ESXTOP),
    "compression": Signal("compressed_pages", 0.0, True, ESXTOP),
    "active": Signal("active_share", 1.0, True, "more is used than the VM has in the end; a host can't see that"),
    "active_estimate": Signal("active_estimate_share", 1.0, True, "the same of the host's estimate"),
    "host_free": Signal("host_free_share", 0.06, False, "ESX's soft threshold of old, 6 % (Waldspurger, OSDI'02)"),
    "memory_state": Signal("memory_state", 0.0, True, "the host has left its state of plenty"),
}

#: Columns of epochs and of whole runs, of epochs, and of whole runs.
COLUMNS = (
    Column(
        "pressure",
        "share",
        doc="time waited for memory ÷ time not asleep, mean of the vCPUs: PSI's where each has a CPU of its own",
    ),
    Column(
        "pressure_{}",
        "share",
        doc="time in which some vCPU waits for memory, or all that aren't asleep do, ÷ time in which one isn't asleep",
        over=("some", "full"),
    ),
    Column("progress", "instructions/s", doc="of the time not asleep"),
    Column("major_fault_rate", "faults/ms", doc="`major_faults` and `guest_major_faults`, of the time not asleep"),
    Column("swap_in_rate", "pages/ms", doc="`swap_in_pages` and `guest_swap_in_pages`, of the time not asleep"),
    Column("swap_out_rate", "pages/ms", doc="`swap_out_pages` and `guest_swap_out_pages`, of the time not asleep"),
    Column("refault_rate", "pages/ms", doc="`refaults`, of the time not asleep"),
    Column("activation_rate", "pages/ms", doc="`activations`, of the time not asleep"),
    Column(
        "pressure_avg{}",
        "share",
        doc="running average of the pressure over so many epochs",
        over=tuple(map(str, AVERAGES)),
        tables=("epochs",),
    ),
    Column("active_share", "share", doc="`active_pages` ÷ what is resident when the epoch ends", tables=("epochs",)),
    Column("active_estimate_share", "share", doc="`active_estimate` ÷ the same", tables=("epochs",)),
    Column("host_free_share", "share", doc="`host_free_pages` ÷ `host_pages`", tables=("epochs",)),
    Column("stalled", "0 or 1", doc="whether the VM is stalled ([model.md](model.md#monitoring))", kind="int", tables=("epochs",)),
    Column("host_throughput", "CPUs", doc="CPU time of all VMs' own work ÷ the epoch's length", tables=("epochs",)),
    Column("thrash", "0 or 1", doc="whether the host thrashes ([model.md](model.md#monitoring))", kind="int", tables=("epochs",)),
    Column("stalled_epochs", "epochs", doc="in which the VM is stalled", kind="int", tables=("results",)),
    Column("first_stalled_epoch", "epoch", doc="first of those, null if there is none", kind="int", tables=("results",)),
    Column("thrash_epochs", "epochs", doc="of the VM in which the host thrashes", kind="int", tables=("results",)),
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
        doc="that the alarm was ahead of `first_stalled_epoch`; null if it wasn't",
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
        ``pressure``, a share of that time, and ``pressure_some`` and ``_full``, of the VM's as a whole; ``progress``, instructions
        a second of it; rates a millisecond of it, what guests
        do on their own swap among them.
    """
    elapsed = values["elapsed_ns"]

    def rate(*names: str) -> NDArray[np.float64]:
        return 1e6 * ratio(np.sum([values[name] for name in names], axis=0), elapsed)

    return {
        "pressure": ratio(values["stall_ns"], elapsed),
        "pressure_some": ratio(values["stall_some_ns"], values["awake_ns"]),
        "pressure_full": ratio(values["stall_full_ns"], values["awake_ns"]),
        "progress": 1e9 * ratio(values["instructions"], elapsed),
        "major_fault_rate": rate("major_faults", "guest_major_faults"),
        "swap_in_rate": rate("swap_in_pages", "guest_swap_in_pages"),
        "swap_out_rate": rate("swap_out_pages", "guest_swap_out_pages"),
        "refault_rate": rate("refaults"),
        "activation_rate": rate("activations"),
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

    Shares of active pages are of those that are resident when the epoch ends, as what a VM has grown by is no shortage.

    Parameters
    ----------
    values : dict of (vms, epochs)
        Counters of the memory room, without the warm-up.
    """
    seen = rates(values)
    for span in AVERAGES:
        seen[f"pressure_avg{span}"] = running(seen["pressure"], span)
    seen["active_share"] = ratio(values["active_pages"], values["resident_pages"])
    seen["active_estimate_share"] = ratio(values["active_estimate"], values["resident_pages"])
    seen["host_free_share"] = ratio(values["host_free_pages"], values["host_pages"])
    seen["stalled"] = (seen["pressure"] > STALLED).astype(np.int64)
    throughput, thrash = thrashing(values)
    seen["host_throughput"] = np.broadcast_to(throughput, seen["pressure"].shape)
    seen["thrash"] = np.broadcast_to(thrash.astype(np.int64), seen["pressure"].shape)
    return seen


def thrashing(values: Counts) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """How much work a host does, and where that collapses while paging rises.

    It has collapsed where it is less than `COLLAPSED` of its best in an earlier epoch, of what the VM that asks for most would do
    alone, and of what all VMs ask for: so one that thrashes from the start is found, and one whose VMs rest isn't. Paging has risen
    if more pages are waited for than in that best epoch.

    Parameters
    ----------
    values : dict of (vms, epochs)
        Counters of the memory room. Epochs of the same number are taken to be at the same time.

    Returns
    -------
    throughput : (epochs,) float64
        CPUs that do nothing but VMs' work.
    thrash : (epochs,) bool
    """

    def of_time(*names: str) -> NDArray[np.float64]:
        return np.nan_to_num(ratio(np.sum([values[name] for name in names], axis=0), values["span_ns"]))

    throughput, asked = of_time("busy_ns").sum(axis=0), of_time("elapsed_ns")
    paging = of_time("major_faults", "guest_major_faults", "decompressions").sum(axis=0)
    thrash, best, paging_then = np.zeros(throughput.size, bool), 0.0, 0.0
    for epoch, work in enumerate(throughput):
        alone = asked[:, epoch].max()
        rises = paging[epoch] > (paging_then if best >= alone else 0.0)
        thrash[epoch] = rises and work < COLLAPSED * min(max(best, alone), asked[:, epoch].sum())
        if work > best:
            best, paging_then = work, paging[epoch]
    return throughput, thrash


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
        Epochs in which each VM was stalled and the host thrashed, and the first of them; for each signal the first epoch in which
        it passed its threshold (``alarm_*``), and how many epochs that was ahead of the first in which the VM was stalled
        (``warned_*``: None if it passed it later or never, or the VM never was).
    """
    found: dict[str, Any] = {}
    for name in ("stalled", "thrash"):
        where = (seen[name] > 0) & lived
        found |= {f"{name}_epochs": where.sum(axis=1), f"first_{name}_epoch": first(where)}
    fell = found["first_stalled_epoch"]
    for name, signal in SIGNALS.items():
        found[f"alarm_{name}"] = first(signal.passed(seen[signal.column]) & lived)
    for name in SIGNALS:
        pairs = zip(fell, found[f"alarm_{name}"], strict=True)
        found[f"warned_{name}"] = [None if end is None or at is None or at > end else end - at for end, at in pairs]
    return found
