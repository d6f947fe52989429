"""What is known before the first access: page sizes, table numbers, sizes of arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import ConfigError
from memvirt.memory.config import MemoryConfig
from memvirt.random import scramble
from memvirt.types import FIRST_FRAME, LEVEL_BITS, ORDERS, PAGE_BITS, Trace
from memvirt.workload.reach import beyond, untranslated

BLOCK = 512  #: frames of a 2 MiB block, and entries of a table


class PageLayout(NamedTuple):
    """The pages of all VMs and how their guests map them; arrays as in `GuestSide`."""

    base: NDArray[np.int64]
    vm: NDArray[np.int64]
    vpn: NDArray[np.int64]
    asid: NDArray[np.int64]
    order: NDArray[np.uint8]
    first_page: NDArray[np.uint32]
    end_page: NDArray[np.uint32]
    row: NDArray[np.uint32]
    table: NDArray[np.uint32]
    tables: int
    file: NDArray[np.bool_]


class FrameLayout(NamedTuple):
    """How many frames there are of each kind.

    Attributes
    ----------
    base : (vms + 1,) int64
        First global guest frame of each VM.
    limit, promised : (vms,) int64
        Each VM's memory in pages, and the same in whole host pages.
    tables : (vms,) int64
        Page tables that each guest can come to need.
    capacity : (nodes,) int64
        Host frames for data.
    unit : int
        Frames of the larger host page.
    """

    base: NDArray[np.int64]
    limit: NDArray[np.int64]
    promised: NDArray[np.int64]
    tables: NDArray[np.int64]
    capacity: NDArray[np.int64]
    unit: int


def radix_tables(groups: list[NDArray[np.int64]], number: NDArray[np.int64], levels: int) -> tuple[NDArray[np.uint32], int]:
    """Number the tables of radix trees.

    Parameters
    ----------
    groups : list of (rows,) int64
        What tells one tree from another; rows of one tree stand together, ascending in ``number``.
    number : (rows,) int64
        Which lowest-level table of its tree each row is.
    levels : int

    Returns
    -------
    table : (rows, levels) uint32
        Number of the table above (and at) each row, level 0 first.
    count : int
    """
    table = np.empty((number.size, levels), np.uint32)
    count = 0
    for level in range(levels):
        part = number >> (9 * level)
        new = np.ones(number.size, bool)
        same = part[1:] == part[:-1]
        for group in groups:
            same &= group[1:] == group[:-1]
        new[1:] = ~same
        table[:, level] = count + np.cumsum(new) - 1
        count += int(new.sum())
    return table, count


def _ranges(new: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """First index, end and number of the range that each element lies in, where ``new`` marks the starts."""
    number = np.cumsum(new) - 1
    starts = np.flatnonzero(new)
    ends = np.append(starts[1:], new.size)
    return starts[number], ends[number], number


def _starts(keys: list[NDArray[np.int64]]) -> NDArray[np.bool_]:
    new = np.ones(keys[0].size, bool)
    new[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return new


def chance(seed: int, *keys: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number in [0, 1) for each element, from its keys alone."""
    total = np.full(keys[0].size, seed, np.uint64)
    for key in keys:
        total = scramble(key.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) ^ total)
    return np.asarray((total >> np.uint64(11)) / 2.0**53, np.float64)


