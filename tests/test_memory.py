"""The memory room: time, CPUs, NUMA, epochs, page sizes and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from memvirt import memory
from memvirt.errors import CapacityError, ConfigError
from tests.support import memory_config, point, row, rows, trace


def total(machine: memory.Machine, name: str) -> list[int]:
    """A counter of each VM."""
    return machine.counters.values[:, :, machine.counters.names.index(name)].sum(axis=1).tolist()  # type: ignore[no-any-return]


def test_a_vm_that_waits_falls_behind() -> None:
    """The VM that swaps is overtaken by the one that doesn't."""
    thrashing, quiet = trace(list(range(200)) * 20), trace([0, 1, 2, 3] * 1000)
    machine = memory.run(memory_config(2, overrides=["overcommit.host_memory=400KiB", "clock.quantum=10"]), [thrashing, quiet])
    runs = machine.schedule.runs
    last = {vm: int(runs["at"][runs["vm"] == vm].max()) for vm in (0, 1)}
    assert last[1] < last[0] / 2
    assert total(machine, "stall_ns")[0] > 0
    assert total(machine, "accesses") == [4000, 4000]


def test_swap_takes_as_long_as_the_device_says() -> None:
    """Each read waits for the device's latency and the page's transfer."""
    pages = list(range(10)) * 3
    machine = memory.run(
        memory_config(
            overrides=["overcommit.host_memory=20KiB", "reclaim.device.read_latency=100us", "reclaim.device.bandwidth=4MiB"]
        ),
        [trace(pages)],
    )
    major = total(machine, "major_faults")[0]
    assert major == 20
    transfer = 4096 / (4 << 20) * 1e9
    assert total(machine, "stall_ns")[0] >= major * (100e3 + transfer) * 0.99


def test_same_seed_same_bits() -> None:
    """Twice the same, and another seed another trace."""
    common = ["workload=zipf", "workload.accesses=5000", "vms.count=2", "reclaim=esx", "overcommit.ratio=1.5"]  # whose host draws
    assert rows(*common) == rows(*common)
    assert rows(*common) != rows(*common, "workload.seed=7")


def test_vcpus_share_a_vm() -> None:
    """Shares of the accesses go to vCPUs on CPUs of their own; all are made, in two L1s fewer miss."""
    common = ["workload=uniform", "workload.accesses=50000", "workload.footprint=1MiB", "guest.prefault=true", "mmu=native"]
    one, two = row(*common), row(*common, "vms.vcpus=2")
    assert one["accesses"] == two["accesses"] == 50_000
    assert two["l2_tlb_misses"] == 2 * one["l2_tlb_misses"] == 512


def test_too_few_cpus_take_turns() -> None:
    """Three VMs on one CPU: turns of `numa.slice`, with a switch each."""
    traces = [trace([1, 2, 3] * 2000) for _ in range(3)]
    machine = memory.run(memory_config(3, overrides=["numa.cpus_per_node=1", "numa.slice=200ns", "clock.quantum=100"]), traces)
    assert machine.schedule.cpus == 1
    assert (machine.shootdowns["kind"] == 7).sum() > 10
    assert total(machine, "accesses") == [6000] * 3


def test_epochs_and_warmup() -> None:
    """Warm-up is epoch 0; the rest is cut by the VM's own accesses."""
    machine = memory.run(memory_config(warmup=[0.25], overrides=["epoch.accesses=1000"]), [trace(list(range(10)) * 400)])
    accesses = machine.counters.values[0, :, machine.counters.names.index("accesses")].tolist()
    assert accesses == [1000, 1000, 1000, 1000]
    by_time = memory.run(memory_config(overrides=["epoch.accesses=null", "epoch.time=100ns"]), [trace([1] * 4000)])
    counted = by_time.counters.values[0, 1:, by_time.counters.names.index("accesses")]
    assert counted.sum() == 4000
    assert counted.size >= 8


@pytest.mark.parametrize("size", ["4K", "2M", "thp"])
def test_large_pages_fault_less(size: str) -> None:
    """One fault a page."""
    got = row(f"guest.page_size={size}", "mmu=native", "workload=stream", "workload.footprint=4MiB", "workload.accesses=600000")
    assert got["minor_faults"] == (1024 if size == "4K" else 2)


def test_first_touch_and_spread() -> None:
    """Thin VMs on nodes of their own touch only their own memory."""
    common = ["numa=two_socket", "vms.count=2", "workload=zipf", "workload.accesses=5000", "workload.footprint=2MiB"]
    assert [got["remote_accesses"] for got in rows(*common, "numa/scheduler=spread")] == [0, 0]
    assert sum(got["remote_accesses"] for got in rows(*common, "numa/scheduler=spread", "numa/placement=interleave")) > 0


def test_reclaim_none_says_why() -> None:
    """The host is full."""
    with pytest.raises(CapacityError, match="the host is full"):
        memory.run(
            memory_config(overrides=["reclaim=none", "reclaim/replacement=fifo", "overcommit.ratio=2"]), [trace(list(range(100)))]
        )
    with pytest.raises(CapacityError, match=r"more than its vms\.memory"):
        memory.run(memory_config(memory=[4096 * 10]), [trace(list(range(100)))])


def test_addresses_beyond_the_tables() -> None:
    """Four levels translate 48 bits."""
    with pytest.raises(ConfigError, match=r"guest\.levels=4"):
        memory.run(memory_config(), [trace([1 << 36])])


@pytest.mark.parametrize(
    ("overrides", "key"),
    [
        (["overcommit.ratio=2", "overcommit.host_memory=1G"], "overcommit.host_memory"),
        (["overcommit.ratio=0"], "overcommit.ratio"),
        (["vms.count=0"], "vms.count"),
        (["tlb.l1_4k.ways=5"], "tlb.l1_4k.ways"),
        (["tlb.l1_4k.entries=-1"], "tlb.l1_4k.entries"),
        (["guest.levels=3"], "guest.levels"),
        (["epoch.time=1ms"], "epoch.time"),
        (["cache.l1d.ways=7"], "cache.l1d"),
        (["numa.nodes=0"], "numa.nodes"),
        (["numa.page_tables=nearby"], "numa.page_tables"),
        (["tlb=sapphire_rapids", "tlb.index=xor", "tlb.l1_4k.entries=72"], "tlb.index"),
    ],
)
def test_refused(overrides: list[str], key: str) -> None:
    """The first key that is wrong is named."""
    with pytest.raises(ConfigError) as wrong:
        point(*overrides)
    assert wrong.value.key == key


def test_tables_are_frames() -> None:
    """Charged tables take memory from data; a table's frame is nobody else's."""
    run = trace(np.arange(3000).tolist() * 2)
    free = memory.run(memory_config(overrides=["overcommit.ratio=1"]), [run])
    charged = memory.run(memory_config(overrides=["overcommit.ratio=1", "overcommit.charge_tables=true"]), [run])
    assert total(free, "major_faults") == [0]
    assert total(charged, "major_faults")[0] > 0
