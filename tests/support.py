"""What tests share: points composed as by Hydra, traces made of page lists, the command line."""

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
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from numpy.typing import NDArray
from omegaconf import DictConfig, OmegaConf

from memvirt.jit import kernel
from memvirt.memory import MemoryConfig
from memvirt.memory.replacement import insert, lingers, remove, touch, victim
from memvirt.pipeline.compute import simulate
from memvirt.pipeline.point import Point
from memvirt.policy import load
from memvirt.sweep.plan.compose import open_configs
from memvirt.sweep.plan.groups import NOT_OF_A_POINT, find_groups
from memvirt.types import CHUNK, GUEST_EVENT, Accesses, Pages, Trace

Row = dict[str, Any]


#: Words that say what is replaced, or leave it to a host whose defaults are asked for.
REPLACING = ("reclaim/replacement=", "reclaim.replacement=", "reclaim=esx", "reclaim=linux", "experiment=")


def composed(*overrides: str) -> Row:
    """A point's config, as Hydra would compose it; exact LRU where no word says otherwise, whose outcomes are worked out by hand."""
    said = any(word.startswith(REPLACING) for word in overrides)
    return copy.deepcopy(_composed(*overrides, *(() if said else ("reclaim/replacement=lru",))))


def composed_as_is(*overrides: str) -> Row:
    """The same with the users' own defaults alone."""
    return copy.deepcopy(_composed(*overrides))


@functools.cache
def _composed(*overrides: str) -> Row:
    """What Hydra would compose; options of groups are composed once, and values are set in a copy by what Hydra does it with."""
    options = tuple(word for word in overrides if word.lstrip("+~").partition("=")[0] in _groups())
    config = copy.deepcopy(_of_options(*options))
    values = OverridesParser.create().parse_overrides([word for word in overrides if word not in options])
    ConfigLoaderImpl._apply_overrides_to_config(values, config)
    found = OmegaConf.to_container(config, resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items() if key not in NOT_OF_A_POINT}


@functools.cache
def _groups() -> frozenset[str]:
    return frozenset(find_groups([]))


@functools.cache
def _of_options(*options: str) -> DictConfig:
    master = open_configs(list(options)).master
    return OmegaConf.masked_copy(master, [str(key) for key in master if key != "hydra"])


def by_hydra(*overrides: str) -> Row:
    """A point's config, composed by Hydra alone."""
    GlobalHydra.instance().clear()
    with initialize_config_module("memvirt.conf", version_base="1.3"):
        found = OmegaConf.to_container(compose("config", overrides=list(overrides)), resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items() if key not in NOT_OF_A_POINT}


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
    """Run what `command` runs in this process, which needn't start and load everything then; not for what joins or starts Ray."""
    main = importlib.import_module(f"{module}.__main__").main
    out, err = io.StringIO(), io.StringIO()
    with contextlib.chdir(cwd), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(arguments))
    return subprocess.CompletedProcess([module, *arguments], code, out.getvalue(), err.getvalue())


def command(module: str, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m module`` in a folder."""
    words = [sys.executable, "-m", module, *arguments]
    return subprocess.run(words, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=500)


BARE = ("figures=false", "report=false")  #: pictures take longer than most of the sweeps


def sweep(*arguments: str, cwd: Path, pictures: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a sweep that must succeed; in this process where that makes no difference, and without pictures unless they matter."""
    alone = "executor=serial" in arguments and not environment
    arguments = arguments if pictures else (*(word for word in BARE if word not in arguments), *arguments)
    done = here("memvirt.sweep", *arguments, cwd=cwd) if alone else command("memvirt.sweep", *arguments, cwd=cwd, **environment)
    assert done.returncode == 0, done.stderr + done.stdout
    return done


def memory_config(vms: int = 1, **changes: object) -> MemoryConfig:
    """A memory room's config: one dimension unless told otherwise."""
    config = composed(*changes.pop("overrides", ()))  # type: ignore[misc]
    columns = {name: changes.pop(name) for name in ("memory", "vcpus", "warmup") if name in changes}
    members = [{name: values[vm] for name, values in columns.items()} for vm in range(vms)]  # type: ignore[index]
    whole = {
        "dimensions": 1,
        "members": members,
        **{name: config[name] for name in ("guest", "host", "clock", "epoch", "numa", "overcommit", "reclaim")},
        "seed": 1,
        **changes,
    }
    return MemoryConfig.model_validate(whole)


BELADY = [1, 2, 3, 4, 1, 2, 5, 1, 2, 3, 4, 5]
TEXTBOOK = [7, 0, 1, 2, 0, 3, 0, 4, 2, 3, 0, 3, 2, 1, 2, 0, 1, 7, 0, 1]


@kernel
def drive(state: Any, pages: NDArray[np.int64], resident: NDArray[np.uint8], frames: int, warmup: int, swap_cache: bool) -> int:
    """Count the faults of a policy over a string of pages after a warm-up, without those that a swap cache would serve if there is one."""
    faults, used = 0, 0
    for place in range(pages.size):
        page = pages[place]
        if not resident[page]:
            if place >= warmup and not (swap_cache and lingers(state, page)):
                faults += 1
            if used == frames:
                out = victim(state)
                remove(state, out)
                resident[out] = 0
            else:
                used += 1
            insert(state, page)
            resident[page] = 1
        touch(state, page)
    return faults


def faults(policy: str, pages: Any, frames: int, warmup: int = 0, seed: int = 1, swap_cache: bool = False) -> int:
    """Faults of a replacement policy."""
    numbers = np.asarray(pages, np.int64)
    size = int(numbers.max()) + 1
    state = load("memory.replacement", policy).make(size, seed)
    return int(drive(state, numbers, np.zeros(size, np.uint8), np.int64(frames), np.int64(warmup), swap_cache))


def install_plugin(root: Path, name: str, files: dict[str, str]) -> dict[str, str]:
    """Make a package of some files, laid out as memvirt is, as if installed in a folder; returns the environment that finds it."""
    for path, text in files.items():
        file = root / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    for folder in [root / name, *(path for path in (root / name).rglob("*") if path.is_dir())]:
        (folder / "__init__.py").touch()
    info = root / f"{name}-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[memvirt.plugins]\n{name} = {name}\n")
    return {"PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
