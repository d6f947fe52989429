"""What kernels work on, as a type checker sees it: whole numbers, and tables of records whose fields are declared once.

A record is a class whose fields are annotated with the kinds below; numpy's and numba's type of it follows (`dtype_of`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Any, Protocol, TypeAlias, TypeVar, get_type_hints, overload

import numpy as np
from numpy.typing import NDArray

#: A whole number in a kernel: a literal or an element of an array; numba compiles for the type that it gets.
Int: TypeAlias = int | np.signedinteger[Any]

I1: TypeAlias = Annotated[Int, "<i1"]
I2: TypeAlias = Annotated[Int, "<i2"]
I4: TypeAlias = Annotated[Int, "<i4"]
I8: TypeAlias = Annotated[Int, "<i8"]
U1: TypeAlias = Annotated[Int, "u1"]
U2: TypeAlias = Annotated[Int, "<u2"]
U4: TypeAlias = Annotated[Int, "<u4"]
U8: TypeAlias = Annotated[Int, "<u8"]
F8: TypeAlias = Annotated[float, "<f8"]
TwoI4: TypeAlias = Annotated[NDArray[np.int32], "<i4", (2,)]

R = TypeVar("R", covariant=True)


class Records(Protocol[R]):
    """A table of records (`numpy.recarray`): a row by its number, a column by its name."""

    @property
    def size(self) -> int:
        """How many rows there are."""

    @property
    def shape(self) -> tuple[int, ...]:
        """As numpy has it."""

    def __iter__(self) -> Iterator[R]: ...
    @overload
    def __getitem__(self, row: Int | np.unsignedinteger[Any]) -> R: ...
    @overload
    def __getitem__(self, rows: Any) -> Any: ...
    def __getattr__(self, column: str) -> Any: ...
    def __setattr__(self, column: str, values: Any) -> None: ...


@cache
def dtype_of(record: type) -> np.dtype[Any]:
    """Numpy's type of a record: its fields in the order of their declaration, aligned as a C compiler would."""
    hints = get_type_hints(record, include_extras=True)
    return np.dtype([(name, *hint.__metadata__) for name, hint in hints.items()], align=True)
