"""A trace: what it touches when, how much memory so many accesses touch, and what TLBs of each size would miss."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import LogNorm
from numpy.typing import NDArray

from memvirt.drawing.style import DASHES, subplots, use


def curves(
    window: NDArray[np.int64],
    working_set: NDArray[np.float64],
    missed: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]],
    touched: NDArray[np.int64],
    accesses: int,
    pages: int,
) -> Any:
    """Draw three panels.

    Parameters
    ----------
    window, working_set : (n,)
        Accesses, and the mean number of 4K pages that so many touch.
    missed : dict
        By page size: entries, and share of accesses that miss so many.
    touched : (times, places) int64
        Accesses by time, and by place among the touched pages.
    accesses, pages : int
        Of the trace.

    Returns
    -------
    matplotlib.figure.Figure
    """
    use()
    figure, (left, middle, right) = subplots(1, 3, figsize=(13, 3.9))
    seen = np.ma.masked_equal(touched.T, 0)
    drawn = left.imshow(seen, origin="lower", aspect="auto", cmap="viridis", norm=LogNorm(), extent=(0, accesses, 0, pages))
    left.grid(False)
    left.set(xlabel="access", ylabel="touched 4K page, in the order of address")
    figure.colorbar(drawn, ax=left, label="accesses in a cell")
    middle.plot(window, working_set * 4096 / (1 << 20))
    middle.set(xscale="log", yscale="log", xlabel="window (accesses)", ylabel="mean working set (MiB of 4K pages)")
    for number, (size, (entries, share)) in enumerate(missed.items()):
        right.plot(entries, share, drawstyle="steps-post", dashes=DASHES[number], label=f"{size} pages")
    right.set(xscale="log", yscale="log", xlabel="entries of a fully associative LRU TLB", ylabel="share of accesses that miss")
    right.legend()
    return figure
