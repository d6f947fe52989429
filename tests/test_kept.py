"""Kept stages are data: what was written comes back as it was, anything else is computed again and never run."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memvirt import types
from memvirt.digest import content_digest
from memvirt.pipeline.compute import compute
from memvirt.pipeline.layout import graph
from memvirt.pipeline.rooms import ROOMS
from memvirt.sweep.store.encoding import ALIGN, EncodingError, decode, encode
from memvirt.sweep.store.kept import Kept, KeptStage
from memvirt.types import Counters, Schedule, Tables
from tests.support import point

STAGE = KeptStage(
    {"schedule": "a", "counters": "b"}, {"counters": Counters(("n", "m"), np.arange(12).reshape(2, 3, 2), ("sum", "mean"))}, 1.5
)
RUNS = np.zeros(3, types.RUN)
RUNS["at"] = [0, 5, 7]
LARGE: dict[str, Any] = {"schedule": Schedule(RUNS, 9, 1, 1, 1), "evictions": None, "switches": True}
VALUE: dict[str, Any] = {
    **LARGE,
    "counters": STAGE.fields["counters"],
    "tables": Tables(np.arange(5, dtype=np.uint32), np.zeros((0, 4), np.uint32)),
    "offsets": [np.array([1, 2], np.uint32), np.zeros(0, np.uint32)],
    "events": np.ones(2, types.EVENT),
    "nested": ("a", (1, -(2**70)), [0.5, False], {"x": np.arange(6, dtype=np.float32).reshape(2, 3).T}),
    "scalars": [np.int64(-3), np.float64(0.25), np.bool_(True)],
}


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def whole(value: Any) -> np.ndarray:
    return np.frombuffer(b"".join(encode(value)), np.uint8)


def test_a_value_comes_back_as_it_was() -> None:
    """Types, dtypes, shapes and digests; arrays can't be written to, and lie where compiled code wants them."""
    found = decode(whole(VALUE))
    assert same(found, VALUE)
    assert content_digest(found) == content_digest(VALUE)
    array = found["tables"].row
    assert array.flags.aligned
    assert not array.flags.writeable


def round_trips() -> None:
    """Compute points of several kinds, and read back what each of their stages handed on; for a process of its own."""
    for words in (["mmu=nested"], ["mmu=agile", "reclaim=linux", "overcommit.ratio=1.5"], ["vms.count=2", "numa=two_socket"]):
        done: list[dict[str, Any]] = []
        for stage in graph(point("workload=zipf", "workload.accesses=300", "workload.footprint=256KiB", *words)):
            inputs = [
                {name: done[each.number][name] for name in read} for each, read in zip(stage.inputs, stage.reads, strict=True)
            ]
            fields, digests = compute(stage.room, stage.config.value, inputs)
            done.append(fields)
            if not ROOMS[stage.room].known_by_key:
                found = decode(whole(fields))
                assert same(found, fields)
                assert {
                    name: content_digest(value) for name, value in found.items() if value is not None
                }.items() <= digests.items()


