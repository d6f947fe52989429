"""What is in a guest's pages: zeros, an image that VMs have in common, what one VM has several times, the rest; how it compresses.

Contents are numbers: equal numbers are equal contents, 0 is a page of zeros. A page keeps what it began with until it is written;
each write makes contents that were never there before. How many pages are alike in real guests: Waldspurger, OSDI'02, section 4.4;
Gupta et al., Difference Engine, OSDI'08, table 1; Barker et al., ATC'12, who find most of it within one machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner
from memvirt.memory.config import Contents
from memvirt.memory.state import World
from memvirt.random import mix64, scramble
from memvirt.typing import Int

ZEROS = 0
REPEATED, PRIVATE, WRITTEN, IMAGE = 1 << 39, 1 << 40, 1 << 42, 1 << 50  #: where the numbers of each kind begin
IMAGE_SIZE = 1 << 32  #: numbers that an image has to itself


def _hash(number: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Hash numbers, as `splitmix64` would count them out from ``seed``."""
    return np.asarray(scramble(number * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)), np.uint64)


def first_contents(config: Contents, image: int, first: int, pages: int) -> NDArray[np.int64]:
    """Number the contents that a VM's pages begin with.

    Parameters
    ----------
    config : Contents
    image : int
        Number of the VM's image.
    first : int
        Number of the VM's first page among all VMs', by which private contents are told apart.
    pages : int

    Returns
    -------
    (pages,) int64
    """
    number = np.arange(pages, dtype=np.uint64)
    draw = (_hash(number, config.seed + 1) >> np.uint64(11)).astype(np.float64) / 2.0**53
    distinct = config.distinct
    of_image = number if distinct is None else _hash(number, config.seed) % np.uint64(distinct)
    private = PRIVATE + first + np.arange(pages, dtype=np.int64)
    common = IMAGE + image * IMAGE_SIZE + of_image.astype(np.int64)
    shared = config.zero + config.common
    again = np.flatnonzero((draw >= shared) & (draw < shared + config.repeated))
    last = np.minimum((np.arange(again.size) // config.repeats + 1) * config.repeats, again.size) - 1  # of those of equal contents
    private[again] = REPEATED + first + again[last]
    return np.where(draw < config.zero, ZEROS, np.where(draw < shared, common, private))


@inner
def compressed_size(world: World, frame: Int) -> Int:
    """Bytes that a guest frame's contents take when compressed, 4096 at the most.

    A share ``fits_1k`` of contents takes up to 1 KiB, a share ``fits_2k`` up to 2 KiB, evenly spread; so do the others up to 4 KiB.
    """
    held = world.frames[frame]
    if held.content == ZEROS:
        return np.int64(64)
    guest = world.vms[held.vm]
    draw = np.float64(mix64(np.uint64(held.content) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(11)) / 9007199254740992.0
    if draw < guest.fits_1k:
        return np.int64(64 + 960 * draw / guest.fits_1k)
    draw -= guest.fits_1k
    if draw < guest.fits_2k:
        return np.int64(1025 + 1023 * draw / guest.fits_2k)
    draw -= guest.fits_2k
    return np.int64(2049 + 2047 * draw / (1 - guest.fits_1k - guest.fits_2k))
