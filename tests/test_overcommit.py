"""Mechanisms of an overcommitted host, by hand: who gives what up first, what that costs, and what ends a run."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from memvirt.errors import ConfigError
from memvirt.memory import frames
from memvirt.memory.contents import compressed_size
from memvirt.memory.replacement._none import make as untracked
from memvirt.pipeline.rooms.memory import check
from memvirt.policy import names
from tests.plain import Checker
from tests.support import BELADY, TEXTBOOK, faults, memory_config, point, row, rows, trace, write_pages

FAR = ["reclaim.device.read_latency=1us", "reclaim.device.bandwidth=64GiB"]
SMALL = ["workload=zipf", "workload.accesses=2500", "workload.footprint=512KiB", "clock.quantum=40"]


def test_opt_is_the_bound(plain: Checker, tmp_path: Path) -> None:
    """Belady's and the textbook's strings, (N - C) / (N - 1) of a cyclic sweep, and no policy does better."""

    def opt_faults(pages: list[int], frames: int) -> int:
        """Faults of OPT, first touches included, with the machine around it."""
        words = ["workload=trace", f"workload.path={write_pages(tmp_path / 'string.parquet', pages)}", "mmu=native"]
        found = plain(*words, "reclaim=swap", "reclaim/replacement=opt", f"overcommit.host_memory={4 * frames}KiB")
        return int(found["minor_faults"] + found["major_faults"])

    assert [opt_faults(BELADY, 3), opt_faults(BELADY, 4)] == [7, 6]
    assert [opt_faults(TEXTBOOK, 3), opt_faults(TEXTBOOK, 4)] == [9, 8]
    pages, frames, rounds = 40, 25, 60
    cyclic = list(range(pages)) * rounds
    missed = opt_faults(cyclic, frames) - pages
    assert missed / (pages * (rounds - 1)) == pytest.approx((pages - frames) / (pages - 1), rel=0.02)
    string = (np.random.default_rng(2).zipf(1.3, 2000) % 60).tolist()
    least = [opt_faults(string, frames) for frames in (5, 10, 20, 40)]
    assert least == sorted(least, reverse=True)  # a stack algorithm
    for policy in set(names("memory.replacement")) - {"opt"}:
        for frames, fewest in zip((5, 10, 20, 40), least, strict=True):
            assert faults(policy, string, frames) >= fewest, policy


def test_one_guest_pages_as_one_host(plain: Checker) -> None:
    """A VM alone, with LRU: it makes no difference who pages, the host, a cgroup's limit, the guest for itself, or pressed by a balloon."""
    host = plain(*SMALL, "reclaim=swap", "overcommit.host_memory=320KiB")
    assert host["major_faults"] == plain(*SMALL, "vms.limit=320KiB")["major_faults"]
    guest = plain(*SMALL, "vms.memory=320KiB", "guest.swap=1MiB")
    balloon = plain(*SMALL, "reclaim=balloon", "overcommit.host_memory=320KiB")
    assert host["major_faults"] == guest["guest_major_faults"] == balloon["guest_major_faults"] > 200
    assert balloon["major_faults"] == guest["major_faults"] == 0
    assert balloon["vms"][0]["balloon_pages"] == 128 - 80


def test_a_balloon_takes_what_costs_least(plain: Checker) -> None:
    """Memory never used, then clean cache, and only then pages that must be written."""
    common = [*SMALL, "reclaim=balloon", "vms.memory=800KiB", "vms.cache=160KiB"]  # 128 pages of data, 40 of cache, 32 not used
    little = plain(*common, "overcommit.host_memory=560KiB")
    assert (little["cache_dropped_pages"], little["guest_swap_out_pages"]) == (28, 0)
    assert little["vms"][0]["balloon_pages"] == 32 + 28
    more = plain(*common, "overcommit.host_memory=480KiB")
    assert more["cache_dropped_pages"] == 40
    assert more["guest_swap_out_pages"] > 0


