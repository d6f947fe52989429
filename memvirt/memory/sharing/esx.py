"""ESX Server's content-based page sharing: pages at random, and a table of hints.

Waldspurger, Memory Resource Management in VMware ESX Server, OSDI'02, section 4. A page whose contents equal a shared
page's is shared at once. Otherwise a *hint* remembers what it held; when another page matches a hint, the hinted page is
looked at again: if it still holds that, the two are shared from then on; if not, the hint is stale and goes.

Equal hashes are taken for equal pages, as the paper's 64 bits allow; a comparison byte by byte follows there anyway.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from memvirt.config import Section
from memvirt.jit import inner, inner_apart
from memvirt.memory.log import has_room
from memvirt.memory.share import share
from memvirt.memory.sharing import is_small, mergeable, scan
from memvirt.memory.state import NOTHING, Now, World
from memvirt.random import below, mix64
from memvirt.typing import Int

DRAWS = 64  #: at a page that can be shared; guest frames need not be backed

#: In a bucket of the table.
ENTRY = np.dtype(
    [
        ("content", "<i8"),  # contents hashed to
        ("next", "<i4"),  # next entry of the bucket; `UNUSED` of one that is in no bucket
    ],
    align=True,
)

UNUSED = -2

#: Where the scanner is.
SEEN = np.dtype(
    [
        ("pages_scanned", "<i8"),
        ("stale_hints", "<i8"),  # hints found stale
        ("pause_ns", "<f8"),  # from one page to the next
    ],
    align=True,
)


class Table(NamedTuple):
    """Frames by contents.

    Attributes
    ----------
    heads : (buckets,) int32
    entries : (frames,) ENTRY
    """

    heads: NDArray[np.int32]
    entries: Any


class State(NamedTuple):
    """The scanner: hints by guest frame, shared pages by host frame."""

    hints: Table
    shared: Table
    seen: Any
    rng: NDArray[np.uint64]


def make_table(frames: int) -> Table:
    """An empty table."""
    entries = np.zeros(frames, ENTRY)
    entries["next"] = UNUSED
    return Table(np.full(1 << max(1, frames - 1).bit_length(), NOTHING, np.int32), entries.view(np.recarray))


class Options(Section):
    """Options of the scanner."""

    pages_per_second: float = Field(200.0, ge=1e-6, le=1e6)
    """[pages/s] Looked at, over all VMs (Waldspurger, OSDI'02)."""


def make(frames: int, host_frames: int, seed: int, **options: Any) -> State:
    """State for guest frames 0 … ``frames`` - 1."""
    seen = np.zeros(1, SEEN).view(np.recarray)
    seen.pause_ns = 1e9 / Options(**options).pages_per_second
    return State(make_table(frames), make_table(host_frames), seen, np.array([seed], np.uint64))


@scan.register
def _scan(state: State, world: World, now: Now) -> float:
    if not has_room(world):
        return now.time_ns
    for _ in range(DRAWS):
        frame = below(state.rng, world.frames.size)
        if mergeable(world, frame):
            vm = np.int64(world.frames[frame].vm)
            world.counts[vm, world.vms[vm].epoch].host_scanning_ns += np.int64(world.rules[0].scan_ns)
            examine(state, world, now, frame)
            state.seen[0].pages_scanned += 1
            break
    return now.time_ns + state.seen[0].pause_ns * world.rules[0].scale / world.rules[0].speedup  # type: ignore[no-any-return]


@inner_apart
def examine(state: State, world: World, now: Now, frame: Int) -> None:
    """Share a page with an equal one, or leave a hint."""
    page = world.frames[frame]
    if world.host_frames[page.hfn].stable:
        return
    content = np.int64(page.content)
    if shared_page(state, world, content) != NOTHING:
        small = is_small(world, now, frame)
        hfn = shared_page(state, world, content)
        if small and hfn != NOTHING:  # it may have gone to make room for a table
            drop(state.hints, frame)
            share(world, now, frame, np.int64(world.host_frames[hfn].owner))
        return
    other = first_of(state.hints, content)
    if other == frame:
        return
    if other != NOTHING:
        hinted = world.frames[other]
        if hinted.content == content and mergeable(world, other) and not world.host_frames[hinted.hfn].stable:
            drop(state.hints, other)
            drop(state.hints, frame)
            if is_small(world, now, frame) and is_small(world, now, other) and page.hfn != NOTHING:
                share(world, now, frame, other)
                put(state.shared, np.int64(hinted.hfn), content)
            return
        drop(state.hints, other)
        state.seen[0].stale_hints += 1
    put(state.hints, frame, content)


@inner
def shared_page(state: State, world: World, content: Int) -> Int:
    """Return the host frame that is shared for a content, or -1."""
    hfn = first_of(state.shared, content)
    while hfn != NOTHING and not world.host_frames[hfn].stable:
        drop(state.shared, hfn)
        hfn = first_of(state.shared, content)
    return hfn  # type: ignore[no-any-return]


@inner
def bucket_of(table: Table, content: Int) -> Int:
    """Return the bucket that a content is in."""
    return np.int64(mix64(np.uint64(content)) & np.uint64(table.heads.size - 1))  # type: ignore[return-value]


@inner_apart
def first_of(table: Table, content: Int) -> Int:
    """Return the frame that was put last with a content, or -1."""
    frame = np.int64(table.heads[bucket_of(table, content)])
    while frame != NOTHING and table.entries[frame].content != content:
        frame = np.int64(table.entries[frame].next)
    return frame  # type: ignore[no-any-return]


@inner_apart
def drop(table: Table, frame: Int) -> None:
    """Take a frame out, if it is in."""
    entry = table.entries[frame]
    if entry.next == UNUSED:
        return
    bucket = bucket_of(table, np.int64(entry.content))
    before = np.int64(table.heads[bucket])
    if before == frame:
        table.heads[bucket] = entry.next
    else:
        while table.entries[before].next != frame:
            before = np.int64(table.entries[before].next)
        table.entries[before].next = entry.next
    entry.next = UNUSED


@inner_apart
def put(table: Table, frame: Int, content: Int) -> None:
    """Put a frame under a content, wherever it was."""
    drop(table, frame)
    bucket = bucket_of(table, content)
    table.entries[frame].content, table.entries[frame].next = content, table.heads[bucket]
    table.heads[bucket] = frame
