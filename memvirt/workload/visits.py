"""A page life as a trace: which of its pages are sampled, its visits step by step, and the events that give them their time."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.digest import content_digest
from memvirt.errors import ConfigError
from memvirt.random import scramble
from memvirt.types import CHUNK, GUEST_EVENT, STEP, WRITE, Accesses, GuestEvent, Pages, Trace
from memvirt.workload.life import REGION, Life
from memvirt.workload.source import Chunked
from memvirt.workload.synthetic import draws, unit

LEAST_REGIONS = 30  #: that are sampled of a VM
MOST_KEPT = 256 << 20  #: bytes of visits that a process keeps for who asks for them next
BEATS = 16  #: parts of a step over which its visits are spread
MOST_NS = (1 << 32) - 1  #: of a visit's pace
FIRST_VPN = 0x40000  #: where a life's pages begin: at 1 GiB


class Runs(NamedTuple):
    """Pages of a life that are sampled, in runs of neighbours.

    Attributes
    ----------
    first, end : (r,) int64
        Of each run in the life's own numbers.
    place : (r,) int64
        Number of its first page among those that are sampled.
    pages : int
        How many are sampled.
    """

    first: NDArray[np.int64]
    end: NDArray[np.int64]
    place: NDArray[np.int64]
    pages: int


def sample(pages: int, scale: float, salt: int) -> Runs:
    """Choose ``pages / scale`` pages: of each ``scale`` neighbouring regions of 2 MiB the one that a hash names.

    SHARDS (Waldspurger et al., FAST'15) takes what hashes low from anywhere. One of each stratum is as random within it, and of a
    life's runs of pages, if they are longer than a stratum, each has its share.

    Raises
    ------
    ConfigError
        If fewer than 30 regions are left.
    """
    if scale <= 1:
        return Runs(np.array([0]), np.array([pages]), np.array([0]), pages)
    if pages / scale < LEAST_REGIONS * REGION:
        most = pages / (LEAST_REGIONS * REGION)
        why = (
            f"leaves {pages / scale / REGION:.1f} regions of 2 MiB of a VM of {pages * 4096 >> 20} MiB; {LEAST_REGIONS} are needed"
        )
        raise ConfigError("vms.scale", f"{scale:g}", f"{why}: at most {most:.4g}")
    wanted, strata = round(pages / scale), int(pages / scale) // REGION
    edges = np.floor(np.arange(strata + 1) * scale).astype(np.int64)
    luck = unit(draws(salt, 11, 0, strata + 1))
    region = edges[:-1] + (luck[:-1] * np.diff(edges)).astype(np.int64)
    first, size = region * REGION, np.full(strata, REGION)
    rest, tail = wanted - strata * REGION, int(edges[-1]) * REGION
    if rest:
        place = tail + int(luck[-1] * (pages - tail - rest + 1))
        first, size = np.append(first, max(place // REGION * REGION, tail)), np.append(size, rest)
    return Runs(first, first + size, np.cumsum(size) - size, wanted)


def overlap(first: NDArray[np.int64], end: NDArray[np.int64], runs: Runs) -> tuple[NDArray[np.int64], ...]:
    """Which row of ``first`` … ``end`` lies over which run: (row, run) pairs, rows ascending."""
    low = np.searchsorted(runs.end, first, side="right")
    high = np.searchsorted(runs.first, end, side="left")
    count = np.maximum(high - low, 0)
    row = np.repeat(np.arange(first.size), count)
    return row, np.arange(row.size) - np.repeat(np.cumsum(count) - count, count) + low[row]


def visits_of(life: Life, runs: Runs, number: int, seed: int) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Make the visits of one step that fall on sampled pages.

    A page of an extent of n pages and v visits is visited v / n times: the whole part of it, and once more if its hash in this step
    is below the rest. So a page's visits don't hang on which others are sampled.

    Returns
    -------
    page : (visits,) uint32
        Among the sampled, in an order that is as good as any.
    line : (visits,) uint8
        With `WRITE`.
    """
    low, high = np.searchsorted(life.extents["step"], [number, number + 1])
    rows = life.extents[low:high]
    row, run = overlap(rows["first"], rows["first"] + rows["pages"], runs)
    begin = np.maximum(rows["first"][row], runs.first[run])
    size = np.minimum(rows["first"][row] + rows["pages"][row], runs.end[run]) - begin
    start = np.cumsum(size) - size
    own = np.arange(int(size.sum()))
    of_overlap = np.repeat(np.arange(row.size), size)
    page = own + (begin - start)[of_overlap]
    key = draws(seed, 1000 + number, 0, rows.size + 1)
    share = (rows["visits"] / np.maximum(rows["pages"], 1))[row]
    luck = unit(scramble(page.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) ^ key[row][of_overlap]))
    times = np.floor(share)[of_overlap] + (luck < (share % 1)[of_overlap])
    chosen = np.repeat(own, times.astype(np.int64))
    overlapped = of_overlap[chosen]
    line = page[chosen] - rows["first"][row][overlapped] < rows["written"][row][overlapped]
    place = page[chosen] + (runs.place - runs.first)[run][overlapped]
    shuffle = scramble(np.arange(chosen.size, dtype=np.uint64) + key[-1]) >> np.uint64(48)
    order = np.argsort(shuffle.astype(np.uint16), kind="stable")  # of 16 bits it takes linear time
    return place[order].astype(np.uint32), np.where(line[order], np.uint8(WRITE), np.uint8(0))


