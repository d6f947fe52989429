"""What a key's declaration says: its text, and the kind of its values.

A key of a section is a field of its model: type, bounds and choices are the field's, and the text is the string that stands
below it. A key of a policy's own stands in its YAML file, and the text is the comment on its line. A text begins with the unit
of a number in brackets, ``[pages]``, where its type doesn't tell; ``[1]`` is a plain number. The strings are read from the
source, so that nothing is spent on them when a model is made.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from itertools import pairwise
from math import log2
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from memvirt.config import parse_size, parse_time_ns

UNITS = {parse_size: "bytes", parse_time_ns: "ns"}
WORDS = {int: "number", float: "number", str: "text", "bytes": "size", "ns": "time"}  #: for what has neither bounds nor choices


def texts(model: type[BaseModel]) -> dict[str, str]:
    """The strings below a model's fields, inherited ones too, by field."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if not issubclass(each, BaseModel) or each is BaseModel:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0].body  # type: ignore[attr-defined]
        for field, below in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
                found[field.target.id] = inspect.cleandoc(below.value.value)  # type: ignore[union-attr, arg-type]
    return found


def comments(path: Path) -> dict[str, str]:
    """Comments of a YAML file's lines, by the key that stands there, dotted."""
    found, outer = {}, [(-1, "")]
    for line in path.read_text().splitlines():
        match = re.match(r"(\s*)(?:- )?(\w+):(?: .*?)??(?:\s#\s(.*))?$", line)
        if match is None:
            continue
        depth, name, text = len(match[1]), match[2], match[3]
        while outer[-1][0] >= depth:
            outer.pop()
        outer.append((depth, f"{outer[-1][1]}{name}."))
        if text:
            found[outer[-1][1][:-1]] = text.strip()
    return found


def split(text: str | None, where: str, key: str, needs_unit: bool) -> tuple[str, str]:
    """The unit and the rest of a text.

    Raises
    ------
    ValueError
        If there is no text, or no unit of a number.
    """
    match = re.fullmatch(r"(?:\[(.+?)\] )?(.+)", " ".join((text or "").split()))
    if match is None:
        raise ValueError(f"{key} has no text in {where}")
    if needs_unit and match[1] is None:
        raise ValueError(f"{key} is a number, and its text in {where} doesn't begin with a unit, such as [pages]")
    return match[1] or "", match[2].removesuffix(".").replace("``", "`").replace("|", "\\|")


class Kind(NamedTuple):
    """What a field's type says: choices, bounds, unit; whether it is a number that has none yet."""

    choices: tuple[str, ...] = ()
    bounds: tuple[str, ...] = ()
    unit: str = ""
    is_number: bool = False


def as_number(value: float) -> str:
    """A bound, large powers of two and of ten as such."""
    if value >= 1 << 16 and value == 2 ** round(log2(value)):
        return f"2^{round(log2(value))}"
    return re.sub(r"e\+?(-?)0?", r"e\1", f"{value:.10g}" if value < 1_000_000 else f"{value:g}")


def kind_of(annotation: Any, metadata: tuple[Any, ...] = ()) -> Kind:
    """Read a type."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        more = [bound for each in args[1:] for bound in (each.metadata if isinstance(each, FieldInfo) else [each])]
        return kind_of(args[0], (*more, *metadata))
    if origin in (Union, UnionType):
        parts = [kind_of(each, metadata if each is not NoneType else ()) for each in args]
        choices = tuple(dict.fromkeys(name for part in parts for name in part.choices))
        bounds = tuple(dict.fromkeys(bound for part in parts for bound in part.bounds))
        return Kind(choices, bounds, next((part.unit for part in parts if part.unit), ""), any(part.is_number for part in parts))
    if annotation is NoneType:
        return Kind(("null",))
    if annotation is bool:
        return Kind(("true", "false"))
    if origin is Literal:
        return Kind(tuple(str(each) for each in args))
    unit = next((UNITS[each.func] for each in metadata if getattr(each, "func", None) in UNITS), "")
    signs = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
    bounds = tuple(
        f"{sign} {as_number(getattr(each, name))}"
        for name, sign in signs
        for each in metadata
        if getattr(each, name, None) is not None
    )
    is_number = annotation in (int, float)
    word = WORDS.get(unit) or WORDS.get(annotation)
    return Kind((), bounds or ((word,) if word else ()), unit, is_number and not unit)


def values_of(kind: Kind) -> str:
    """What a key can be, in a cell."""
    whole = [*([" and ".join(each for each in kind.bounds)] if kind.bounds else []), *(f"`{each}`" for each in kind.choices)]
    return ", ".join(whole)


def kind_of_value(value: Any, limit: Any = None, is_mode: bool = False) -> Kind:
    """What a default, and a policy's ``OPTIONS``, say of a key: as `memvirt.mmu.config.check_option` holds a mode to it."""
    if isinstance(limit, tuple):
        return Kind(tuple(str(each) for each in limit))
    if isinstance(value, bool):
        return Kind(("true", "false"))
    if isinstance(value, int | float):
        is_share = is_mode and isinstance(limit, float) and limit <= 1
        return Kind((), ("number",) if limit is None else ("≥ 0", "≤ 1") if is_share else ("≥ 0",), "", True)
    if isinstance(value, str):
        is_time = re.fullmatch(r"[\d.]+(ns|us|ms|s)", value) is not None
        return Kind((), ("time" if is_time else "text",), "ns" if is_time else "")
    return Kind(("null",) if value is None else ())
