"""Walks of radix tables, which most modes are made of: one dimension, the host's behind a guest frame, and both."""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt.jit import inner
from memvirt.mmu.port import DATA_ROW, FRAME_BASE, GUEST, HOST, HOST_ROW, HOST_SPACE, ROW, Port, read_entry
from memvirt.mmu.pwc import Pwc, first_level, found_entry, in_nested_tlb, is_read, keep_entry, keep_in_nested_tlb, keep_single
from memvirt.typing import Int

NONE_MISSING, CACHED = np.int64(0), np.int64(1)


@inner
def walk_tables(
    pwc: Pwc, port: Port, dimension: Int, space: Int, number: Int, frames: Any, lowest: Int, missing: Int, cached: Int
) -> None:
    """Read a chain of tables root first, down to the entry at ``lowest``, or the one ``missing`` levels above it.

    Parameters
    ----------
    dimension, space : int
        What the references are tallied and the page-walk caches keyed by.
    number : int
        Page or frame number that is translated.
    frames : (levels,) integer
        Host frame of the table at each level.
    lowest : int
        Level of the entry that maps the page.
    missing : int
        Tables that aren't there yet: the walk ends at the entry that should point to the first of them.
    cached : int
        0 to leave the page-walk caches alone.
    """
    top = frames.size - 1
    begin = first_level(pwc, port, dimension, space, number, top, lowest) if cached else top
    for level in range(begin, lowest + missing - 1, -1):
        if not is_read(pwc, dimension, level, lowest):
            continue
        index = number >> (9 * level)
        if not found_entry(pwc, port, dimension, space, frames[level], index, level, lowest):
            read_entry(port, dimension, frames[level], index, level)
        if cached and level > lowest + missing:
            keep_entry(pwc, port.context[0], dimension, space, number, level)
            keep_single(pwc, port.context[0], dimension, space, frames[level], index)


@inner
def walk_host(pwc: Pwc, port: Port, frame: Int, missing: Int, cached: Int) -> None:
    """Translate a global guest frame through the host's tables (nothing for an identity host)."""
    if port.host_frames.shape[1] == 0:
        return
    lowest = np.int64(port.order_of_frame[frame]) // 9
    gfn = frame - port.context[FRAME_BASE]
    if in_nested_tlb(pwc, port, gfn, lowest):
        return
    walk_tables(pwc, port, HOST, port.context[HOST_SPACE], gfn, port.host_frames[frame >> 9], lowest, missing, cached)
    if missing == 0:
        keep_in_nested_tlb(pwc, port, gfn, lowest)


@inner
def walk_guest(pwc: Pwc, port: Port, page: Int, missing: Int) -> None:
    """Walk the guest's tables where they map straight to host frames."""
    lowest = np.int64(port.guest_order[page]) // 9
    frames = port.guest_frames[port.guest_row[page]]
    walk_tables(pwc, port, GUEST, port.space_of_page[page], port.vpn[page], frames, lowest, missing, CACHED)


@inner
def walk_both(pwc: Pwc, port: Port, page: Int, guest_missing: Int, data_missing: Int) -> None:
    """Walk in two dimensions: each guest table through the host's tables first, the data page's frame last.

    ``data_missing`` is what the host's tables lack of the way to the data page; it is -1 where the guest's
    fault ends the walk before.
    """
    root = port.guest_frames.shape[1] - 1
    begin = first_level(pwc, port, GUEST, port.space_of_page[page], port.vpn[page], root, np.int64(port.guest_order[page]) // 9)
    known = begin < root and not pwc.dmt  # a combined entry says where in host memory the table is
    walk_on(pwc, port, page, begin, known, guest_missing, data_missing)


@inner
def walk_on(pwc: Pwc, port: Port, page: Int, begin: Int, known: Int, guest_missing: Int, data_missing: Int) -> None:
    """Go on as `walk_both` from the guest's table at level ``begin``; ``known`` says that its host frame is."""
    lowest = np.int64(port.guest_order[page]) // 9
    space, vpn = port.space_of_page[page], port.vpn[page]
    last = lowest - 1 if data_missing >= 0 and port.dimensions == 2 else lowest + guest_missing  # below the lowest: the data
    for level in range(begin, last - 1, -1):
        data = level < lowest
        if not data and not is_read(pwc, GUEST, level, lowest):
            continue
        frame = np.int64(port.frame_of_page[page] if data else port.guest_frames[port.guest_row[page], level])
        if port.dimensions == 2 and not (known and level == begin):
            port.context[ROW] = DATA_ROW if data else HOST_ROW
            cached = CACHED - pwc.dmt if data else CACHED
            walk_host(pwc, port, frame, data_missing if data else NONE_MISSING, cached)
        if data:
            break
        hfn = np.int64(port.hfn_of_frame[frame]) if port.dimensions == 2 else frame
        index = vpn >> (9 * level)
        if not found_entry(pwc, port, GUEST, space, hfn, index, level, lowest):
            read_entry(port, GUEST, hfn, index, level)
        if level > lowest + guest_missing:
            keep_entry(pwc, port.context[0], GUEST, space, vpn, level)
            keep_single(pwc, port.context[0], GUEST, space, hfn, index)
