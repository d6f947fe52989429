"""What every policy of a family must do, held against every file of its folder, compiled and as plain Python."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memvirt import mmu, tlb
from memvirt.config import Choice
from memvirt.memory.placement import choose_node
from memvirt.memory.replacement import insert, remove, touch, victim
from memvirt.mmu import Mmu
from memvirt.mmu.mode import FAMILY as MODES
from memvirt.policy import load, names
from memvirt.sweep.plan.groups import find_groups
from memvirt.types import Traits
from memvirt.workload.config import Workload
from tests.support import composed, drive, memory_config, row, trace

CONF = Path(tlb.__file__).parent.parent / "conf"


@pytest.mark.parametrize(("family", "group"), [("memory.replacement", "reclaim/replacement"), ("tlb.replacement", "tlb/replacement"),
                                               ("memory.placement", "numa/placement"), ("memory.scheduler", "numa/scheduler"),
                                               ("memory.migration", "numa/migration"),
                                               ("memory.reclaim", "reclaim"), ("memory.sharing", "reclaim/sharing"), (MODES, "mmu")])  # fmt: skip
def test_each_policy_has_its_yaml(family: str, group: str) -> None:
    """A Python file and a YAML file of the same name, and a docstring that says what it is."""
    assert names(family) == find_groups([])[group]
    for name in names(family):
        assert load(family, name).__doc__


#: Tables of page lives, as short as can be.
TABLES = {
    "pageset": "time,first,pages,written,visits\n0,0,512,0,512\n1,0,512,0,512\n",
    "memory_series": "time,working_set,touched,busy\n0,8,16,0.5\n300,8,16,0.5\n",
}


def test_every_option_composes(tmp_path: Path) -> None:
    """Each option of each group makes a point that can be checked."""
    from memvirt.pipeline.point import Point

    for name, table in TABLES.items():
        (tmp_path / f"{name}.csv").write_text(table)
    for group, options in find_groups([]).items():
        for option in options:
            if group == "executor" or group.startswith("hydra"):
                continue
            file = tmp_path / f"{option}.csv" if option in TABLES else "somewhere"
            needs = [f"workload.path={file}"] if option in ("trace", *TABLES) or option.endswith("_reference") else []
            config = composed(f"{group}={option}", *needs)
            assert Point.build(config).count >= 1, (group, option)


@pytest.mark.parametrize("name", names("memory.replacement"))
def test_page_replacement(name: str) -> None:
    """A victim is resident, everything comes back, and plain Python agrees with the kernel."""
    rng = np.random.default_rng(11)
    pages = rng.zipf(1.2, 3000) % 64
    state = load("memory.replacement", name).make(64, 3)
    resident = set[int]()
    faults = 0
    for page in pages.tolist():
        if page not in resident:
            faults += 1
            if len(resident) == 20:
                out = int(victim(state))
                assert out in resident
                assert int(victim(state)) in resident  # asking is no removal
                remove(state, out)
                resident.discard(out)
            insert(state, page)
            resident.add(page)
        touch(state, page)
    again = load("memory.replacement", name).make(64, 3)
    compiled = int(drive(again, pages, np.zeros(64, np.uint8), np.int64(20), np.int64(0), False))
    if name != "random":  # which draws anew each time it is asked
        assert compiled == faults
    third = load("memory.replacement", name).make(64, 3)
    assert drive.py_func(third, pages, np.zeros(64, np.uint8), 20, 0, False) == compiled
    assert 64 - 20 <= compiled < 3000
    remove(state, resident.pop())  # may be asked for what is no victim
    while resident:
        out = int(victim(state))
        remove(state, out)
        resident.remove(out)


@pytest.mark.parametrize("name", names("tlb.replacement"))
def test_tlb_replacement(name: str) -> None:
    """Ways are filled before any is replaced, a victim is a way of the set, a full set of few pages never misses."""
    config = {**composed("tlb=reference", f"tlb/replacement={name}", "tlb.l1_4k.entries=16", "tlb.l1_4k.ways=4")["tlb"]}
    for pages in ([0, 4, 8, 12] * 50, np.random.default_rng(1).integers(0, 64, 3000).tolist()):
        run = trace(pages)
        from memvirt import memory

        machine = memory.run(memory_config(overrides=["guest.prefault=true"]), [run])
        found = tlb.run(
            tlb.Tlb.model_validate(config), Traits(dimensions=1), [run], machine.space, machine.schedule, machine.shootdowns
        )
        counts = dict(zip(found.counters.names, found.counters.values.sum(axis=(0, 1)).tolist(), strict=True))
        if len(set(pages)) == 4:
            assert counts["l1_tlb_misses"] == 4
        else:
            assert 1000 < counts["l1_tlb_misses"] < 2800  # 16 of 64 pages fit
            assert counts["l2_tlb_misses"] == 64
    module = load("tlb.replacement", name)
    state = module.make(8, [4], 1)
    from memvirt.tlb.replacement import drop, fill
    from memvirt.tlb.replacement import touch as tlb_touch
    from memvirt.tlb.replacement import victim as tlb_victim

    for way in range(4):
        fill(state, 4, 4, way)
    for _ in range(50):
        way = int(tlb_victim(state, 4, 4))
        assert 0 <= way < 4
        fill(state, 4, 4, way)
        tlb_touch(state, 4, 4, (way + 1) % 4)
    drop(state, 4, 4, 2)


@pytest.mark.parametrize("name", names("memory.placement"))
def test_placement(name: str) -> None:
    """A node that there is; the same again for the same state."""
    first, second = (load("memory.placement", name).make(3) for _ in range(2))
    chosen = [int(choose_node(first, cpu % 3, 3)) for cpu in range(30)]
    assert set(chosen) <= {0, 1, 2}
    assert chosen == [int(choose_node(second, cpu % 3, 3)) for cpu in range(30)]


@pytest.mark.parametrize("name", names("memory.scheduler"))
def test_scheduler(name: str) -> None:
    """Every vCPU gets a CPU that there is."""
    places = load("memory.scheduler", name).assign([2, 1, 3], 2, 2)
    assert len(places) == 6
    assert set(places.tolist()) <= set(range(4))


@pytest.mark.parametrize("name", names(MODES))
def test_mode(name: str) -> None:
    """Traits, a walk for each miss, one retry for each fault; nothing depends on what the mode ignores."""
    traits = mmu.traits(Mmu(name=name))
    assert isinstance(traits, Traits)
    common = [f"mmu={name}", "workload=zipf", "workload.accesses=8000", "workload.footprint=8MiB", "overcommit.ratio=1.5"]
    got = row(*common)
    assert got["walks"] == got["l2_tlb_misses"] + got["faulting_walks"]
    assert got["major_faults"] > 0
    if traits.dimensions == 1:
        assert got == row(*common, "host.page_size=2M", "host.levels=5")


@pytest.mark.parametrize("name", names("workload.synthetic"))
def test_synthetic_workload(name: str) -> None:
    """Any part is the same whichever others are made; pages lie in the footprint; another seed is another trace."""
    module = load("workload.synthetic", name)
    make: Any = module.make(300, 5, **module.OPTIONS)
    page, line = make(0, 5000)
    assert page.dtype == np.uint32
    assert line.dtype == np.uint8
    assert page.max() < 300
    for first, last in ((0, 1), (17, 18), (1001, 2998), (4999, 5000)):
        part = make(first, last)
        assert (part[0] == page[first:last]).all()
        assert (part[1] == line[first:last]).all()
    if name not in ("stream", "ksm_tool"):  # which draw nothing from the seed
        other = module.make(300, 6, **module.OPTIONS)(0, 5000)
        assert (other[0] != page).any() or (other[1] != line).any()
    assert Workload(name=name).options == {}
    assert Choice(name=name).name == name


def test_a_policy_may_be_made_of_another() -> None:
    """Its state keeps the name of where it is written, whichever is loaded first: kernels are told apart by that name."""
    words = "from memvirt.policy import load; print(load('memory.reclaim', 'compression').State.__name__, load('memory.reclaim', 'swap').State.__name__)"
    done = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["memvirt_memory_reclaim_swap_State"] * 2
