"""The command line of `python -m memvirt.trace`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from memvirt.command import run_command
from memvirt.errors import MemvirtError
from memvirt.policy import names
from memvirt.trace.record import record
from memvirt.workload.batch import Options, column_names, mask_bits
from memvirt.workload.files import Recording, import_file, read_file, write_own
from memvirt.workload.sniff import FAMILY


def parser() -> argparse.ArgumentParser:
    """Describe the arguments."""
    top = argparse.ArgumentParser(prog="python -m memvirt.trace", description=__doc__)
    verbs = top.add_subparsers(dest="verb", required=True)
    one = verbs.add_parser("import", help="convert a trace file to memvirt's own form")
    one.add_argument("file", type=Path, help="a trace, plain or compressed (gzip, bz2, xz, zstd, lz4, snappy, zip); - for a pipe")
    one.add_argument("-o", "--output", type=Path, required=True)
    one.add_argument("--format", help=f"one of {', '.join(names(FAMILY))}; by default told by the file's content")
    one.add_argument("--mask", help="how many of an address's low bits count, where the rest is a tag (LAM: 48 or 57, TBI: 56)")
    one.add_argument("--pattern", help="what a line of text holds, such as '{*}: {rw} {address}' (--format text)")
    one.add_argument("--columns", help="which columns of a table hold what: address=vaddr,rw=op,process=pid,instructions=n")
    one.add_argument("--limit", type=int, help="keep so many accesses")
    one.add_argument("--fetches", action="store_true", help="keep instruction fetches as well, where the format has them")
    two = verbs.add_parser("record", help="record a program with Valgrind's Lackey")
    two.add_argument("-o", "--output", type=Path, required=True)
    two.add_argument("--limit", type=int, help="stop after so many accesses")
    two.add_argument("--fetches", action="store_true", help="keep instruction fetches as well, one for each line of 64 bytes")
    two.add_argument("--skip", type=int, default=0, help="leave out so many accesses first")
    two.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND [ARG...]")
    three = verbs.add_parser("info", help="describe a trace file")
    three.add_argument("file", type=Path)
    return top


def describe(recording: Recording) -> str:
    """Say what a trace holds, in a few lines."""
    accesses = recording.accesses
    lines = [
        f"accesses      {accesses.page.size:,}",
        f"instructions  {int(accesses.gap.astype(np.int64).sum()):,}",
        f"pages         {recording.vpn.size:,} of 4 KiB ({recording.vpn.size / 256:.1f} MiB)",
        f"2M regions    {np.unique(recording.vpn >> np.uint64(9)).size:,}",
        f"writes        {100 * float((accesses.line >> 7).mean()):.1f} %",
        f"fetches       {100 * float((accesses.line >> 6 & 1).mean()):.1f} %",
    ]
    about = {key: "; ".join(value) if isinstance(value, list) else value for key, value in recording.about.items()}
    return "\n".join([*lines, *(f"{key:<13} {value}" for key, value in about.items() if value is not None)])


def own_path(path: Path) -> Path:
    """Where to write: the name as given, which must end in .parquet.

    Raises
    ------
    MemvirtError
        If it doesn't.
    """
    if path.suffix != ".parquet":
        raise MemvirtError(f"{path}: memvirt's own traces are named NAME.parquet")
    return path


def run(argv: list[str]) -> None:
    """Do what the arguments say."""
    arguments = parser().parse_args(argv)
    for name in ("limit", "skip"):
        value = getattr(arguments, name, None)
        if value is not None and value < (1 if name == "limit" else 0):
            raise MemvirtError(f"--{name}={value}: must be {'positive' if name == 'limit' else '0 or more'}")
    if arguments.verb == "info":
        print(describe(read_file(arguments.file, fetches=True)))
        return
    output = own_path(arguments.output)
    if arguments.verb == "import":
        mask = mask_bits(arguments.mask) if arguments.mask is not None else None
        options = Options(pattern=arguments.pattern, columns=column_names(arguments.columns))
        form = arguments.format or ("text" if arguments.pattern else None)
        import_file(arguments.file, output, form, arguments.limit, arguments.fetches, mask, options)
        recording = read_file(output, fetches=True)
    else:
        command = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
        if not command:
            raise MemvirtError("say what to record: python -m memvirt.trace record -o OUT.parquet -- COMMAND [ARG...]")
        recording = record(command, arguments.limit, arguments.skip, arguments.fetches)
        write_own(recording, output)
    print(describe(recording))
    print(f"wrote {output} ({output.stat().st_size:,} bytes)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    return run_command("memvirt.trace", run, argv)
