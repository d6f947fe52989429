"""Where accesses come from: a generator, or a trace in memory; and the VM's way through them, chunk by chunk."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from memvirt.types import CHUNK, Accesses, joined

Reader = Callable[[int, int], Accesses]
MOST_KEPT = 64 << 20  #: bytes of chunks that a process keeps, of all traces together: each room of a point goes through them again


class Source(NamedTuple):
    """One process's accesses, once through.

    Attributes
    ----------
    vpn : (p,) uint64
        Its pages, ascending within an address space.
    length : int
        Accesses once through; a reader may be asked for those below only.
    read : function
        ``(first, last) -> Accesses``, pure.
    asid : (p,) uint16, optional
        Address space of each page, ascending, of what was recorded of several processes.
    """

    vpn: NDArray[np.uint64]
    length: int
    read: Reader
    asid: NDArray[np.uint16] | None = None

    @property
    def spaces(self) -> int:
        """How many address spaces there are."""
        return 1 + int(self.asid[-1]) if self.asid is not None and self.asid.size else 1


class Chunked(Sequence[Accesses]):
    """Accesses by the chunk; a subclass has ``accesses``, how many there are, and makes chunk after chunk."""

    accesses: int

    def chunk(self, index: int) -> Accesses:
        """Make a chunk; ``index`` is one that there is."""
        raise NotImplementedError

    def __len__(self) -> int:
        return -(-self.accesses // CHUNK)

    @overload
    def __getitem__(self, index: int) -> Accesses: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Accesses]: ...
    def __getitem__(self, index: int | slice) -> Accesses | Sequence[Accesses]:
        """Chunk ``index`` (or several)."""
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self.chunk(index)


class Chunks(Chunked):
    """A VM's accesses: processes taking turns, each going round its own copy of the source.

    Parameters
    ----------
    source : Source
    accesses : int
    offset : int
        Where in the source a process begins.
    processes, switch_every : int
    """

    def __init__(self, source: Source, accesses: int, offset: int, processes: int, switch_every: int) -> None:
        self.source, self.accesses, self.offset = source, accesses, offset
        self.processes, self.switch_every = processes, switch_every
        self._last: tuple[int, Accesses] | None = None
        self._kept: dict[int, Accesses] = {}

    def chunk(self, index: int) -> Accesses:
        """Make a chunk, unless it is kept: the last one is, and the first ones while there is room."""
        if index in self._kept:
            return self._kept[index]
        if self._last is None or self._last[0] != index:
            made = self._make(index * CHUNK, min((index + 1) * CHUNK, self.accesses))
            for column in made:
                column.setflags(write=False)  # as a recorded trace's are; numba tells the two apart
            self._last = (index, made)
            self._keep(index, made)
        return self._last[1]

    def _keep(self, index: int, made: Accesses) -> None:
        """Keep a chunk if there is room, which traces that were begun before must make."""
        if not self._kept:
            _keeping.append(weakref.ref(self))
        self._kept[index] = made
        alive = [each for each in (reference() for reference in _keeping) if each is not None]
        held = sum(column.nbytes for each in alive for chunk in each._kept.values() for column in chunk)
        for each in alive:
            if held <= MOST_KEPT or each is self:
                break
            held -= sum(column.nbytes for chunk in each._kept.values() for column in chunk)
            each._kept.clear()
        if held > MOST_KEPT:
            del self._kept[index]
        _keeping[:] = [weakref.ref(each) for each in alive if each._kept]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last": None, "_kept": {}}

    def _make(self, first: int, last: int) -> Accesses:
        parts = []
        at = first
        while at < last:
            process, local, end = 0, at, last
            if self.processes > 1:
                turn, within = divmod(at, self.switch_every)
                process, local = turn % self.processes, turn // self.processes * self.switch_every + within
                end = min(last, (turn + 1) * self.switch_every)
            begin = (local + self.offset) % self.source.length
            end = min(end, at + self.source.length - begin)
            part = self.source.read(begin, begin + end - at)
            if process:
                part = part._replace(page=part.page + np.uint32(process * self.source.vpn.size))
            parts.append(part)
            at = end
        return joined(parts)


_keeping: list[weakref.ref[Chunks]] = []  #: those that keep any, the first that began to at the beginning
