"""The TLB room: which accesses find their translation, and which must walk for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.counters import Counter, as_counters, in_use, record_of
from memvirt.digest import freeze
from memvirt.memory.merge import merged
from memvirt.policy import load
from memvirt.recency import LANES
from memvirt.tlb.config import Tlb
from memvirt.tlb.general import translate_general
from memvirt.tlb.geometry import Level, group_bits, lay_out_entries, lay_out_level
from memvirt.tlb.hierarchy import (
    BYPASSES,
    COALESCES,
    DIRTY_BITS,
    EVICT_TAKES_VM,
    HOST_SIZE_MATTERS,
    INCLUSION,
    PREEMPT_FLUSHES,
    SPLIT,
    STORES,
    SWITCH_FLUSHES,
    Bank,
    Hierarchy,
    translate,
)
from memvirt.tlb.misses import pack
from memvirt.tlb.replacement import INVALID
from memvirt.tlb.segment import bypassing, no_segments
from memvirt.types import CHUNK, MOVE, Counters, Schedule, Space, Trace, Traits, Walks

__all__ = ["Tlb", "build", "counted", "run"]


def _bank(config: Tlb, number: int, level: Level, cpus: int, keeps_dirty: bool, side: str = "data") -> Bank:
    policy = load("tlb.replacement", config.replacement.name, "tlb.replacement")
    ways = sorted({array.associativity for array in config.of_side(number, side).values()})
    slots = max(1, cpus * level.slots)
    state = config.replacement.call("tlb.replacement", policy.make, slots, ways, config.seed + number)
    size = max(1, cpus * level.slots)
    dirty, covers = np.zeros(size if keeps_dirty else 1, np.uint8), np.zeros(size if config.coalesce > 1 else 1, np.uint8)
    return Bank(np.full(size, INVALID, np.uint32), level, state, dirty, covers)


def _counters(banks: Iterable[Bank]) -> tuple[Counter, ...]:
    """Counters of the room and of the replacement policies in use."""
    return in_use("tlb", [bank.policy for bank in banks])


def counted(tlbs: Hierarchy) -> Counters:
    """What was counted so far."""
    return as_counters(tlbs.counts, _counters([tlbs.first, tlbs.second]))


def is_plain(config: Tlb, traits: Traits, traces: list[Trace]) -> bool:
    """Whether looking up needs none of what `memvirt.tlb.general` is for."""
    if config.has_side("store") or any(trace.fetches for trace in traces):
        return False
    return config.inclusion == "neither" and config.coalesce == 1 and traits.dirty == "none" and traits.bypass is None


def others(schedule: Schedule, events: NDArray[np.void]) -> NDArray[np.int64]:
    """How many CPUs the vCPUs of each VM run on besides each CPU, (vms, cpus), until one of them is moved."""
    runs_on = np.zeros((schedule.vms, schedule.cpus), np.int64)
    moved, moves = np.full(schedule.vms, schedule.accesses, np.uint64), events[events["kind"] == MOVE]
    np.minimum.at(moved, moves["vm"], moves["at"])
    runs = schedule.runs[schedule.runs["at"] < moved[schedule.runs["vm"]]]
    runs_on[runs["vm"], runs["cpu"]] = 1
    return np.asarray(runs_on.sum(axis=1, keepdims=True) - runs_on, np.int64)


def build(config: Tlb, traits: Traits, space: Space, schedule: Schedule, events: NDArray[np.void]) -> Hierarchy:
    """Empty TLBs for every physical CPU; ``events``: those that concern TLBs, at the least.

    Raises
    ------
    ConfigError
        For a replacement policy that doesn't exist or doesn't fit the geometry.
    """
    rules = np.zeros(11, np.int64)
    rules[EVICT_TAKES_VM] = traits.host_unmap == "vm"
    rules[SWITCH_FLUSHES] = traits.flush_on_switch or not config.pcid
    rules[PREEMPT_FLUSHES] = not config.vpid
    rules[HOST_SIZE_MATTERS] = traits.entry_size == "smaller"
    rules[DIRTY_BITS], rules[BYPASSES] = traits.dirty == "walk", traits.bypass is not None
    rules[COALESCES], rules[INCLUSION] = config.coalesce > 1, ("neither", "inclusive", "exclusive").index(config.inclusion)
    entries = lay_out_entries(space, traits.entry_size, group_bits(config))
    levels = [lay_out_level(config, level, space, entries) for level in (1, 2)]
    banks = [_bank(config, number, level, schedule.cpus, bool(rules[DIRTY_BITS])) for number, level in enumerate(levels, 1)]
    own = dict.fromkeys(("instruction", "store"), banks[0])
    for rule, side in ((SPLIT, "instruction"), (STORES, "store")):
        if config.has_side(side):
            rules[rule] = 1
            level = lay_out_level(config, 1, space, entries, side)
            own[side] = _bank(config, 1, level, schedule.cpus, bool(rules[DIRTY_BITS]), side)
    none = np.zeros(1, np.uint8)
    return Hierarchy(
        first=banks[0],
        second=banks[1],
        fetch=own["instruction"],
        store=own["store"],
        entries=entries,
        base=space.page_base,
        rules=rules,
        counts=np.zeros((schedule.vms, schedule.epochs), record_of(_counters(banks))).view(np.recarray),
        bypass=no_segments() if traits.bypass is None else bypassing(traits.bypass, space),
        written=np.zeros(space.vpn.size, np.uint8) if rules[DIRTY_BITS] else none,
        bit=(1 << (space.vpn.astype(np.int64) % config.coalesce)).astype(np.uint8) if rules[COALESCES] else none,
        asid=space.asid.copy(),
        others=others(schedule, events),
        batch=np.full(4, -1, np.int64),
        skips=(1,) if any(array.associativity > LANES for array in config.of_side(1, "data").values()) else (),
    )


def run(
    config: Tlb,
    traits: Traits,
    traces: list[Trace],
    space: Space,
    schedule: Schedule,
    shootdowns: NDArray[np.void],
    step: int = CHUNK,
) -> Walks:
    """Look every access up.

    Parameters
    ----------
    config : Tlb
    traits : Traits
        What the translation mode asks of a TLB.
    traces : list of Trace
    space, schedule, shootdowns
        As `Machine` has them.
    step : int
        Accesses looked up at a time; offsets in the result are relative to such steps.
    """
    tlbs = build(config, traits, space, schedule, shootdowns)
    events: Any = shootdowns.view(np.recarray)
    offsets: list[Any] = []
    next_event = 0
    walks = np.empty(min(step, max(schedule.accesses, 1)), np.uint32)
    for first in range(0, schedule.accesses, step):
        part = merged(traces, space, schedule.runs, first, min(first + step, schedule.accesses))
        runs: Any = part.runs.view(np.recarray)
        if is_plain(config, traits, traces):
            found, next_event = translate(tlbs, part.page, runs, events, next_event, first, walks)
        else:
            found, next_event = translate_general(tlbs, part.page, part.line, runs, events, next_event, first, walks)
        offsets.append(pack(walks[:found], part.page.size))
    return freeze(Walks(offsets, counted(tlbs)))
