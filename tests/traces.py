"""The page traces by formula that the reference counts belong to; `SHA256` says that they are they."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

LENGTH = 1_000_000
SHA256 = {
    "uniform": "321889b0617fafe087eff703c74665c7fc83e5014b0a27da916f0cc440d912e5",
    "skewed": "63e6c0fb9b9266d9eac8377cf641dc86619280b51b59faa399438f5e2ef65f8c",
    "strided": "4ca2680ffb0e0fd5d524d8e9d29170cdb56e00f0b87a5badcd4559acbaf98ef4",
    "mixed": "e5e4a400e5c9aae9dc8b1c28271e9a4520d1071fd1ca17351fc2b7370b82e680",
}


def mix(numbers: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Splitmix64 of a counter."""
    mixed = numbers * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ mixed >> np.uint64(shift)) * np.uint64(factor)
    return mixed ^ mixed >> np.uint64(31)


def pages(name: str) -> NDArray[np.uint64]:
    """Page numbers of a trace."""
    place = np.arange(LENGTH, dtype=np.uint64)
    if name == "uniform":
        return mix(place, 1) % np.uint64(4096)
    if name == "skewed":
        share = (mix(place, 2) >> np.uint64(11)) / 2.0**53
        return np.floor(8192 * share**4).astype(np.uint64)
    if name == "strided":
        return place * np.uint64(17) % np.uint64(3000)
    random = mix(place, 4)
    far = (random >> np.uint64(20)) % np.uint64(20000)
    return np.where(random % np.uint64(4) == 0, far, place // np.uint64(32) % np.uint64(1500)).astype(np.uint64)


def addresses(name: str) -> NDArray[np.uint64]:
    """Byte addresses: a line of each page chosen by hash."""
    line = mix(np.arange(LENGTH, dtype=np.uint64), 99) % np.uint64(64)
    found = pages(name) * np.uint64(4096) + line * np.uint64(64)
    assert hashlib.sha256(found.astype("<u8").tobytes()).hexdigest() == SHA256[name]
    return found
