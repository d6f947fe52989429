"""What can be seen of the memory room while it works."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from memvirt.counters import as_numbers, in_use, names_of
from memvirt.memory.setup import measured
from memvirt.memory.state import World


class Step(NamedTuple):
    """The machine between two accesses.

    Attributes
    ----------
    accesses : int
        Of all VMs so far, warm-up included.
    time_ns : float
        Of the CPU that is furthest ahead.
    free_frames : int
        Of the host's frames of 4 KiB for data.
    vms : DataFrame
        One row a VM: its ``epoch``; pages of 4 KiB that the guest uses (``used_pages``), that are in host memory
        (``resident_pages``), on host swap, compressed, in the balloon, and whose frame it shares with others; and every
        counter of the room that adds up, since the beginning.
    """

    accesses: int
    time_ns: float
    free_frames: int
    vms: pd.DataFrame


#: Columns of `Step.vms` that are the state of now, and the fields of `memvirt.memory.state.VM` that hold it.
STATE = {
    "epoch": "epoch",
    "used_pages": "used",
    "resident_pages": "resident",
    "swapped_pages": "swapped",
    "compressed_pages": "compressed",
    "balloon_pages": "ballooned",
    "shared_pages": "shared",
}


def look(world: World) -> Step:
    """Look at the state; what it says doesn't change when the state goes on."""
    columns = {"vm": np.arange(world.vms.size)}
    columns |= {column: world.vms[field].copy() for column, field in STATE.items()}
    counters = in_use("memory", measured(world.policies))
    values = as_numbers(np.asarray(world.counts)).sum(axis=1)
    sums = {name for each in counters if each.epochs == "sum" for name in each.names}
    columns |= {name: values[:, place] for place, name in enumerate(names_of(counters)) if name in sums and name not in columns}
    clock = world.clock[0]
    return Step(int(clock.merged), float(world.cpus.clock.max()), int(world.nodes.free.sum()), pd.DataFrame(columns))
