"""The host's policies: memory states, targets, sampling, MOM's balloons; and whole hosts, counted through as plain Python."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memvirt import memory, workload
from memvirt.errors import ConfigError
from memvirt.memory.entitlement import Claims, divide, make_claims
from memvirt.memory.reclaim import linux
from memvirt.memory.reclaim._states import min_free, next_state, set_thresholds
from memvirt.memory.records import Frame, Vm
from memvirt.memory.sampling import make_sampler
from memvirt.memory.setup import records
from memvirt.memory.state import TABLE_FRAME
from memvirt.pipeline.rooms import ROOMS
from memvirt.policy import load
from tests.support import composed, memory_config, point, trace

SAMPLING = {"period": "30s", "samples": 100, "slow": 0.125, "fast": 0.5}


def levels(states: str, memory_mib: float) -> list[float]:
    """Thresholds in MiB."""
    found = np.zeros(4)
    set_thresholds(found, states == "esx5", memory_mib)
    return found.tolist()


def test_thresholds() -> None:
    """Both published sets; the sliding scale's own example to the digit (O4)."""
    assert min_free(96 * 1024.0) == pytest.approx(1597.44, abs=1e-9)
    assert min_free(28 * 1024.0) == pytest.approx(0.06 * 4096 + 0.04 * 8192 + 0.02 * 16384)
    assert min_free(1024.0) == pytest.approx(61.44)
    assert levels("esx5", 96 * 1024.0) == pytest.approx([1597.44, 0.64 * 1597.44, 0.32 * 1597.44, 0.16 * 1597.44])
    assert levels("esx4", 4096.0) == pytest.approx([245.76, 163.84, 81.92, 40.96])


def test_states_have_hysteresis() -> None:
    """A state is entered below its own threshold, and left at that of the state above."""
    bounds = np.array([100.0, 64.0, 32.0, 16.0])
    free = [120, 70, 63, 70, 99, 100, 63, 31, 40, 63, 64, 99, 100, 15, 20, 31, 32, 63, 64, 100, 10, 200]
    wanted = [0, 0, 1, 1, 1, 0, 1, 2, 2, 2, 1, 1, 0, 3, 3, 3, 2, 2, 1, 0, 3, 0]
    state, seen = np.int64(0), []
    for pages in free:
        state = next_state(state, float(pages), bounds)
        seen.append(int(state))
    assert seen == wanted


def divided(available: float, tax: float, **columns: list[float]) -> Claims:
    """Targets of VMs with these claims."""
    vms = len(columns["shares"])
    claims = make_claims(vms)
    claims.most[:] = claims.demand[:] = 1e9
    for name, values in columns.items():
        getattr(claims, name)[:] = values
    divide(claims, available, tax)
    return claims


@pytest.mark.parametrize("tax", [0.0, 0.5, 0.75, 0.9])
def test_idle_memory_tax(tax: float) -> None:
    """P_idle / P_active = 1 - tax; at 75 % the idle VM keeps 20 %."""
    idle, active = divided(10_000.0, tax, shares=[1000, 1000], active=[0, 1e9]).target
    assert idle / active == pytest.approx(1 - tax)
    assert idle + active == pytest.approx(10_000)
    if tax == 0.75:
        assert idle == pytest.approx(2000)


def test_reservations_limits_demands() -> None:
    """Bounds hold, and what one leaves goes to the others by shares; with enough for all nobody is bounded by others."""
    assert divided(900, 0.75, shares=[1, 2, 1], active=[1e9] * 3, least=[300, 0, 0]).target == pytest.approx([300, 400, 200])
    assert divided(900, 0.75, shares=[1, 2, 1], active=[1e9] * 3, most=[1e9, 300, 1e9]).target == pytest.approx([300, 300, 300])
    little = divided(900, 0.0, shares=[1, 1, 1], active=[0] * 3, demand=[100, 500, 500]).target
    assert little == pytest.approx([400, 400, 400])  # the first holds 100 of them
    assert divided(900, 0.75, shares=[1, 1], active=[0, 0], demand=[400, 400], most=[500, 600]).target == pytest.approx([500, 600])
    assert divided(100, 0.75, shares=[1, 1], active=[0, 0], least=[300, 0]).target == pytest.approx([300, 0], abs=1e-6)


