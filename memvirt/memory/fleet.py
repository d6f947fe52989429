"""A fleet of VMs: members that say how many there are of them, and a table with a row a kind."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from memvirt.errors import ConfigError

MOST = 4096  #: VMs


def _value(cell: str) -> Any:
    """A cell as a key's value: a number, true or false, or a text, such as a size."""
    text = cell.strip()
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def read_fleet(path: str) -> list[dict[str, Any]]:
    """Read a fleet's table: CSV, a column a key, one below a member's workload or contents as ``workload.footprint``.

    A column ``name`` says what a row is, to who reads it; an empty cell leaves the common value.

    Raises
    ------
    ConfigError
        If there is no such table, or none of VMs.
    """
    try:
        with Path(path).open(newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
    except (OSError, csv.Error, UnicodeDecodeError) as wrong:
        why = wrong.strerror if isinstance(wrong, OSError) else f"is no CSV: {wrong}"
        raise ConfigError("vms.path", path, f"can't be read: {why}") from None
    if not rows:
        raise ConfigError("vms.path", path, "has no row of VMs below its line of keys")
    members = []
    for number, row in enumerate(rows, 2):
        member: dict[str, Any] = {}
        for key, cell in row.items():
            if key is None or cell is None:
                raise ConfigError("vms.path", f"{path}, line {number}", "has not as many cells as the first line has keys")
            if not cell.strip() or key.strip() == "name":
                continue
            section, dot, below = key.strip().partition(".")
            if not dot:
                member[section] = {"name": cell.strip(), **member.get(section, {})} if section == "workload" else _value(cell)
            else:
                member.setdefault(section, {})[below] = _value(cell)
        members.append(member)
    return members


def each_vm(members: list[Any], where: str) -> list[Any]:
    """Members so often as their ``count`` says.

    Raises
    ------
    ConfigError
    """
    found: list[Any] = []
    for number, member in enumerate(members):
        if not isinstance(member, Mapping) or "count" not in member:
            found.append(member)
            continue
        count = member["count"]
        if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= MOST:
            raise ConfigError(f"{where}[{number}].count", count, f"must be a whole number from 1 to {MOST:,}")
        found += [{key: value for key, value in member.items() if key != "count"}] * count
    if len(found) > MOST:
        raise ConfigError(where, len(found), f"are more VMs than {MOST:,}")
    return found
