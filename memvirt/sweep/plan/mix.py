"""What is said of a point whose parts are not of one machine, and of keys that have another name now."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from memvirt.sweep.plan.groups import belongs, find_groups
from memvirt.sweep.plan.stitch import Stitcher

PARTS = ("tlb", "cpu")  #: groups whose options belong to machines; what else a machine has stands in its own file


#: Keys that still do what they did, for one version, and what does it now.
RENAMED = {"numa.page_tables": "numa.guest_tables (mmu=native) and numa.host_tables (in VMs)"}


def renamed_keys(overrides: Sequence[str]) -> str:
    """Say which of a sweep's keys have another name now, in one line; nothing if none has."""
    keys = {word.partition("=")[0].lstrip("+") for word in overrides}
    return "; ".join(f"{old} goes with the next version: {new} do what it did" for old, new in RENAMED.items() if old in keys)


def mixed(chosen: dict[str, str], machines: dict[str, dict[str, set[str]]]) -> str:
    """Say that no machine has all of some options, if none has.

    Parameters
    ----------
    chosen : dict of str
        Option of each of `PARTS`, and of ``machine``.
    machines : dict of dict of set of str
        Of each machine, the options of each group that are its own. One that is no machine's (a reference geometry) goes with all.
    """
    owners = {group: {name for name, tied in machines.items() if chosen[group] in tied.get(group, ())} for group in PARTS}
    owners["machine"] = {chosen["machine"]} & set(machines)
    known = {group: names for group, names in owners.items() if names}
    if not known or set.intersection(*known.values()):
        return ""
    strange = [group for group in PARTS if group in known and chosen["machine"] not in known[group]]
    others = [group for group in PARTS if group not in strange]
    beside = ", ".join(
        [*(f"{group}={chosen[group]}" for group in others), f"the caches and walk caches of machine={chosen['machine']}"]
    )
    words = " and ".join(f"{group}={chosen[group]}" for group in strange)
    better = sorted(set.intersection(*(known[group] for group in strange)))
    hint = f"; machine={better[0]} takes all parts of one" if better else ""
    return f"a mix of machines: {words} beside {beside}{hint}"


def odd_mix(stitch: Stitcher, more: Sequence[Path] = ()) -> str:
    """Say of a plan's first point whose parts no machine has together that it is one; empty if there is none."""
    groups = ("machine", *PARTS)
    if any(group not in stitch.options for group in groups):
        return ""
    tied = cache(lambda machine: belongs(machine, more))
    counts = [len(axis.values) if axis.key in groups else 1 for axis in stitch.axes]
    for choice in itertools.product(*map(range, counts)):
        chosen = {group: stitch.option(group, choice) for group in groups}
        if all(chosen[group] in tied(chosen["machine"]).get(group, ()) for group in PARTS):
            continue
        if said := mixed(chosen, {name: tied(name) for name in find_groups(list(more)).get("machine", [])}):
            return said
    return ""
