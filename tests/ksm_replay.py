"""Replays on the model what `tests/data/ksm/measure.c` did on the real kernel, bursts placed by `pages_scanned`."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memvirt.jit import kernel
from memvirt.memory.sharing import ksm, scan
from memvirt.memory.sharing._machine import Now, World, make_world, write
from memvirt.random import scramble

HERE = Path(__file__).parent / "data" / "ksm"
COLUMNS = ("pages_shared", "pages_sharing", "pages_unshared", "pages_volatile", "full_scans", "pages_scanned")
UNBACKED = -1


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


@kernel
def scan_pages(state: Any, world: World, now: Now, pages: int) -> int:
    """Let a kernel find the scanner by its state."""
    return scan(state, world, now, pages)  # type: ignore[no-any-return]


@kernel
def burst(world: World, now: Now, pages: NDArray[np.int64], contents: NDArray[np.int64]) -> None:
    """Write to pages; what has a content number ≥ 0 there, else something never seen."""
    for k in range(pages.size):
        write(world, now, pages[k])
        if contents[k] >= 0:
            world.frames[pages[k]].content = contents[k]


def counters(state: ksm.State) -> list[int]:
    """The columns, now."""
    c = state.cursor[0]
    merged = int(c.pages_shared + c.pages_sharing + c.pages_unshared)
    return [c.pages_shared, c.pages_sharing, c.pages_unshared, int(c["items"]) - merged, c.full_scans, c.pages_scanned]


def replay(run: Run) -> tuple[NDArray[np.int64], ksm.State, World]:
    """Scan up to each row's pages, do its burst, read the counters."""
    get = {key: int(value) for key, value in run.arguments.items()}
    pages, late, batch = get["pages"], get["late"], get["pages_to_scan"]
    world = make_world(contents_of(pages + late, get["contents"]))
    if get["mode"] & 2:
        world.frames["order"] = 9
    world.frames["hfn"][pages:] = UNBACKED
    state = ksm.make(pages + late, pages + late, get["max_page_sharing"], bool(get["smart_scan"]))
    lcg, left, found = 9, batch, []
    for seconds, row in zip(run.seconds, run.rows, strict=True):
        now = Now(seconds * 1e9)
        while state.cursor[0].pages_scanned < row[5]:
            asked = min(left, int(row[5] - state.cursor[0].pages_scanned))
            done = scan_pages(state, world, now, asked)
            left = batch if done < asked or done == left else left - done
        if left < batch and state.cursor[0].frame == pages + late:  # the batch goes on, and finds that the scan is through
            scan_pages(state, world, now, 1)
            left = batch
        if late and seconds > run.arguments["late_at"]:
            world.frames["hfn"][pages:] = np.arange(pages, pages + late)
            late = 0
        draws = []
        for _ in range(get["writes"]):
            lcg = (lcg * 6364136223846793005 + 1) % 2**64
            draws.append(((lcg >> 33) % pages, (lcg >> 20) % get["contents"] + 1 if get["mode"] & 1 else -1))
        burst(world, now, *np.array(draws, np.int64).reshape(-1, 2).T.copy())
        found.append(counters(state))
    return np.array(found, np.int64), state, world
