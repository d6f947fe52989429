"""Peers' counts: every row of the reference tables, through the set-ups made for them."""

from __future__ import annotations

import csv
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.support import row, sweep

DATA = Path(__file__).parent / "data"


def table(name: str) -> list[dict[str, str]]:
    """Rows of a reference table."""
    with (DATA / name).open() as file:
        return list(csv.DictReader(file))


def tlb_overrides(want: dict[str, str], folder: Path) -> list[str]:
    """The set-up of a row of tlb_reference.csv."""
    big = want["page_bytes"] == str(2 << 20)
    first = "l1_2m" if big else "l1_4k"
    return [
        "experiment=tlb_reference",
        f"workload.path={folder}/{want['trace']}.bin",
        f"guest.page_size={'2M' if big else '4K'}",
        f"tlb.{first}.entries={want['l1_entries']}",
        f"tlb.{first}.ways={want['l1_ways']}",
        f"tlb.l2.entries={want['l2_entries']}",
        f"tlb.l2.ways={want['l2_ways']}",
    ]


@pytest.mark.parametrize("want", table("tlb_reference.csv"), ids=lambda w: "-".join(list(w.values())[:8]))
def test_tlb_reference(want: dict[str, str], reference_traces: Path) -> None:
    """LRU and FIFO exactly, BIT_PLRU (random among its candidates) within half a percent."""
    got = row(*tlb_overrides(want, reference_traces), f"tlb/replacement={want['replacement'].lower()}")
    assert got["accesses"] == int(want["accesses"])
    for name in ("l1_tlb_misses", "l2_tlb_misses"):
        if want["replacement"] == "BIT_PLRU":
            assert got[name] == pytest.approx(int(want[name]), rel=0.005)
        else:
            assert got[name] == int(want[name])


@pytest.mark.parametrize("want", table("nested_reference.csv"), ids=lambda w: "-".join(list(w.values())[:2]))
def test_nested_reference(want: dict[str, str], reference_traces: Path) -> None:
    """Every column exactly, with page-walk caches (under that simulator's rule) and without."""
    enabled = str(want["page_walk_caches"] != "none").lower()
    path = reference_traces / f"{want['trace']}.bin"
    got = row("experiment=nested_reference", f"workload.path={path}", f"mmu.pwc.enabled={enabled}")
    got["walk_refs_guest+walk_refs_host"] = got["walk_refs_guest"] + got["walk_refs_host"]
    for name in set(want) - {"trace", "page_walk_caches"}:
        assert str(got[name]) == want[name], name


def test_through_the_command_line(reference_traces: Path, tmp_path: Path) -> None:
    """The same by `python -m memvirt.sweep`, as a user would."""
    want = table("tlb_reference.csv")[1]
    sweep(*tlb_overrides(want, reference_traces), "executor=serial", "name=tlb", cwd=tmp_path)
    got = pq.read_table(tmp_path / "outputs/tlb/results.parquet").to_pylist()[0]
    assert (got["l1_tlb_misses"], got["l2_tlb_misses"]) == (int(want["l1_tlb_misses"]), int(want["l2_tlb_misses"]))