vm_claims = st.tuples(st.floats(1, 1e4), st.floats(0, 5000), st.floats(0, 100), st.floats(100, 5000))


@settings(max_examples=60, deadline=None)
@given(st.lists(vm_claims, min_size=1, max_size=8), st.floats(0.05, 0.95), st.floats(0, 0.9))
def test_shares_a_page_are_equal(vms: list[tuple[float, float, float, float]], part: float, tax: float) -> None:
    """Of VMs between their bounds, all pay the same shares a page, and together they hold what there is."""
    shares, active, least, demand = (list(column) for column in zip(*vms, strict=True))
    available = part * sum(demand)
    target = divided(available, tax, shares=shares, active=active, least=least, demand=demand, most=demand).target
    cost = 1 / (1 - tax)
    free = [vm for vm in range(len(vms)) if least[vm] + 1e-3 < target[vm] < demand[vm] - 1e-3]
    used = [min(active[vm], target[vm]) / max(target[vm], 1e-9) for vm in range(len(vms))]
    rho = [shares[vm] / (target[vm] * (used[vm] + cost * (1 - used[vm]))) for vm in free]
    assert max(rho, default=0) == pytest.approx(min(rho, default=0), rel=1e-4)
    if sum(least) < available:
        assert sum(target) == pytest.approx(available, rel=1e-6)


def test_sampling_error() -> None:
    """The share touched of 100 sampled pages has the standard error sqrt(f (1 - f) / 100)."""
    done = plain("sampled_shares")
    for share, mean, error in (tuple(map(float, line.split())) for line in done.splitlines()):
        sigma = np.sqrt(share * (1 - share) / 100)
        assert abs(mean - share) < 4 * sigma / np.sqrt(300), share
        assert error == pytest.approx(sigma, rel=0.2), share


def sampled_shares() -> None:
    """Print mean and spread of many samples, for some shares of pages touched."""
    from memvirt.memory import sampling

    rng = np.random.default_rng(5)
    for share in (0.1, 0.5, 0.9):
        world: Any = type("World", (), {})()
        world.frames, world.vms = records(5000, Frame), records(1, Vm)
        world.bumps = np.zeros(3, [("block", "<i8")]).view(np.recarray)
        world.bumps.block[0] = 5000
        world.frames.hfn[::2] = -1  # of every other frame nothing is held
        sampler, found = make_sampler(SAMPLING, 1, 3), []
        for _ in range(300):
            assert sampling.choose_pages(sampler, world, 0) == 100
            assert (world.frames.hfn[sampler.chosen[0]] >= 0).all()
            world.frames.accessed[rng.random(5000) < share] = 3
            found.append(sampling.touched_share(sampler, world, 0))
            world.frames.accessed[:] = 0
        print(share, np.mean(found), np.std(found))


def test_averages() -> None:
    """The estimate rises at once and falls slowly."""
    from memvirt.memory.sampling import moved

    average = [-1.0, -1.0]
    seen = []
    for share in (0.1, 0.1, 0.9, 0.1, 0.1):
        average = [moved.py_func(each, share, gain) for each, gain in zip(average, (0.125, 0.5), strict=True)]
        seen.append(max(average))
    assert seen == pytest.approx([0.1, 0.1, 0.5, 0.3, 0.2])


