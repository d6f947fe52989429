"""Sharing within a VM and between VMs: what there is to share, and that a scanner finds it."""

from __future__ import annotations

import numpy as np
import pytest

from memvirt.errors import ConfigError
from memvirt.memory.config import Contents
from memvirt.memory.contents import first_contents
from tests.plain import Checker
from tests.support import composed


def saved(option: str, vms: int, pages: int) -> tuple[float, float]:
    """Shares of all pages that merging equal ones saves, within VMs and then between them."""
    config = Contents.model_validate(composed(f"contents={option}")["contents"])
    held = [first_contents(config, 0, vm * pages, pages) for vm in range(vms)]
    alone, together = sum(np.unique(each).size for each in held), np.unique(np.concatenate(held)).size
    whole = vms * pages
    return 1 - alone / whole, (alone - together) / whole


def test_most_sharing_is_within_a_machine() -> None:
    """O12: below 15 % without pages of zeros, over 90 % of it within one machine; of any number of VMs."""
    for vms in (2, 10):
        within, between = saved("own_repeats", vms, 40_000)
        assert within + between < 0.15
        assert within / (within + between) > 0.9
        assert within == pytest.approx(0.25 / 2, rel=0.03)
        assert between == pytest.approx(0.012 * (1 - 1 / vms), rel=0.12)


def test_idle_vms_of_one_image() -> None:
    """OSDI'02, figure 4: of ten VMs with 67 % in common 60.3 % are given up, all of it between VMs."""
    within, between = saved("homogeneous", 10, 40_000)
    assert within == 0
    assert between == pytest.approx(0.67 * 0.9, rel=0.01)


def test_a_scanner_finds_both(plain: Checker) -> None:
    """KSM saves what is equal within a VM, with one VM or two, and with two what is equal between them, too."""
    words = ("reclaim=sharing", "mmu=nested", "guest.prefault=all", "workload=uniform", "workload.write_share=0", "workload.accesses=60",
             "workload.idle_every=15", "workload.idle_time=200ms", "workload.footprint=1MiB", "reclaim.sharing.smart_scan=false",
             "contents.repeated=0.4", "contents.repeats=4", "reclaim/replacement=lru")  # fmt: skip
    config = Contents(repeated=0.4, repeats=4, common=0.2)
    held = [first_contents(config, 0, vm * 256, 256) for vm in range(2)]
    alone = plain(*words, "contents.common=0.2")["vms"]
    both = plain(*words, "contents.common=0.2", "vms.count=2")["vms"]
    assert alone[0]["saved_pages"] == 256 - np.unique(held[0]).size > 60
    assert sum(vm["saved_pages"] for vm in both) == 512 - np.unique(np.concatenate(held)).size > 2 * 60 + 40


def test_too_much_is_refused() -> None:
    """Shares that are more than all."""
    with pytest.raises(ConfigError, match=r"contents\.repeated=0\.5: is more than"):
        Contents(zero=0.3, common=0.3, repeated=0.5)
