"""Stands in for the room's core until that has shared host frames: guest frames, host frames, share and break."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from memvirt.jit import kernel

FRAME = np.dtype([("content", "<i8"), ("hfn", "<i4"), ("order", "<i4")], align=True)
HOST_FRAME = np.dtype([("refs", "<i4"), ("owner", "<i4"), ("stable", "<i4"), ("next_free", "<i4")], align=True)
MACHINE = np.dtype([("fresh", "<i8"), ("free", "<i8")], align=True)


class World(NamedTuple):
    """What a scanner sees of the host."""

    frames: Any
    host_frames: Any
    machine: Any


class Now(NamedTuple):
    """The moment."""

    time_ns: float


def make_world(contents: Any) -> World:
    """Each guest frame has a host frame of its own; all content numbers ≥ 0 are taken to be below 2⁶²."""
    frames = np.zeros(contents.size, FRAME)
    frames["content"], frames["hfn"] = contents, np.arange(contents.size)
    host_frames = np.zeros(contents.size, HOST_FRAME)
    host_frames["refs"], host_frames["owner"] = 1, np.arange(contents.size)
    return World(frames.view(np.recarray), host_frames.view(np.recarray), np.array([(1 << 62, -1)], MACHINE).view(np.recarray))


@kernel
def release(world: World, frame: int) -> None:
    """Unmap a guest frame's host frame; if no other maps that, it is free and no merged page any more."""
    hfn = world.frames[frame].hfn
    world.frames[frame].hfn = -1
    host = world.host_frames[hfn]
    host.refs -= 1
    if host.refs == 0:
        host.stable = 0
        host.next_free = world.machine[0].free
        world.machine[0].free = hfn
    elif host.owner == frame:
        other = 0
        while world.frames[other].hfn != hfn:
            other += 1
        host.owner = other


@kernel
def share(world: World, now: Now, frame: int, kept: int) -> None:
    """Map the host page behind ``kept``, merged from now on, in place of a frame's own; large ones are split."""
    split(world, now, frame)
    split(world, now, kept)
    release(world, frame)
    hfn = world.frames[kept].hfn
    world.frames[frame].hfn = hfn
    world.host_frames[hfn].refs += 1
    world.host_frames[hfn].stable = 1


@kernel
def split(world: World, now: Now, frame: int) -> None:
    """Split the large host page behind a frame."""
    order = world.frames[frame].order
    first = frame >> order << order
    for number in range(first, first + (1 << order)):
        world.frames[number].order = 0


@kernel
def write(world: World, now: Now, frame: int) -> None:
    """Write something never seen to a frame; a scanner's page is left to the others and copied."""
    page, machine = world.frames[frame], world.machine[0]
    page.content = machine.fresh
    machine.fresh += 1
    if world.host_frames[page.hfn].stable:
        release(world, frame)
        hfn = machine.free
        machine.free = world.host_frames[hfn].next_free
        host = world.host_frames[hfn]
        host.refs, host.owner, host.stable = 1, frame, 0
        page.hfn = hfn
