"""Asking for a place in memory before it is needed: what a walk will read is known from the list of misses, long before."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic


def _nothing(array: Any, at: Any) -> None:
    """Have an element of an array brought near; ``at`` counts rows one after the other, and may be anything."""


def _in_kernels(context: Any, array: Any, at: Any) -> Any:
    """Type of the same for numba, and its code."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(builder.gep(data, [arguments[1]]), cgutils.voidptr_t)
        number = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")  # type: ignore[no-untyped-call]
        builder.call(fetch, [place, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


prefetch: Any = _nothing if config.DISABLE_JIT else intrinsic(_in_kernels)  # type: ignore[attr-defined]
