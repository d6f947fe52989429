"""The workload room: what each VM does, one trace a VM."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memvirt.digest import file_stamp
from memvirt.errors import ConfigError
from memvirt.policy import load as load_policy
from memvirt.policy import names as policy_names
from memvirt.types import EVERY_SPACE, GUEST_EVENT, Accesses, GuestEvent, Pages, Trace
from memvirt.workload.config import Workload
from memvirt.workload.files import file_digest, find_page
from memvirt.workload.lives import check_life, detail_of, is_life, life_of, trace_of
from memvirt.workload.names import LIFE, SYNTHETIC, trace_file
from memvirt.workload.reach import beyond, untranslated
from memvirt.workload.source import Chunks, Source
from memvirt.workload.spaces import own_switches
from memvirt.workload.stored import open_trace
from memvirt.workload.synthetic import below, draws

__all__ = [
    "Workload",
    "assumed",
    "check",
    "check_levels",
    "dependence",
    "detail_of",
    "digest",
    "is_life",
    "length",
    "life_of",
    "load",
]

MOST_ACCESSES, MOST_PAGES, MOST_EVENTS = 1 << 40, (1 << 31) - 1, 1 << 28
ACCESSES = 1_000_000  #: of a synthetic workload that isn't told how many
FIRST_VPN = 0x40000  #: where a synthetic workload's pages begin: at 1 GiB, so that it has no more large pages than it must


def digest(config: Workload) -> str:
    """Digest of what a trace depends on besides its config: its file's bytes ('' for a synthetic one)."""
    path = trace_file(config.name, config.path) or (Path(config.path) if config.path else None)
    return file_digest(path) if path is not None else ""


def dependence(config: Workload) -> float | None:
    """Share of a workload's accesses that depend on the one before; None where nobody has said."""
    if is_life(config):
        detail = detail_of(config)
        return None if detail is None else dependence(detail)
    if config.dependence is None and config.name in policy_names(SYNTHETIC):
        return getattr(_module(config), "DEPENDENCE", None)
    return config.dependence