def files_of(traces: list[Trace], order: NDArray[np.uint8], first: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of all VMs' pages are files'; of larger pages as many as come nearest to that, each as a whole.

    Parameters
    ----------
    traces : list of Trace
    order : (p,) uint8
        Of each page.
    first : (p,) int64
        First page of the larger page that each is of.
    """
    said = [trace.files if trace.files.size else np.zeros(trace.pages.vpn.size, np.bool_) for trace in traces]
    files: NDArray[np.bool_] = np.concatenate(said)
    if not files.any() or not order.any():
        return files
    heads = np.unique(first)
    size, held = np.diff(np.append(heads, files.size)), np.add.reduceat(files.astype(np.int64), heads)
    whole = np.zeros(heads.size, np.bool_)
    for each in np.unique(size):
        mine = size == each
        whole[mine] = np.diff(np.cumsum(held[mine]) // each, prepend=0) > 0
    return np.repeat(whole, size)


def lay_out_pages(config: MemoryConfig, traces: list[Trace]) -> PageLayout:
    """Decide each guest page's size, and number the guest's tables."""
    sizes = [trace.pages.vpn.size for trace in traces]
    base = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    vm = np.repeat(np.arange(len(traces)), sizes)
    raw = np.concatenate([trace.pages.vpn for trace in traces])
    asid = np.concatenate([trace.pages.asid for trace in traces]).astype(np.int64)
    levels = config.guest.levels
    if (wrong := untranslated(raw, levels)) is not None:
        raise ConfigError("guest.levels", levels, beyond(wrong << PAGE_BITS, levels))
    vpn = (raw & np.uint64((1 << LEVEL_BITS * levels) - 1)).astype(np.int64)  # a kernel's page has the upper half's index
    order = np.zeros(vpn.size, np.uint8)
    size = config.guest.page_size
    if size == "thp":
        first, end, number = _ranges(_starts([vm, asid, vpn >> 9]))
        heads = np.unique(first)
        whole = (end - first)[heads] >= config.guest.thp_fill * BLOCK
        luck = chance(config.seed, vm[heads], asid[heads], vpn[heads] >> 9)
        order[(whole & (luck >= config.guest.fragmentation))[number]] = ORDERS["2M"]
    else:
        order[:] = ORDERS[size]
    first, end, _ = _ranges(_starts([vm, asid, vpn >> order.astype(np.int64)]))
    _, _, row = _ranges(_starts([vm, asid, vpn >> 9]))
    heads = np.flatnonzero(_starts([vm, asid, vpn >> 9]))
    table, tables = radix_tables([vm[heads], asid[heads]], vpn[heads] >> 9, levels)
    spans = (first.astype(np.uint32), end.astype(np.uint32), row.astype(np.uint32))
    return PageLayout(base, vm, vpn, asid, order, *spans, table, tables, files_of(traces, order, first))


def kernel_pages(memory: int, page_struct: int) -> int:
    """Pages that a guest's kernel keeps for its records of each page of ``memory`` pages, of so many bytes."""
    return -(-memory * page_struct // 4096)


def memory_for(pages: int, page_struct: int) -> int:
    """Pages of memory of which so many are left beside `kernel_pages`."""
    memory = pages * 4096 // (4096 - page_struct)
    while memory - kernel_pages(memory, page_struct) < pages:
        memory += 1
    return memory


def lay_out_frames(config: MemoryConfig, pages: PageLayout) -> FrameLayout:
    """Bound each VM's guest frames, and share the host's frames out to its nodes."""
    vms = len(config.members)
    large_host = config.dimensions == 2 and config.host.page_size != "4K"
    host_order = ORDERS.get(config.host.page_size, 9) if large_host else 0
    table_order = ORDERS[config.host.table_page_size] if config.dimensions == 2 and config.host.table_page_size else 0
    data_unit = 1 << (host_order if config.dimensions == 2 else ORDERS.get(config.guest.page_size, 9))
    unit = max(data_unit, 1 << table_order)
    block = max(BLOCK, unit) if config.dimensions == 2 else max(BLOCK, 1 << host_order)
    heads = np.flatnonzero(pages.first_page == np.arange(pages.vpn.size))
    table_vm = np.zeros(pages.tables, np.int64)
    table_vm[pages.table] = pages.vm[np.flatnonzero(_starts([pages.row.astype(np.int64)]))][:, None]
    tables = np.bincount(table_vm, minlength=vms)
    limit, promised, spans = np.zeros(vms, np.int64), np.zeros(vms, np.int64), np.zeros(vms, np.int64)
    align = max(block, unit)
    for vm in range(vms):
        mine = heads[pages.vm[heads] == vm]
        order = pages.order[mine].astype(np.int64)
        cache = config.members[vm].cache >> 12
        small = int((order == 0).sum()) + cache
        large = int((1 << order[order > 0]).sum())
        wish = config.members[vm].memory
        limit[vm] = memory_for(small + large, config.page_struct) if wish is None else wish >> 12
        kernel = kernel_pages(int(limit[vm]), config.page_struct)
        small += kernel
        if cache + kernel > limit[vm]:
            why = f"is more than vms.memory of VM {vm}, {limit[vm] << 12}"
            if kernel:
                why += f", less the {kernel << 12} that guest.page_struct takes"
            raise ConfigError("vms.cache", cache << 12, why)
        blocks = -(-(FIRST_FRAME + small) // block) + (-(-int(tables[vm]) // block))
        need = limit[vm]
        if large_host:
            # data pages start in mid-block, and the small areas' blocks may part the large pages
            need = (-(-(FIRST_FRAME + small) // block) + -(-large // block) + (blocks if 0 < large < block else 0)) * block
        promised[vm] = max(need, -(-int(limit[vm]) // data_unit) * data_unit if large_host else limit[vm])
        widest = int(1 << order.max()) if order.size else 1
        span = FIRST_FRAME + (blocks + 3) * block + (small + int(tables[vm])) + large + (blocks + 2) * widest
        spans[vm] = -(-span // align) * align
    base = np.concatenate([[0], np.cumsum(spans)]).astype(np.int64)
    if base[-1] > np.iinfo(np.int32).max:
        raise ConfigError("vms.memory", int(limit.sum()) << 12, "makes more frames than signed 32-bit frame numbers name")
    total = int(promised.sum())
    if config.overcommit.host_memory is not None:
        frames = config.overcommit.host_memory >> 12
    else:
        frames = int(total / (config.overcommit.ratio or 1.0))
    mixed = (config.host if config.dimensions == 2 else config.guest).page_size == "thp"
    whole = 1 if mixed else data_unit
    return FrameLayout(base, limit, promised, tables, _share_out(config, frames // whole, whole) * whole, unit)


def _share_out(config: MemoryConfig, pages: int, unit: int) -> NDArray[np.int64]:
    """Host pages, of ``unit`` frames, that each node has of the ``pages`` that VMs were promised or `overcommit` says."""
    numa, said = config.numa, config.overcommit.ratio is not None or config.overcommit.host_memory is not None
    if numa.memory is None and not said:  # each node holds everything
        return np.full(numa.nodes, pages, np.int64)
    if numa.memory is not None and not said:
        return np.array(numa.memory, np.int64) // (unit << PAGE_BITS)
    sizes = np.ones(numa.nodes, object) if numa.memory is None else np.array(numa.memory, object)
    parts = np.array(pages * sizes // sizes.sum(), np.int64)
    parts[np.flatnonzero(sizes)[: pages - int(parts.sum())]] += 1
    return parts
