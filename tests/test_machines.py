"""Machines: what they tie, what of it can be overridden, and what is said of a mix; LLCs of core complexes, Arm's walk caches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

import memvirt
from memvirt.errors import ConfigError
from memvirt.mmu.caches import make_caches, share_llc
from memvirt.mmu.config import Cache
from memvirt.pipeline.point import Point
from memvirt.sweep.plan.groups import belongs, find_groups, overridden, reached_sections
from memvirt.sweep.plan.mix import odd_mix
from memvirt.types import Nodes
from memvirt.workload.config import Workload
from tests.support import composed, here, row, rows
from tests.sweeps import planned

MACHINES = find_groups([])["machine"]
CONF = Path(memvirt.__file__).parent / "conf/machine"


def keys(value: Any, at: str = "") -> set[str]:
    """Every key of a file, dotted."""
    return set[str]().union(*(keys(each, f"{at}.{name}") for name, each in value.items())) if isinstance(value, dict) else {at}


def test_every_machine_says_all() -> None:
    """None leaves out what another sets, so that a machine is whole whatever it follows."""
    said = {}
    for name in MACHINES:
        content = OmegaConf.to_container(OmegaConf.load(CONF / f"{name}.yaml"))
        assert isinstance(content, dict)
        assert content["machine"]["name"] == name
        said[name] = keys({key: content[key] for key in ("cache", "mmu")}) | set(overridden("machine", name))
        assert reached_sections("machine", name) == {"tlb", "cpu", "cache", "mmu"}
    assert set.intersection(*said.values()) == set.union(*said.values())


def test_the_default_is_what_it_was() -> None:
    """Without a machine: Skylake's TLBs, and the caches and latencies of published simulators."""
    config = composed()
    assert config["tlb"] == composed("tlb=skylake", "tlb/replacement=lru")["tlb"]
    prices = {name: config["cpu"][name] for name in ("pwc", "l1d", "l2", "llc", "memory", "memory_remote")}
    assert prices == {"pwc": 1, "l1d": 4, "l2": 14, "llc": 54, "memory": 200, "memory_remote": 400}
    assert [config["cache"][level]["size"] for level in ("l1d", "l2", "llc")] == ["32KiB", "256KiB", "16MiB"]
    assert composed("machine=generic") == config


def test_a_part_can_be_overridden() -> None:
    """A group or a key on the command line stays as it is given; all else is the machine's."""
    config = composed("machine=zen4", "tlb=skylake", "cpu.memory=300", "cache=pte", "mmu=shadow", "mmu.pwc.rule=combined")
    assert config["tlb"] == composed("tlb=skylake")["tlb"]
    assert config["cpu"] == {**composed("cpu=zen4")["cpu"], "memory": 300}
    assert config["cache"] == {**composed("machine=zen4")["cache"], "name": "pte"}
    assert config["mmu"]["pwc"] == {**composed("machine=zen4")["mmu"]["pwc"], "rule": "combined"}
    assert composed("machine=cascade_lake")["tlb"]["replacement"]["name"] == "mru_plru"
    assert composed("machine=cascade_lake", "tlb/replacement=lru")["tlb"]["replacement"]["name"] == "lru"


#: From the issue: L2 size in KiB, LLC's sharers, latencies of L2, LLC and memory.
FACTS = {
    "haswell": (256, None, 12, 44, 195), "skylake_x": (1024, None, 14, 68, 268), "cascade_lake": (1024, None, 14, 68, 268),
    "icelake_sp": (1280, None), "sapphire_rapids": (2048, None), "zen2": (512, 4, 12, 45, 415), "zen3": (512, 8, 13, 51, 273),
    "zen4": (1024, 8, 14, 55, 249), "zen5": (1024, 8), "neoverse_n1": (1024, None, 14, 54, 200),
}  # fmt: skip


@pytest.mark.parametrize("name", FACTS)
def test_facts(name: str) -> None:
    """What is published of each machine stands in it."""
    point = Point.build(composed(f"machine={name}"))
    size, sharers, *latencies = FACTS[name]
    assert (point.cache.l2.size >> 10, point.cache.llc.cpus) == (size, sharers)
    assert [point.cpu.l2, point.cpu.llc, point.cpu.memory][: len(latencies)] == latencies
    assert point.mmu.pwc.rule == {"z": "entries", "n": "unified"}.get(name[0], "combined")


