"""Where accesses come from: a generator, or a trace in memory; and the VM's way through them, chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from memvirt.types import CHUNK, Accesses, joined

Reader = Callable[[int, int], Accesses]


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

    def chunk(self, index: int) -> Accesses:
        """Make a chunk; the last one that was made is kept."""
        if self._last is None or self._last[0] != index:
            made = self._make(index * CHUNK, min((index + 1) * CHUNK, self.accesses))
            for column in made:
                column.setflags(write=False)  # as a recorded trace's are; numba tells the two apart
            self._last = (index, made)
        return self._last[1]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last": None}

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
