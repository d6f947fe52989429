"""libCacheSim's oracleGeneral: requests of objects in records of 24 bytes (time u32, object u64, size u32, next request i64).

Each object is a page, numbered in the order of first request; nothing says which requests write. It isn't a program's memory,
but what a cache of pages would be asked for.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from memvirt.workload.batch import LOAD, Batch, Objects, Options, numbered_from
from memvirt.workload.numbers import blocks
from memvirt.workload.sniff import BY_ENDING, LIKELY, SURE
from memvirt.workload.stream import Sample, Stream

RECORD = np.dtype([("time", "<u4"), ("object", "<u8"), ("size", "<u4"), ("next", "<i8")])
NEVER = (-1, (1 << 63) - 1)  #: of an object that isn't asked for again
ODD = 0.05  #: share of records that may be odd
NOTE = "holds requests of objects: each object is a page, each request a load of one instruction"


def sniff(sample: Sample) -> float:
    """By its records: time goes on, and the next request comes after this one, or never."""
    named = BY_ENDING if ".oraclegeneral" in sample.name.lower() else 0.0
    records = np.frombuffer(sample.head[: len(sample.head) // 24 * 24], RECORD)
    if not records.size or (sample.size is not None and sample.size % 24):
        return named
    back = np.count_nonzero(np.diff(records["time"].astype(np.int64)) < 0)
    if back > ODD * records.size or (records["size"] >> 31).any() or not records["object"].any():
        return named
    if not _foresees(records, sample.size):
        return named
    return SURE if named else LIKELY


def _agree(offset: NDArray[np.int64]) -> bool:
    """Whether nearly all are one small number: from where it is counted."""
    values, counts = np.unique(offset, return_counts=True)
    most = int(np.argmax(counts))
    return bool(counts[most] >= (1 - ODD) * offset.size) and abs(int(values[most])) <= 2


def _foresees(records: NDArray[np.void], size: int | None) -> bool:
    """Whether records name the next request of their object: its number, or how far it is away."""
    after, place = records["next"], np.arange(records.size)
    never = np.isin(after, NEVER)
    order = np.argsort(records["object"], kind="stable")
    again = np.flatnonzero(np.diff(records["object"][order].astype(np.int64)) == 0)
    this, following = order[again], order[again + 1]
    if this.size:
        return _agree(after[this] - following) or _agree(after[this] - (following - this))
    most = (size // 24 if size is not None else 1 << 32) + 1
    return bool((never | ((after > 0) & (after <= most) & (after > place))).all() and (never.any() or size is not None))


def read(stream: Stream, options: Options) -> Iterator[Batch]:
    """Read requests."""
    stream.note(NOTE)
    objects = Objects()
    for at, block in blocks(stream, RECORD.itemsize, "ends in mid-record: a request takes 24 bytes"):
        address = objects.number(np.frombuffer(block, RECORD)["object"]) << np.uint64(12)
        ones = np.ones(address.size, np.int64)
        yield Batch(address, np.full(address.size, LOAD, np.uint8), ones, numbered_from(at, RECORD.itemsize, "byte"))
