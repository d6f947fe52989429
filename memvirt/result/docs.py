"""The table of columns in docs/config.md, made of what declares them: ``python -m memvirt.result.docs docs/config.md``."""

from __future__ import annotations

import sys
from pathlib import Path

from memvirt.counters import Column, Counter, of_policies
from memvirt.result.rows import COUNTING, columns
from memvirt.result.table import ABOUT

BEGIN, END = "<!-- columns: made by memvirt.result.docs -->", "<!-- end of columns -->"
FEW = 13  #: names that are all written out


def title(column: Counter | Column) -> str:
    """A column's name, or what several have in common and differ in."""
    if not column.over:
        return f"`{column.name}`"
    shown = column.over if len(column.over) <= FEW else (column.over[0], "…", column.over[-1])
    return f"`{column.name.replace('{}', '…')}`: " + ", ".join(each if each == "…" else f"`{each}`" for each in shown)


def where(column: Column) -> str:
    """Which table has a column, if not both."""
    return "" if len(column.tables) > 1 else f"{column.tables[0]} only"


def table() -> str:
    """One row a column: memvirt's own, without plug-ins'."""
    policies = {each.name: name for room in COUNTING for name, found in of_policies(room).items() for each in found}
    found = dict.fromkeys([*ABOUT, *columns("epochs"), *columns("results")])
    lines = ["| column | unit | of a run | of a host | what it is |", "|---|---|---|---|---|"]
    for each in sorted(found, key=lambda each: place(each)):
        if isinstance(each, Counter):
            alone = f"; of `{policies[each.name]}` alone, null elsewhere" if each.name in policies else ""
            lines.append(f"| {title(each)} | {each.unit} | {each.epochs} | {each.vms} | {each.doc}{alone} |")
        else:
            lines.append(f"| {title(each)} | {each.unit} | {where(each)} | | {each.doc} |")
    return "\n".join(lines)


def place(column: Counter | Column) -> int:
    """A column's place: that of the table which has more of its kind."""
    order = [*ABOUT, *columns("results"), *(each for each in columns("epochs") if each not in columns("results"))]
    return order.index(column)


def put_between(text: str, begin: str, end: str, content: str) -> str:
    """Put what is generated between two marks of a text."""
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"the marks {begin} and {end} are not there")
    return f"{before}{begin}\n{content}\n{end}{after}"


def filled(text: str) -> str:
    """A text with the table between its two marks."""
    return put_between(text, BEGIN, END, table())


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(filled(Path(name).read_text()))
