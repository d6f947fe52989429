"""What each VM may hold of memory that doesn't suffice for all: proportional shares, with a tax on idle memory.

Min-funding revocation takes a page from the VM that pays the fewest shares a page, where an idle page costs k = 1 / (1 - tax)
times as much as one in use (Waldspurger, OSDI'02, sections 5.1 and 5.2): rho = S / (P (f + k (1 - f))), f P being the active
pages. Page after page that ends where all pay the same, except those that their reservation, their limit or their demand holds
elsewhere. That end is worked out here at once: there is a price of a share at which together the VMs can pay for just what there
is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import inner, kernel_apart
from memvirt.typing import Int

HALVINGS = 64  #: of the interval that the price lies in


class Claims(NamedTuple):
    """What each VM brings, and what it gets.

    Attributes
    ----------
    shares, active : (vms,) float64
        Shares; pages in use, which are not taxed.
    least, demand, most : (vms,) float64
        Pages reserved for it, pages that it would hold now if it could, and the most that it may.
    target : (vms,) float64
        Pages that it may hold.
    """

    shares: NDArray[np.float64]
    active: NDArray[np.float64]
    least: NDArray[np.float64]
    demand: NDArray[np.float64]
    most: NDArray[np.float64]
    target: NDArray[np.float64]


def make_claims(vms: int) -> Claims:
    """Room for the claims of so many VMs."""
    return Claims(*(np.zeros(vms) for _ in Claims._fields))


@inner
def affordable(claims: Claims, vm: Int, price: float, idle_cost: float) -> float:
    """Pages that a VM can pay for if a share pays for ``price`` active ones, but no fewer than are reserved."""
    budget, active = claims.shares[vm] * price, claims.active[vm]
    pages = budget if budget <= active else active + (budget - active) / idle_cost
    return min(max(pages, claims.least[vm]), claims.most[vm])  # type: ignore[no-any-return]


@kernel_apart
def divide(claims: Claims, available: float, tax: float) -> None:
    """Set each VM's target, out of ``available`` pages; nobody is bounded by others if there is enough for all demands.

    A VM that demands less than it could pay for holds what it demands, and its target is what it could pay for.
    """
    idle_cost, vms = 1.0 / (1.0 - tax), claims.shares.size
    demand, low, high = 0.0, 0.0, 0.0
    for vm in range(vms):
        demand += claims.demand[vm]
        high = max(high, claims.most[vm] * idle_cost / claims.shares[vm])
    if demand <= available:
        low = high
    for _ in range(HALVINGS if demand > available else 0):
        price = (low + high) / 2
        held = 0.0
        for vm in range(vms):
            held += min(affordable(claims, np.int64(vm), price, idle_cost), claims.demand[vm])
        if held > available:
            high = price
        else:
            low = price
    for vm in range(vms):
        claims.target[vm] = affordable(claims, np.int64(vm), low, idle_cost)