def test_mom() -> None:
    """MOM's rules: at most 5 % a step, down to what is used and a part of 20 %, below what is used when critical, up again."""
    options = {name: value for name, value in composed("reclaim=linux")["reclaim"].items() if name in linux.FIXED.names}
    fixed = linux.make(1, 0, sampling=SAMPLING, **options).fixed
    assert linux.guest_size(fixed, 0.19, 1000.0, 500.0, 0.0, 1000.0) == pytest.approx(950)
    assert linux.guest_size(fixed, 0.10, 1000.0, 880.0, 0.0, 1000.0) == pytest.approx(880 + 0.1 * 1000)
    assert linux.guest_size(fixed, 0.02, 1000.0, 1000.0, 0.0, 1000.0) == pytest.approx(970)
    assert linux.guest_size(fixed, 0.02, 1000.0, 1000.0, 990.0, 1000.0) == pytest.approx(990)
    assert linux.guest_size(fixed, 0.30, 500.0, 450.0, 0.0, 1000.0) == pytest.approx(550)
    assert linux.guest_size(fixed, 0.30, 500.0, 100.0, 0.0, 1000.0) == pytest.approx(525)
    assert linux.guest_size(fixed, 0.19, 1000.0, 809.0, 0.0, 1000.0) == pytest.approx(1000)  # too small a step
    assert linux.watermark_gap(64 * 256.0, 10.0) == pytest.approx(64)  # 64 MiB: 1024 KiB of reserve, a quarter of it
    assert linux.watermark_gap(16384 * 256.0, 10.0) == pytest.approx(16384 * 256 / 1000)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("esx", "states", "esx7"),
        ("esx", "tax", 1),
        ("esx", "scale", 0),
        ("esx", "tick", "0"),
        ("esx", "period", "soon"),
        ("esx", "sampling", {"period": "30s"}),
        ("esx", "sampling", {**SAMPLING, "samples": 0}),
        ("esx", "sampling", {**SAMPLING, "slow": 2}),
        ("linux", "pressure", 20),
        ("linux", "watermark_scale", -1),
        ("linux", "swappiness", 60),
    ],
)
def test_refused(name: str, key: str, value: object) -> None:
    """A bad option is named, with why."""
    options = {k: v for k, v in composed(f"reclaim={name}")["reclaim"].items() if not isinstance(v, dict) or k == "sampling"}
    del options["name"], options["swap_size"]
    with pytest.raises(ConfigError) as wrong:
        load("memory.reclaim", name).make(2, 0, **{**options, key: value})
    assert wrong.value.key.startswith(f"reclaim.{key}")


@pytest.mark.parametrize(
    ("words", "scale"),
    [
        (["experiment=before_the_cliff"], 32.0),
        (["vms=desktops"], 256.0),
        (["experiment=before_the_cliff", "reclaim.scale=5"], 5.0),
        (["vms=four"], 1.0),
    ],
)
@pytest.mark.parametrize("name", ["esx", "linux"])
def test_a_host_is_as_small_as_its_vms(name: str, words: list[str], scale: float) -> None:
    """Thresholds are those of a host as many times larger as the VMs' scenario says, unless the policy is told another scale."""
    found = ROOMS["memory"].config.make(point(*words, f"reclaim={name}"), (0,))
    assert found["reclaim"]["scale"] == scale
    assert "scale" not in ROOMS["memory"].config.make(point(words[0], "reclaim=swap", "overcommit.ratio=2"), (0,))["reclaim"]


def plain(function: str) -> str:
    """What a function of this module prints, run without compiling."""
    code = f"from tests.quick_records import quicken; quicken(); from tests.test_host_policies import {function} as run; run()"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def counted_through(world: Any) -> None:
    """Frames free and used are all there are; guest frames, their host frames and the VMs' counts agree."""
    clock, vms, frames = world.clock[0], world.vms, world.frames
    assert clock.free + vms.resident.sum() - vms.saved.sum() + clock.pool == clock.total
    block = frames.role.reshape(-1, 512) if world.rules[0].table_area else frames.role[:, None]  # tables have blocks of their own
    backed = (frames.hfn >= 0) & ~np.repeat((block == TABLE_FRAME).any(axis=1), block.shape[1])
    assert np.bincount(frames.vm[backed], minlength=vms.size).tolist() == vms.resident.tolist()
    hfn, refs = np.unique(frames.hfn[backed], return_counts=True)
    assert (world.host_frames.refs[hfn] == refs).all()
    away = (frames.hfn < 0) & (frames.swapped != 0)
    assert np.bincount(frames.vm[away], minlength=vms.size).tolist() == vms.swapped.tolist()
    assert np.bincount(frames.vm[frames.packed != 0], minlength=vms.size).tolist() == vms.compressed.tolist()
    assert (np.bincount(frames.vm[frames.role == 3], minlength=vms.size) <= vms.ballooned).all()