def test_a_balloon_has_a_cap(plain: Checker) -> None:
    """Beyond 65 % of the guest's memory the host swaps; where it may not, the run ends and says why."""
    common = [*SMALL, "reclaim=balloon", "overcommit.ratio=4"]
    swapped = plain(*common)
    assert swapped["vms"][0]["balloon_pages"] == 83  # of 128
    assert swapped["major_faults"] > 0
    assert "reclaim makes no more room" in plain(*common, "reclaim.swap=false")["ended"]


def test_a_guest_pushed_too_far(plain: Checker) -> None:
    """Out of memory when its own swap is full; unless the balloon gives back."""
    common = [*SMALL, "reclaim=balloon", "overcommit.ratio=2", "guest.swap=64KiB", "reclaim.swap=false"]
    ended = plain(*common)["ended"]
    assert "reclaim makes no more room" in ended or "out of memory" in ended
    late = [*SMALL, "reclaim=balloon", "vms.count=2", "overcommit.ratio=1.5", "guest.swap=100KiB"]
    assert "VM" in plain(*late)["ended"]
    assert "out of memory: of its 128 pages of 4 KiB its balloon holds" in plain(*late)["ended"]
    relieved = plain(*late, "reclaim.balloon.deflate_on_oom=true")
    assert relieved["deflated_pages"] > 0
    assert relieved["major_faults"] > 0  # the host must swap instead


def test_double_paging(plain: Checker) -> None:
    """A guest that pages out what the host has swapped out pays twice."""
    both = plain(*SMALL, "vms.memory=400KiB", "guest.swap=1MiB", "overcommit.host_memory=240KiB", "reclaim/replacement=fifo")
    assert both["double_paged_pages"] > 0
    assert both["guest_major_faults"] > 0 and both["major_faults"] > 0
    alone = plain(*SMALL, "vms.memory=400KiB", "guest.swap=1MiB")
    assert alone["double_paged_pages"] == 0


def test_a_clean_page_goes_without_a_write(plain: Checker, tmp_path: Path) -> None:
    """A guest writes a page that it only read once; again after each write; and always where its swap is more than half full."""
    common = ["workload=trace", "vms.memory=100KiB", "clock.quantum=40"]
    got = {}
    for name, written in (("read", False), ("written", True)):
        path = write_pages(tmp_path / f"{name}.parquet", list(range(40)) * 6, writes=[written] * 240)
        for swap in (1024, 100):
            got[name, swap] = plain(*common, f"workload.path={path}", f"guest.swap={swap}KiB")
            assert got[name, swap]["guest_major_faults"] == got[name, swap]["guest_swap_in_pages"] == 5 * 40
    assert got["read", 1024]["guest_swap_out_pages"] == 40
    assert got["written", 1024]["guest_swap_out_pages"] == 6 * 40 - 25
    assert got["read", 100]["guest_swap_out_pages"] == 6 * 40 - 25  # 15 of 25 slots hold what has no room in memory
    half = write_pages(tmp_path / "half.parquet", list(range(40)) * 6, writes=[page % 2 == 1 for page in range(40)] * 6)
    assert plain(*common, f"workload.path={half}", "guest.swap=1MiB")["guest_swap_out_pages"] == 20 + 6 * 20 - 13


def test_a_copy_is_no_reason_to_be_out_of_memory(plain: Checker, tmp_path: Path) -> None:
    """Copies of pages in memory make room on a full swap, down to the last slot."""
    path = write_pages(tmp_path / "grow.parquet", list(range(20)) * 4 + list(range(39)) * 2)
    common = ["workload=trace", f"workload.path={path}", "vms.memory=64KiB", "clock.quantum=10"]
    got = plain(*common, "guest.swap=96KiB")  # 39 pages in 16 frames and 23 slots, and one that is on its way
    assert "ended" not in got
    assert got["guest_swap_out_pages"] < got["guest_swap_in_pages"]  # some went without a write
    assert "its own swap of 23 pages holds 23" in plain(*common, "guest.swap=92KiB")["ended"]


