"""A page life as a trace: which of its pages are sampled, its visits step by step, and the events that give them their time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import ConfigError
from memvirt.types import CHUNK, GUEST_EVENT, STEP, WRITE, Accesses, GuestEvent, Pages, Trace
from memvirt.workload.life import REGION, Life
from memvirt.workload.synthetic import draws, unit

LEAST_REGIONS = 30  #: that are sampled of a VM
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


class Overlaps(NamedTuple):
    """Where extents lie over sampled runs; arrays of one length, ascending in ``extent``.

    Attributes
    ----------
    extent : row of `Life.extents`
    shift : what to add to a page's place in the extent to have its number among the sampled
    before : visits of the extent before the overlap
    visits : and in it
    """

    extent: NDArray[np.int64]
    shift: NDArray[np.int64]
    before: NDArray[np.int64]
    visits: NDArray[np.int64]


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


def _phases(life: Life, seed: int) -> NDArray[np.int64]:
    """Where in each extent the even spread of its visits begins, anew in each step."""
    return np.asarray(unit(draws(seed, 12, 0, life.extents.size)) * life.extents["pages"]).astype(np.int64)


def overlaps(life: Life, runs: Runs, seed: int) -> Overlaps:
    """Find the visits that fall on sampled pages.

    Page k of an extent of n pages and v visits has those of the numbers ``phase + 1 … phase + v n`` / n that fall between k v and
    (k + 1) v: a systematic sample, of which each page has v / n on average.
    """
    extents, phase = life.extents, _phases(life, seed)
    row, run = overlap(extents["first"], extents["first"] + extents["pages"], runs)
    first, size, visits = extents["first"][row], extents["pages"][row], extents["visits"][row]
    low = np.maximum(first, runs.first[run]) - first
    high = np.minimum(first + size, runs.end[run]) - first
    before = (low * visits + phase[row]) // size
    shift = runs.place[run] - runs.first[run] + first
    return Overlaps(row, shift, before, (high * visits + phase[row]) // size - before)


class Visits(Sequence[Accesses]):
    """A life's visits in chunks, made step by step as they are asked for.

    Parameters
    ----------
    life : Life
    runs : Runs
    seed : int
        Of the order of visits within a step, which is as good as any.
    """

    def __init__(self, life: Life, runs: Runs, seed: int) -> None:
        self.life, self.runs, self.seed = life, runs, seed
        self._prepare()

    def _prepare(self) -> None:
        self._found = overlaps(self.life, self.runs, self.seed)
        self._phase = _phases(self.life, self.seed)
        steps = self.life.busy.size
        step = self.life.extents["step"][self._found.extent]
        self._first = np.searchsorted(step, np.arange(steps + 1))
        of_step = np.bincount(step, self._found.visits, steps).astype(np.int64)
        self.at = np.concatenate([np.zeros(1, np.int64), np.cumsum(of_step)])
        self._last: tuple[int, Accesses] | None = None

    def __reduce__(self) -> tuple[type[Visits], tuple[Life, Runs, int]]:
        return Visits, (self.life, self.runs, self.seed)

    def __len__(self) -> int:
        return -(-int(self.at[-1]) // CHUNK)

    @overload
    def __getitem__(self, index: int) -> Accesses: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Accesses]: ...
    def __getitem__(self, index: int | slice) -> Accesses | Sequence[Accesses]:
        """Make chunk ``index`` (or several)."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        if self._last is None or self._last[0] != index:
            start, stop = index * CHUNK, min((index + 1) * CHUNK, int(self.at[-1]))
            first, last = np.searchsorted(self.at, start, side="right") - 1, np.searchsorted(self.at, stop, side="left")
            made = [self.step(number) for number in range(int(first), int(last))]
            skip = start - int(self.at[first])
            page, line = (np.concatenate(each)[skip : skip + stop - start] for each in zip(*made, strict=True))
            columns = (page, line, np.ones(page.size, np.uint8))
            for column in columns:
                column.setflags(write=False)  # as a recorded trace's are
            self._last = (index, Accesses(*columns))
        return self._last[1]

    def step(self, number: int) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
        """The visits of one step: pages among the sampled, and lines with `WRITE`."""
        part = slice(self._first[number], self._first[number + 1])
        extent, shift, before, visits = (column[part] for column in self._found)
        row = np.repeat(np.arange(extent.size), visits)
        of_extent = self.life.extents[extent[row]]
        which = before[row] + 1 + np.arange(row.size) - np.repeat(np.cumsum(visits) - visits, visits)
        place = -((self._phase[extent[row]] - which * of_extent["pages"]) // of_extent["visits"]) - 1
        page = (place + shift[row]).astype(np.uint32)
        line = np.where(place < of_extent["written"], np.uint8(WRITE), np.uint8(0))
        order = np.argsort(draws(self.seed, 1000 + number, 0, page.size))
        return page[order], line[order]


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
    return Trace(pages, int(visits.at[-1]), events, visits, life=True, scale=scale, steps=steps)