def whole_host(*overrides: str) -> dict[str, Any]:
    """Run three VMs on a host half their size, every frame counted after each turn; totals and worst state."""
    from memvirt.memory import loop

    def record(world: Any, vm: int, epoch: int) -> None:
        counted_through(world)
        recorded(world, vm, epoch)

    recorded, loop.record_gauges = loop.record_gauges, record  # type: ignore[assignment]
    rng = np.random.default_rng(3)
    traces = [trace(rng.integers(0, pages, 2500).tolist(), (rng.random(2500) < 0.3).tolist()) for pages in (500, 500, 60)]
    alike = {"zero": 0.2, "common": 0.3}
    members = [
        {"contents": alike},
        {"contents": alike, "reservation": 1 << 20, "shares": 2000},
        {"contents": alike, "cache": 400 << 12},
    ]
    common = ["overcommit.ratio=2", "clock.daemon_speedup=20000", "clock.quantum=100", "epoch.accesses=250"]
    common += ["reclaim.sampling.samples=25"]  # half of the time goes to looking at a hundred
    config = memory_config(3, dimensions=2, members=members, overrides=[*common, *overrides])
    machine = memory.run(config, traces)
    values = machine.counters.values
    found = {name: int(values[:, :, place].sum()) for place, name in enumerate(machine.counters.names)}
    found["states"] = sorted(set(values[:, 1:, machine.counters.names.index("memory_state")].ravel().tolist()))
    found["kept"] = int(values[1, -1, machine.counters.names.index("resident_pages")])
    return found


def esx_host() -> None:
    """Small pages, then large ones that are broken."""
    common = ["reclaim=esx", "reclaim.tick=5us", "reclaim.sharing.pages_per_second=5"]
    small = whole_host(*common)
    used = ("ballooned_pages", "cache_dropped_pages", "compressions", "swap_out_pages", "merges", "cow_breaks")
    assert min(small[name] for name in used) > 0, small
    assert small["host_sampling_ns"] > 0
    assert small["kept"] >= 256  # its reservation
    assert len(small["states"]) > 1
    large = whole_host(*common, "host.page_size=thp", "overcommit.ratio=1.5", "reclaim.states=esx4")
    assert large["split_pages"] > 0


def linux_host() -> None:
    """KSM, balloons and kswapd."""
    found = whole_host("reclaim=linux", "reclaim/replacement=lru", "reclaim.tick=5us", "reclaim.sharing.sleep=20s")
    used = ("ballooned_pages", "cache_dropped_pages", "swap_out_pages", "host_sampling_ns", "merges")
    assert min(found[name] for name in used) > 0, found


@pytest.mark.parametrize("host", ["esx_host", "linux_host"])
def test_whole_host(host: str) -> None:
    """All mechanisms play together, and no frame is lost or used twice."""
    plain(host)


@pytest.mark.parametrize(("tax", "kept"), [(0.0, 0.5), (0.75, 0.2)])
def test_idle_memory_tax_settles(tax: float, kept: float) -> None:
    """The simulated equilibrium of an idle and an active VM, found by sampling and reached by balloons."""
    members = "[{workload:{footprint:8KiB,accesses:120000,idle_every:100,idle_time:10ms},cache:8MiB},{workload:{footprint:16MiB,accesses:200000}}]"
    design = point("workload=uniform", "vms=identical", "vms.count=2", "numa=uma", "cache=none", "reclaim=esx", "reclaim.balloon.cap=0.9",
                   "epoch.accesses=null", "epoch.time=250ms", f"vms.members={members}", "vms.memory=16MiB", "overcommit.host_memory=16MiB",
                   "clock.daemon_speedup=32", "reclaim.scale=6144", f"reclaim.tax={tax}")  # fmt: skip
    config = memory.MemoryConfig.model_validate(ROOMS["memory"].config.make(design, (0, 1)))
    machine = memory.run(config, [workload.load(design.member(vm).workload, vm) for vm in (0, 1)])
    resident = machine.counters.values[:, :, machine.counters.names.index("resident_pages")]
    last = int(np.flatnonzero(resident[1]).max()) - 1
    assert resident[0, last] / resident[:, last].sum() == pytest.approx(kept, abs=0.02)
    estimate = machine.counters.values[:, last, machine.counters.names.index("active_estimate")]
    assert estimate[0] < 0.05 * resident[0, last]
    assert estimate[1] > 0.95 * resident[1, last]
