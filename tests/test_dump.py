"""Dumps of page tables: pages and tables are where a real machine has them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from memvirt.errors import ConfigError, MemvirtError
from memvirt.memory.dump import read_dump
from tests.support import here, row

Entry = tuple[int, list[int], int]  # page, frames of its tables from the root down, its own frame
COMMON = ("mmu.pwc.enabled=false", "cache=pte", "guest.prefault=true", "workload=trace")


def dump(pages: list[int], draw: random.Random, frames: list[int]) -> list[Entry]:
    """Map pages, and a table for each part of them, to frames in any order."""
    draw.shuffle(frames)
    tables: dict[tuple[int, int], int] = {}
    for page in pages:
        for level in (3, 2, 1, 0):
            if (level, page >> 9 * (level + 1)) not in tables:
                tables[level, page >> 9 * (level + 1)] = frames.pop()
    return [(page, [tables[level, page >> 9 * (level + 1)] for level in (3, 2, 1, 0)], frames.pop()) for page in pages]


def written(path: Path, entries: list[Entry]) -> Path:
    lines = (f"{page << 12:x}," + ",".join(f"{table:x}" for table in tables) + f",{frame:x}\n" for page, tables, frame in entries)
    path.write_text(f"{len(entries)}\n" + "".join(lines))
    return path


def lines_of(number: int, tables: list[int]) -> set[int]:
    """Lines that a walk of one dimension reads, by number in the memory that the tables are in."""
    return {table << 6 | (number >> 9 * level & 511) >> 3 for level, table in zip((3, 2, 1, 0), tables, strict=True)}


def test_walks_read_the_lines_of_the_dump(tmp_path: Path) -> None:
    """Natively and nested: each line of the tables is read from memory once, and the sets are told from the dumps alone."""
    draw = random.Random(3)
    pages = sorted(draw.sample(range(0x10000, 0x14000), 30) + draw.sample(range(0x7F0000000, 0x7F0080000), 30))
    guest = dump(pages, draw, list(range(1, 3000)))
    used = sorted({frame for _, tables, frame in guest for frame in (*tables, frame)})
    host = dump(used, draw, list(range(5000, 9000)))
    back = {number: (tables, frame) for number, tables, frame in host}
    path = tmp_path / "a.txt"
    path.write_text("".join(f" L {page << 12:x},8\n" for page in pages * 2))
    words = (*COMMON, f"workload.path={path}", f"guest.page_table={written(tmp_path / 'guest', guest)}")
    native: set[int] = set().union(*(lines_of(page, tables) for page, tables, _ in guest))
    got = row(*words, "mmu=native")
    assert (got["walks"], got["walk_refs_guest"], got["walk_refs_in_memory"]) == (60, 240, len(native))
    nested: set[int] = set()
    for page, tables, frame in guest:
        for number in (*tables, frame):
            nested |= lines_of(number, back[number][0])
        nested |= lines_of(page, [back[table][1] for table in tables])
    got = row(*words, "mmu=nested", f"host.page_table={written(tmp_path / 'host', host)}")
    assert (got["walks"], got["walk_refs_guest"], got["walk_refs_in_memory"]) == (60, 240, len(nested))
    got = row(*words, "mmu=nested")  # the host maps frames to themselves
    assert got["walk_refs_in_memory"] > len(native)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1000,1,2,3,4,5\n", "line 1: must be how many entries follow"),
        ("2\n1000,1,2,3,4,5\n", "has 1 entries, and its first line says 2"),
        ("1\n1000,1,2,3,4\n", "entry 1: is no VA,PE1,PE2,PE3,PE4,PA"),
        ("1\n1000,1,2,3,zz,5\n", "entry 1: is no VA,PE1,PE2,PE3,PE4,PA"),
        ("1\n1000,1,2,3,0,5\n", "entry 1: names frame 0x0"),
        ("1\n1000,1,2,3,4,fffffffff\n", "entry 1: names frame 0xfffffffff"),
        ("2\n1000,1,2,3,4,5\n1000,1,2,3,4,6\n", "maps 0x1000 twice"),
        ("1\n1000,1,2,3,4,5\n2000,1,2,3,4,6\n", "more entries than the 1"),
        ("", "is empty"),
    ],
)
def test_bad_dumps(text: str, said: str, tmp_path: Path) -> None:
    """One line, with the entry."""
    (tmp_path / "dump").write_text(text)
    with pytest.raises(MemvirtError, match=said):
        read_dump(tmp_path / "dump")


def test_what_a_dump_cant_be_beside(tmp_path: Path) -> None:
    """Before anything is computed; a page that it lacks is named."""
    (tmp_path / "a.txt").write_text(" L 1000,8\n L 2000,8\n")
    path = written(tmp_path / "dump", [(1, [1, 2, 3, 4], 5)])
    common = ("workload=trace", "workload.path=a.txt", f"guest.page_table={path}", "executor=serial")
    for more, said in (
        (("guest.prefault=false",), "guest.prefault=false: must be true"),
        (("guest.prefault=true", "guest.page_size=2M"), "guest.page_size=2M: must be 4K"),
        (("guest.prefault=true", "vms.count=2"), "vms.count=2: must be 1"),
    ):
        done = here("memvirt.sweep", *common, *more, cwd=tmp_path)
        assert done.returncode == 2
        assert said in done.stderr
    with pytest.raises(ConfigError, match="doesn't map 0x2000"):
        row("workload=trace", f"workload.path={tmp_path / 'a.txt'}", f"guest.page_table={path}", "guest.prefault=true")