def test_double_paging_spares_clean_pages(plain: Checker, tmp_path: Path) -> None:
    """A page that the guest's swap holds already needn't be read from the host's for it."""
    paged = {}
    for name, written in (("read", False), ("written", True)):
        path = write_pages(tmp_path / f"{name}.parquet", list(range(64)) * 20, writes=[written] * 1280)
        words = ["workload=trace", f"workload.path={path}", "vms.memory=200KiB", "guest.swap=1MiB", "overcommit.host_memory=120KiB"]
        paged[name] = plain(*words, "reclaim/replacement=random")
    assert paged["read"]["double_paged_pages"] < paged["written"]["double_paged_pages"] / 5
    assert paged["read"]["double_paged_pages"] > 0


def test_free_page_reporting(plain: Checker, tmp_path: Path) -> None:
    """What a guest freed comes back to the host, and costs no swap; by blocks of 2 MiB only what was freed of one piece."""
    common = [*SMALL, "reclaim=balloon", "overcommit.ratio=1.6", "workload.remap_every=200"]
    often = ["reclaim/balloon=free_page_reporting", "clock.daemon_speedup=1e5"]
    reported = plain(*common, *often)
    blocks, silent = plain(*common, *often, "reclaim.balloon.order=9"), plain(*common, "reclaim/balloon=none")
    assert reported["guest_swap_out_pages"] == 0
    assert reported["swap_out_pages"] < silent["swap_out_pages"]
    assert blocks["swap_out_pages"] == silent["swap_out_pages"]
    table = tmp_path / "freed.csv"  # 12 MiB come and go, with half a block at the most at either end
    table.write_text("time,working_set,touched\n0,4,4\n10,4,16\n20,4,4\n30,4,4\n")
    life = ("workload=memory_series", f"workload.path={table}", "vms.memory=16MiB", "overcommit.ratio=1.01", "reclaim=swap")
    found = plain(*life, "reclaim/balloon=free_page_reporting", "reclaim.balloon.order=9")["vms"][0]
    assert 1024 <= found["resident_pages"] <= 1024 + 2 * 512


def test_disks_queue(plain: Checker) -> None:
    """Two VMs at one disk wait for each other; at a flash drive they don't."""
    one, two = (["reclaim=swap", f"vms.count={count}", "overcommit.ratio=1.6"] for count in (1, 2))
    times = {}
    for device in ("hdd", "nvme"):
        alone, together = (plain(*SMALL, *words, f"reclaim/device={device}") for words in (one, two))
        times[device] = together["stall_ns"] / together["major_faults"] / (alone["stall_ns"] / alone["major_faults"])
    assert times["hdd"] > 1.7
    assert times["nvme"] < 1.1


def test_devices_are_in_order() -> None:
    """A page takes longest from a disk, then from SATA and NVMe flash, and least from far memory."""
    common = ["workload=zipf", "workload.accesses=20000", "workload.footprint=4MiB", "overcommit.ratio=1.4", "mmu=native"]
    stalls = [row(*common, f"reclaim/device={device}")["stall_ns"] for device in ("hdd", "sata_ssd", "nvme", "cxl")]
    assert stalls == sorted(stalls, reverse=True)
    assert stalls[0] > 50 * stalls[1]
    assert stalls[2] > 20 * stalls[3]


def test_read_ahead(plain: Checker, tmp_path: Path) -> None:
    """A sequential scan of swapped pages takes fewer faults, for the same pages; nothing is read twice."""
    path = write_pages(tmp_path / "scan.parquet", list(range(64)) * 6, writes=[True] * 384)
    words = ["workload=trace", f"workload.path={path}", "overcommit.host_memory=128KiB"]
    alone, clustered = plain(*words), plain(*words, "reclaim.page_cluster=3")
    assert alone["major_faults"] == 5 * 64
    # by hand: 5, 8, … 3 pages in the first round; then 3 (a half of it behind), 4, 8, … 1 in each, since the window halves at the turn
    assert clustered["major_faults"] == 9 + 4 * 10
    assert clustered["swap_in_pages"] == clustered["major_faults"] + clustered["readahead_pages"] == 5 * 64


