"""The same accesses in every format that can hold them: what tests read, and fuzz."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Access = tuple[int, bool]  # address, whether it is written


class Form(NamedTuple):
    """How a format is written, and what it keeps of an access."""

    ending: str
    write: Callable[[Sequence[Access]], bytes]
    loads: bool = True  #: whether it can hold a load
    stores: bool = True
    most: int = 1 << 64  #: addresses below
    arguments: tuple[str, ...] = ()  #: of the command line


def lackey(accesses: Sequence[Access]) -> bytes:
    lines = (
        f"I  {0x400000 + 4 * n:08x},4\n {'S' if write else 'L'} {address:08x},8\n" for n, (address, write) in enumerate(accesses)
    )
    return ("==7== Lackey\n" + "".join(lines)).encode()


def champsim(accesses: Sequence[Access], width: int = 64) -> bytes:
    first_write, first_read = (16, 32) if width == 64 else (24, 56)
    out = bytearray()
    for number, (address, write) in enumerate(accesses):
        record = bytearray(width)
        struct.pack_into("<Q", record, 0, 0x400000 + 4 * number)
        struct.pack_into("<Q", record, first_write if write else first_read, address)
        out += record
    return bytes(out)


def drmemtrace(accesses: Sequence[Access]) -> bytes:
    entries = [(25, 0, 4), (28, 12, 4), (28, 9, 0x40), (22, 0, 7), (24, 0, 7)]
    for number, (address, write) in enumerate(accesses):
        entries += [(10, 4, 0x400000 + 4 * number), (1 if write else 0, 8, address)]
    return b"".join(struct.pack("<HHQ", *entry) for entry in [*entries, (23, 0, 7), (26, 0, 0)])


def view(accesses: Sequence[Access]) -> bytes:
    lines = [
        "Output format:",
        "<--record#-> <--instr#->: <---tid---> <record details>",
        "-" * 60,
        "    1    0:   77 <marker: version 5>",
    ]
    for number, (address, write) in enumerate(accesses):
        at = 0x400000 + 4 * number
        lines.append(f"{2 * number + 2:12} {number + 1:11}: {77:11} ifetch       4 byte(s) @ 0x{at:016x} 48 8b 5c 24    mov rbx")
        kind = "write" if write else "read"
        lines.append(f"{2 * number + 3:12} {number + 1:11}: {77:11} {kind:12} 8 byte(s) @ 0x{address:016x} by PC 0x{at:016x}")
    return "\n".join([*lines, "View tool results:", "    12 : total instructions", ""]).encode()


def pinatrace(accesses: Sequence[Access]) -> bytes:
    lines = (f"0x{0x400000 + 4 * n:x}: {'W' if write else 'R'} 0x{address:x}\n" for n, (address, write) in enumerate(accesses))
    return ("".join(lines) + "#eof\n").encode()


def pinatrace_decimal(accesses: Sequence[Access]) -> bytes:
    return "".join(
        f"{4194304 + 4 * n}: {'W' if write else 'R'} {address:020}\n" for n, (address, write) in enumerate(accesses)
    ).encode()


def oracle_general(accesses: Sequence[Access]) -> bytes:
    after, records = {}, []
    for number, (address, _) in reversed(list(enumerate(accesses))):
        records.append(struct.pack("<IQIq", number, address, 4096, after.get(address, -1)))
        after[address] = number
    return b"".join(reversed(records))


def csv(accesses: Sequence[Access]) -> bytes:
    return ("vaddr,is_write\n" + "".join(f"{address:#x},{int(write)}\n" for address, write in accesses)).encode()


def table(accesses: Sequence[Access]) -> bytes:
    sink = io.BytesIO()
    columns = {
        "addr": pa.array([address for address, _ in accesses], pa.uint64()),
        "op": ["W" if write else "R" for _, write in accesses],
    }
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def own(accesses: Sequence[Access]) -> bytes:
    import tempfile
    from pathlib import Path

    from memvirt.workload.files import from_addresses, write_own

    address = np.array([address for address, _ in accesses], np.uint64)
    ones = np.ones(address.size, np.int64)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.parquet"
        write_own(from_addresses(address, np.array([write for _, write in accesses]), ones, {}), path)
        return path.read_bytes()


def perf(accesses: Sequence[Access]) -> bytes:
    lines = (
        f"  a b  46572 [002] 544966.88{n % 1000:03}:   10000 cpu/mem-loads/: {address:x}   10268100142 |OP {'STORE' if write else 'LOAD'}|LVL L1 hit|TLB L1 hit 7f [x] (/a)\n"
        for n, (address, write) in enumerate(accesses)
    )
    return "".join(lines).encode()


FORMS = {
    "lackey": Form("txt", lackey),
    "champsim": Form("champsimtrace", champsim),
    "cloudsuite": Form("trace", lambda accesses: champsim(accesses, 96)),
    "drmemtrace": Form("trace", drmemtrace),
    "drmemtrace_view": Form("txt", view),
    "pinatrace": Form("out", pinatrace),
    "pinatrace_decimal": Form("out", pinatrace_decimal),
    "text": Form(
        "txt",
        lambda accesses: "".join(f"{'st' if write else 'ld'};{address}\n" for address, write in accesses).encode(),
        arguments=("--pattern", "{rw};{address:d}"),
    ),
    "raw": Form("bin", lambda accesses: np.array([a for a, _ in accesses], "<u8").tobytes(), stores=False),
    "pages": Form("u32", lambda accesses: np.array([a >> 12 for a, _ in accesses], "<u4").tobytes(), loads=False, most=1 << 44),
    "csv": Form("csv", csv),
    "parquet_table": Form("parquet", table),
    "parquet": Form("parquet", own),
    "oracle_general": Form("oracleGeneral.bin", oracle_general, stores=False),
    "perf_script": Form("txt", perf),
    "dramsys": Form(
        "stl",
        lambda accesses: "".join(f"{n}:\t{'write' if w else 'read'}\t0x{a:x}\n" for n, (a, w) in enumerate(accesses)).encode(),
    ),
    "ramulator": Form("trace", lambda accesses: "".join(f"0x{a:x} {'W' if w else 'R'}\n" for a, w in accesses).encode()),
}