def test_what_stages_hand_on_is_known_to_the_schema() -> None:
    """In plain Python, so that no mix of policies is compiled."""
    words = [sys.executable, "-W", "ignore", "-c", "from tests.test_kept import round_trips; round_trips()"]
    done = subprocess.run(words, env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


class Own:
    """Of a plug-in, perhaps."""


@pytest.mark.parametrize(
    "value", [Own(), np.array([None]), {1: 2}, np.zeros(2, [("a", "<i4")]), b"text", {1, 2}, np.array("a"), 1j]
)
def test_what_the_schema_does_not_know_is_not_written(value: object, tmp_path: Path) -> None:
    """The stage is computed each time then, and nothing else is the worse for it."""
    with pytest.raises(EncodingError, match="of the schema"):
        encode({"x": value})
    kept = Kept(tmp_path, 1 << 30)
    kept.write("a", STAGE, {"x": value})
    assert kept.read_large("a") is None
    assert kept.read("a") is not None
    assert [path.name for path in kept.folder.iterdir()] == ["a"]


def test_bytes_that_are_no_value_are_refused() -> None:
    """However they are changed: a value comes back, or that one error, nothing else."""
    data = whole(VALUE)
    length = 8 + int.from_bytes(data[:8].tobytes(), "little")
    draw = random.Random(7)
    refused = 0
    for _ in range(3000):
        changed = data.copy()
        for _ in range(draw.choice((1, 1, 2, 8))):
            changed[draw.randrange(length)] = draw.choice((draw.randrange(256), *b'0123456789"[]{},:-'))
        changed = changed[: draw.choice((changed.size, draw.randrange(changed.size)))]
        try:
            decode(changed)
        except EncodingError:
            refused += 1
    assert refused > 1500


TEXTS = (
    "", "[", "[1]", "{}", '{"a": 1, "b": 2}', '{"os.system": ["true"]}', '{"Schedule": [1]}', '{"Schedule": 3}', '{"dict": [1]}',
    '{"array": []}', '{"array": ["O", [1], 0]}', '{"array": ["u8", [-1], 0]}', '{"array": ["u8", [1e3], 0]}', '{"array": ["u8", [9], 0]}',
    '{"array": ["u8", [1], -64]}', '{"array": ["u8", [1], 1]}', '{"array": ["u8", [99999999999999999999, 0], 0]}',
    '{"array": [["u8"], [1], 0]}', '{"array": ["u8", [1, 1], 64]}', '{"array": ["u8", 7, 0]}', "1" * 5000, '{"list":[' * 9000,
)  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_descriptions_of_nothing_are_refused(text: str) -> None:
    """Nothing is allocated, called or followed for them."""
    padded = text.encode() + b" " * (-(8 + len(text)) % ALIGN)
    with pytest.raises(EncodingError):
        decode(np.frombuffer(len(padded).to_bytes(8, "little") + padded + bytes(64), np.uint8))


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    """A folder with one stage."""
    made = Kept(tmp_path, 1 << 30)
    made.write("a", STAGE, LARGE)
    assert same(made.read("a"), STAGE)
    assert same(made.read_large("a"), LARGE)
    return made


def reread(kept: Kept) -> KeptStage | None:
    """What a later sweep reads; it must be able to keep the stage again."""
    later = Kept(kept.home, kept.limit)
    found = later.read("a")
    if found is None:
        assert "a" not in later.names
        later.write("a", STAGE, {})
    later.prune()
    return found


class Trap:
    """What a pickle could do."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_a_file_that_is_not_ours_is_as_if_it_were_not_there(kept: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged, cut, another stage's, another user's, or a pickle: the stage is computed and kept again."""
    path, trap = kept.folder / "a", tmp_path / "sprung"
    data = path.read_bytes()
    draw = random.Random(3)
    for _ in range(100):
        changed = bytearray(data)
        changed[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(draw.choice((changed, changed, data[: draw.randrange(len(data))], changed + b"more")))
        assert reread(kept) is None
        assert same(reread(kept), STAGE)
    path.write_bytes(pickle.dumps(Trap(trap)))
    assert reread(kept) is None
    assert not trap.exists()
    kept.write("b", STAGE._replace(seconds=9.0), {})
    os.replace(kept.folder / "b", path)
    assert reread(kept) is None
    monkeypatch.setenv("MEMVIRT_CACHE_DIR", str(tmp_path / "another's"))
    assert reread(kept) is None
    kept = Kept(kept.home, kept.limit)
    for wrong in ({"x": 1}, {**STAGE._asdict(), "digests": {"a": 1}}, {**STAGE._asdict(), "seconds": float("nan")}, [1], None):
        kept._write("a", wrong)  # type: ignore[arg-type]
        assert Kept(kept.home, kept.limit).read("a") is None


def test_what_is_no_file_is_left_alone(kept: Kept, tmp_path: Path) -> None:
    """A folder, a pipe that would never end, a link: the stage is computed, the sweep goes on, and nothing beyond is touched."""
    path, other = kept.folder / "a", tmp_path.with_name(f"{tmp_path.name}-other")
    other.mkdir()
    (other / "precious").write_bytes(b"." * 1000)
    path.unlink()
    path.mkdir()
    assert reread(kept) is None
    assert path.is_dir()
    path.rmdir()
    os.mkfifo(path)
    assert reread(kept) is None
    path.unlink()
    path.symlink_to(other / "precious")
    assert reread(kept) is None
    (kept.home / "link").symlink_to(other)
    (kept.home / "file").touch()
    kept.limit = 0
    kept.prune()
    assert not list(kept.folder.iterdir())
    assert (other / "precious").exists()
    (tmp_path / "no folder").touch()
    nowhere = Kept(tmp_path / "no folder", 1 << 30)
    nowhere.write("a", STAGE, LARGE)
    assert nowhere.read("a") is None
    nowhere.prune()