def test_read_ahead_goes_where_it_succeeds(plain: Checker, tmp_path: Path) -> None:
    """A scan backwards reads as much ahead as one forwards; what jumps about soon reads nothing but what it needs."""
    far = [page * 37 % 64 for page in range(64)]
    faults = {}
    for name, once in (("forwards", list(range(64))), ("backwards", list(range(63, -1, -1))), ("jumps", far)):
        path = write_pages(tmp_path / f"{name}.parquet", [*range(64), *once * 20], writes=[True] * 64 * 21)
        got = plain("workload=trace", f"workload.path={path}", "overcommit.host_memory=128KiB", "reclaim.page_cluster=3")
        assert got["swap_in_pages"] == got["major_faults"] + got["readahead_pages"]
        faults[name] = got["major_faults"], got["readahead_pages"]
    assert all(ahead > 5 * major for major, ahead in (faults["forwards"], faults["backwards"]))
    assert faults["jumps"][1] < faults["jumps"][0] / 4
    assert faults["jumps"][0] > 5 * faults["forwards"][0]


def test_a_page_is_kept_if_it_fits(plain: Checker) -> None:
    """ESX keeps what fits 2 KiB, in slots of 1 KiB if it fits that, up to 10 % of the VM (PUBLISHED, O6)."""
    common = [*SMALL, "reclaim=compression", "overcommit.ratio=1.6"]
    none = plain(*common, "contents.fits_1k=0", "contents.fits_2k=0")
    assert none["compressions"] == 0
    assert none["host_compressing_ns"] > 0  # it was tried
    quarter, half = (
        plain(*common, "contents.fits_1k=1", "contents.fits_2k=0"),
        plain(*common, "contents.fits_1k=0", "contents.fits_2k=1"),
    )
    assert quarter["vms"][0]["host_pool_pages"] <= 12 and half["vms"][0]["host_pool_pages"] <= 12  # 128 pages of memory
    assert quarter["vms"][0]["compressed_pages"] in (45, 46, 47, 48)
    assert half["vms"][0]["compressed_pages"] in (23, 24)
    assert quarter["major_faults"] < half["major_faults"] < none["major_faults"]
    assert (
        quarter["compressions"]
        == quarter["decompressions"] + quarter["compressed_evictions"] + quarter["vms"][0]["compressed_pages"]
    )


def test_sizes_of_compressed_pages() -> None:
    """The content model's shares are those of the sizes."""
    from memvirt.memory import setup
    from memvirt.memory.layout import lay_out_frames, lay_out_pages

    runs = [trace(list(range(600)))]
    config = memory_config(overrides=["reclaim=compression", "contents.fits_1k=0.25", "contents.fits_2k=0.5"])
    config = config.model_copy(update={"members": [config.members[0].model_copy(update={"contents": point(
        "contents.fits_1k=0.25", "contents.fits_2k=0.5").contents})]})  # fmt: skip
    pages = lay_out_pages(config, runs)
    world = setup.build(config, runs, pages, lay_out_frames(config, pages))
    world.frames.content[:1024] = np.arange(1, 1025) << 20
    size = getattr(compressed_size, "py_func", compressed_size)
    with np.errstate(over="ignore"):
        sizes = np.array([size(world, frame) for frame in range(1024)])
    assert abs((sizes <= 1024).mean() - 0.25) < 0.05
    assert abs((sizes <= 2048).mean() - 0.75) < 0.05
    assert sizes.max() <= 4096


def test_zswap_refuses_until_there_is_room(plain: Checker) -> None:
    """One pool for all VMs, below its share of the host."""
    got = plain(*SMALL, "vms.count=3", "reclaim=compression", "reclaim/compression=zswap", "overcommit.ratio=1.6")
    assert 0 < got["vms"][0]["host_pool_pages"] <= 0.2 * 240
    assert got["compressed_evictions"] > 0 and got["swap_out_pages"] > 0