class Made(NamedTuple):
    """All visits of a life: the first of each step and one past the last, their pages and lines."""

    at: NDArray[np.int64]
    page: NDArray[np.uint32]
    line: NDArray[np.uint8]


#: Visits that were made last, by what they are made of: a search asks for the same ones at each ratio.
_kept: OrderedDict[str, Made] = OrderedDict()


def made(life: Life, runs: Runs, seed: int) -> Made:
    """All visits of a life, or those that were made of the same before."""
    key = content_digest((life, runs, seed))
    found = _kept.pop(key, None)
    if found is None:
        steps = [visits_of(life, runs, number, seed) for number in range(life.busy.size)]
        at = np.concatenate([np.zeros(1, np.int64), np.cumsum([page.size for page, _ in steps])])
        found = Made(at, *(np.concatenate(each) for each in zip(*steps, strict=True)))
        for column in found:
            column.setflags(write=False)  # as a recorded trace's are
    _kept[key] = found
    while sum(column.nbytes for each in _kept.values() for column in each) > MOST_KEPT and len(_kept) > 1:
        _kept.popitem(last=False)
    return found


class Visits(Chunked):
    """A life's visits in chunks; pickled, it is its life again.

    Parameters
    ----------
    life : Life
    runs : Runs
    seed : int
        Of which pages are visited, and in which order within a step.

    Attributes
    ----------
    at : (steps + 1,) int64
        First visit of each step.
    """

    def __init__(self, life: Life, runs: Runs, seed: int) -> None:
        self.life, self.runs, self.seed = life, runs, seed
        self.at, self._page, self._line = made(life, runs, seed)
        self.accesses = self._page.size
        self._gap = np.ones(min(CHUNK, self._page.size), np.uint8)
        self._gap.setflags(write=False)

    def __reduce__(self) -> tuple[type[Visits], tuple[Life, Runs, int]]:
        return Visits, (self.life, self.runs, self.seed)

    def chunk(self, index: int) -> Accesses:
        """Views of a chunk's visits."""
        part = slice(index * CHUNK, (index + 1) * CHUNK)
        page = self._page[part]
        return Accesses(page, self._line[part], self._gap[: page.size])


def _table(kind: GuestEvent, at: Any, page: Any) -> NDArray[np.void]:
    at, page = np.broadcast_arrays(np.atleast_1d(at), page)
    table = np.zeros(at.size, GUEST_EVENT)
    table["kind"], table["at"], table["page"] = kind, at, page
    return table


