"""What stages hand on, as data: a description in JSON, then the arrays' bytes.

Reading makes numbers, texts, arrays and the records of `memvirt.types`, and runs nothing: a file names no class that isn't in
this schema and no function at all, as a pickle does. What the schema doesn't know is refused, in writing as in reading.

Encoded, a value is the length of its description (``<u8``), the description, and the arrays, each from a multiple of `ALIGN`
on. None, booleans, integers, floats and texts are described by themselves, the rest by an object of one key:

- ``{"array": [dtype, shape, place]}``: numpy's name of a plain dtype, ours of a structured one; a scalar's shape is null;
- ``{"list": [...]}``, ``{"tuple": [...]}``, ``{"dict": {...}}``;
- ``{"Schedule": [...]}``: a record, its fields in order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt import types
from memvirt.errors import MemvirtError

ALIGN = 64  #: numba compiles kernels anew for arrays that aren't aligned

#: What can stand in a file: records and structured dtypes that cross rooms, and plain dtypes.
RECORDS: dict[str, Any] = {
    name: each
    for name, each in vars(types).items()
    if isinstance(each, type) and issubclass(each, tuple) and hasattr(each, "_make")
}
DTYPES: dict[str, np.dtype[Any]] = {
    name: each for name, each in vars(types).items() if isinstance(each, np.dtype) and each.names is not None
}
DTYPES |= {name: np.dtype(name) for name in ["bool", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"]}
_NAMES = {each: name for name, each in DTYPES.items()}


class EncodingError(MemvirtError):
    """A value that the schema doesn't know, or bytes that hold none."""


def encode(value: Any) -> list[bytes | memoryview]:
    """Write a value as bytes, in pieces, so that no array is copied.

    Raises
    ------
    EncodingError
    """
    pieces: list[bytes | memoryview] = []
    end = 0

    def place(array: NDArray[Any]) -> int:
        nonlocal end
        whole = np.ascontiguousarray(array)
        gap = -end % ALIGN
        pieces.extend((bytes(gap), whole.reshape(-1).view(np.uint8).data if whole.size else b""))
        begin, end = end + gap, end + gap + whole.nbytes
        return begin

    text = json.dumps(_describe(value, place), separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % ALIGN)
    return [len(text).to_bytes(8, "little"), text, *pieces]


def _describe(value: Any, place: Callable[[NDArray[Any]], int]) -> Any:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype not in _NAMES:
            raise EncodingError(f"no dtype of the schema: {value.dtype}")
        shape = None if isinstance(value, np.generic) else value.shape
        return {"array": [_NAMES[value.dtype], shape, place(np.asarray(value))]}
    if type(value) is dict and all(type(name) is str for name in value):
        return {"dict": {name: _describe(part, place) for name, part in value.items()}}
    name = type(value).__name__
    if type(value) in (list, tuple) or RECORDS.get(name) is type(value):
        return {name: [_describe(part, place) for part in value]}
    raise EncodingError(f"no type of the schema: {name}")


def decode(data: NDArray[np.uint8]) -> Any:
    """The value that bytes hold; its arrays are views of them, and read-only.

    Raises
    ------
    EncodingError
    """
    data = data.view()
    data.setflags(write=False)
    begin = 8 + int.from_bytes(data[:8].tobytes(), "little")
    if not 8 < begin <= data.size:
        raise EncodingError("the description isn't whole")
    try:
        return _made(json.loads(data[8:begin].tobytes()), data[begin:])
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError) as wrong:
        raise EncodingError(f"{type(wrong).__name__}: {wrong}") from wrong


def _made(text: Any, arrays: NDArray[np.uint8]) -> Any:
    if not isinstance(text, dict):
        if isinstance(text, list):
            raise TypeError("a list isn't described")
        return text
    ((kind, parts),) = text.items()
    if kind == "array":
        return _array(parts, arrays)
    if kind == "dict":
        return {name: _made(part, arrays) for name, part in parts.items()}
    values = [_made(part, arrays) for part in parts]
    if kind in ("list", "tuple"):
        return values if kind == "list" else tuple(values)
    if kind not in RECORDS:
        raise EncodingError(f"no record of the schema: {kind}")
    return RECORDS[kind]._make(values)


def _array(parts: Any, arrays: NDArray[np.uint8]) -> Any:
    name, shape, begin = parts
    if name not in DTYPES:
        raise EncodingError(f"no dtype of the schema: {name}")
    dtype = DTYPES[name]
    sizes = [] if shape is None else shape
    if not all(type(number) is int and number >= 0 for number in (begin, *sizes)):
        raise EncodingError("a shape or place isn't one")
    end = begin + math.prod(sizes) * dtype.itemsize
    if begin % ALIGN or end > arrays.size:
        raise EncodingError("an array isn't whole")
    array = arrays[begin:end].view(dtype).reshape(sizes)
    return array[()] if shape is None else array
