"""Time and memory of a trace that is longer than memory: python tests/benchmarks/long_trace.py [--accesses N] [--whole]

Writes a trace of memvirt's own form over 64 MiB (a power law over pages, a third of the accesses writes) and simulates it nested
with full caches, in one process. With ``--whole`` the trace is held in memory and each room takes it in one step, which at 10 ** 8
accesses takes several GiB: the counts that are printed must be the same. For a limit: systemd-run --scope -p MemoryMax=2G python …
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import memvirt.types

BLOCK = 1 << 24


def write(path: Path, accesses: int) -> None:
    """Write the trace."""
    import numpy as np

    from memvirt.random import scramble
    from memvirt.workload.own import OwnWriter

    place = np.random.default_rng(1).permutation(1 << 14).astype(np.uint64)
    with OwnWriter(path) as out:
        for first in range(0, accesses, BLOCK):
            draw = scramble(np.arange(first, min(first + BLOCK, accesses), dtype=np.uint64) + np.uint64(1 << 40))
            rank = ((draw >> np.uint64(40)).astype(np.float64) / 2**24) ** 3 * (1 << 14)
            address = np.uint64(1 << 30) + (place[rank.astype(np.int64)] << np.uint64(12) | draw & np.uint64(0xFC0))
            out.add(address, (draw & np.uint64(63)) < 21, np.full(draw.size, 3, np.int64))


def main() -> None:
    """Write it, simulate it, and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accesses", type=int, default=10**8)
    parser.add_argument("--whole", action="store_true", help="held in memory, in one step a room")
    parser.add_argument("--keep", type=Path, help="where the trace is kept, or is already")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        path = given.keep or Path(place) / "long.parquet"
        if not path.exists():
            begin = time.process_time()
            write(path, given.accesses)
            print(f"wrote {path.stat().st_size / 1e6:,.0f} MB in {time.process_time() - begin:,.0f} CPU-s", flush=True)
        if given.whole:
            memvirt.types.CHUNK = 1 << given.accesses.bit_length()  # before any room is imported
        from memvirt.api import make_point, simulate
        from memvirt.workload import stored

        stored.IN_MEMORY = given.accesses if given.whole else 0
        begin, clock = time.process_time(), time.perf_counter()
        rows = simulate(make_point("workload=trace", f"workload.path={path}", "mmu=nested", "cache=full")).vms
        used, took = time.process_time() - begin, time.perf_counter() - clock
    row = json.loads(rows.drop(columns=[name for name in rows if "path" in name]).iloc[0].to_json())
    counts = {name: value for name, value in row.items() if isinstance(value, int) and not isinstance(value, bool)}
    print(
        {
            name: counts[name]
            for name in ("accesses", "l1_tlb_misses", "l2_tlb_misses", "walks", "walk_refs_guest", "walk_refs_host")
        }
    )
    print(f"digest of {len(counts)} counts: {hashlib.sha256(json.dumps(counts, sort_keys=True).encode()).hexdigest()[:16]}")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 10)
    print(
        f"{used:,.0f} CPU-s, {took:,.0f} s by the clock, {used / given.accesses * 1e9:.0f} ns an access, {most:,.0f} MiB at the most"
    )


if __name__ == "__main__":
    sys.exit(main())
