"""What tests of sweeps share: calls, plans and engines without the command line around them, and what a sweep leaves and starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from memvirt.pipeline.layout import Layout
from memvirt.sweep.call import Call, read_call
from memvirt.sweep.engine.engine import Engine
from memvirt.sweep.executor.local import Serial
from memvirt.sweep.plan.plan import Plan
from memvirt.sweep.store.block import from_bytes, results_schema
from memvirt.sweep.store.journal import read_entries

SMALL = ("workload=zipf", "workload.accesses=6000", "workload.footprint=2MiB", "vms.count=2")


def called(*words: str) -> Call:
    """A call, without the command line around it."""
    return read_call(words)


def planned(*words: str) -> Plan:
    """The plan of a call."""
    return called(*words).plan()


def table(folder: Path) -> pd.DataFrame:
    """A sweep's rows, sorted."""
    return pd.read_parquet(folder / "results.parquet").sort_values(["point_id", "vm"]).reset_index(drop=True)


def engine_rows(plan: Plan, numbers: range | None = None, **options: Any) -> tuple[dict[str, Any], Engine]:
    """Rows or failure of each point of a plan by its id, through the engine, and the engine."""
    layout = Layout()
    results: dict[int, list[int]] = {}
    ids: dict[int, str] = {}
    for number in numbers if numbers is not None else range(len(plan)):
        point, ids[number] = plan.point(number)
        results.setdefault(layout.add(point).number, []).append(number)
    blocks: dict[str, list[dict[str, Any]]] = {}
    keys: dict[int, str] = {}
    failed: dict[str, Any] = {}

    def finished(block: Any, pairs: list[tuple[list[int], str]]) -> None:
        if block is not None:
            for row in from_bytes(block.results, results_schema()).to_pylist():
                blocks.setdefault(row.pop("key"), []).append(row)
        keys.update({number: key for numbers, key in pairs for number in numbers})

    executor = options.pop("executor", None) or Serial()
    engine = Engine(layout, results, executor, finished, lambda n, why: failed.__setitem__(ids[n], why), **options)
    engine.run()
    assert set(keys.values()) <= set(blocks) | engine.known
    return {ids[number]: blocks.get(key) for number, key in keys.items()} | failed, engine


def descendants(pid: int) -> list[int]:
    """Processes below one, Linux's way."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            child = int(path.parent.name)
            found += [child, *descendants(child)]
    return found


def foreign_listeners(pid: int) -> list[str]:
    """Addresses beyond loopback on which a process or one below it listens for TCP."""
    sockets = set()
    for each in [pid, *descendants(pid)]:
        try:
            links = [str(link.readlink()) for link in Path(f"/proc/{each}/fd").iterdir()]
        except OSError:
            continue
        sockets |= {link[8:-1] for link in links if link.startswith("socket:[")}
    found = []
    for kind in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{kind}").read_text().splitlines()[1:]:
            fields = line.split()
            local, state, inode = fields[1].rpartition(":")[0], fields[3], fields[9]
            loopback = local == "0100007F" or local in ("0" * 24 + "01000000", "0" * 16 + "FFFF00000100007F")
            if state == "0A" and inode in sockets and not loopback:
                found.append(fields[1])
    return found


def points_in(journal: Path) -> int:
    """How many points a journal holds."""
    return sum(len(entry.about["points"]) for _, entry in read_entries(journal)) if journal.exists() else 0
