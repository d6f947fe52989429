"""Compiled kernels and the same code as plain Python give the same rows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from tests.support import Row, rows

SCRIPT = """
import json, sys
from tests.support import rows
for line in sys.stdin:
    print(json.dumps(rows(*json.loads(line))), flush=True)
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
        "reclaim/replacement=lru",
        "tlb/replacement=random",
        "tlb.vpid=false",
        "numa.cpus_per_node=1",
    ],
]


@pytest.fixture(scope="module")
def in_plain_python() -> Iterator[Callable[[list[str]], list[Row]]]:
    """Rows of a design, from a process without numba."""
    words = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    with subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None

        def ask(design: list[str]) -> list[Row]:
            print(json.dumps(design), file=process.stdin, flush=True)
            found: list[Row] = json.loads(process.stdout.readline())
            return found

        yield ask
        process.stdin.close()


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design[0] + "-" + design[1])
def test_plain_python_agrees(design: list[str], in_plain_python: Callable[[list[str]], list[Row]]) -> None:
    """NUMBA_DISABLE_JIT=1, and without."""
    words = [*COMMON, *design]
    assert in_plain_python(words) == json.loads(json.dumps(rows(*words)))
