"""What tests share: points composed by Hydra, traces made of page lists, the command line."""

from __future__ import annotations

import contextlib
import copy
import functools
import importlib
import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from numpy.typing import NDArray
from omegaconf import OmegaConf

from memvirt.pipeline.compute import simulate
from memvirt.pipeline.point import Point
from memvirt.sweep.plan.groups import NOT_OF_A_POINT
from memvirt.types import CHUNK, GUEST_EVENT, Accesses, Pages, Trace

Row = dict[str, Any]


def composed(*overrides: str) -> Row:
    """A point's config, composed by Hydra itself."""
    return copy.deepcopy(_composed(*overrides))


@functools.cache
def _composed(*overrides: str) -> Row:
    GlobalHydra.instance().clear()
    with initialize_config_module("memvirt.conf", version_base="1.3"):
        config = OmegaConf.to_container(compose("config", overrides=list(overrides)), resolve=True)
    assert isinstance(config, dict)
    return {str(key): value for key, value in config.items() if key not in NOT_OF_A_POINT}


def point(*overrides: str) -> Point:
    """A checked point."""
    return Point.build(composed(*overrides))


def rows(*overrides: str) -> list[Row]:
    """Rows of a point, simulated in this process."""
    return simulate(point(*overrides))[0]


def row(*overrides: str) -> Row:
    """The one row of a point with one VM."""
    (only,) = rows(*overrides)
    return only


def write_pages(path: Path, pages: Sequence[int], lines: Sequence[int] | None = None, writes: Sequence[bool] | None = None) -> Path:
    """Write a trace in memvirt's own form."""
    from memvirt.workload.files import from_addresses, write_own

    number = np.asarray(pages, np.uint64)
    line = np.zeros(number.size, np.uint64) if lines is None else np.asarray(lines, np.uint64)
    write = np.zeros(number.size, bool) if writes is None else np.asarray(writes, bool)
    gap = np.ones(number.size, np.int64)
    write_own(from_addresses(number << np.uint64(12) | line << np.uint64(6), write, gap, {}), path)
    return path


def trace(
    pages: Sequence[int] | NDArray[Any], writes: Sequence[bool] | None = None, events: Sequence[tuple[int, int, int, int]] = ()
) -> Trace:
    """A trace of page numbers; events are (at, kind, asid, page)."""
    vpn, row_of = np.unique(np.asarray(pages, np.uint64), return_inverse=True)
    line = np.where(np.zeros(len(pages), bool) if writes is None else np.asarray(writes, bool), 0x80, 0).astype(np.uint8)
    table = np.zeros(len(events), GUEST_EVENT)
    for place, event in enumerate(events):
        table[place] = event
    columns = (row_of.astype(np.uint32), line, np.ones(len(pages), np.uint8))
    for column in columns:
        column.setflags(write=False)
    chunks = [Accesses(*(column[at : at + CHUNK] for column in columns)) for at in range(0, len(pages), CHUNK)]
    return Trace(Pages(vpn, np.zeros(vpn.size, np.uint16)), len(pages), table, chunks)


def here(module: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run what `command` runs in this process, which needn't start then; for commands that start nothing themselves."""
    main = importlib.import_module(f"{module}.__main__").main
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(arguments))
    return subprocess.CompletedProcess([module, *arguments], code, out.getvalue(), err.getvalue())


def command(module: str, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m module`` in a folder."""
    words = [sys.executable, "-m", module, *arguments]
    return subprocess.run(words, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=500)


def sweep(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a sweep that must succeed."""
    done = command("memvirt.sweep", *arguments, cwd=cwd, **environment)
    assert done.returncode == 0, done.stderr + done.stdout
    return done
