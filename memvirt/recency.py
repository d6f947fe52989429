"""A set that keeps its tags in order of recency, the most recent first: exact LRU, looked up and brought up to date as one vector.

A search that stops at the hit, and a loop that moves the tags before it, take a mispredicted branch or two and a step a way. Here a
set is compared with a tag, shifted and written back by a dozen instructions, whatever was found and wherever. LLVM makes them
fit the processor: one vector register where that has 512 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 16  #: the most ways of a set


def _plain(tags: Any, at: Any, ways: Any, tag: Any, empty: Any, enters: Any) -> bool:
    """Look a tag up in a set of up to `LANES` ways, and bring it to the front.

    Parameters
    ----------
    tags : (rows, width) or (n,) unsigned or int64
    at : uint64
        Place of the set's first way, rows counted one after the other.
    ways : int64
    tag, empty : of the type of ``tags``
        What is looked for; what an invalid way holds.
    enters : bool
        Whether a tag that isn't there is entered, over the first invalid way, or else the least recent one.

    Returns
    -------
    bool
        Whether it was there.
    """
    row = tags.reshape(-1)[int(at) : int(at) + int(ways)]
    found = np.flatnonzero(row == tag)
    if found.size == 0 and not enters:
        return False
    place = int([*found, *np.flatnonzero(row == empty), len(row) - 1][0])
    row[1 : place + 1] = row[:place].copy()
    row[0] = tag
    return found.size > 0


def _in_kernels(context: Any, tags: Any, at: Any, ways: Any, tag: Any, empty: Any, enters: Any) -> Any:
    """Type of the same for numba, and its code."""
    signature = types.boolean(tags, types.uint64, types.int64, tags.dtype, tags.dtype, types.boolean)
    return signature, _generate


def _generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    array, at, ways, tag, empty, enters = arguments
    word = context.get_data_type(signature.args[0].dtype)
    vector, mask, bits = ir.VectorType(word, LANES), ir.VectorType(ir.IntType(1), LANES), ir.IntType(LANES)
    index = ir.IntType(32)
    zero, one, undefined = bits(0), bits(1), ir.Constant(vector, ir.Undefined)

    def intrinsic_of(name: str, result: Any, *parts: Any) -> Any:
        kind, name = ir.FunctionType(result, parts), f"llvm.masked.{name}.v{LANES}i{word.width}.p0"
        return cgutils.get_or_insert_function(builder.module, kind, name)  # type: ignore[no-untyped-call]

    def first_of(value: Any) -> Any:
        return builder.insert_element(undefined, value, index(0))

    def places_of(value: Any) -> Any:
        everywhere = builder.shuffle_vector(
            first_of(value), undefined, ir.Constant(ir.VectorType(index, LANES), [index(0)] * LANES)
        )
        return builder.and_(builder.bitcast(builder.icmp_unsigned("==", row, everywhere), bits), inside)

    last = builder.shl(one, builder.sub(builder.trunc(ways, bits), one))
    inside = builder.or_(last, builder.sub(last, one))
    lanes = builder.bitcast(inside, mask)
    data = context.make_array(signature.args[0])(context, builder, array).data
    place, aligned = builder.bitcast(builder.gep(data, [at]), vector.as_pointer()), index(word.width // 8)
    row = builder.call(
        intrinsic_of("load", vector, place.type, index, mask, vector), [place, aligned, lanes, ir.Constant(vector, None)]
    )
    hits = places_of(tag)
    found = builder.icmp_unsigned("!=", hits, zero)
    entered = builder.select(enters, builder.or_(places_of(empty), last), zero)
    chosen = builder.select(found, hits, entered)
    upto = builder.xor(chosen, builder.sub(chosen, one))  # the lowest bit, and those below it; all if there is none
    moved = builder.select(builder.icmp_unsigned("!=", chosen, zero), upto, zero)
    order = ir.Constant(ir.VectorType(index, LANES), [index(0), *(index(LANES + way) for way in range(LANES - 1))])
    shifted = builder.shuffle_vector(first_of(tag), row, order)
    after = builder.select(builder.bitcast(moved, mask), shifted, row)
    builder.call(intrinsic_of("store", ir.VoidType(), vector, place.type, index, mask), [after, place, aligned, lanes])
    return found


bring_first: Any = _plain if config.DISABLE_JIT else intrinsic(_in_kernels)  # type: ignore[attr-defined]
