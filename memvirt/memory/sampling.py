"""How much of its memory a VM uses, estimated by watching a few of its pages (Waldspurger, OSDI'02, section 5.3).

At the start of each period the host picks pages of each VM at random and drops their mappings, so that the first access to one is a
fault that it sees; the share of them that was touched estimates the share of memory in use, with a standard error of
sqrt(f (1 - f) / n). Three moving averages of it are kept: a slow one, a fast one, and the fast one as it would be if the period
under way ended now. The largest counts, so that the estimate rises at once and falls slowly. The paper doesn't give the averages'
gains; they are options. A page is one that holds something of the guest's, in memory, compressed or on swap; not a page table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.counters import Counter
from memvirt.errors import ConfigError
from memvirt.jit import inner, inner_apart
from memvirt.memory.options import a_count, a_part, a_period
from memvirt.memory.state import NOTHING, TABLE_FRAME, Now, World
from memvirt.random import below
from memvirt.typing import Int

OPTIONS = ("period", "samples", "slow", "fast")
COUNTERS = (Counter("host_sampling_ns", "ns", doc="CPU time of the host that samples which pages are active"),)

SINCE_BACKED, SINCE_SAMPLED, SINCE_AGED = np.int64(1), np.int64(2), np.int64(4)  #: the bits of `FRAME.accessed`
MOST_SAMPLES = 10_000  #: of a VM: the standard error is then half of one per cent, and more would take the host's time
DRAWS = 64  #: guest frames looked at for one that holds something


class Sampler(NamedTuple):
    """What is known of each VM.

    Attributes
    ----------
    period_ns, due_ns : (1,) float64
        Length of a period in background time; when the one under way ends.
    gain : (2,) float64
        Weight of a period in the slow and the fast average.
    chosen : (vms, samples) int64
        Frames that are watched, `NOTHING` where none was found.
    average : (vms, 2) float64
        The slow and the fast average of the share touched; negative before the first period's end.
    rng : (1,) uint64
    """

    period_ns: NDArray[np.float64]
    due_ns: NDArray[np.float64]
    gain: NDArray[np.float64]
    chosen: NDArray[np.int64]
    average: NDArray[np.float64]
    rng: NDArray[np.uint64]


def make_sampler(options: object, vms: int, seed: int) -> Sampler:
    """A sampler that has seen nothing yet, from the options of ``reclaim.sampling``.

    Raises
    ------
    ConfigError
    """
    key = "reclaim.sampling"
    if not isinstance(options, Mapping) or set(options) != set(OPTIONS):
        raise ConfigError(key, str(options), "is a mapping of these keys", list(OPTIONS))
    gains = [a_part(f"{key}.{name}", options[name], "1 that the last period weighs") for name in ("slow", "fast")]
    period, samples = a_period(f"{key}.period", options["period"]), a_count(f"{key}.samples", options["samples"], MOST_SAMPLES)
    return Sampler(
        np.array([period]),
        np.zeros(1),
        np.array(gains, np.float64),
        np.full((vms, samples), NOTHING),
        np.full((vms, 2), -1.0),
        np.array([seed], np.uint64),
    )


@inner
def holds_something(world: World, number: Int) -> bool:
    """Whether a guest frame has contents that the host keeps, and is no page table's."""
    frame = world.frames[number]
    return frame.role != TABLE_FRAME and (frame.hfn != NOTHING or frame.swapped != 0 or frame.packed != 0)  # type: ignore[no-any-return]


@inner_apart
def choose_pages(sampler: Sampler, world: World, vm: Int) -> Int:
    """Watch other pages of a VM from now on; how many."""
    first, span = np.int64(world.vms[vm].frame_base), np.int64(world.bumps[2 * vm].block)
    found = 0
    for place in range(sampler.chosen.shape[1]):
        sampler.chosen[vm, place] = NOTHING
        for _ in range(DRAWS):
            number = first + below(sampler.rng, span)
            if number < world.frames.size and holds_something(world, number):
                sampler.chosen[vm, place] = number
                world.frames[number].accessed &= ~SINCE_SAMPLED
                found += 1
                break
    return found


@inner_apart
def touched_share(sampler: Sampler, world: World, vm: Int) -> float:
    """Share of the watched pages of a VM that was touched; negative if none is watched."""
    touched, watched = 0, 0
    for place in range(sampler.chosen.shape[1]):
        number = sampler.chosen[vm, place]
        if number != NOTHING:
            watched += 1
            touched += (world.frames[number].accessed & SINCE_SAMPLED) != 0
    return touched / watched if watched > 0 else -1.0


@inner
def moved(average: float, share: float, gain: float) -> float:
    """An average after one more period; the first is taken as it is."""
    return share if average < 0 else average + gain * (share - average)


@inner_apart
def estimate_active(sampler: Sampler, world: World, now: Now) -> None:
    """Estimate each VM's active pages from what was touched so far; begin another period if this one is over."""
    over = now.time_ns >= sampler.due_ns[0]
    for vm in range(world.vms.size):
        guest, average = world.vms[vm], sampler.average[vm]
        share = touched_share(sampler, world, vm)
        if share >= 0:
            present = moved(average[1], share, sampler.gain[1])
            if over:
                average[0] = moved(average[0], share, sampler.gain[0])
                average[1] = present
            active = max(average[0], average[1], present)
            guest.active = active * (guest.resident + guest.swapped + guest.compressed)
        if over:
            watched = choose_pages(sampler, world, np.int64(vm))
            world.counts[np.int64(vm), np.int64(guest.epoch)].host_sampling_ns += np.int64(watched * world.rules[0].sample_ns)
    if over:
        sampler.due_ns[0] = now.time_ns + sampler.period_ns[0] / world.rules[0].speedup
