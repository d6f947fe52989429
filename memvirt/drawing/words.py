"""Columns, keys and values in words: what axes, legends and notes say, with units."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import pandas as pd

#: What the axes say for columns and keys whose name alone doesn't.
LABELS = {
    "slowdown": "slowdown (× native, alone, no faults)",
    "overhead": "overhead over native, alone, no faults (%)",
    "slowdown_p50": "slowdown of an epoch, median (× native)",
    "slowdown_p99": "slowdown of an epoch, 99th percentile (× native)",
    "slowdown_peak": "slowdown of the worst ten epochs in a row (× native)",
    "l1_tlb_mpki": "L1 TLB misses a thousand instructions (MPKI)",
    "l2_tlb_mpki": "L2 TLB misses a thousand instructions (MPKI)",
    "refs_per_walk_mean": "references a walk (mean)",
    "cycles_per_walk_mean": "latency of a walk (cycles, mean)",
    "walk_cycles_per_access": "walk cycles an access, that the program waits for",
    "walk_pending_cycles_per_access": "walk cycles an access, one after the other",
    "stall_ns": "time waited for memory (ns)",
    "resident_pages": "resident memory (4 KiB pages, mean over epochs)",
    "epoch": "epoch",
    "vm": "VM",
    "replicate": "replicate",
    "mmu": "translation mode",
    "mmu.pwc.enabled": "page-walk caches",
    "machine": "machine",
    "tlb": "TLBs",
    "tlb.replacement": "TLB replacement",
    "cache": "data caches",
    "cpu": "prices of the CPU",
    "workload": "workload",
    "workload.detail": "access-level trace",
    "workload.footprint": "footprint",
    "vms": "VMs",
    "vms.count": "number of VMs",
    "vms.memory": "memory of a VM",
    "guest.page_size": "guest's page size",
    "host.page_size": "host's page size",
    "guest.levels": "levels of guest page tables",
    "host.levels": "levels of host page tables",
    "numa": "NUMA topology",
    "numa.placement": "NUMA placement of data",
    "numa.scheduler": "placement of vCPUs",
    "numa.migration": "NUMA migration of data",
    "numa.guest_tables": "NUMA placement of the guest's page tables",
    "numa.host_tables": "NUMA placement of the host's page tables",
    "numa.shadow_tables": "NUMA placement of tables that a mode adds",
    "overcommit.ratio": "overcommit ratio (memory promised ÷ there)",
    "overcommit.host_memory": "host memory",
    "reclaim": "reclaim",
    "reclaim.replacement": "page replacement",
    "reclaim.victims": "whose page goes",
    "reclaim.device": "swap device",
    "reclaim.device.read_latency": "swap device's read latency",
    "cpu.memory": "latency of memory",
    "cpu.dependence": "share of accesses that depend on the one before",
    "workload.table_writes_every": "accesses from one table write to the next",
    "workload.instructions_per_access": "instructions an access",
    "reclaim.tax": "tax on idle memory",
}
UNITS = {"pages": "4 KiB pages", "ratio": "", "state": "", "0 or 1": "", "faults": "count", "misses": "count"}
ACRONYMS = (
    "tlb", "vm", "vms", "mmu", "cpu", "numa", "uma", "pwc", "ept", "llc", "l1", "l2", "l1d", "l1i", "ksm", "cow", "mpki", "pom",
    "thp", "id", "lru", "fifo", "srrip", "plru", "hdd", "sata", "ssd", "cxl", "esx", "dmt", "ecpt",
)  # fmt: skip
OWN_CAPITALS = {word: word.upper() for word in ACRONYMS} | {"nvme": "NVMe", "vms": "VMs"}
MOST_VALUES, MOST_LETTERS = 4, 40  #: values that a note lists, and letters of one


@cache
def units() -> dict[str, str]:
    """Unit of each measured column, as who counts it declares."""
    from memvirt.result.rows import columns

    return {name: each.unit for table in ("results", "epochs") for each in columns(table) for name in each.names}


def is_number(values: pd.Series[Any]) -> bool:
    """Whether a column holds amounts: yes and no are names, though pandas counts with them."""
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def spelled(name: str) -> str:
    """A column's or key's name in words, acronyms in capitals."""
    words = re.split(r"[._ ]+", name)
    return " ".join(OWN_CAPITALS.get(word, word) for word in words)


def label(column: str) -> str:
    """Name of a column or key in words, with its unit."""
    if column in LABELS:
        return LABELS[column]
    words = spelled(column)
    unit = units().get(column, "") if re.fullmatch(r"[a-z][a-z0-9_]*", column) else ""
    unit = UNITS.get(unit, unit)
    return f"{words} ({unit})" if unit and unit not in words.split() else words


def short(column: str) -> str:
    """Name of a column or key in words, without what stands in parentheses."""
    return label(column).partition(" (")[0]


def said(value: Any) -> str:
    """A value in words."""
    if isinstance(value, bool) or type(value).__name__ == "bool":
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:g}"
    text = spelled(value) if isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9_]*", value) else str(value)
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"


def listed(words: Iterable[str]) -> str:
    """Words with commas, and ``and`` before the last."""
    *most, last = list(words) or [""]
    return f"{', '.join(most)} and {last}" if most else last


def varied(frame: pd.DataFrame) -> list[str]:
    """The varied keys of a sweep's table: the columns before ``point_id``."""
    names = list(frame.columns)
    return names[: names.index("point_id")] if "point_id" in names else []


def hidden(frame: pd.DataFrame, keys: list[str]) -> list[str]:
    """Varied keys over which a mark averages that stands for all rows of the same ``keys``."""
    rest = [name for name in varied(frame) if name not in keys]
    if not keys:
        return [name for name in rest if frame[name].nunique(dropna=False) > 1]
    groups = frame.groupby(keys, observed=True, dropna=False)
    return [name for name in rest if groups[name].nunique(dropna=False).max() > 1]


def mean_over(frame: pd.DataFrame, keys: list[str]) -> str:
    """Say what marks average over, each standing for all rows of the same ``keys``; nothing where each is one row."""
    groups = frame.groupby(keys, observed=True, dropna=False) if keys else None
    most = len(frame) if groups is None else int(groups.size().max())
    if most < 2:
        return ""
    parts = []
    for name in hidden(frame, keys):
        values = list(pd.unique(frame[name]))
        few = ", ".join(map(said, values[:MOST_VALUES])) + (", …" if len(values) > MOST_VALUES else "")
        parts.append(f"{short(name)} ({few})" if len(few) < 60 else f"{len(values)} values of {short(name)}")
    for name, what in (("vm", "VMs"), ("replicate", "replicates")):
        if name in frame and name not in keys:
            count = frame[name].nunique() if groups is None else groups[name].nunique().max()
            parts += [f"{count} {what}"] if count > 1 else []
    return f"mean over {listed(parts)}" if parts else f"mean of up to {most} rows"
