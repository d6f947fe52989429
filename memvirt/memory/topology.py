"""Nodes and how far they are from each other: fallback orders as Linux makes them, and what ``numactl -H`` prints."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.digest import file_stamp
from memvirt.errors import ConfigError

LOCAL, REMOTE = 10, 20  #: distances where none are given: Linux's LOCAL_DISTANCE and REMOTE_DISTANCE
MOST_NODES = 64
MOST_DISTANCE = 255  #: of an entry of a SLIT
WITH_CPUS = 1  #: PENALTY_FOR_NODE_WITH_CPUS
LOADS = 1 << 10  #: MAX_NUMNODES: what a step of distance is worth in loads


class Topology(NamedTuple):
    """What a machine's ``numactl -H`` says.

    Attributes
    ----------
    cpus : tuple of int
        CPUs of each node.
    memory : tuple of int
        Bytes of each node.
    distances : tuple of tuples of int
    """

    cpus: tuple[int, ...]
    memory: tuple[int, ...]
    distances: tuple[tuple[int, ...], ...]


def plain_distances(nodes: int) -> NDArray[np.int64]:
    """Distances where all other nodes are equally far."""
    return np.where(np.eye(nodes, dtype=bool), LOCAL, REMOTE).astype(np.int64)


def fallback_order(distances: NDArray[np.int64], has_cpus: Sequence[bool]) -> NDArray[np.int64]:
    """Order in which each node's allocations try the nodes, as Linux's `build_zonelists` has it (mm/page_alloc.c, since 5.16).

    The nearest node comes first; one with a lower number counts as a step farther, and one with CPUs too; of those
    equally far the one that fewer nodes have first among equals so far.

    Parameters
    ----------
    distances : (nodes, nodes) int64
    has_cpus : sequence of bool

    Returns
    -------
    (nodes, nodes) int64
    """
    nodes = len(has_cpus)
    load = np.zeros(nodes, np.int64)
    order = np.zeros((nodes, nodes), np.int64)
    for node in range(nodes):
        order[node, 0], left, before = node, [other for other in range(nodes) if other != node], node
        for place in range(1, nodes):
            farness = [(int(distances[node, n]) + (n < node) + WITH_CPUS * bool(has_cpus[n])) * LOADS + int(load[n]) for n in left]
            best = left.pop(int(np.argmin(farness)))
            if distances[node, best] != distances[node, before]:
                load[best] += 1
            order[node, place] = before = best
    return order


def check_node(key: str, node: Any, nodes: int) -> int:
    """A node's number.

    Raises
    ------
    ConfigError
        If there is no such node.
    """
    if isinstance(node, bool) or not isinstance(node, int) or not 0 <= node < nodes:
        raise ConfigError(key, node, f"there is no such node among the {nodes} of numa.nodes", [str(each) for each in range(nodes)])
    return node


def as_bits(key: str, chosen: Sequence[int], nodes: int) -> int:
    """Nodes as bits.

    Raises
    ------
    ConfigError
        If there are none, or one that there isn't.
    """
    if isinstance(chosen, str | int) or not chosen:
        raise ConfigError(key, chosen, "must list at least one node, such as [0]")
    return sum(1 << check_node(key, node, nodes) for node in set(chosen))


def check_matrix(key: str, matrix: Sequence[Sequence[float]] | None, nodes: int) -> None:
    """Refuse a matrix of node pairs that isn't square.

    Raises
    ------
    ConfigError
    """
    if matrix is not None and (len(matrix) != nodes or any(len(row) != nodes for row in matrix)):
        raise ConfigError(key, matrix, f"must have a row for each of the {nodes} nodes of numa.nodes, and a column too")


def check_distances(distances: Sequence[Sequence[int]], nodes: int) -> None:
    """Refuse distances that no SLIT holds.

    Raises
    ------
    ConfigError
    """
    check_matrix("numa.distances", distances, nodes)
    for node, row in enumerate(distances):
        for other, distance in enumerate(row):
            if (distance != LOCAL) if other == node else not LOCAL < distance < MOST_DISTANCE:
                why = (
                    f"must be {LOCAL} from each node to itself, and from {LOCAL + 1} to {MOST_DISTANCE - 1} to others (ACPI, SLIT)"
                )
                raise ConfigError("numa.distances", distances, f"{why}: node {node} has {distance} to node {other}")


def parse_numactl(text: str, key: str = "numa.path", name: str = "") -> Topology:
    """Read what ``numactl -H`` prints.

    Raises
    ------
    ConfigError
        If it isn't that.
    """

    def wrong(why: str) -> ConfigError:
        return ConfigError(key, name, f"isn't what numactl -H prints: {why}")

    cpus = {int(node): len(each.split()) for node, each in re.findall(r"^node (\d+) cpus:(.*)$", text, re.M)}
    sizes = {int(node): int(size) << 20 for node, size in re.findall(r"^node (\d+) size: *(\d+) MB", text, re.M)}
    table = re.search(r"^node distances:\s*\n node\s*([\d ]*)\n?|^node distances:\s*\nnode\s+([\d ]+)\n", text, re.M)
    rows = {int(node): tuple(map(int, each.split())) for node, each in re.findall(r"^ *(\d+): +([\d ]+)$", text, re.M)}
    if not cpus:
        raise wrong("no line says 'node 0 cpus:'")
    nodes = range(len(cpus))
    if len(cpus) > MOST_NODES:
        raise wrong(f"it has more than {MOST_NODES} nodes")
    if table is None:
        raise wrong("there is no 'node distances:'")
    for what, found in (("cpus", cpus), ("size", sizes), ("distances", rows)):
        if sorted(found) != list(nodes):
            raise wrong(f"'{what}' are not of nodes 0 to {len(cpus) - 1}, one line each")
    distances = tuple(rows[node] for node in nodes)
    check_distances(distances, len(cpus))
    return Topology(tuple(cpus[node] for node in nodes), tuple(sizes[node] for node in nodes), distances)


def read_numactl(path: str) -> Topology:
    """As `parse_numactl`, of a file, remembered while it doesn't change.

    Raises
    ------
    ConfigError
    """
    file = Path(path)
    try:
        return _known(file, file_stamp(file))
    except (OSError, UnicodeDecodeError) as why:
        raise ConfigError("numa.path", path, f"can't be read: {why}") from why


@lru_cache(maxsize=8)
def _known(path: Path, stamp: tuple[int, int]) -> Topology:
    return parse_numactl(path.read_text(), name=str(path))
