"""What readers of trace formats yield: batches of accesses, and the checks that all of them pass."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import MemvirtError, TraceError

LOAD, STORE, FETCHED = 0, 1, 2  #: kinds of accesses
MOST_BITS = 57  #: of a virtual address that any processor translates (five levels)


class Options(NamedTuple):
    """What a reader may be asked for.

    Attributes
    ----------
    fetches : bool
        Keep instruction fetches too, where the format has them.
    pattern : str, optional
        Of a line, for the general text reader.
    columns : dict
        Names of a table's columns by what they are: ``address``, ``write``, …
    step : float
        Seconds of a step, of a page life that isn't in steps.
    """

    fetches: bool = False
    pattern: str | None = None
    columns: dict[str, str] = {}  # noqa: RUF012
    step: float = 1.0


class Batch(NamedTuple):
    """Some accesses, in the order of the file.

    Attributes
    ----------
    address : (n,) uint64
        Byte addresses, canonical ones sign-extended.
    what : (n,) uint8
        `LOAD`, `STORE` or `FETCHED`.
    gap : (n,) int64
        Instructions since the access before, this one's own included.
    where : function
        Place of the access of an index in the file, as an error says it: ``line 12``, ``byte 80``.
    space : (n,) uint16 or None
        Address space (a process) of each access; None: all are of the first.
    time : (n,) float64 or None
        When each is made (s); None where nothing says.
    """

    address: NDArray[np.uint64]
    what: NDArray[np.uint8]
    gap: NDArray[np.int64]
    where: Callable[[int], str]
    space: NDArray[Any] | None = None
    time: NDArray[np.float64] | None = None

    def part(self, first: int, last: int) -> Batch:
        """Accesses ``first`` to ``last``."""
        space, time = (None if column is None else column[first:last] for column in (self.space, self.time))
        address, what, gap = self.address[first:last], self.what[first:last], self.gap[first:last]
        return Batch(address, what, gap, lambda index: self.where(first + index), space, time)


class Objects:
    """Numbers opaque objects densely, in the order in which they come."""

    MOST = 1 << 26  #: some 10 GiB of names

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    def number(self, names: NDArray[Any]) -> NDArray[np.uint64]:
        """Numbers of some names.

        Raises
        ------
        MemvirtError
            If there are more than can be numbered.
        """
        if names.size and (names == names[0]).all():  # as address spaces nearly always are: told without sorting
            return np.full(names.size, self._numbers.setdefault(names[0].item(), len(self._numbers)), np.uint64)
        known, first, which = np.unique(names, return_index=True, return_inverse=True)
        for name in known[np.argsort(first)].tolist():
            self._numbers.setdefault(name, len(self._numbers))
        if len(self._numbers) > self.MOST:
            raise MemvirtError(f"the trace has more than {self.MOST:,} of what it numbers")
        return np.array([self._numbers[name] for name in known.tolist()], np.uint64)[which]


class Spaces(Objects):
    """Numbers address spaces in the order in which they come, whatever a trace calls them (process ids, ASIDs)."""

    MOST = 1 << 12


def sign_extend(address: NDArray[np.uint64], bits: int) -> NDArray[np.uint64]:
    """Keep the lowest ``bits`` bits and repeat the highest of them above."""
    up = np.int64(64 - bits)
    return (address.view(np.int64) << up >> up).view(np.uint64)


def mask_bits(text: str) -> int:
    """Bits that ``--mask`` keeps of an address: a number of them, or a mask of so many ones.

    Raises
    ------
    MemvirtError
        If it is neither.
    """
    try:
        value = int(text, 0)
    except ValueError:
        value = 0
    bits = value if value <= 64 else value.bit_length()
    if (value > 64 and value & (value + 1)) or not 32 <= bits <= MOST_BITS:
        why = f"must be how many of an address's low bits count, 32 to {MOST_BITS} (LAM: 48 or 57, TBI: 56), or a mask of ones"
        raise MemvirtError(f"--mask={text}: {why}")
    return bits


COLUMNS = ("address", "page", "object", "rw", "process", "instructions")  #: what a table's columns may hold


def column_names(text: str | None) -> dict[str, str]:
    """Read ``--columns``.

    Raises
    ------
    MemvirtError
        If it isn't WHAT=COLUMN, with commas between.
    """
    found = {}
    for part in text.split(",") if text else ():
        what, equals, name = part.strip().partition("=")
        if what not in COLUMNS or not equals or not name:
            raise MemvirtError(f"--columns={text}: must be WHAT=COLUMN,…, and WHAT one of {', '.join(COLUMNS)}")
        found[what] = name
    return found


def checked(batches: Iterator[Batch], name: str, mask: int | None = None, limit: int | None = None) -> Iterator[Batch]:
    """Pass batches on up to a limit of accesses, their addresses masked, and canonical.

    Raises
    ------
    TraceError
        At the first address that isn't, with its place.
    """
    left = limit
    for batch in batches:
        kept = batch if left is None or batch.address.size <= left else batch.part(0, left)
        if mask is not None:
            kept = kept._replace(address=sign_extend(kept.address, mask))
        wrong = np.flatnonzero(sign_extend(kept.address, MOST_BITS) != kept.address)
        if wrong.size:
            first = int(wrong[0])
            why = f"is no canonical address (bits 63 to {MOST_BITS - 1} differ); of a tagged pointer, --mask BITS keeps the address"
            raise TraceError(name, kept.where(first), f"{int(kept.address[first]):#018x} {why}")
        if kept.address.size:
            yield kept
        if left is not None:
            left -= kept.address.size
            if left <= 0:
                return


def numbered_from(first: int, step: int, word: str) -> Callable[[int], str]:
    """Say places of records of one size: ``word`` and ``first`` + index × ``step``."""
    return lambda index: f"{word} {first + index * step}"


def by_time(streams: Sequence[Iterator[Batch]]) -> Iterator[Batch]:
    """Put the batches of several streams in one order, that of time; what is of one time stays together, in the streams' order.

    Parameters
    ----------
    streams : sequence of iterators
        Each in the order of time; a batch without times is of the stream's last one.
    """
    waiting: list[tuple[float, int, Batch]] = []
    last = [-np.inf] * len(streams)

    def take(number: int) -> None:
        for batch in streams[number]:
            if batch.address.size:
                begin = float(batch.time[0]) if batch.time is not None else last[number]
                heapq.heappush(waiting, (max(begin, last[number]), number, batch))
                return

    for number in range(len(streams)):
        take(number)
    while waiting:
        now, number, batch = heapq.heappop(waiting)
        until = waiting[0][:2] if waiting else (np.inf, 0)
        ahead = batch.address.size
        if batch.time is not None:
            later = (batch.time > until[0]) if number <= until[1] else (batch.time >= until[0])
            later[0] = False
            ahead = int(np.argmax(later)) or ahead
        yield batch.part(0, ahead)
        last[number] = now if batch.time is None else max(now, float(batch.time[ahead - 1]))
        if ahead < batch.address.size:
            rest = batch.part(ahead, batch.address.size)
            heapq.heappush(waiting, (float(batch.time[ahead]) if batch.time is not None else now, number, rest))
        else:
            take(number)


def whole(batches: Iterator[Batch]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any] | None]:
    """Put batches together: address, what, gap, and space if any has one."""
    parts = list(batches)
    if not parts:
        return np.zeros(0, np.uint64), np.zeros(0, np.uint8), np.zeros(0, np.int64), None
    space = None
    if any(part.space is not None for part in parts):
        space = np.concatenate([np.zeros(part.address.size, np.uint16) if part.space is None else part.space for part in parts])
    address, what, gap = (np.concatenate([part[column] for part in parts]) for column in range(3))
    return address, what, gap, space