def test_a_mix_is_said(tmp_path: Path) -> None:
    """Parts of two machines are said to be so, once; parts of one, and parts that are no machine's, aren't."""
    assert "tlb=zen4" in odd_mix(planned("tlb=skylake,zen4").stitch)
    assert "tlb=skylake" in odd_mix(planned("machine=zen4", "tlb=skylake").stitch)
    for words in (["machine=generic,zen4"], ["machine=cascade_lake", "tlb=skylake"], ["tlb=reference"], ["cpu.memory=300"]):
        assert odd_mix(planned(*words).stitch) == ""
    assert belongs("cascade_lake")["tlb"] == {"cascade_lake", "skylake", "skylake_split"}
    words = ["machine=generic,zen4", "tlb=zen4", "dry_run=true", "executor=serial"]
    said = here("memvirt.sweep", *words, cwd=tmp_path)
    assert said.returncode == 0
    assert said.stderr.count("a mix of machines") == 1


def test_single_values_below_a_machine(tmp_path: Path) -> None:
    """A key that only the swept machines have, and not the default one, can be set."""
    said = here("memvirt.sweep", "machine=zen3,zen4", "tlb.l1.entries=32", "dry_run=true", "executor=serial", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert "stitched" in said.stdout


def test_constraints_see_what_a_machine_sets() -> None:
    """A condition over a key, or an option, that follows the machine is looked at for each of them."""
    plan = planned("machine=haswell,zen4", "overcommit.ratio=1,1.5", "plan.constraints=['cpu.l2 > 12']")
    assert {plan.varied(number)["machine"] for number in range(len(plan))} == {"zen4"}
    plan = planned("machine=haswell,zen4", "plan.constraints=['tlb == \"haswell\"']")
    assert [plan.varied(number)["machine"] for number in range(len(plan))] == ["haswell"]


def test_core_complexes() -> None:
    """CPUs of one complex find each other's lines in its LLC, and no one else's."""
    nodes = Nodes(np.zeros(8, np.uint8), np.array([0, 0, 0, 1, 1], np.uint8), np.array([0, 3, 4, 0, 5], np.uint16), 2)
    assert share_llc(nodes, 4).tolist() == [0, 0, 1, 2, 3]
    assert share_llc(nodes, None).tolist() == [0, 0, 0, 1, 1]
    cache = Cache(name="full", llc={"size": "64KiB", "ways": 16, "cpus": 4})  # type: ignore[arg-type]
    caches = make_caches(cache, nodes, 8)
    assert caches.llc_of_cpu.tolist() == [0, 0, 64, 128, 192]
    assert caches.llc.shape == (4 * 64, 16)
    common = ["workload=uniform", "workload.footprint=1MiB", "workload.accesses=30000", "guest.prefault=true", "mmu=nested", "reclaim=none",
              "cache.llc.size=1MiB"]  # fmt: skip
    alone, (first, second), shared = (
        rows(*common, *more) for more in ((), ("vms.count=2", "cache.llc.cpus=1"), ("vms.count=2", "cache.llc.cpus=2"))
    )
    assert first["llc_misses"] == pytest.approx(alone[0]["llc_misses"], rel=0.02)  # its frames are others
    assert min(each["llc_misses"] for each in shared) > 1.1 * max(first["llc_misses"], second["llc_misses"])


def test_unified_walk_caches() -> None:
    """One that holds everything leaves the guest's lowest reference alone: steps and host translations are all in it."""
    common = ["workload=uniform", "workload.footprint=4MiB", "workload.accesses=30000", "guest.prefault=true", "cache=none", "mmu=nested",
              "workload.warmup=0.5", "mmu.pwc.rule=unified", "tlb.l2.entries=48"]  # fmt: skip
    got = row(*common, "mmu.pwc.entries.entries=4096")
    assert got["refs_per_walk"] == f"1:{got['walks']}"
    assert got["nested_tlb_hits"] == got["pwc_hits_guest"] == got["walks"]
    small = row(*common, "mmu.pwc.entries.entries=64")
    assert small["walk_refs_host"] > 0.5 * small["walks"]
    one = row(*common, "mmu.pwc.entries.entries=4096", "mmu.pwc.dimensions=1")
    assert one["nested_tlb_hits"] == one["pwc_hits_host"] == 0


def test_strides() -> None:
    """A stride of pages visits one line of every such page, each once a round."""
    from memvirt import workload

    found = workload.load(Workload(name="pointer_chase", footprint="256KiB", accesses=64, stride="8KiB"), 0).chunks[0]  # type: ignore[arg-type, call-arg]
    assert sorted(found.page[:32].tolist()) == list(range(0, 64, 2))
    assert found.page[:32].tolist() == found.page[32:].tolist()
    assert set(found.line.tolist()) == {0}
    with pytest.raises(ConfigError, match="a pointer, or more"):
        Workload(name="pointer_chase", stride=4)  # type: ignore[call-arg]
