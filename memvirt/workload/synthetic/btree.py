"""Look-ups of random keys in a B+ tree, laid out in memory as the BTree of Mitosis (ASPLOS'20) and vMitosis has it.

Keys were inserted in random order, so that nodes are ln 2 full (Yao, Acta Informatica 9, 1978) and lie anywhere, as records and
elements do. A node is a struct of 56 bytes in a slab, its keys and its pointers are lines on the heap; a leaf's pointer leads to a
record of 32 bytes, and that to an element of 64. A look-up reads a node's struct, keys and pointer, level by level; half of the
keys that are looked for are there: then the record, whose count of finds it raises, and the element. The benchmark's public source
gives all keys one value, so that its tree is one leaf; here each key is one of its own, as its stride between keys would have it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.errors import ConfigError
from memvirt.random import scramble
from memvirt.types import WRITE
from memvirt.workload.synthetic import below, draws

OPTIONS: dict[str, Any] = {"order": 6}
DEPENDENCE = 0.67  #: a struct's address is read from the node above, that of its keys and pointers from the struct
ELEMENT, RECORD, NODE, ARRAYS, LINE = 64, 32, 56, 128, 64  #: bytes
LEAST, MOST = 3, 4096  #: of an order


def check(order: int) -> None:
    """Refuse an order that no tree has.

    Raises
    ------
    ConfigError
    """
    if isinstance(order, bool) or not isinstance(order, int) or not LEAST <= order <= MOST:
        raise ConfigError("workload.order", order, f"must be a number of pointers of a node, {LEAST} to {MOST}")


def levels_of(pages: int, order: int) -> tuple[int, list[int]]:
    """Elements that fit into so many pages with their records and nodes, and nodes by level, root first."""
    held, children = max(1.0, math.log(2) * (order - 1)), max(2.0, math.log(2) * order)
    arrays = 2 * -(-order * 8 // LINE) * LINE
    each = ELEMENT + RECORD + (NODE + arrays) / held * children / (children - 1)
    elements = max(1, int(pages * 4096 / each) - 1)
    nodes = [max(1, int(elements / held))]
    while nodes[-1] > 1:
        nodes.append(max(1, int(nodes[-1] / children)))
    return elements, nodes[::-1]


def make(pages: int, seed: int, order: int) -> Any:
    """Accesses of the workload: of two look-ups the first finds its key, the second doesn't."""
    elements, nodes = levels_of(pages, order)
    depth, before = len(nodes), np.concatenate([[0], np.cumsum(nodes)])
    arrays = -(-order * 8 // LINE) * LINE
    records = elements * ELEMENT
    slab = records + elements * RECORD
    heap = slab + int(before[-1]) * NODE
    found, missed = 3 * depth + 2, 3 * depth - 1
    last = pages * 4096 - 1

    def address(key: NDArray[np.uint64], step: NDArray[np.int64]) -> NDArray[np.int64]:
        level, part = np.minimum(step // 3, depth - 1), step - 3 * np.minimum(step // 3, depth - 1)
        node = before[level] + ((key >> np.uint64(11)).astype(np.float64) / 2.0**53 * np.array(nodes)[level]).astype(np.int64)
        place = below(scramble(node.astype(np.uint64)), int(before[-1])).astype(np.int64)
        index = below(scramble(key), elements).astype(np.int64)
        choices = [slab + place * NODE, heap + 2 * place * arrays, heap + (2 * place + 1) * arrays]
        return np.select([part == each for each in range(4)], [*choices, records + index * RECORD], index * ELEMENT)

    def generate(first: int, end: int) -> Any:
        access = np.arange(first, end)
        pair, place = access // (found + missed), access % (found + missed)
        late = (place >= found).astype(np.int64)
        low = int(pair[0]) if pair.size else 0
        keys = draws(seed, 0, 2 * low, 2 * (int(pair[-1]) + 1) if pair.size else 0)
        step = place - late * found
        where = np.minimum(address(keys[2 * (pair - low) + late], step), last)
        line = (where >> 6 & 63) | np.where(step == 3 * depth, WRITE, 0)
        return (where >> 12).astype(np.uint32), line.astype(np.uint8)

    return generate
