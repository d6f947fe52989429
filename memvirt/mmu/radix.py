"""Walks of radix tables, which most modes are made of: one dimension, the host's behind a guest frame, and both."""

from __future__ import annotations

from typing import Any

import numpy as np

from memvirt.jit import kernel
from memvirt.mmu.port import FRAME_BASE, GUEST, HOST, HOST_SPACE, Port, read_entry
from memvirt.mmu.pwc import Pwc, first_level, keep_entry

NONE_MISSING, CACHED = np.int64(0), np.int64(1)


@kernel
def walk_tables(
    pwc: Pwc, port: Port, dimension: int, space: int, number: int, frames: Any, lowest: int, missing: int, cached: int
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
        read_entry(port, dimension, frames[level], number >> (9 * level))
        if cached and level > lowest + missing:
            keep_entry(pwc, port.now[0], dimension, space, number, level)


@kernel
def walk_host(pwc: Pwc, port: Port, frame: int, missing: int, cached: int) -> None:
    """Translate a global guest frame through the host's tables (nothing for an identity host)."""
    if port.host_frames.shape[1] == 0:
        return
    lowest = port.order_of_frame[frame] // 9
    gfn = frame - port.now[FRAME_BASE]
    walk_tables(pwc, port, HOST, port.now[HOST_SPACE], gfn, port.host_frames[frame >> 9], lowest, missing, cached)


@kernel
def walk_guest(pwc: Pwc, port: Port, page: int, missing: int) -> None:
    """Walk the guest's tables where they map straight to host frames."""
    lowest = port.guest_order[page] // 9
    frames = port.guest_frames[port.guest_row[page]]
    walk_tables(pwc, port, GUEST, port.space_of_page[page], port.vpn[page], frames, lowest, missing, CACHED)


@kernel
def walk_both(pwc: Pwc, port: Port, page: int, guest_missing: int, data_missing: int) -> None:
    """Walk in two dimensions: each guest table through the host's tables first, the data page's frame last.

    ``data_missing`` is what the host's tables lack of the way to the data page; it is -1 where the guest's
    fault ends the walk before.
    """
    top = port.guest_frames.shape[1] - 1
    lowest = port.guest_order[page] // 9
    space, vpn = port.space_of_page[page], port.vpn[page]
    begin = first_level(pwc, port, GUEST, space, vpn, top, lowest)
    for level in range(begin, lowest + guest_missing - 1, -1):
        frame = port.guest_frames[port.guest_row[page], level]
        hfn = frame
        if port.dimensions == 2:
            combined = level == begin and level < top and not pwc.dmt
            if not combined:  # a combined entry says where in host memory the table is
                walk_host(pwc, port, frame, NONE_MISSING, CACHED)
            hfn = port.hfn_of_frame[frame]
        read_entry(port, GUEST, hfn, vpn >> (9 * level))
        if level > lowest + guest_missing:
            keep_entry(pwc, port.now[0], GUEST, space, vpn, level)
    if data_missing >= 0 and port.dimensions == 2:
        walk_host(pwc, port, port.frame_of_page[page], data_missing, CACHED - pwc.dmt)
