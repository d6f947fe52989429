"""What the memory room's stages take: bytes of their arrays, and time for each page beside that for each access."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np

from memvirt import memory, workload
from memvirt.errors import CapacityError, MemvirtError
from memvirt.memory.layout import FrameLayout, PageLayout
from memvirt.memory.records import Frame, HostFrame, Page
from memvirt.memory.setup import WINDOW, make_policies
from memvirt.pipeline.rooms import ROOMS
from memvirt.types import EventRecord
from memvirt.typing import dtype_of
from memvirt.workload.config import Workload
from memvirt.workload.names import trace_file

#: Bytes a page of `PageLayout`, whose arrays live as long as the records, and are as large again while they are made.
LAID_OUT = 2 * 37
#: CPU seconds a page: laid out, mapped when it is first touched, and digested. Measured were 1.4 (64 VMs with 16.8 million pages in
#: use, each also alone, `tests/benchmarks/host.py`: 46 s) and 2.6 microseconds (4 VMs of 4 GiB, each also alone: 22 s).
SECONDS_A_PAGE = 1.9e-6
WINDOW_BYTES = 10  #: an access of a vCPU that the loop sees at a time
FEW = 4096  #: items of which the policies' arrays are made, to see what an item takes


def pages_of(config: Any) -> int:
    """Pages of a workload stage's trace, for which there are arrays; of a synthetic one its footprint, touched or not."""
    work = Workload.model_validate({**config["workload"], "warmup": 0})
    if workload.is_life(work) or work.path or trace_file(work.name, work.path) is not None:
        return int(ROOMS["workload"].run(config, [])["trace"].pages.vpn.size)  # as it is made: a page life is sampled
    return -(-work.footprint // 4096) * work.processes


def _bytes(value: Any) -> int:
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    return sum(map(_bytes, value)) if isinstance(value, tuple) else 0


def _of_policies(config: memory.MemoryConfig, items: int) -> int:
    """Bytes of the policies' arrays for so many frames of each VM."""
    vms = len(config.members)
    vm = np.repeat(np.arange(vms), items)
    none, per_vm = np.zeros(0), np.full(vms, items)
    pages = PageLayout(none, vm, none, none, none, none, none, none, none, 0, np.zeros(1, np.bool_))  # type: ignore[arg-type]
    frames = FrameLayout(np.arange(vms + 1) * items, per_vm, per_vm, none, none, 1)  # type: ignore[arg-type]
    return _bytes(make_policies(config, pages, frames, 2 * items * vms))


def bytes_needed(config: Any, pages: list[int]) -> int:
    """Bytes of a stage's arrays.

    Parameters
    ----------
    config : JSON-able
        The memory stage's.
    pages : list of int
        Of each VM's trace.
    """
    checked = memory.MemoryConfig.model_validate(config)
    touched = sum(pages)
    guest = sum(max(own, (member.memory or 0) >> 12) + own for own, member in zip(pages, checked.members, strict=True))
    promised = sum((member.memory >> 12) if member.memory else own for own, member in zip(pages, checked.members, strict=True))
    given = checked.overcommit.host_memory
    host = min(given >> 12 if given is not None else int(promised / (checked.overcommit.ratio or 1.0)), guest)
    records = [dtype_of(record).itemsize for record in (Page, Frame, HostFrame)]
    an_item = (_of_policies(checked, 2 * FEW) - _of_policies(checked, FEW)) / (FEW * len(pages))
    started = (1 << 16) * dtype_of(EventRecord).itemsize + WINDOW * WINDOW_BYTES * sum(member.vcpus for member in checked.members)
    return started + int(touched * (records[0] + LAID_OUT) + guest * (records[1] + an_item) + 2 * host * records[2])


def available() -> int:
    """Bytes of memory that this machine has left, or that this process's control group may have."""
    left = [1 << 62]
    for line in Path("/proc/meminfo").read_text().splitlines() if Path("/proc/meminfo").exists() else ():
        if line.startswith("MemAvailable:"):
            left.append(int(line.split()[1]) << 10)
    with contextlib.suppress(OSError, ValueError):  # a control group's limit; what it holds already may be caches
        left.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return max(min(left), 0)


def gib(size: float) -> str:
    """A size as people say it."""
    return f"{size / 2**30:.2g} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def what_fits(needed: int, there: int, vms: int) -> str:
    """Say what would fit of something that doesn't: memory is in proportion to the pages of all VMs."""
    share = there / needed
    fewer = int(vms * share)
    ways = [f"{share:.2g} times the memory and footprint"]
    if fewer >= 1 and vms > 1:
        ways.append(f"vms.count={fewer}")
    return " or ".join(ways)


def check_fits(config: Any, pages: list[int]) -> None:
    """Refuse a stage that would take more memory than there is.

    Raises
    ------
    CapacityError
    """
    try:
        needed = bytes_needed(config, pages)
    except MemvirtError:  # which the stage itself says better
        return
    there = available()
    if needed > there:
        fits = what_fits(needed, there, len(pages))
        raise CapacityError(f"needs about {gib(needed)} of memory, and a worker here has {gib(there)}: {fits} would fit")
