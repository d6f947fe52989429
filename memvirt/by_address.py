"""Named tuples that kernels hand each other by address.

numba hands a tuple on by its parts, word by word: a kernel's state of two hundred words is taken apart and put together again
at each call, which was half of the intermediate code of the memory room. One that is marked here is laid down once, where Python
calls; from there on kernels pass its address, and load what they use.
"""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models, register_default  # type: ignore[attr-defined]
from numba.core.extending import lower_getattr_generic, typeof_impl, unbox
from numba.core.pythonapi import NativeValue
from numba.core.typing.templates import AttributeTemplate, infer_getattr

C = TypeVar("C", bound=type)


class ByAddress(types.Type):
    """Type of a marked named tuple in kernels.

    Parameters
    ----------
    instance_class : type
    parts : tuple of numba types
        Of its fields.
    """

    def __init__(self, instance_class: type, parts: tuple[types.Type, ...]) -> None:
        self.instance_class, self.types = instance_class, parts
        code = hashlib.blake2b(", ".join(map(str, parts)).encode(), digest_size=8).hexdigest()
        super().__init__(f"{instance_class.__module__}.{instance_class.__qualname__}-{code}")

    def place(self, field: str) -> int:
        """Where a field stands; -1 if there is none of that name."""
        fields: tuple[str, ...] = self.instance_class._fields  # type: ignore[attr-defined]
        return fields.index(field) if field in fields else -1


def by_address(cls: C) -> C:
    """Have kernels hand a named tuple's instances on by address. Only Python makes them, and kernels count no references."""
    typeof_impl.register(cls)(_typeof)
    return cls


def _typeof(value: Any, context: Any) -> ByAddress:
    return ByAddress(type(value), tuple(typeof_impl(part, context) for part in value))


@register_default(ByAddress)
class _Address(models.OpaqueModel):
    """An address; what is there, see `_layout`."""


@infer_getattr
class _Fields(AttributeTemplate):
    key = ByAddress

    def generic_resolve(self, kind: ByAddress, field: str) -> types.Type | None:  # type: ignore[override]
        place = kind.place(field)
        return kind.types[place] if place >= 0 else None


def _layout(context: Any, kind: types.Type) -> Any:
    """How a type lies in memory: what is marked itself, within what holds it."""
    if isinstance(kind, ByAddress):
        return ir.LiteralStructType([_layout(context, part) for part in kind.types])
    return context.get_value_type(kind)


@lower_getattr_generic(ByAddress)
def _load(context: Any, builder: Any, kind: ByAddress, value: Any, field: str) -> Any:
    place = kind.place(field)
    there = cgutils.gep_inbounds(builder, builder.bitcast(value, _layout(context, kind).as_pointer()), 0, place)
    if isinstance(kind.types[place], ByAddress):
        return builder.bitcast(there, value.type)
    return builder.load(there)


@unbox(ByAddress)
def _lay_down(kind: ByAddress, value: Any, c: Any) -> NativeValue:
    there = cgutils.alloca_once(c.builder, _layout(c.context, kind))
    failed = cgutils.alloca_once_value(c.builder, cgutils.false_bit)
    _fill(kind, value, c, there, failed)
    return NativeValue(c.builder.bitcast(there, cgutils.voidptr_t), is_error=c.builder.load(failed))


def _fill(kind: ByAddress, value: Any, c: Any, there: Any, failed: Any) -> None:
    for place, part in enumerate(kind.types):
        here, item = cgutils.gep_inbounds(c.builder, there, 0, place), c.pyapi.tuple_getitem(value, place)
        if isinstance(part, ByAddress):
            _fill(part, item, c, here, failed)
            continue
        native = c.unbox(part, item)
        with c.builder.if_then(native.is_error, likely=False):
            c.builder.store(cgutils.true_bit, failed)
        c.builder.store(native.value, here)