def check(config: Workload) -> None:
    """Read the file behind a workload, so that a bad one is known before anything is computed.

    Raises
    ------
    TraceError
        If it is missing, truncated or malformed.
    ConfigError
        If fetches are asked for where there are none, or there is more of something than can be counted.
    """
    if is_life(config):
        check_life(config)
        detail = detail_of(config)
        if detail is not None:
            check(detail)
        return
    path = trace_file(config.name, config.path)
    pages = -(-config.footprint // 4096)
    if path is not None:
        stored = open_trace(path, config.format, config.fetches)
        pages = stored.source.vpn.size
        if stored.unfit:
            raise ConfigError("workload.path", str(path), stored.unfit)
        if stored.source.spaces > 1:
            _check_one_process(config, stored.source.spaces)
        if config.fetches and not stored.fetches:
            raise ConfigError(
                "workload.fetches", True, f"{path.name} has no instruction fetches: record or import it with --fetches"
            )
    elif config.fetches:
        raise ConfigError(
            "workload.fetches", True, f"{config.name} is synthetic and fetches nothing; use a recorded trace that does"
        )
    _check_numbers(config, pages)


def assumed(config: Workload) -> list[str]:
    """What the files behind a checked workload don't say, and is assumed, each with the file's name."""
    if is_life(config):
        module, detail = load_policy(LIFE, config.name, "workload"), detail_of(config)
        of_file = getattr(module, "assumed", None)
        said = of_file(config.path, **{**module.OPTIONS, **config.options}) if of_file else []
        return [*(f"{config.path}: {each}" for each in said), *(assumed(detail) if detail is not None else ())]
    if config.name != "trace":
        return []
    return [f"{config.path}: {each}" for each in open_trace(Path(config.path or ""), config.format, config.fetches).notes]


def _check_one_process(config: Workload, spaces: int) -> None:
    """Refuse what says which of `workload.processes` runs, where the trace says it."""
    for key, nothing in (("processes", 1), ("fork_every", 0)):
        if getattr(config, key) != nothing:
            why = f"the trace has {spaces} address spaces of its own, and says when each of them runs"
            raise ConfigError(f"workload.{key}", getattr(config, key), why)


def _check_numbers(config: Workload, pages: int) -> None:
    """Refuse more accesses, pages or events than there are numbers for."""
    accesses, total = length(config), pages * config.processes
    if accesses > MOST_ACCESSES:
        raise ConfigError("workload.accesses", f"{accesses:,}", f"are more than the {MOST_ACCESSES:,} that are counted")
    if (config.warmup if config.warmup >= 1 else config.warmup * accesses) >= accesses:
        raise ConfigError("workload.warmup", config.warmup, f"leaves nothing to count of {accesses:,} accesses")
    if total > MOST_PAGES:
        why = f"{pages:,} pages of {config.processes} processes are more than 31-bit numbers name"
        raise ConfigError("workload.footprint", config.footprint, why)
    each = {
        "remap_every": config.remap_pages,
        "table_writes_every": config.table_write_pages,
        "fork_every": pages + 1,
        "flush_every": 1,
        "idle_every": 1,
    }
    for key, size in each.items():
        every = getattr(config, key)
        if every and accesses // every * size > MOST_EVENTS:
            why = f"makes {accesses // every * size:,} events, more than the {MOST_EVENTS:,} that are held in memory"
            raise ConfigError(f"workload.{key}", every, why)


def check_levels(config: Workload, levels: int) -> None:
    """Refuse a trace with addresses that so many levels of guest tables don't translate.

    Raises
    ------
    ConfigError
        With the first of them.
    """
    if is_life(config):
        detail = detail_of(config)
        return check_levels(detail, levels) if detail is not None else None
    path = trace_file(config.name, config.path)
    if path is None:
        return None
    if not path.is_file():
        return None  # `check` says what it is instead
    wrong = _untranslated(path, config.format, config.fetches, levels, file_stamp(path))
    if wrong is not None:
        address, place = find_page(path, config.format, wrong)
        raise ConfigError("guest.levels", levels, beyond(address, levels, f"{path}{place and ', '}{place}"))
    return None


@lru_cache(maxsize=64)
def _untranslated(path: Path, name: str | None, fetches: bool, levels: int, stamp: tuple[int, int]) -> int | None:
    return untranslated(open_trace(path, name, fetches).source.vpn, levels)


def _recorded(config: Workload) -> Source:
    path = trace_file(config.name, config.path)
    assert path is not None
    return open_trace(path, config.format, config.fetches).source


def _module(config: Workload) -> Any:
    """The file of a synthetic workload."""
    return load_policy(SYNTHETIC, config.name, "workload")


def _options(config: Workload) -> dict[str, Any]:
    """Options of a synthetic workload's own."""
    return {**_module(config).OPTIONS, **config.options}


class _Generated:
    """Reads a synthetic workload; made again from its config where it was sent to."""

    def __init__(self, config: Workload, pages: int, seed: int) -> None:
        self.config, self.pages, self.seed = config, pages, seed
        self._prepare()

    def _prepare(self) -> None:
        self._make = _module(self.config).make(self.pages, self.seed, **_options(self.config))

    def __call__(self, first: int, last: int) -> Accesses:
        page, line = self._make(first, last)
        return Accesses(page, line, np.full(last - first, self.config.instructions_per_access, np.uint8))

    def __reduce__(self) -> tuple[type[_Generated], tuple[Workload, int, int]]:
        return _Generated, (self.config, self.pages, self.seed)


def _burst(config: Workload) -> int:
    """Accesses from one pause to the next, of a workload that comes in bursts; 0 of one that doesn't."""
    burst = None if trace_file(config.name, config.path) else getattr(_module(config), "burst", None)
    return burst(**_options(config)) if burst else 0


def _event_table(size: int, kind: GuestEvent) -> NDArray[np.void]:
    table = np.zeros(size, GUEST_EVENT)
    table["kind"] = kind
    return table


def _running(config: Workload, at: NDArray[np.int64], own: NDArray[np.void] | None = None) -> NDArray[np.int64]:
    """Address space that runs at some accesses; ``own`` are the trace's own switches."""
    if own is not None and own.size:
        last = np.searchsorted(own["at"].astype(np.int64), at, side="right") - 1
        return np.where(last < 0, 0, own["asid"][last]).astype(np.int64)
    return at // config.switch_every % config.processes if config.processes > 1 else np.zeros_like(at)


def _random_pages(at: NDArray[np.int64], each: int, pages: int, draw: NDArray[np.uint64], kind: GuestEvent) -> NDArray[np.void]:
    change = _event_table(at.size * each, kind)
    change["at"] = np.repeat(at, each)
    change["page"] = below(draw, pages)
    return change


def _forks(config: Workload, accesses: int, pages: int) -> NDArray[np.void]:
    """For each fork a PROTECT of every page of the process, then a FLUSH."""
    parts = []
    own = pages // config.processes
    for at in range(config.fork_every, accesses, config.fork_every) if config.fork_every else ():
        (asid,) = _running(config, np.array([at]))
        protect = _event_table(own + 1, GuestEvent.PROTECT)
        protect["at"], protect["asid"] = at, asid
        protect["page"][:own] = asid * own + np.arange(own)
        protect["kind"][own] = GuestEvent.FLUSH
        parts.append(protect)
    return np.concatenate(parts) if parts else _event_table(0, GuestEvent.PROTECT)


def _events(config: Workload, accesses: int, pages: int, seed: int, own: NDArray[np.void]) -> NDArray[np.void]:
    """All that a VM does besides accessing memory, in order; ``own`` are the trace's own switches."""

    def times(every: int) -> NDArray[np.int64]:
        return np.arange(every, accesses, every) if every else np.zeros(0, np.int64)

    turn = own
    if config.processes > 1:
        at = times(config.switch_every)
        turn = _event_table(at.size, GuestEvent.SWITCH)
        turn["at"], turn["asid"] = at, _running(config, at)
    remaps, each = times(config.remap_every), config.remap_pages
    unmap = _random_pages(remaps, each, pages, draws(seed, 101, 0, remaps.size * each), GuestEvent.UNMAP)
    rewrites, each = times(config.table_writes_every), config.table_write_pages
    written = max(1, round(pages * config.table_write_share))
    rewrite = _random_pages(rewrites, each, written, np.repeat(draws(seed, 102, 0, rewrites.size), each), GuestEvent.TABLE_WRITE)
    rewrite["page"] = (rewrite["page"] + np.tile(np.arange(each), rewrites.size)) % written
    at = times(config.flush_every)
    flush = _event_table(at.size, GuestEvent.FLUSH)
    flush["at"], flush["asid"] = at, EVERY_SPACE if config.flush_all else _running(config, at, own)
    at = times(config.idle_every or _burst(config))
    idle = _event_table(at.size, GuestEvent.IDLE)
    idle["at"], idle["page"] = at, round(config.idle_time / 1e3)
    events = np.concatenate([turn, unmap, rewrite, _forks(config, accesses, pages), flush, idle])
    return events[np.argsort(events["at"], kind="stable")]


def length(config: Workload, scale: float = 1.0) -> int:
    """Accesses of each VM; ``scale``: of a page life, of which one page of so many is sampled, about."""
    if is_life(config):
        return max(1, round(int(life_of(config).extents["visits"].sum()) / scale))
    if config.accesses is not None:
        return config.accesses * (1 if trace_file(config.name, config.path) else config.repeat)
    if trace_file(config.name, config.path) is not None:
        return _recorded(config).length * config.repeat
    own = getattr(_module(config), "accesses", None)
    return (own(config.path, config.idle_time, **_options(config)) if own else ACCESSES) * config.repeat


def load(config: Workload, vm: int = 0, scale: float = 1.0, vcpus: int = 1, salt: int = 0) -> Trace:
    """Make the trace of one VM.

    Parameters
    ----------
    config : Workload
    vm : int
        Its number: a synthetic workload takes another seed for it, a recorded one begins elsewhere.
    scale, vcpus, salt
        Of a page life: one page of so many is sampled, the VM's vCPUs, and a seed of which pages.

    Raises
    ------
    TraceError
        If the file behind it can't be read.
    ConfigError
        As `check`.
    """
    if is_life(config):
        return trace_of(config, vm, scale, vcpus, salt)
    seed = config.seed + vm
    offset, accesses = 0, length(config)
    if trace_file(config.name, config.path) is not None:
        source = _recorded(config)
        offset = vm * config.offset % source.length
    else:
        pages = -(-config.footprint // 4096)
        vpn = FIRST_VPN + np.arange(pages, dtype=np.uint64)
        source = Source(vpn, accesses, _Generated(config, pages, seed))
    total = source.vpn.size * config.processes
    asid = np.repeat(np.arange(config.processes, dtype=np.uint16), source.vpn.size)
    if source.spaces > 1 and source.asid is not None:
        asid = source.asid
    return Trace(
        pages=Pages(np.tile(source.vpn, config.processes), asid),
        accesses=accesses,
        events=_events(config, accesses, total, seed, own_switches(source, accesses, offset)),
        chunks=Chunks(source, accesses, offset, config.processes, config.switch_every),
        fetches=config.fetches,
    )
