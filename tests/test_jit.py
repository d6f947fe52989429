"""Compiled kernels and the same code as plain Python give the same rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys
from tests.support import rows
print(json.dumps(rows(*json.loads(sys.argv[1]))))
"""
COMMON = ["workload=zipf", "workload.accesses=1500", "workload.footprint=512KiB", "vms.count=2"]
DESIGNS = [
    ["mmu=nested", "overcommit.ratio=1.5", "reclaim/replacement=lru", "tlb=zen4"],
    [
        "mmu=shadow",
        "overcommit.ratio=1.5",
        "reclaim/replacement=clock",
        "tlb/replacement=tree_plru",
        "workload.processes=2",
        "workload.switch_every=200",
    ],
    [
        "mmu=native",
        "overcommit.ratio=1.7",
        "reclaim/replacement=fifo",
        "numa=two_socket",
        "numa/placement=interleave",
        "workload.remap_every=300",
    ],
    [
        "mmu=nested",
        "guest.page_size=thp",
        "host.page_size=2M",
        "tlb/replacement=bit_plru",
        "cache=pte",
        "workload=gups",
        "vms.vcpus=2",
    ],
    [
        "mmu=nested",
        "overcommit.ratio=1.4",
        "reclaim/replacement=random",
        "tlb/replacement=random",
        "tlb.vpid=false",
        "numa.cpus_per_node=1",
    ],
]


def run(design: list[str], **environment: str) -> object:
    """Rows of a design, in a process of its own."""
    words = [sys.executable, "-c", SCRIPT, json.dumps([*COMMON, *design])]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design[0] + "-" + design[1])
def test_plain_python_agrees(design: list[str]) -> None:
    """NUMBA_DISABLE_JIT=1, and without."""
    assert run(design, NUMBA_DISABLE_JIT="1") == run(design)
