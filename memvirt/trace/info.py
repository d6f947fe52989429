"""What is said of a trace: a page of text, and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from memvirt.errors import MemvirtError, WriteError
from memvirt.trace.look import Findings, Region
from memvirt.types import ORDERS
from memvirt.workload.own import OwnFile

ENTRIES = (16, 32, 64, 128, 256, 512, 1024, 1536, 2048, 3072, 4096)  #: of TLBs that are built
WINDOWS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
MOST_REGIONS = 12
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
WIDTH = 14  #: of what stands before a line


def bytes_text(pages: float) -> str:
    """Memory of so many 4K pages."""
    size = pages * 4096.0
    power = min(max(int(np.log2(max(size, 1)) // 10), 0), len(UNITS) - 1)
    return f"{size / 1024**power:.4g} {UNITS[power]}"


def _line(name: str, value: str) -> str:
    return f"{name:<{WIDTH}}{value}".rstrip()


def _region(region: Region, found: Findings) -> str:
    span = f"{region.first:#018x}-{region.last:#018x}  {bytes_text(region.pages):>10}"
    mix = f"{region.accesses / found.accesses:7.2%} of accesses, {region.writes / region.accesses:7.2%} of them writes"
    space = f"  space {region.space}" if found.spaces > 1 else ""
    return _line("", f"{span}  {mix}{space}")


def _regions(found: Findings) -> list[str]:
    shown = sorted(sorted(found.regions, key=lambda region: -region.accesses)[:MOST_REGIONS])
    lines = [_line("regions", f"{len(found.regions):,}, 2 MiB or more apart; bytes of their touched pages")]
    lines += [_region(region, found) for region in shown]
    if (rest := len(found.regions) - len(shown)) > 0:
        others = sum(region.accesses for region in found.regions) - sum(region.accesses for region in shown)
        lines.append(_line("", f"and {rest:,} more with {others / found.accesses:.2%} of accesses"))
    return lines


def describe(found: Findings) -> str:
    """Say what a trace holds, in lines of text."""
    total = found.accesses
    counts = {"reads": total - found.writes - found.fetches, "writes": found.writes, "instruction fetches": found.fetches}
    lines = [
        _line("accesses", f"{total:,}"),
        _line("instructions", f"{found.instructions:,} ({found.instructions / total:.2f} an access)"),
        _line("kinds", ", ".join(f"{count / total:.2%} {kind}" for kind, count in counts.items())),
    ]
    for size, count in found.footprint.items():
        text = f"{count:,} pages of {size} ({bytes_text(count << ORDERS[size])})"
        lines.append(_line("", text) if size != "4K" else _line("footprint", f"{text}, {found.written:,} of them written"))
    if found.spaces > 1:
        lines.append(_line("spaces", f"{found.spaces:,} address spaces"))
    lines += _regions(found)
    place = {int(window): mean for window, mean in zip(found.window, found.working_set, strict=True)}
    lines.append(_line("working set", "mean memory that so many accesses touch, in 4K pages"))
    for wanted in (window for window in WINDOWS if window <= total):
        nearest = min(place, key=lambda window: abs(window - wanted))
        lines.append(_line("", f"{nearest:>13,}  {bytes_text(place[nearest])}"))
    lines.append(_line("misses left", "by a fully associative LRU TLB, share of accesses; first touches included"))
    lines.append(_line("", f"{'entries':>13}" + "".join(f"{size:>11}" for size in found.footprint)))
    for entries in ENTRIES:
        shares = "".join(f"{found.misses(size, entries) / total:>11.4%}" for size in found.footprint)
        lines.append(_line("", f"{entries:>13,}{shares}"))
    if found.version is not None:
        lines.append(_line("form", f"memvirt's own, version {found.version}"))
    return "\n".join([*lines, *_origin(found.about)])


def _origin(about: dict[str, Any]) -> list[str]:
    texts = {key: "; ".join(map(str, value)) if isinstance(value, list) else value for key, value in about.items()}
    return [_line(key, str(value)) for key, value in texts.items() if value not in (None, "")]


def summarize(file: OwnFile) -> str:
    """Say what a trace's header says, in a few lines."""
    header = file.header
    lines = [_line(kind, f"{count:,}") for kind, count in header.counts.items()]
    low, high = header.address_range
    lines.append(_line("pages", f"{header.vpn.size:,} of 4K ({bytes_text(header.vpn.size)}), {low:#x}-{high:#x}"))
    return "\n".join([*lines, *_origin(header.about)])


def draw(found: Findings) -> Any:
    """Draw what a trace touches when, its working set and its misses; a `matplotlib.figure.Figure`."""
    from memvirt.drawing.trace import curves  # which takes a second to import

    missed = {}
    for size, state in found.depths.items():
        hits = np.concatenate([[0], np.cumsum(state.counts)])
        entries = np.arange(1, hits.size)
        missed[size] = entries, 1 - hits[1:] / found.accesses
    return curves(found.window, found.working_set, missed, found.map, found.accesses, found.footprint["4K"])


def check_picture(path: Path) -> None:
    """Refuse a name that is no picture's, before anything is looked at.

    Raises
    ------
    MemvirtError
    """
    if path.suffix not in (".png", ".pdf", ".svg"):
        raise MemvirtError(f"{path}: a picture is named NAME.png, NAME.pdf or NAME.svg")


def save(picture: Any, path: Path) -> None:
    """Write a picture.

    Raises
    ------
    WriteError
        If the place can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.savefig(path, dpi=150)
    except OSError as wrong:
        raise WriteError(path, wrong) from wrong
