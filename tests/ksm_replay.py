"""Replays on the scanner what `measure.c` did on the real kernel: bursts placed by `pages_scanned`, nothing else of a VM's life."""

from __future__ import annotations

import csv
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt import memory
from memvirt.counters import record_of
from memvirt.experiments import HERE as EXPERIMENTS
from memvirt.jit import kernel
from memvirt.memory.boot import map_all
from memvirt.memory.guest import fault, guest_unmap
from memvirt.memory.layout import lay_out_frames, lay_out_pages
from memvirt.memory.measure import measure
from memvirt.memory.setup import build
from memvirt.memory.sharing import scan
from memvirt.memory.sharing.ksm import COUNTERS
from memvirt.memory.state import NOTHING, ONE, Now, World
from memvirt.random import scramble
from tests.support import memory_config, trace

HERE = EXPERIMENTS / "linux_ksm" / "runs"
COLUMNS = ("pages_shared", "pages_sharing", "pages_unshared", "pages_volatile", "full_scans", "pages_scanned")


class Run(NamedTuple):
    """A measurement: its arguments and its rows."""

    arguments: dict[str, float]
    seconds: list[float]
    rows: NDArray[np.int64]


def read(name: str) -> Run:
    """One file of the folder; its first line holds the arguments."""
    with (HERE / f"{name}.csv").open() as file:
        words = dict(word.split("=") for word in file.readline().lstrip("# ").split())
        rows = list(csv.DictReader(file))
    values = np.array([[int(row[column]) for column in COLUMNS] for row in rows], np.int64)
    return Run({key: float(value) for key, value in words.items()}, [float(row["seconds"]) for row in rows], values)


def contents_of(pages: int, contents: int) -> NDArray[np.int64]:
    """Content numbers as `linux_ksm.c` has them, plus 1 (0 is the zero page)."""
    numbers = np.arange(pages, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(7)
    return (scramble(numbers) % np.uint64(contents)).astype(np.int64) + 1


def machine(contents: NDArray[np.int64], *overrides: str, backed: int | None = None, dimensions: int = 1) -> World:
    """A host with pages of these contents, the first of them ``backed``."""
    config = memory_config(dimensions=dimensions, overrides=["reclaim=sharing", "overcommit.ratio=0.8", *overrides])
    traces = [trace(list(range(contents.size)))]
    pages = lay_out_pages(config, traces)
    world = build(config, traces, pages, lay_out_frames(config, pages))
    world.pages.content = contents
    back_pages(world, 0, contents.size if backed is None else backed)
    return world


@kernel
def map_pages(world: World, now: Now, pages: NDArray[np.int64]) -> int:
    """Map and back pages: less to compile than all that `memvirt.memory.tasks` can do."""
    return map_all(world, now, pages)  # type: ignore[return-value]


def back_pages(world: World, first: int, last: int) -> None:
    """Have pages touched, outside of time."""
    world.clock[0].quiet = 1
    assert map_pages(world, memory._booting(world, 0), np.arange(first, last)) < 0
    world.clock[0].quiet = 0


def at(milliseconds: float) -> Now:
    """A moment of VM 0."""
    return Now(0, 0, 0, 0, 0, 0, 0, milliseconds * 1e6)


@kernel
def scan_until(world: World, now: Now, due: float) -> float:
    """Let the scanner work from when it is due until now, its log thrown away; returns when it is due next."""
    while due <= now.time_ns:
        due = scan(world.policies.sharing, world, Now(0, 0, 0, 0, 0, 0, 0, due))
        world.clock[0].events = 0
    return due


@kernel
def burst(world: World, now: Now, pages: NDArray[np.int64], contents: NDArray[np.int64]) -> None:
    """Write to pages; what has a content number ≥ 0 there, else something never seen."""
    for k in range(pages.size):
        fault(world, now, pages[k], ONE)
        world.clock[0].contents += 1
        world.frames[world.pages[pages[k]].frame].content = contents[k] if contents[k] >= 0 else np.int64(world.clock[0].contents)
        world.clock[0].events = 0


@kernel
def unmap(world: World, now: Now, pages: NDArray[np.int64]) -> None:
    """Have the guest unmap pages."""
    for page in pages:
        guest_unmap(world, now, page)


def counters(world: World) -> list[int]:
    """The columns, now."""
    counts = np.zeros(1, record_of(COUNTERS)).view(np.recarray)[0]
    measure(world.policies.sharing, counts)
    return [int(counts[f"ksm_{column}"]) for column in COLUMNS]


def replay(run: Run) -> tuple[NDArray[np.int64], World]:
    """Scan up to each row's pages, do its burst, read the counters."""
    get = {key: int(value) for key, value in run.arguments.items()}
    pages, late = get["pages"], get["late"]
    options = {name: get[name] for name in ("pages_to_scan", "max_page_sharing", "smart_scan")}
    words = [f"reclaim.sharing.{name}={value}" for name, value in options.items()]
    words += [f"reclaim.sharing.schedule={run.rows[:, 5].tolist()}".replace(" ", "")]
    words += ["host.page_size=2M"] if get["mode"] & 2 else []
    world = machine(contents_of(pages + late, get["contents"]), *words, backed=pages, dimensions=2 if get["mode"] & 2 else 1)
    lcg, found, due = 9, [], 0.0
    for number, seconds in enumerate(run.seconds):
        due = scan_until(world, at(100.0 * (number + 1)), due)
        if late and seconds > run.arguments["late_at"]:
            back_pages(world, pages, pages + late)
            late = 0
        draws = []
        for _ in range(get["writes"]):
            lcg = (lcg * 6364136223846793005 + 1) % 2**64
            draws.append(((lcg >> 33) % pages, (lcg >> 20) % get["contents"] + 1 if get["mode"] & 1 else -1))
        burst(world, at(100.0 * (number + 1)), *np.array(draws, np.int64).reshape(-1, 2).T.copy())
        found.append(counters(world))
    return np.array(found, np.int64), world


def used(world: World) -> NDArray[np.int64]:
    """Host frames behind data, one a guest frame."""
    data = (world.frames.hfn != NOTHING) & (world.frames.role == 1)
    return np.asarray(world.frames.hfn[data])


def distinct(world: World) -> int:
    """How many host frames lie behind data."""
    return int(np.unique(used(world)).size)
