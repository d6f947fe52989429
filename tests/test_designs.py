"""Designs drawn at random over every key: none breaks, and what must add up does. Run as plain Python, so that nothing is compiled."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import pytest

CHOICES = {
    "mmu": ["native", "shadow", "nested"],
    "tlb": ["haswell", "skylake", "icelake", "sapphire_rapids", "zen2", "zen3", "zen4", "zen5"],
    "tlb/replacement": ["lru", "fifo", "random", "bit_plru", "tree_plru"],
    "tlb.pcid": ["true", "false"],
    "tlb.vpid": ["true", "false"],
    "numa": ["uma", "two_socket", "four_socket"],
    "numa/placement": ["first_touch", "interleave"],
    "numa/scheduler": ["packed", "spread"],
    "numa.guest_tables": ["as_data", "interleave"],
    "numa.cpus_per_node": ["1", "4"],
    "numa.slice": ["100ns", "3ms"],
    "overcommit.ratio": ["null", "1", "1.3", "2"],
    "reclaim/replacement": ["lru", "clock", "fifo", "random"],
    "cache": ["none", "pte", "full"],
    "guest.page_size": ["4K", "4K", "2M", "thp"],
    "host.page_size": ["4K", "4K", "2M", "thp"],
    "guest.levels": ["4", "5"],
    "host.levels": ["0", "4", "5"],
    "guest.prefault": ["true", "false"],
    "guest.fragmentation": ["0", "0.5"],
    "guest.page_struct": ["0", "64"],
    "host.fragmentation": ["0", "0.5"],
    "vms.count": ["1", "2", "3"],
    "vms.vcpus": ["1", "2"],
    "workload": ["uniform", "zipf", "stream", "pointer_chase", "gups", "phases"],
    "workload.processes": ["1", "2"],
    "workload.remap_every": ["0", "60"],
    "workload.table_writes_every": ["0", "30"],
    "workload.warmup": ["0", "0.3", "50"],
    "mmu.pwc.enabled": ["true", "false"],
    "mmu.pwc.rule": ["combined", "dmt"],
    "epoch.accesses": ["100", "null"],
    "clock.quantum": ["16", "1024"],
}
SCRIPT = """
import json, sys
from memvirt.errors import MemvirtError
from tests.support import rows
for design in json.loads(sys.argv[1]):
    try:
        print(json.dumps([design, rows(*design)]))
    except MemvirtError as wrong:
        print(json.dumps([design, str(wrong)]))
"""


def draw(rng: random.Random) -> list[str]:
    """One design."""
    return [f"{key}={rng.choice(values)}" for key, values in CHOICES.items()] + [
        "workload.accesses=150",
        f"workload.footprint={rng.choice(['256KiB', '1MiB', '3MiB'])}",
        "workload.switch_every=40",
    ]


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))])
def test_random_designs(seed: int) -> None:
    """Counts add up; the only refusal is a host too small for a single large page."""
    rng = random.Random(seed)
    designs = [draw(rng) for _ in range(6)]
    words = [sys.executable, "-W", "ignore", "-c", SCRIPT, json.dumps(designs)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, env={**os.environ, "NUMBA_DISABLE_JIT": "1"})
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(designs)
    for design, found in lines:
        if isinstance(found, str):
            assert "the host is full" in found
            assert "host.page_size=4K" not in design or "guest.page_size=4K" not in design, (design, found)
            continue
        for row in found:
            refs = row["walk_refs_guest"] + row["walk_refs_host"]
            counted = {"0": 150, "0.3": 105, "50": 100}[next(d for d in design if d.startswith("workload.warmup=")).split("=")[1]]
            assert row["accesses"] == counted, design
            assert refs == sum(row[f"walk_refs_in_{where}"] for where in ("l1d", "l2", "llc", "memory")), design
            assert row["walks"] == row["l2_tlb_misses"] + row["faulting_walks"], design
            assert row["vm_exits"] == sum(value for name, value in row.items() if name.startswith("vm_exits_")), design
            assert row["slowdown"] > 0.3, design
