"""What references to memory wait for each other: the bandwidth of nodes and of the links between them.

A node's memory is so many equal banks, over which lines are spread evenly, and a link is one server. Each serves a line in a fixed
time, those that come at random in turn (M/D/1), so a line waits ``service * load / (2 * (1 - load))`` on the average (Pollaczek and
Khinchine; of memory: Gulur et al., SIGMETRICS'14, recalled). Waiting makes programs slower, and slower programs ask for less: the
two meet where the loads that come of the waits are those that make them. There a load stays below 1, whatever is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import CapacityError

Floats = NDArray[np.float64]
LINE = 64  #: bytes
FULL = 1 - 1e-9  #: the most that a load can be
ROUNDS, HALVINGS, CLOSE = 200, 60, 1e-10


class Machine(NamedTuple):
    """What memory can give.

    Attributes
    ----------
    bandwidths : (nodes, nodes) float64
        Bytes a second: of each node's memory on the diagonal, else of the link from a node's CPUs (row) to a node's memory.
    background : (nodes,) float64
        Bytes a second that somebody else asks of each node's memory.
    banks : int
        Of a node.
    ghz : float
    cpus : int
        Of all nodes.
    """

    bandwidths: Floats
    background: Floats
    banks: int
    ghz: float
    cpus: int


def waiting_ns(load: Floats, service_ns: Floats | float) -> Floats:
    """Mean time that a line waits at a server of fixed service time, where lines come at random (M/D/1).

    Parameters
    ----------
    load : float64
        Share of the time in which the server is busy, below 1.
    service_ns : float64
    """
    return np.asarray(service_ns * load / (2 * (1 - load)), np.float64)


def waits(
    machine: Machine, traffic: NDArray[np.int64], vcpus: NDArray[np.int64], cycles: Callable[[Floats], Floats]
) -> tuple[Floats, Floats]:
    """Find how long references wait, in each epoch.

    Parameters
    ----------
    machine : Machine
    traffic : (vms, epochs, nodes, nodes) int64
        References to memory by node of CPU and of memory. Epochs of all VMs are taken to go on at once.
    vcpus : (vms,) int64
        Of each VM; all of them run, as far as there are CPUs.
    cycles : callable
        Cycles (vms, epochs) of all vCPUs, given what a reference waits (epochs, nodes, nodes; ns); linear.

    Returns
    -------
    waits : (epochs, nodes, nodes) float64
        ns, of a reference from a node's CPUs (row) to a node's memory: on the link and in the bank.
    loads : (epochs, nodes, nodes) float64
        Share of its bandwidth that each node's memory (diagonal) and each link gives.

    Raises
    ------
    CapacityError
        If more is asked for than there is by who doesn't wait for it.
    """
    nodes, epochs = machine.background.size, traffic.shape[1]
    free, own = np.zeros((epochs, nodes, nodes)), np.eye(nodes, dtype=bool)
    base = cycles(free)
    used = [tuple(pair) for pair in np.argwhere(traffic.any(axis=(0, 1)))]
    slower = np.zeros((nodes, nodes, *base.shape))  # cycles for each ns that references of a pair wait
    for pair in used:
        unit = free.copy()
        unit[:, pair[0], pair[1]] = 1.0
        slower[pair] = cycles(unit) - base
    at_once = vcpus * min(1.0, machine.cpus / vcpus.sum())
    asked = np.where(own, traffic.sum(axis=2, keepdims=True), traffic).astype(np.float64)  # lines, by what they go through
    answer = np.where(own[:, :, None, None], slower.sum(axis=0)[None], slower)  # cycles for each ns of a wait there
    given = np.where(own, machine.background, 0.0) / machine.bandwidths
    service_ns = np.where(own, machine.banks, 1) * LINE / machine.bandwidths * 1e9
    loads = np.broadcast_to(given, free.shape).copy()

    def asked_for(place: tuple[int, ...], load: Floats, others: Floats) -> Floats:
        """Load of a place that comes of a load there, the waits elsewhere being as they are."""
        time = others + answer[place] * waiting_ns(load, service_ns[place])
        rate = asked[:, :, place[0], place[1]] * at_once[:, None] * machine.ghz * 1e9 / np.maximum(time, 1e-9)
        return np.asarray(given[place] + rate.sum(axis=0) * LINE / machine.bandwidths[place], np.float64)

    places = [tuple(place) for place in np.argwhere(asked.any(axis=(0, 1)))]
    for _ in range(ROUNDS):
        before = loads.copy()
        for place in places:
            total = base + sum(answer[each] * waiting_ns(loads[:, each[0], each[1]], service_ns[each]) for each in places)
            others = total - answer[place] * waiting_ns(loads[:, place[0], place[1]], service_ns[place])
            low, high = np.full(epochs, given[place]), np.full(epochs, FULL)
            for _ in range(HALVINGS):
                middle = (low + high) / 2
                more = asked_for(place, middle, others) > middle
                low, high = np.where(more, middle, low), np.where(more, high, middle)
            loads[:, place[0], place[1]] = high
        if np.abs(loads - before).max() < CLOSE:
            break
    if loads.max() >= FULL:
        node = np.argwhere(loads >= FULL)[0][-1]
        why = "too little waits for it (cpu.walk_shown, cpu.data_shown)"
        raise CapacityError(f"more is asked of node {node} than numa.bandwidths gives, and {why}")
    each = waiting_ns(loads, service_ns)
    in_bank = np.where(own, each, 0.0).sum(axis=1, keepdims=True)
    return np.where(own, 0.0, each) + in_bank, loads
