"""Bandwidth of memory and of links: what references wait for each other, by the law that it is from and at its limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from memvirt.cost.queueing import LINE, Machine, waiting_ns, waits
from memvirt.errors import CapacityError, ConfigError
from tests.support import row, rows

PLAIN = ("workload=uniform", "workload.accesses=3000", "workload.footprint=1MiB", "workload.warmup=0.2", "guest.prefault=true")
FAR = (*PLAIN, "cache=full", "mmu=nested", "numa=two_socket", "numa/placement=interleave", "vms.count=2", "vms.vcpus=2")


def given(gbps: float, link: float = 1e6) -> str:
    """Bandwidths of two nodes and of what is between them."""
    return f"numa.bandwidths=[[{gbps:g},{link:g}],[{link:g},{gbps:g}]]"


def loads_of(got: dict[str, Any]) -> dict[str, float]:
    """Loads by node pair."""
    return {pair: float(load) for pair, _, load in (each.partition(":") for each in got["node_loads"].split())}


def test_lines_wait_as_in_a_queue() -> None:
    """Served one after the other in a fixed time and coming at random, a million of them (Lindley), at three loads."""
    random = np.random.default_rng(1)
    for load in (0.3, 0.6, 0.9):
        slack = np.concatenate([[0.0], np.cumsum(1.0 - random.exponential(1 / load, 1_000_000))])
        waited = (slack - np.minimum.accumulate(slack)).mean()
        assert waited == pytest.approx(float(waiting_ns(np.array(load), 1.0)), rel=0.05)


def test_as_measured() -> None:
    """Latency under load of a Skylake socket (MLC, FD.io CSIT), six channels of DDR4-2666: nominal bandwidth, banks as JEDEC has them."""
    idle, service = 81.4, 96 * LINE / 128
    for gbps, latency in ((80.1, 121.92), (55.8, 101.21), (42.5, 95.48)):
        assert float(waiting_ns(np.array(gbps / 128), service)) == pytest.approx(latency - idle, rel=0.2)


def one_node(gbps: float, background: float = 0.0, at_once: int = 1, banks: int = 8) -> tuple[float, float, float]:
    """Wait (ns), load, and cycles of a million references by vCPUs that wait for all of each, 100 ns and 100 cycles beside."""
    machine = Machine(np.array([[gbps * 1e9]]), np.array([background * 1e9]), banks, 2.0, 4096)
    lines = np.full((1, 1, 1, 1), 1_000_000)

    def cycles(wait: Any) -> Any:
        return np.array([[1e6 * (100 + 2.0 * (100 + wait[0, 0, 0]))]])

    waited, loads = waits(machine, lines, np.array([at_once]), cycles)
    return float(waited[0, 0, 0]), float(loads[0, 0, 0]), float(cycles(waited)[0, 0])


def test_waits_and_loads_agree() -> None:
    """The load is what comes of the time that comes of the wait; at little load there is none, and no load reaches all that there is."""
    before = 0.0
    for at_once in (1, 4, 16, 64, 1024):
        wait, load, cycles = one_node(20.0, at_once=at_once)
        assert load == pytest.approx(1e6 * LINE * at_once / (cycles / 2e9) / 20e9, rel=1e-6)
        assert before < load < 1
        assert wait == pytest.approx(float(waiting_ns(np.array(load), 8 * LINE / 20.0)), rel=1e-6)
        before = load
    assert one_node(1e6)[0] == pytest.approx(0, abs=1e-6)
    assert before > 0.98  # 1024 vCPUs want twenty times as much as there is
    assert one_node(20.0, background=15.0)[0] > one_node(20.0, background=5.0)[0] > one_node(20.0)[0]


def test_without_load_nothing_changes() -> None:
    """Where bandwidth is abundant each reference takes its idle latency; references, misses and walks are what they were anyway."""
    plain, idle, narrow = (rows(*FAR, *words) for words in ((), (given(1e6),), (given(2),)))
    for before, free, slow in zip(plain, idle, narrow, strict=True):
        assert free["cycles"] == pytest.approx(before["cycles"], rel=1e-5)
        assert slow["cycles"] > 1.01 * before["cycles"]
        counts = [name for name in before if "refs" in name or name.startswith(("node_traffic", "walks", "l1_", "l2_", "llc_"))]
        assert all(before[name] == free[name] == slow[name] for name in counts)
        assert "node_loads" not in before
        assert "queue_cycles" not in before


def test_the_narrower_the_slower() -> None:
    """Cycles never fall with less bandwidth, of nodes or links, nor loads rise above one; a narrow link slows what goes over it alone."""
    got = [rows(*FAR, given(gbps))[0] for gbps in (50, 5, 1, 0.2)]
    cycles, loads = [each["cycles"] for each in got], [loads_of(each)["0>0"] for each in got]
    assert cycles == sorted(cycles)
    assert loads == sorted(loads)
    assert loads[-1] <= 1
    local = (*FAR, "numa/placement=first_touch")
    assert rows(*local, given(1e6, 0.5))[0]["cycles"] == pytest.approx(rows(*local)[0]["cycles"], rel=1e-5)
    assert rows(*FAR, given(1e6, 0.5))[0]["cycles"] > 1.05 * rows(*FAR)[0]["cycles"]


def test_interference_is_load() -> None:
    """Somebody else's traffic at one node slows those whose memory is there; one node alone has a queue as well."""
    quiet, loud = (rows(*FAR, given(10), f"numa.background=[{load},0]", "numa/placement=first_touch") for load in (0, 9))
    assert loud[0]["cycles"] > 1.01 * quiet[0]["cycles"]
    alone = (*PLAIN, "cache=full", "numa=uma", "workload.footprint=64MiB")
    assert row(*alone, "numa.bandwidths=[[1]]")["cycles"] > row(*alone)["cycles"]


def test_who_never_waits_is_refused() -> None:
    """Where nothing of a latency is waited for no load is too much to ask, and there is no answer."""
    hidden = ("cpu.walk_shown=0", "cpu.data_shown=0", "cache=none", "numa=uma", "workload.footprint=64MiB")
    with pytest.raises(CapacityError, match="more is asked of node 0"):
        row(*PLAIN, *hidden, "numa.bandwidths=[[0.001]]")


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["numa.bandwidths=[[10]]"], "numa.bandwidths"),
        (["numa.bandwidths=[[10,0],[10,10]]"], "numa.bandwidths"),
        (["numa.background=[1,1]"], "numa.background"),
        ([given(10), "numa.background=[10,0]"], "numa.background"),
        ([given(10), "numa.background=[1]"], "numa.background"),
        ([given(10), "numa.banks=0"], "numa.banks"),
        ([given(10), "workload=web_server"], "numa.bandwidths"),
    ],
)
def test_refused(words: list[str], key: str) -> None:
    """In one line, before anything is computed."""
    with pytest.raises(ConfigError) as refused:
        row(*PLAIN, "numa=two_socket", *words)
    assert refused.value.key.startswith(key)
