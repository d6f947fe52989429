"""Conditions over keys that say which combinations are possible: a small part of Python's expressions, and no calls."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from memvirt.errors import ConfigError

_ALLOWED = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE,
    ast.Gt, ast.GtE, ast.In, ast.NotIn, ast.Is, ast.IsNot, ast.BinOp, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod,
    ast.Constant, ast.Name, ast.Attribute, ast.Tuple, ast.List, ast.Load,
)  # fmt: skip
_CONSTANTS = {"true": True, "false": False, "null": None}


class _Keys(ast.NodeTransformer):
    """Turns dotted names into look-ups."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def _dotted(self, node: ast.expr) -> str:
        if isinstance(node, ast.Attribute):
            return f"{self._dotted(node.value)}.{node.attr}"
        if isinstance(node, ast.Name):
            return node.id
        raise SyntaxError("a dot may only stand in a key")

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return self._look_up(node)

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in _CONSTANTS:
            return ast.copy_location(ast.Constant(_CONSTANTS[node.id]), node)
        return self._look_up(node)

    def _look_up(self, node: ast.Attribute | ast.Name) -> ast.expr:
        key = self._dotted(node)
        if key not in self.found:
            self.found.append(key)
        look_up = ast.Subscript(ast.Name("values", ast.Load()), ast.Constant(key), ast.Load())
        return ast.fix_missing_locations(ast.copy_location(look_up, node))


class Constraint:
    """A condition over keys.

    Parameters
    ----------
    text : str
        Such as ``mmu != 'native' or overcommit.ratio <= 1.5``.
    name : str
        The key that it is a value of, for messages.

    Attributes
    ----------
    keys : list of str
        That it reads.

    Raises
    ------
    ConfigError
        If it isn't one.
    """

    def __init__(self, text: str, name: str = "plan.constraints") -> None:
        self.text, self.name = str(text), name
        keys = _Keys()
        try:
            tree = ast.parse(self.text.strip(), mode="eval")
            for node in ast.walk(tree):
                if not isinstance(node, _ALLOWED):
                    raise SyntaxError(f"{type(node).__name__} can't stand in it")
            self._code = compile(ast.fix_missing_locations(keys.visit(tree)), "constraint", "eval")
        except (SyntaxError, ValueError) as wrong:
            why = wrong.msg if isinstance(wrong, SyntaxError) else str(wrong)
            raise ConfigError(
                name, self.text, f"is not a condition ({why}); write one like mmu != 'native' or overcommit.ratio <= 1.5"
            ) from None
        self.keys = keys.found

    def holds(self, value: Callable[[str], Any]) -> bool:
        """Whether it holds for the values that a function gives for its keys.

        Raises
        ------
        ConfigError
            If they can't be compared.
        """
        values = {key: value(key) for key in self.keys}
        try:
            return bool(eval(self._code, {"__builtins__": {}}, {"values": values}))
        except (TypeError, ZeroDivisionError) as wrong:
            said = ", ".join(f"{key} is {each!r}" for key, each in values.items())
            raise ConfigError(self.name, self.text, f"can't be told where {said}: {wrong}") from None


def read_constraints(listed: Any, name: str = "plan.constraints") -> list[Constraint]:
    """Read a list of conditions; one alone may stand without the list.

    Raises
    ------
    ConfigError
    """
    if isinstance(listed, str):
        listed = [listed]
    if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
        raise ConfigError(name, listed, "must be a list of conditions, each a text")
    return [Constraint(each, name) for each in listed]
