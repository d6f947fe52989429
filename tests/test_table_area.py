"""Where in guest-physical memory a guest's page tables stand."""

from __future__ import annotations

import numpy as np
import pytest

from memvirt import memory
from memvirt.errors import ConfigError
from memvirt.pipeline.rooms import ROOMS
from memvirt.pipeline.rooms.memory import check
from memvirt.types import FIRST_FRAME
from tests.plain import Checker
from tests.support import memory_config, point, trace

BLOCK = 512


def frames_of(area: str, pages: list[int], vms: int = 1) -> list[tuple[list[int], list[int]]]:
    """Frames of the tables and of the data of each VM, each of which touches the same pages; in the order of their numbers."""
    config = memory_config(vms, dimensions=2, overrides=[f"guest.table_area={area}", "guest.prefault=true", "epoch.accesses=null"])
    machine = memory.run(config, [trace(pages) for _ in range(vms)])
    found = []
    for vm in range(vms):
        base, mine = machine.frames.frame_base[vm], machine.space.page_base[vm : vm + 2]
        rows = np.unique(machine.frames.guest.row[mine[0] : mine[1]])
        tables = np.unique(machine.frames.guest.frames[rows])
        data = machine.frames.frame_of_page[mine[0] : mine[1]]
        found.append((sorted((tables - base).tolist()), sorted((data - base).tolist())))
    return found


def test_by_hand() -> None:
    """Four pages: root, two directories of the third level's one, and a lowest table for each."""
    pages = [0, 1 << 9, 2 << 9, 1 << 18]
    ((tables, data),) = frames_of("data", pages)
    assert tables == [FIRST_FRAME + number for number in (0, 1, 2, 3, 5, 7, 9, 10)]
    assert data == [FIRST_FRAME + number for number in (4, 6, 8, 11)]
    ((tables, data),) = frames_of("range", pages)
    assert tables == [BLOCK + number for number in range(8)]
    assert data == [FIRST_FRAME + number for number in range(4)]


def test_more_than_a_block() -> None:
    """Blocks lie among the data and are taken one at a time; a range is whole, and nothing has a frame twice."""
    pages = [number << 9 for number in range(1100)]  # a lowest table each, three directories, two above
    count = 1100 + 3 + 2
    for area, first, last in (("blocks", [BLOCK, 3 * BLOCK, 5 * BLOCK], 5), ("range", [BLOCK, 2 * BLOCK, 3 * BLOCK], 3)):
        for tables, data in frames_of(area, pages, vms=2):
            assert (len(set(tables)), len(set(data))) == (count, 1100)
            assert not set(tables) & set(data)
            starts = sorted({table // BLOCK * BLOCK for table in tables})
            assert starts == first, area
            assert not set(starts) & {frame // BLOCK * BLOCK for frame in data}
            assert max(tables) == last * BLOCK + count - 2 * BLOCK - 1
    ((tables, _),) = frames_of("range", pages)
    assert tables == list(range(BLOCK, BLOCK + count))


def test_refused_and_ignored() -> None:
    """Tables among data are refused where one host page would hold both; processes have no guest-physical memory."""
    mixed = ["guest.table_area=data", "mmu=nested"]
    for large in (["host.page_size=2M"], ["host.table_page_size=4K"]):
        with pytest.raises(ConfigError, match=r"guest\.table_area=data: .*set blocks or range"):
            check(point(*mixed, *large))
    check(point(*mixed))
    native = [point("mmu=native", f"guest.table_area={area}") for area in ("data", "range", "null")]
    check(point("mmu=native", "guest.table_area=data", "host.page_size=2M"))
    assert len({str(ROOMS["memory"].config.make(each, (0,))) for each in native}) == 1
    with pytest.raises(ConfigError, match=r"guest\.table_area=rang"):
        point("guest.table_area=rang")


@pytest.mark.parametrize("size", ["4K", "2M", "thp"])
def test_nothing_is_lost(plain: Checker, size: str) -> None:
    """The world's books hold with a range, whatever host pages lie behind it."""
    words = ["guest.table_area=range", f"host.page_size={size}", "reclaim=swap", "overcommit.ratio=1.5", "vms.count=2"]
    words += ["workload=zipf", "workload.footprint=4MiB", "workload.accesses=900", "epoch.accesses=150", "clock.quantum=40"]
    assert plain(*words)["checks"] > 0
