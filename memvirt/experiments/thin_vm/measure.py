"""A thin VM that is moved to another socket: what follows it, and what it costs meanwhile."""

from __future__ import annotations

import pandas as pd

EPOCHS = True  #: what is measured here are epochs
MOVED, EPOCH = 300.0, 10.0  #: s after which the VM is moved, and of an epoch
END = 5  #: epochs before the move, and before the last one, that stand for what lasts
NOBODY, DATA, GUEST, ALL = "nothing follows", "data follow", "guest's memory follows, EPT stays", "data and all tables follow"
#: What is said of each design: when and where memory is scanned, and where guests' and the host's tables go.
DESIGNS = {
    NOBODY: ("1000s", "guest", "as_data", "local"),
    DATA: ("1s", "guest", "as_data", "local"),
    GUEST: ("1s", "host", "as_data", "local"),
    ALL: ("1s", "guest", "migrated", "migrated"),
}
KEYS = ["numa.migration.delay", "numa.migration.where", "numa.guest_tables", "numa.host_tables"]
SHARES = {"data": "remote_accesses", "guest's tables": "guest_tables_remote", "EPT": "host_tables_remote"}


def points() -> pd.DataFrame:
    """The designs."""
    return pd.DataFrame(DESIGNS.values(), columns=KEYS)


def timelines(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Run time over that with all local and nothing scanned, and local shares, over time (s) since the start, of each design."""
    found, alone = {}, float("nan")
    for name, said in DESIGNS.items():
        alike = [frame[key].astype(str) == value for key, value in zip(KEYS, said, strict=True)]
        rows = frame[pd.concat(alike, axis=1).all(axis=1)]
        if len(rows) == 0:
            continue
        rows = rows.sort_values("epoch")
        time = rows["epoch"].to_numpy() * EPOCH
        if name == NOBODY:
            alone = rows["slowdown"].to_numpy()[(time < MOVED) & (time >= MOVED - END * EPOCH)].mean()
        shares = {kind: 1 - (rows[column] / rows["accesses"]).to_numpy() for kind, column in SHARES.items()}
        found[name] = pd.DataFrame({"run time": rows["slowdown"].to_numpy() / alone, **shares}, index=time)
    return found


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Run time at the end over that with all local, and when (s after the move) nine tenths of the data are local again."""
    found = timelines(frame)
    numbers = {f"thin {name}": float(rows["run time"].iloc[-END - 1 : -1].mean()) for name, rows in found.items()}
    for name in (DATA, GUEST, ALL):
        if name in found:
            rows = found[name]
            back = rows.index[(rows.index > MOVED) & (rows["data"] > 0.9)]
            numbers[f"thin data local: {name}"] = float(back[0] - MOVED) if len(back) else float("inf")
    if ALL in found:
        rows = found[ALL]
        back = rows.index[(rows.index > MOVED + EPOCH) & (rows["EPT"] > 0.9)]
        numbers["thin tables after data"] = (
            float(back[0] - MOVED) - numbers[f"thin data local: {ALL}"] if len(back) else float("-inf")
        )
    return numbers
