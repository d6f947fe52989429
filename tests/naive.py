"""The rooms restated as plainly as can be: lists, dictionaries, one access at a time. Slow, and for comparison only."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

FIRST_FRAME = 0x100


class NaiveSet:
    """One set of a TLB or cache: LRU or FIFO, invalid ways first."""

    def __init__(self, ways: int, policy: str = "lru") -> None:
        self.ways, self.policy, self.tags = ways, policy, OrderedDict[Any, None]()

    def look_up(self, tag: Any) -> bool:
        if tag in self.tags:
            if self.policy == "lru":
                self.tags.move_to_end(tag)
            return True
        return False

    def put(self, tag: Any) -> None:
        if len(self.tags) == self.ways:
            self.tags.popitem(last=False)
        self.tags[tag] = None


class NaiveArray:
    """Sets indexed by modulo."""

    def __init__(self, entries: int, ways: int, policy: str = "lru") -> None:
        self.sets = [NaiveSet(ways, policy) for _ in range(entries // ways)]

    def of(self, number: int) -> NaiveSet:
        return self.sets[number % len(self.sets)]


class NaiveTlb:
    """Two levels: the L2 is looked up on an L1 miss only, a walk fills both; what a look-up takes, whatever comes of it."""

    def __init__(
        self, first: tuple[int, int], second: tuple[int, int], policy: str = "lru", takes: tuple[int, int] = (0, 0)
    ) -> None:
        self.first, self.second, self.takes = NaiveArray(*first, policy), NaiveArray(*second, policy), takes
        self.l1_misses = self.l2_misses = self.cycles = 0

    def access(self, number: int) -> bool:
        """Look a page up; True if it must be walked for."""
        self.cycles += self.takes[0]
        if self.first.of(number).look_up(number):
            return False
        self.l1_misses += 1
        self.cycles += self.takes[1]
        missed = not self.second.of(number).look_up(number)
        if missed:
            self.l2_misses += 1
            self.second.of(number).put(number)
        self.first.of(number).put(number)
        return missed


class NaiveCaches:
    """Three levels of 64-byte lines, LRU, filled on the way."""

    def __init__(self, sizes: list[tuple[int, int]]) -> None:
        self.levels = [NaiveArray(size // 64, ways) for size, ways in sizes]

    def read(self, line: int) -> int:
        """Where a line was: 0 … 2, or 3 for memory."""
        where = 3
        for number, level in enumerate(self.levels):
            if level.of(line).look_up(line):
                where = number
                break
            level.of(line).put(line)
        return where


class NaiveFrames:
    """Frame numbers in order of first use, tables root first, then the page."""

    def __init__(self, levels: int) -> None:
        self.levels, self.next = levels, FIRST_FRAME
        self.tables: dict[tuple[int, int], int] = {}
        self.page: dict[int, int] = {}

    def _new(self) -> int:
        self.next += 1
        return self.next - 1

    def map(self, number: int) -> Iterator[int]:
        """Map a page; yields the frames that this takes, in order."""
        for level in range(self.levels - 1, -1, -1):
            key = (level, number >> (9 * (level + 1)))
            if key not in self.tables:
                self.tables[key] = self._new()
                yield self.tables[key]
        self.page[number] = self._new()
        yield self.page[number]

    def chain(self, number: int) -> list[tuple[int, int]]:
        """Table frame and index at each level, root first."""
        return [
            (self.tables[level, number >> (9 * (level + 1))], number >> (9 * level) & 511)
            for level in range(self.levels - 1, -1, -1)
        ]


class NaiveNested:
    """4K + 4K nested paging, everything mapped before, no page-walk caches; or native if the host has no levels."""

    def __init__(self, pages: list[int], guest_levels: int, host_levels: int) -> None:
        self.guest, self.host = NaiveFrames(guest_levels), NaiveFrames(host_levels)
        for page in dict.fromkeys(pages):
            for frame in self.guest.map(page):
                if host_levels:
                    list(self.host.map(frame))

    def behind(self, frame: int) -> int:
        """Host frame behind a guest frame."""
        return self.host.page[frame] if self.host.levels else frame

    def walk(self, page: int) -> list[tuple[str, int]]:
        """The lines that a walk reads, each with its dimension."""
        read = []
        for frame, index in self.guest.chain(page):
            read += self.walk_host(frame)
            read.append(("guest", self.behind(frame) * 64 + index // 8))
        return read + self.walk_host(self.guest.page[page])

    def walk_host(self, frame: int) -> list[tuple[str, int]]:
        if not self.host.levels:
            return []
        return [("host", table * 64 + index // 8) for table, index in self.host.chain(frame)]

    def data_line(self, page: int, line: int) -> int:
        return self.behind(self.guest.page[page]) * 64 + line


def nested_counts(
    pages: list[int],
    lines: list[int],
    first: tuple[int, int],
    second: tuple[int, int],
    caches: list[tuple[int, int]],
    levels: tuple[int, int] = (4, 4),
    data_too: bool = True,
) -> dict[str, int]:
    """Counts of one VM's trace from end to end, named as the result table's columns."""
    tlb, cache, walker = NaiveTlb(first, second), NaiveCaches(caches), NaiveNested(pages, *levels)
    names = ("l1d", "l2", "llc", "memory")
    counts = {"walks": 0, "walk_refs_guest": 0, "walk_refs_host": 0, **{f"walk_refs_in_{name}": 0 for name in names}}
    counts |= {f"data_refs_in_{name}": 0 for name in names[1:]}
    for page, line in zip(pages, lines, strict=True):
        if tlb.access(page):
            counts["walks"] += 1
            for dimension, table_line in walker.walk(page):
                counts[f"walk_refs_{dimension}"] += 1
                counts[f"walk_refs_in_{names[cache.read(table_line)]}"] += 1
        if data_too:
            where = cache.read(walker.data_line(page, line))
            if where:
                counts[f"data_refs_in_{names[where]}"] += 1
    return counts | {"l1_tlb_misses": tlb.l1_misses, "l2_tlb_misses": tlb.l2_misses}


class NaivePolicy:
    """Page replacement over a plain list, first to go first."""

    def __init__(self, name: str) -> None:
        self.name, self.items, self.accessed = name, list[int](), set[int]()

    def insert(self, item: int) -> None:
        self.items.append(item)

    def touch(self, item: int) -> None:
        if self.name == "lru":
            self.items.remove(item)
            self.items.append(item)
        self.accessed.add(item)

    def victim(self) -> int:
        while self.name == "clock" and self.items[0] in self.accessed:
            self.accessed.discard(self.items[0])
            self.items.append(self.items.pop(0))
        return self.items[0]

    def remove(self, item: int) -> None:
        self.items.remove(item)
        self.accessed.discard(item)


def host_counts(order: list[tuple[int, int, bool]], frames: int, policy: str) -> dict[int, dict[str, int]]:
    """Swap counts of each VM, from the merged order of accesses (vm, page, is a write) to a host of so many frames."""
    resident, written, swapped = NaivePolicy(policy), set[int](), set[int]()
    names = ("minor_faults", "major_faults", "swap_in_pages", "swap_out_pages")
    counts = {vm: dict.fromkeys(names, 0) for vm in {vm for vm, _, _ in order}}
    seen = set[int]()
    for vm, page, write in order:
        item = vm << 32 | page
        mine = counts[vm]
        if item not in seen:
            seen.add(item)
            mine["minor_faults"] += 1
        if item not in resident.items:
            if len(resident.items) == frames:
                out = resident.victim()
                resident.remove(out)
                if out in written:
                    counts[out >> 32]["swap_out_pages"] += 1
                swapped.add(out)
                written.discard(out)
            if item in swapped:
                mine["major_faults"] += 1
                mine["swap_in_pages"] += 1
            else:
                written.add(item)  # a page never written out has no copy in swap
            resident.insert(item)
        resident.touch(item)
        if write:
            written.add(item)
    return counts


class NaiveHierarchy:
    """Two levels of true LRU, modulo, with inclusion and dirty bits, as dictionaries: page → whether the entry is dirty."""

    def __init__(
        self,
        first: tuple[int, int],
        second: tuple[int, int],
        inclusion: str = "neither",
        dirty: bool = False,
        takes: tuple[int, int] = (0, 0),
    ) -> None:
        self.sizes, self.inclusion, self.keeps_dirty, self.takes = (first, second), inclusion, dirty, takes
        self.levels = [[OrderedDict[int, bool]() for _ in range(entries // ways)] for entries, ways in self.sizes]
        self.written = set[int]()
        self.l1_misses = self.l2_misses = self.dirty_walks = self.cycles = 0

    def of(self, level: int, page: int) -> OrderedDict[int, bool]:
        return self.levels[level][page % len(self.levels[level])]

    def put(self, level: int, page: int, dirty: bool) -> None:
        entries, out = self.of(level, page), None
        if len(entries) == self.sizes[level][1]:
            out = entries.popitem(last=False)
        entries[page] = dirty
        if out and self.inclusion == "inclusive" and level == 1:
            self.of(0, out[0]).pop(out[0], None)
        if out and self.inclusion == "exclusive" and level == 0:
            self.put(1, *out)

    def access(self, page: int, write: bool) -> bool:
        """Look a page up; True if it must be walked for."""
        first, second = self.of(0, page), self.of(1, page)
        self.cycles += self.takes[0]
        if page in first:
            first.move_to_end(page)
        else:
            self.l1_misses += 1
            self.cycles += self.takes[1]
            if page not in second:
                self.l2_misses += 1
                if write:
                    self.written.add(page)
                if self.inclusion != "exclusive":
                    self.put(1, page, page in self.written)
                self.put(0, page, page in self.written)
                return True
            dirty = second[page]
            if self.inclusion == "exclusive":
                del second[page]
            else:
                second.move_to_end(page)
            self.put(0, page, dirty)
        if not (self.keeps_dirty and write):
            return False
        clean = [entries for entries in (first, second) if not entries.get(page, True)]
        for entries in clean:
            entries[page] = True
        self.dirty_walks += bool(clean)
        self.written.add(page)
        return bool(clean)