def test_zswap_keeps_zeros_for_nothing(plain: Checker) -> None:
    """Pages of zeros take none of the pool and no time, and are never written; 256 pages of zeros swap in no host frame but their own."""
    words = ("workload=uniform", "workload.accesses=1500", "workload.footprint=1MiB", "workload.write_share=0", "clock.quantum=40",
             "reclaim=compression", "reclaim/compression=zswap", "overcommit.ratio=2", "guest.prefault=true")  # fmt: skip
    zeros = plain(*words, "contents.zero=1")
    assert zeros["zero_filled_pages"] > 500
    assert zeros["compressions"] == zeros["stall_ns"] == zeros["swap_out_pages"] == zeros["vms"][0]["host_pool_pages"] == 0
    mixed = plain(*words, "contents.zero=0.5")
    assert 0 < mixed["zero_filled_pages"] < zeros["zero_filled_pages"]
    assert mixed["compressions"] > 0


def test_host_swap_has_an_end(plain: Checker) -> None:
    """128 pages in 80 frames need 48 slots and one for who is on its way: one less, and the run ends (OOM); a balloon needs none."""
    words = (
        "mmu=native",
        "workload=uniform",
        "workload.accesses=1200",
        "workload.footprint=512KiB",
        "overcommit.host_memory=320KiB",
    )
    assert plain(*words, "reclaim=swap", "reclaim.swap_size=196KiB")["vms"][0]["swapped_pages"] == 48
    assert plain(*words, "reclaim=swap", "reclaim.swap_size=196KiB") == plain(*words, "reclaim=swap")
    ended = plain(*words, "reclaim=swap", "reclaim.swap_size=192KiB")["ended"]
    assert "the host is full with 80 resident pages" in ended
    assert "48 of the 48 pages of reclaim.swap_size are in use" in ended
    zswap = plain(*words, "reclaim=compression", "reclaim/compression=zswap", "reclaim.swap_size=192KiB")
    assert "48 of the 48" in zswap["ended"]  # what is in the pool has its slot
    virtual = ("workload=uniform", "workload.accesses=1200", "workload.footprint=512KiB", "overcommit.host_memory=320KiB")
    assert "ended" not in plain(*virtual, "reclaim=balloon", "reclaim.swap_size=4KiB")


def test_who_is_beyond_its_high_is_held_up(plain: Checker, tmp_path: Path) -> None:
    """Linux's delays: 6.4, 25.6 and 57.6 ms for 64 pages at 1, 2 and 3 % beyond, none up to 10 ms; 2 s at the most; none while it swaps."""
    delay = getattr(frames.high_delay_ns, "py_func", frames.high_delay_ns)
    assert [delay(over, 64) for over in (0.01, 0.02, 0.03, 0.5)] == pytest.approx([0.0, 25.6e6, 57.6e6, 2e9])
    path = write_pages(tmp_path / "grow.parquet", list(range(1200)))
    words = ("mmu=native", "workload=trace", f"workload.path={path}", "reclaim=swap", "epoch.accesses=null")
    full = plain(*words, "vms.high=4000KiB", "reclaim.swap_size=4KiB")
    waits = sum(delay(64 * batch / 1000, 64) for batch in (1, 2, 3))  # 199 pages beyond: three batches of 64
    assert full["stall_ns"] == pytest.approx(waits, rel=0.03)
    assert full["vms"][0]["resident_pages"] == 1199
    free = plain(*words, "vms.high=4000KiB")
    assert free["stall_ns"] == 0
    assert free["vms"][0]["resident_pages"] == 1000
    assert free["swap_out_pages"] == plain(*words, "vms.limit=4000KiB")["swap_out_pages"] == 200
    assert "the host is full" in plain(*words, "vms.limit=4000KiB", "reclaim.swap_size=4KiB")["ended"]


def test_limits_and_shares(plain: Checker) -> None:
    """A VM never has more than its limit; where the host is short, it is the VM with fewer shares that gives."""
    members = "vms.members=[{shares: 1000}, {shares: 3000}]"
    got = plain(*SMALL, members, "overcommit.ratio=1.6", "vms.limit=10MiB")
    few, many = (vm["resident_pages"] for vm in got["vms"])
    assert few < many
    reserved = plain(
        *SMALL, "vms.members=[{shares: 1000, reservation: 440KiB}, {shares: 3000}]", "overcommit.ratio=1.6", "vms.limit=10MiB"
    )
    assert reserved["vms"][0]["resident_pages"] >= 110


