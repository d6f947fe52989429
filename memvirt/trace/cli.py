"""The command line of `python -m memvirt.trace`."""

from __future__ import annotations

import argparse
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path

from memvirt.command import run_command
from memvirt.errors import MemvirtError
from memvirt.policy import names
from memvirt.trace.info import check_picture, describe, draw, save, summarize
from memvirt.trace.life import STEP, WRITTEN, describe_life, holds_life, import_life
from memvirt.trace.look import look, open_any
from memvirt.trace.pages import UNSEEN, record_pages
from memvirt.trace.record import Wanted, record
from memvirt.workload.batch import Options, column_names, mask_bits
from memvirt.workload.files import import_file
from memvirt.workload.own import OwnFile
from memvirt.workload.sniff import FAMILY

RECORD = f"""Run a program under Valgrind's Lackey and keep every load and store, some 30 to 100 times slower than it runs alone.

It needs Valgrind (Debian: apt-get install valgrind) and nothing else: neither root nor the program's source.
Processes that the program starts are recorded too, each into a file of its own, and so is what it turns into by exec.
Ctrl-C and SIGTERM end the program and keep what is recorded until then.

    python -m memvirt.trace record -o ls.parquet --skip 100000 --limit 1000000 -- ls -lR /usr

With --pages it says which pages the program visits in each --step, near its native speed and over minutes, as a table
that workload=pageset reads. This needs Linux and a C compiler; writes are told apart from Linux 6.7 on. It can't see
{textwrap.fill(UNSEEN, 110)}.

    python -m memvirt.trace record --pages -o life.parquet -- ./server"""


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
    one.add_argument(
        "--columns", help="which columns of a table hold what: address=vaddr,rw=op,process=pid,instructions=n; rw=none: none does"
    )
    one.add_argument("--limit", type=int, help="keep so many accesses")
    one.add_argument("--fetches", action="store_true", help="keep instruction fetches as well, where the format has them")
    one.add_argument(
        "--pages",
        action="store_true",
        help="say which pages are visited in each step, as the table that workload=pageset reads (NAME.csv or NAME.parquet): of "
        "DAMON's snapshots, masim's configs, and of accesses, physical ones and samples too",
    )
    one.add_argument("--step", type=float, default=STEP, help=f"seconds, with --pages (default: {STEP:g})")
    one.add_argument(
        "--written",
        type=float,
        default=WRITTEN,
        help=f"share of pages, where the file doesn't say, with --pages (default: {WRITTEN})",
    )
    two = verbs.add_parser(
        "record", help="record a program with Valgrind's Lackey", description=RECORD, formatter_class=argparse.RawTextHelpFormatter
    )
    two.add_argument("-o", "--output", type=Path, required=True, help="NAME.parquet; the second process's trace is NAME-2.parquet")
    two.add_argument("--limit", type=int, help="end a process after so many accesses")
    two.add_argument("--fetches", action="store_true", help="keep instruction fetches as well, one for each line of 64 bytes")
    two.add_argument("--skip", type=int, default=0, help="leave out so many accesses of each process first")
    two.add_argument("--pages", action="store_true", help="say which pages are visited, second by second, not each access")
    two.add_argument("--step", type=float, default=1.0, help="seconds, with --pages (default: 1)")
    two.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND [ARG...]")
    three = verbs.add_parser("info", help="describe a trace file: footprint, regions, working set, what TLBs of each size miss")
    three.add_argument("file", type=Path)
    three.add_argument("-o", "--output", type=Path, help="draw the curves, and what is touched when: NAME.png, .pdf or .svg")
    return top


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


def show_info(path: Path, picture: Path | None) -> None:
    """Describe a trace, and draw it if a picture is asked for."""
    if picture is not None:
        check_picture(picture)
    start = time.perf_counter()
    found = look(open_any(path))
    took = time.perf_counter() - start
    print(describe(found))
    print(f"looked at in {took:.1f} s, {found.accesses / took / 1e6:.1f} M accesses/s")
    if picture is None:
        print("the curves are drawn by -o NAME.png")
        return
    save(draw(found), picture)
    print(f"wrote {picture}")


def _command(arguments: argparse.Namespace) -> list[str]:
    command: list[str] = arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command
    if not command:
        raise MemvirtError("say what to record: python -m memvirt.trace record -o OUT.parquet -- COMMAND [ARG...]")
    return command


def _check_pages(arguments: argparse.Namespace, shortest: float, unused: Sequence[str]) -> None:
    if not shortest <= arguments.step <= 3600:
        raise MemvirtError(f"--step={arguments.step:g}: must be from {shortest:g} to 3600 seconds")
    for name in unused:
        if getattr(arguments, name):
            raise MemvirtError(f"--{name} is of accesses; with --pages there are none")


def _import_pages(arguments: argparse.Namespace) -> None:
    _check_pages(arguments, 1e-6, ("limit", "fetches", "mask", "pattern", "columns", "format"))
    if not 0 <= arguments.written <= 1:
        raise MemvirtError(f"--written={arguments.written:g}: is a share, from 0 to 1")
    print(import_life(arguments.file, arguments.output, arguments.step, arguments.written))
    print(f"wrote {arguments.output} ({arguments.output.stat().st_size:,} bytes)")


def _record_pages(arguments: argparse.Namespace) -> None:
    _check_pages(arguments, 0.05, ("limit", "skip", "fetches"))
    made = record_pages(_command(arguments), arguments.output, arguments.step)
    grain = "single pages" if made.grain == 1 else f"pieces of {made.grain} pages"
    print(f"wrote {arguments.output}: {len(made.rows):,} rows, {made.pages:,} pages, told apart by {grain}")


def run(argv: list[str]) -> None:
    """Do what the arguments say."""
    arguments = parser().parse_args(argv)
    for name in ("limit", "skip"):
        value = getattr(arguments, name, None)
        if value is not None and value < (1 if name == "limit" else 0):
            raise MemvirtError(f"--{name}={value}: must be {'positive' if name == 'limit' else '0 or more'}")
    if arguments.verb == "info":
        if holds_life(arguments.file):
            print(describe_life(arguments.file))
            return
        show_info(arguments.file, arguments.output)
        return
    if arguments.verb == "record" and arguments.pages:
        _record_pages(arguments)
        return
    if arguments.verb == "import" and arguments.pages:
        _import_pages(arguments)
        return
    output = own_path(arguments.output)
    if arguments.verb == "import":
        mask = mask_bits(arguments.mask) if arguments.mask is not None else None
        options = Options(pattern=arguments.pattern, columns=column_names(arguments.columns))
        form = arguments.format or ("text" if arguments.pattern else None)
        import_file(arguments.file, output, form, arguments.limit, arguments.fetches, mask, options)
        print(summarize(OwnFile(output)))
        print(f"wrote {output} ({output.stat().st_size:,} bytes)")
    else:
        for kept in record(_command(arguments), output, Wanted(arguments.skip, arguments.limit, arguments.fetches)):
            print(f"wrote {kept.path} ({kept.path.stat().st_size:,} bytes): {kept.accesses:,} accesses of {kept.command}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    return run_command("memvirt.trace", run, argv)
