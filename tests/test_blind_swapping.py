"""What a host that can't look into its guests swaps for nothing, cause by cause (VSWAPPER, ASPLOS'14); what a VM boots with."""

from __future__ import annotations

from tests.plain import Checker

UNIFORM = ["workload=uniform", "workload.accesses=1500", "workload.footprint=512KiB", "clock.quantum=40", "reclaim=swap"]


def test_clean_cache_is_written(plain: Checker) -> None:
    """128 pages of data and 64 of cache in 144 frames: the 48 that LRU takes are what the guest has on its disk."""
    words = [*UNIFORM, "vms.memory=1MiB", "vms.cache=256KiB", "guest.prefault=false"]
    found = plain(*words, "overcommit.host_memory=576KiB")
    assert found["silent_write_pages"] == found["swap_out_pages"] == 48
    assert found["stale_read_pages"] == found["false_read_pages"] == found["double_paged_pages"] == 0
    assert plain(*words, "reclaim=balloon", "overcommit.host_memory=576KiB")["silent_write_pages"] == 0  # the guest drops it


def test_dead_pages_are_read_to_be_cleared(plain: Checker) -> None:
    """Frames that the guest frees while they are on host swap come in for nothing when it clears them; a process's are forgotten."""
    words = [*UNIFORM, "workload.remap_every=30", "workload.remap_pages=8", "overcommit.host_memory=320KiB"]
    found = plain(*words)
    assert found["false_read_pages"] > 50
    assert found["false_read_pages"] + found["major_faults"] >= found["swap_in_pages"] > found["false_read_pages"]
    assert found["stale_read_pages"] == 0
    assert plain(*words, "mmu=native")["false_read_pages"] == 0


def test_what_the_guest_reads_over_is_read_first(plain: Checker) -> None:
    """A guest that pages by itself reads its own swap into frames that the host has swapped out."""
    both = ["vms.memory=400KiB", "guest.swap=1MiB", "overcommit.host_memory=240KiB", "reclaim/replacement=fifo"]
    found = plain(*UNIFORM, *both)
    assert found["stale_read_pages"] > 20
    assert found["stale_read_pages"] <= found["guest_swap_in_pages"]
    assert found["double_paged_pages"] > 0
    assert plain(*UNIFORM, "vms.memory=400KiB", "guest.swap=1MiB")["stale_read_pages"] == 0


def test_cache_at_boot_takes_the_guests_room(plain: Checker) -> None:
    """A balloon pressed while the cache is filled leaves room for the rest of it, so the VM fills the host and is never too large."""
    words = ["vms.memory=2MiB", "vms.cache=1MiB", "overcommit.host_memory=640KiB", "reclaim=balloon", "reclaim/victims=shares"]
    found = plain(*UNIFORM, *words)
    assert found["vms"][0]["resident_pages"] == 160
    assert found["vms"][0]["host_free_pages"] == 0
