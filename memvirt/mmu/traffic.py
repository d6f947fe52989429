"""References to memory by node pair, and on which nodes the tables lie that a mode adds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import ConfigError
from memvirt.jit import inner
from memvirt.memory.placement import choose_node
from memvirt.memory.placement._turns import OF_CPU, Turns, make_turns
from memvirt.types import ON_EVERY, READ_KINDS, Nodes, Schedule
from memvirt.typing import Int

if TYPE_CHECKING:
    from memvirt.mmu.port import Port

DATA, GUEST_TABLES, SHADOW_TABLES = np.int64(0), np.int64(1), np.int64(3)
MOST_BYTES = 1 << 30  #: of counts by node pair


def make_traffic(schedule: Schedule, nodes: int) -> NDArray[np.int64]:
    """Counts of 0 by VM, epoch, kind, and node of CPU and memory; nothing where there is one node.

    Raises
    ------
    ConfigError
        If there are too many epochs to count them all.
    """
    if nodes == 1:
        return np.zeros((0, 0, 0, 0, 0), np.int64)
    shape = (schedule.vms, schedule.epochs, len(READ_KINDS), nodes, nodes)
    if 8 * np.prod(shape, dtype=object) > MOST_BYTES:
        why = f"with {schedule.vms} VMs of {schedule.epochs:,} epochs makes over 1 GiB of counts by node pair; make epochs longer"
        raise ConfigError("numa.nodes", nodes, why)
    return np.zeros(shape, np.int64)


def remote(traffic: NDArray[np.int64]) -> NDArray[np.int64]:
    """References to other nodes.

    Parameters
    ----------
    traffic : (vms, epochs, kinds, nodes, nodes) int64

    Returns
    -------
    (vms, epochs, kinds) int64
    """
    return np.asarray(traffic.sum(axis=(3, 4)) - np.trace(traffic, axis1=3, axis2=4))


def turns_of(tables: str, nodes: int, data: Turns | None) -> Turns:
    """Where the tables go that a mode adds (`numa.shadow_tables`), given where the data go.

    Raises
    ------
    ConfigError
        Where they are to follow data whose placement isn't made of turns.
    """
    if tables.isdigit():
        return make_turns([int(tables)])
    if tables == "as_data":
        if not isinstance(data, Turns):
            raise ConfigError("numa.shadow_tables", tables, "can't follow a numa.placement of a plug-in: say where they go")
        return make_turns(data.nodes.tolist())
    return make_turns({"interleave": range(nodes), "replicated": [ON_EVERY]}.get(tables, [OF_CPU]))


def home_nodes(schedule: Schedule, nodes: Nodes) -> NDArray[np.int64]:
    """Node of the first CPU that each VM runs on.

    Returns
    -------
    (vms,) int64
    """
    vms, first = np.unique(schedule.runs["vm"], return_index=True)
    homes = np.zeros(schedule.vms, np.int64)
    homes[vms] = nodes.node_of_cpu[schedule.runs["cpu"][first]]
    return homes


def place_frames(port: Port, vm: int, first: int, count: int) -> None:
    """Put frames of tables that a mode makes for a VM at the start on their nodes."""
    turns = port.added
    chosen = turns.nodes[(turns.turn[0] + np.arange(count)) % turns.nodes.size]
    port.node_of_hfn[first : first + count] = np.where(chosen < 0, port.home_of_vm[vm], chosen)
    turns.turn[0] = (turns.turn[0] + count) % turns.nodes.size


@inner
def place_table(port: Port, hfn: Int, node: Int) -> None:
    """Put a table that a mode adds while a CPU of ``node`` runs on its node."""
    port.node_of_hfn[hfn] = choose_node(port.added, node, np.int64(port.traffic.shape[3]))


@inner
def note_reference(traffic: NDArray[np.int64], vm: Int, epoch: Int, kind: Int, node: Int, home: Int) -> None:
    """Count a reference from a CPU of ``node`` to memory of node ``home``; to the own node's replica where there is one on each."""
    traffic[vm, epoch, kind, node, node if home == ON_EVERY else home] += 1
