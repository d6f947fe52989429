"""Where something that holds at low ratios ceases to: a scan upwards to the first failure, then bisection.

Slowdown need not grow with the ratio (a policy may wake up at one and do better), so a scan comes first; what is looked for is the
highest ratio below the first failure that is known. The scan goes on for so many ratios as it is told; what held there is told.
Beyond a cliff hosts thrash, which takes long to simulate, and nobody asked how much.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

DIGITS = 6  #: of a ratio, so that the same one is always the same point


class Verdict(NamedTuple):
    """What became of a mix at a ratio.

    Attributes
    ----------
    ratio : float
    why : str
        Why it failed: ``slowdown``, ``stalled`` (slowed as well), an error, ``crashed``, ``timeout``; empty if it didn't.
    vm : int
        The one that is worst off; -1 if nobody knows.
    slowdown : float
        Its, in per cent; NaN if there is no result.
    measure : str
        Of what: `p99 epoch` or `peak` of a page life, whichever is worse, or `run`.
    throughput : float
        Mean over the VMs of their speed by that without overcommitment.
    point_id : str
    """

    ratio: float
    why: str
    vm: int
    slowdown: float
    measure: str
    throughput: float
    point_id: str


class Hunt:
    """The search for one cliff.

    Attributes
    ----------
    tried : dict of Verdict
        By ratio.
    tolerance : float
        How near to the cliff it goes.
    scan : sequence of float
        Ratios to try first, ascending.
    beyond : int
        How many of them it goes on for after the first that failed.
    """

    def __init__(self, tolerance: float, scan: Sequence[float] = (), beyond: int = 0) -> None:
        self.tried: dict[float, Verdict] = {}
        self.tolerance, self.scan, self.beyond = tolerance, scan, beyond

    def tell(self, verdict: Verdict) -> None:
        """Learn what became of a ratio."""
        self.tried[verdict.ratio] = verdict

    @property
    def failed(self) -> Verdict | None:
        """The lowest ratio that failed."""
        return next((self.tried[ratio] for ratio in sorted(self.tried) if self.tried[ratio].why), None)

    @property
    def safe(self) -> Verdict | None:
        """The highest ratio below that."""
        end = self.failed.ratio if self.failed else float("inf")
        return max((verdict for verdict in self.tried.values() if verdict.ratio < end), default=None)

    @property
    def again(self) -> list[float]:
        """Ratios beyond the first failure that didn't fail."""
        end = self.failed.ratio if self.failed else float("inf")
        return [ratio for ratio in sorted(self.tried) if ratio > end and not self.tried[ratio].why]

    def ask(self) -> float | None:
        """Say which ratio to try next; None when the cliff is known closely enough, or isn't in sight."""
        left = [ratio for ratio in self.scan if ratio > max(self.tried, default=0.0)]
        if left and (self.failed is None or sum(ratio > self.failed.ratio for ratio in self.tried) < self.beyond):
            return left[0]
        if self.failed is None or self.safe is None or round(self.failed.ratio - self.safe.ratio, DIGITS) <= self.tolerance:
            return None
        return round((self.safe.ratio + self.failed.ratio) / 2, DIGITS)
