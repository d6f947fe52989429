"""GUPS in a guest of fragmented memory: walk cycles, and run times by where the guest's tables and the EPT are."""

from __future__ import annotations

import pandas as pd

from memvirt.experiments.pending import pending, shown

#: The more fragmented EPT was that of the runs whose guest tables are local, the other that of those whose aren't.
TABLES_LOCAL, TABLES_REMOTE = -1, 0


def measure(frame: pd.DataFrame) -> dict[str, float]:
    """Walk cycles a touch with all local, and run time over that; of one state of the host's memory, and of each run's own."""
    numbers = {}
    states = [part.sort_values("cpu.memory") for _, part in frame.groupby("host.fragmentation")]
    cycles = [[pending(row) for _, row in part.iterrows()] for part in (states[TABLES_LOCAL], states[TABLES_REMOTE])]
    row = states[TABLES_LOCAL].iloc[0]
    time, waits = float(row["cycles"] / row["accesses"]), shown(row)
    ((local, one), (other, two)) = (rows for rows in cycles)
    numbers["frag guest walk"], numbers["frag EPT walk"] = local
    numbers["frag EPT walk, guest tables remote"] = other[1]
    numbers["frag time"] = time
    tables, ept = waits * (one[0] - local[0]) / time, waits * (one[1] - local[1]) / time
    numbers |= {"frag LRI": 1 + ept, "frag RLI": 1 + tables, "frag RRI": 1 + tables + ept}
    own = 1 + waits * (other[0] + other[1] - local[0] - local[1]) / time  # all local, in the other state
    tables, ept = waits * (two[0] - other[0]) / time, waits * (two[1] - other[1]) / time
    return numbers | {"frag RLI, its own state": own + tables, "frag RRI, its own state": own + tables + ept}
