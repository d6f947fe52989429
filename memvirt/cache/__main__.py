"""`memvirt cache size`, `memvirt cache clean`."""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from memvirt.command import run_command
from memvirt.errors import MemvirtError
from memvirt.folders import cache_home

DAY = 86_400.0


def parser() -> argparse.ArgumentParser:
    """Describe the arguments."""
    top = argparse.ArgumentParser(
        prog="memvirt cache",
        description="Compiled kernels, and stages of earlier sweeps: nothing in them is missed, it is made again.",
    )
    top.add_argument("do", nargs="?", choices=("size", "clean"), default="size", help="say how much there is, or throw it away")
    top.add_argument("--unused", type=float, metavar="DAYS", help="clean only what was neither made nor used for so many days")
    top.add_argument("--output", type=Path, default=Path("outputs"), metavar="FOLDER", help="of the sweeps whose stages are meant")
    return top


def kept(output: Path) -> dict[str, Path]:
    """Folders of what is kept, by what it is."""
    return {
        "compiled kernels": cache_home() / "kernels",
        "digests of sources": cache_home() / "sources",
        "stages of sweeps": output / ".stages",
    }


def files(folder: Path, unused: float | None = None) -> list[Path]:
    """Files below a folder, or those that were not used for some days."""
    found = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()] if folder.is_dir() else []
    if unused is None:
        return found
    since = time.time() - unused * DAY
    return [path for path in found if max(path.stat().st_mtime, path.stat().st_atime) < since]


def run(argv: list[str]) -> None:
    """Say how much there is, or throw it away."""
    arguments = parser().parse_args(argv)
    if arguments.unused is not None and arguments.do != "clean":
        raise MemvirtError("--unused: is for clean")
    total = 0
    for what, folder in kept(arguments.output).items():
        found = files(folder, arguments.unused)
        size = sum(path.stat().st_size for path in found)
        total += size
        print(f"{what:<20}{len(found):>8,} files{size / 2**20:>12,.1f} MiB  {folder}")
        if arguments.do == "clean" and arguments.unused is None:
            shutil.rmtree(folder, ignore_errors=True)
        elif arguments.do == "clean":
            for path in found:
                path.unlink(missing_ok=True)
    print(f"{'thrown away' if arguments.do == 'clean' else 'in all'}: {total / 2**20:,.1f} MiB")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    return run_command("memvirt cache", run, argv)


if __name__ == "__main__":
    raise SystemExit(main())
