"""The instruction side: fetches of a trace, and the TLBs that they look up."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from memvirt.errors import ConfigError
from memvirt.trace.cli import main as trace_main
from memvirt.workload.files import read_file
from tests.naive import NaiveArray
from tests.support import row

TEXT = """I  00400000,4
 L 00900000,8
I  00400004,4
I  00400040,4
 S 00900008,8
I  00401000,4
 M 00a00000,8
I  00400000,4
"""


@pytest.fixture
def lackey(tmp_path: Path) -> Path:
    """A trace in Lackey's text."""
    path = tmp_path / "t.txt"
    path.write_text(TEXT)
    return path


def test_reading(lackey: Path) -> None:
    """A fetch for each new line, instructions counted once either way; without fetches the trace is as it always was."""
    data, both = read_file(lackey), read_file(lackey, fetches=True)
    assert data.vpn.tolist() == [0x900, 0xA00]
    assert data.accesses.gap.tolist() == [1, 2, 1]
    assert both.vpn.tolist() == [0x400, 0x401, 0x900, 0xA00]
    assert (both.accesses.line >> 6).tolist() == [1, 0, 1, 2, 1, 2, 1]
    assert both.accesses.gap.tolist() == [1, 0, 2, 0, 1, 0, 1]


def test_own_form_keeps_them(lackey: Path, tmp_path: Path) -> None:
    """Imported with fetches; a workload takes them only if told to, and refuses to where there are none."""
    out = tmp_path / "t.parquet"
    assert trace_main(["import", str(lackey), "-o", str(out), "--fetches"]) == 0
    plain = read_file(out)
    assert plain.accesses.page.tolist() == read_file(lackey).accesses.page.tolist()
    assert plain.accesses.line.tolist() == read_file(lackey).accesses.line.tolist()
    assert plain.accesses.gap.tolist() == [1, 2, 1]
    common = ["workload=trace", f"workload.path={out}", "mmu=native", "guest.prefault=true"]
    got = row(*common, "workload.fetches=true", "tlb=skylake_split")
    assert (got["accesses"], got["fetches"], got["instructions"]) == (7, 4, 4 + 1)
    assert (got["l1_tlb_misses"], got["l1i_tlb_misses"]) == (4, 2)
    assert got["l1d_cache_hits"] + got["l1d_cache_misses"] == 3 + got["walk_refs_guest"]
    assert row(*common)["accesses"] == 3
    without = tmp_path / "d.parquet"
    assert trace_main(["import", str(lackey), "-o", str(without)]) == 0
    from memvirt import workload
    from memvirt.workload import Workload

    for config in (Workload(name="trace", path=str(without), fetches=True), Workload(name="uniform", fetches=True)):
        with pytest.raises(ConfigError, match="fetches"):
            workload.check(config)


@pytest.mark.parametrize("split", [True, False])
def test_sides_against_plain_restatement(split: bool, tmp_path: Path) -> None:
    """Two first levels (or one for both) over a second that both share."""
    rng = random.Random(3)
    lines, work = [], []
    for _ in range(4000):
        fetch, page = rng.random() < 0.4, rng.randrange(60)
        address = (0x400 + page) * 4096 + rng.randrange(64) * 64
        lines.append(f"I  {address:08x},4" if fetch else f" L {address:08x},4")
        if not fetch or not work or work[-1][2] != address >> 6:
            work.append((fetch, page, address >> 6 if fetch else None))
    path = tmp_path / "t.txt"
    path.write_text("\n".join(lines) + "\n")
    sizes = {"l1_4k": (8, 2), "l1i_4k": (4, 2), "l2": (24, 3)}
    names = sizes if split else {name: size for name, size in sizes.items() if name != "l1i_4k"}
    geometry = [
        f"tlb.{name}.{key}={value}" for name, size in names.items() for key, value in zip(("entries", "ways"), size, strict=True)
    ]
    got = row("workload=trace", f"workload.path={path}", "workload.fetches=true", f"tlb={'skylake_split' if split else 'skylake'}",
              "mmu=native", "guest.prefault=true", *geometry)  # fmt: skip
    arrays = {name: NaiveArray(*size) for name, size in sizes.items()}
    last, fetches, first, instruction, second = None, 0, 0, 0, 0
    for kind in lines:
        fetch, address = kind.startswith("I"), int(kind.split()[1].split(",")[0], 16)
        if fetch:
            new, last = address >> 6 != last, address >> 6
            if not new:
                continue
            fetches += 1
        number = address >> 12
        one = arrays["l1i_4k" if fetch and split else "l1_4k"].of(number)
        if one.look_up(number):
            continue
        first += 1
        instruction += fetch
        if not arrays["l2"].of(number).look_up(number):
            second += 1
            arrays["l2"].of(number).put(number)
        one.put(number)
    assert (got["fetches"], got["l1_tlb_misses"], got["l1i_tlb_misses"], got["l2_tlb_misses"]) == (
        fetches,
        first,
        instruction,
        second,
    )
    assert got["walks"] == second


def test_stores_against_plain_restatement(tmp_path: Path) -> None:
    """Loads and stores look up first levels of their own over a second that both share, of two halves (Ice Lake and later)."""
    rng = random.Random(5)
    work = [(rng.random() < 0.4, rng.randrange(40)) for _ in range(4000)]
    path = tmp_path / "t.txt"
    path.write_text("".join(f" {'S' if store else 'L'} {(0x400 + page) * 4096:08x},4\n" for store, page in work))
    sizes = {"l1_4k": (8, 2), "l1_store": (6, 6), "l2_2m": (8, 2), "l2_1g": (8, 2)}
    geometry = [
        f"tlb.{name}.{key}={value}" for name, size in sizes.items() for key, value in zip(("entries", "ways"), size, strict=True)
    ]
    got = row("workload=trace", f"workload.path={path}", "tlb=icelake", "mmu=native", "guest.prefault=true", *geometry)
    arrays = {name: NaiveArray(*size) for name, size in sizes.items()}
    first = second = 0
    for store, page in work:
        number = 0x400 + page
        one = arrays["l1_store" if store else "l1_4k"].of(number)
        if one.look_up(number):
            continue
        first += 1
        half = arrays["l2_1g" if number.bit_count() % 2 else "l2_2m"].of(number)
        if not half.look_up(number):
            second += 1
            half.put(number)
        one.put(number)
    assert (got["l1_tlb_misses"], got["l2_tlb_misses"], got["walks"]) == (first, second, second)
    assert got["tlb_cycles"] == 7 * first