def test_a_guests_kernel_keeps_its_own(plain: Checker) -> None:
    """64 bytes of each page of a guest's memory are neither the program's nor the balloon's: it pages to its swap that much sooner."""
    common = ["workload=uniform", "workload.footprint=2MiB", "workload.accesses=3000", "mmu=nested", "guest.swap=4MiB"]
    plenty = plain(*common, "vms.memory=2MiB")
    kept = plain(*common, "vms.memory=2MiB", "guest.page_struct=64")
    assert plenty["guest_swap_out_pages"] == 0
    assert kept["vms"][0]["resident_pages"] == 512  # the kernel's as well
    least = plain(*common, "vms.memory=2016KiB")  # 8 pages less, and nothing kept
    for counter in ("guest_major_faults", "guest_swap_out_pages"):
        assert kept[counter] == least[counter] > 0


def test_vms_start_sleep_and_wake(plain: Checker) -> None:
    """A VM that starts later runs later; sleep is counted, and no work."""
    got = plain(
        *SMALL, "vms.members=[{}, {start: 5ms}]", "workload.idle_every=1000", "workload.idle_time=2ms", "epoch.accesses=null"
    )
    assert got["idle_ns"] == 2 * 2 * 2_000_000
    assert [vm["accesses"] > 0 for vm in got["vms"]] == [True, True]


def test_the_worst_state_of_an_epoch(plain: Checker) -> None:
    """However short a spell is, and whether a VM is awake or sleeps through several epochs; in one epoch alone, the run's worst."""
    common = ["workload=zipf", "workload.accesses=1200", "workload.footprint=512KiB", "clock.quantum=10", "reclaim=esx"]
    common += ["overcommit.ratio=1.6", "clock.daemon_speedup=2000", "clock.minor_fault=10us"]
    idle = "vms.members=[{}, {workload: {idle_every: 300, idle_time: 1.4ms}}]"
    got = plain(*common, idle, "epoch.accesses=null", "epoch.time=500us")
    changes = [(0.0, 0), *got["changes"], (float("inf"), 0)]
    spells = [(since, until, state) for (since, state), (until, _) in itertools.pairwise(changes)]
    assert len(spells) > 6
    worst = [max(state for since, until, state in spells if since < at + 5e5 and until > at) for at in range(0, 3_000_000, 500_000)]
    assert [states[1 : len(worst) + 1] for states in got["states"]] == [worst, worst]
    whole = plain(*common, "clock.quantum=100000", "epoch.accesses=100000")
    assert max(state for _, state in whole["changes"]) == whole["states"][0][1] == 3
    assert whole["changes"][-1][1] < 3


def test_memory_that_is_not_touched_costs_nothing() -> None:
    """The same points with and without what can't matter."""
    common = ["workload=zipf", "workload.accesses=5000", "workload.footprint=1MiB", "mmu=native", "overcommit.ratio=1.3"]
    assert rows(*common) == rows(*common, "contents.zero=0.5", "contents.fits_1k=0.9", "contents.fits_2k=0.1")


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["reclaim=balloon", "mmu=native", "overcommit.ratio=1.5"], "reclaim.balloon"),
        (["reclaim=sharing", "mmu=nested", "host.page_size=1G"], "reclaim.sharing"),
        (["reclaim=sharing", "mmu=native", "guest.page_size=2M"], "reclaim.sharing"),
        (["reclaim=balloon", "reclaim.balloon.cap=1.5", "overcommit.ratio=1.5"], "reclaim.balloon.cap"),
        (["vms.cache=1GiB", "vms.memory=64MiB"], "vms.cache"),
        (["reclaim/replacement=opt", "host.page_size=2M", "overcommit.ratio=1.5"], "reclaim.replacement"),
        (["reclaim/replacement=opt", "vms.limit=1MiB"], "reclaim.replacement"),
        (["contents.zero=0.7", "contents.common=0.7"], "contents.common"),
        (["reclaim.device.channels=0"], "reclaim.device.channels"),
        (["vms.members=[{share: 3}]"], "vms.members[0].share"),
    ],
)  # fmt: skip
def test_what_cannot_be(words: list[str], key: str) -> None:
    """Refused by key."""
    with pytest.raises(ConfigError) as caught:
        row("workload=zipf", "workload.accesses=100", "workload.footprint=64MiB", *words)
    assert str(caught.value).startswith(key)


