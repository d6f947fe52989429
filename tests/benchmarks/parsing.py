"""How fast trace files are parsed, and how memvirt's own form compares with ChampSim's under xz: python tests/benchmarks/parsing.py

Lackey's text and ChampSim's records are made of a shipped trace, parsed alone (`read` of the format, uncompressed, nothing kept) on
one core, in CPU time, the best of a few. Then the same accesses in memvirt's own form and as ChampSim's records under xz: bytes an
access, and accesses that are decoded a second.
"""

from __future__ import annotations

import argparse
import lzma
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from memvirt.policy import load
from memvirt.types import WRITE
from memvirt.workload.batch import Options
from memvirt.workload.files import from_addresses, read_file, write_own
from memvirt.workload.names import RECORDED
from memvirt.workload.own import OwnFile
from memvirt.workload.sniff import FAMILY
from memvirt.workload.stream import open_stream


def best(run: Callable[[], int], times: int) -> float:
    """Pieces a CPU-second: the most of several runs, after one that compiles."""
    run()
    rates = []
    for _ in range(times):
        begin = time.process_time()
        pieces = run()
        rates.append(pieces / (time.process_time() - begin))
    return max(rates)


def parse(name: str, path: Path) -> int:
    """Read a file of a format, and keep nothing."""
    with open_stream(path) as stream:
        return sum(batch.address.size for batch in load(FAMILY, name).read(stream, Options()))


def champsim(address: np.ndarray, write: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """Records of 64 bytes, one an instruction, all at one address, which costs xz least."""
    at = np.cumsum(np.maximum(gap, 1)) - 1
    records = np.zeros((int(at[-1]) + 1, 8), "<u8")
    records[:, 0] = 0x400000
    records[at, np.where(write, 2, 4)] = address
    return records


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workload", nargs="+", default=["sqlite", "cpython"])
    parser.add_argument("--accesses", type=int, default=300_000)
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    for workload in given.workload:
        found = read_file(RECORDED / f"{workload}.parquet", limit=given.accesses)
        page, line, gap = found.accesses
        address = found.vpn[page] << np.uint64(12) | (line & np.uint8(63)).astype(np.uint64) << np.uint64(6)
        write, gap = (line & WRITE) != 0, np.maximum(gap.astype(np.int64), 1)
        with tempfile.TemporaryDirectory() as folder:
            text, records, own = Path(folder) / "a.txt", Path(folder) / "a.champsimtrace", Path(folder) / "a.parquet"
            rows = zip(address.tolist(), write.tolist(), gap.tolist(), strict=True)
            lines = ["I  00400000,4\n" * fetched + f" {'S' if stored else 'L'} {place:08x},8\n" for place, stored, fetched in rows]
            text.write_text("".join(lines))
            count = int(gap.sum()) + address.size
            print(f"{workload}: Lackey {best(lambda: parse('lackey', text) and count, given.times) / 1e6:.1f} M lines/s", end=", ")  # noqa: B023
            content = champsim(address, write, gap)
            content.tofile(records)
            rate = best(lambda: parse("champsim", records) and content.shape[0], given.times)  # noqa: B023
            print(f"ChampSim {rate / 1e6:.1f} M records/s of {content.shape[0] / address.size:.2f} an access")
            write_own(from_addresses(address, write, gap, {}), own)
            packed = lzma.compress(content.tobytes(), preset=6)
            file = OwnFile(own)
            ours = best(lambda: sum(chunk.page.size for chunk in file.each_chunk()), given.times)  # noqa: B023
            theirs = best(lambda: len(lzma.decompress(packed)) and address.size, given.times)  # noqa: B023
            size = own.stat().st_size / address.size
            print(f"  own form {size:.2f} B an access, {ours / 1e6:.0f} M accesses/s", end="; ")
            print(f"ChampSim under xz -6 {len(packed) / address.size:.2f} B, unpacked {theirs / 1e6:.1f} M accesses/s")


if __name__ == "__main__":
    main()