def _freeing(life: Life, runs: Runs, at: NDArray[np.int64]) -> NDArray[np.void]:
    """An UNMAP of each sampled page that is freed."""
    freed = life.freed
    row, run = overlap(freed["first"], freed["first"] + freed["pages"], runs)
    low = np.maximum(freed["first"][row], runs.first[run])
    high = np.minimum(freed["first"][row] + freed["pages"][row], runs.end[run])
    size = high - low
    page = np.repeat(low - runs.first[run] + runs.place[run] - (np.cumsum(size) - size), size) + np.arange(int(size.sum()))
    return _table(GuestEvent.UNMAP, np.repeat(at[freed["step"][row]], size), page)


def _files(life: Life, runs: Runs) -> NDArray[np.bool_]:
    """Which of the sampled pages are files'; empty where none of the life's is."""
    if not life.files.size:
        return np.zeros(0, np.bool_)
    first, end = life.files["first"], life.files["first"] + life.files["pages"]
    row, run = overlap(first, end, runs)
    shift = (runs.place - runs.first)[run]
    edges = np.zeros(runs.pages + 1, np.int64)
    np.add.at(edges, np.maximum(first[row], runs.first[run]) + shift, 1)
    np.add.at(edges, np.minimum(end[row], runs.end[run]) + shift, -1)
    return np.cumsum(edges[:-1]) > 0


def _timing(life: Life, at: NDArray[np.int64], vcpus: int, phase: float) -> NDArray[np.void]:
    """The pace of each step's visits, and pauses between its beats; CPU time of a step without visits goes to the next one's."""
    parts, owed = [], 0.0
    for number, busy in enumerate(life.busy):
        begin, length = float(life.times[number]), float(life.times[number + 1] - life.times[number])
        visits = int(at[number + 1] - at[number])
        owed += busy * length * 1e9
        if not visits:
            continue
        pace = min(max(1, round(owed / visits)), MOST_NS)
        owed -= pace * visits
        beats = min(BEATS, visits)
        beat = np.arange(beats)
        starts = at[number] + beat * visits // beats
        if life.loop == "open":
            parts.append(_table(GuestEvent.UNTIL, starts, np.round((begin + (beat + phase) * length / beats) * 1e3)))
        else:
            pause = max(length - busy * length / vcpus, 0.0) / beats
            parts.append(_table(GuestEvent.IDLE, starts, min(round(pause * 1e6), MOST_NS)))
        parts.append(_table(GuestEvent.PACE, starts[:1], pace))
    return np.concatenate(parts) if parts else np.zeros(0, GUEST_EVENT)


def as_trace(life: Life, scale: float, seed: int, salt: int, vcpus: int) -> Trace:
    """Make the trace of a life, or of a sample of it.

    Parameters
    ----------
    life : Life
    scale : float
        One page of so many is sampled.
    seed : int
        Of the order of visits.
    salt : int
        Of the sample.
    vcpus : int
        Of the VM.

    Raises
    ------
    ConfigError
        If too few regions are sampled, or the life is busy on more vCPUs than there are.
    """
    if life.busy.max(initial=0) > vcpus:
        when = life.times[int(life.busy.argmax())]
        raise ConfigError("vms.vcpus", vcpus, f"its life is busy on {life.busy.max():g} vCPUs at {when:g} s")
    runs = sample(life.pages, scale, salt)
    visits = Visits(life, runs, seed)
    events = np.concatenate(
        [_timing(life, visits.at, vcpus, float(unit(draws(seed, 13, 0, 1))[0])), _freeing(life, runs, visits.at)]
    )
    rank = np.select([events["kind"] == GuestEvent.PACE, events["kind"] == GuestEvent.UNMAP], [2, 1], 0)
    events = events[np.lexsort([rank, events["at"]])]
    steps = np.zeros(life.busy.size, STEP)
    steps["time"], steps["at"] = life.times[:-1], visits.at[:-1]
    vpn = FIRST_VPN + np.arange(runs.pages, dtype=np.uint64)
    pages = Pages(vpn, np.zeros(vpn.size, np.uint16))
    return Trace(pages, int(visits.at[-1]), events, visits, life=True, scale=scale, steps=steps, files=_files(life, runs))