def test_untracked() -> None:
    """No policy is a policy, too."""
    from memvirt.memory.replacement import insert, remove, touch, victim, victim_of

    nobody = untracked()
    for verb in (insert, touch, remove):
        verb(nobody, 3)
    assert victim(nobody) == victim_of(nobody, 0) == -1


TWO = "vms.members=[{shares: 1000}, {shares: 3000}]"


@pytest.mark.parametrize("mechanism", ["swap", "balloon", "compression"])
def test_whose_page_goes_is_one_rule(plain: Checker, mechanism: str) -> None:
    """By shares, under each mechanism, it is the VM with fewer that gives; in one order over all VMs, shares count for nothing."""
    common = [*SMALL, TWO, "overcommit.ratio=1.6", f"reclaim={mechanism}"]
    few, many = (vm["resident_pages"] for vm in plain(*common, "reclaim/victims=shares")["vms"])
    assert few < 0.7 * many
    few, many = (vm["resident_pages"] for vm in plain(*common, "reclaim/victims=global")["vms"])
    assert few > 0.85 * many


@pytest.mark.parametrize("mechanism", ["swap", "balloon"])
def test_idle_memory_is_taxed(plain: Checker, mechanism: str, tmp_path: Path) -> None:
    """Of a VM that touched much and then hardly anything more goes to one that grows, the more idle memory counts."""
    idle = write_pages(tmp_path / "idle.parquet", [*range(128), *([0, 1, 2, 3] * 1500)])
    grows = "{start: 2ms, workload: {name: uniform, accesses: 4000, footprint: 512KiB}}"
    common = [f"vms.members=[{{workload: {{name: trace, path: {idle}}}}}, {grows}]", "clock.quantum=40", f"reclaim={mechanism}"]
    common += ["overcommit.host_memory=768KiB", "clock.ns_per_instruction=1us", *FAR]
    watched = ["reclaim.victims.sampling.period=500us", "reclaim.victims.sampling.samples=60", "reclaim.victims.sampling.slow=0.5"]
    kept = {}
    for rule, more in {"shares": [], "tax": watched, "idle": watched}.items():
        kept[rule] = plain(*common, f"reclaim/victims={rule}", *more)["vms"][0]["resident_pages"]
    assert kept["shares"] == pytest.approx(96, abs=4)  # half of 192 frames each
    assert kept["tax"] < kept["shares"] - 5  # more would go if the host knew sooner how active the other is
    assert kept["idle"] <= kept["tax"]


def test_balloons_take_cache_before_pages(plain: Checker) -> None:
    """While any VM has clean cache, no guest pages out, whoever's turn it is by shares."""
    members = "vms.members=[{shares: 1000}, {shares: 3000, cache: 256KiB, memory: 1MiB}]"
    common = ["workload=uniform", "workload.accesses=2500", "workload.footprint=512KiB", "clock.quantum=40", members]
    got = plain(*common, "reclaim=balloon", "overcommit.host_memory=1088KiB")
    assert 48 <= got["cache_dropped_pages"] <= 64  # 128 + 64 + 128 frames into 272
    assert got["guest_swap_out_pages"] == 0


def test_no_balloon_by_a_choice_that_stands() -> None:
    """The kernel's replacement names the same page until it goes, so it can't say whose balloon is to grow."""
    with pytest.raises(ConfigError, match=r"reclaim\.victims=global: can't be asked of reclaim\.replacement=linux"):
        check(point("reclaim=balloon", "reclaim/replacement=linux", "reclaim/victims=global", "overcommit.ratio=1.5"))
