"""Kernels that only kernels call: kept as parts, and linked into what Python calls."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from numba import njit
from numba.core.bytecode import FunctionIdentity
from numba.core.datamodel import default_manager
from numba.core.errors import TypingError
from numpy.typing import NDArray

from memvirt.by_address import by_address
from memvirt.jit import Compiled, inner, kernel
from memvirt.policy import verb

PUSH = """
import sys
import numpy as np
from memvirt.memory import lists
chain = lists.make_chain(4)
for item, push in enumerate(sys.argv[1:]):
    getattr(lists, push)(chain, np.int64(item))
print(chain.next.tolist())
"""


def test_a_part_is_compiled_once(tmp_path: Path) -> None:
    """What another process compiled is linked, typed no more; a part has no machine code, and what Python calls has all of it."""
    log, compiled = tmp_path / "kernels/compiled.log", []

    def run(*pushes: str, **environment: str) -> str:
        words = [sys.executable, "-W", "ignore", "-c", PUSH, *pushes]
        environment = {**os.environ, "MEMVIRT_CACHE_DIR": str(tmp_path), **environment}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        names = {Compiled.read(line).kernel.rpartition(".")[2] for line in log.read_text().splitlines()} if log.exists() else set()
        compiled.append(names - set().union(*compiled))
        return done.stdout

    expected = run("push_front", "push_front", "push_back", NUMBA_DISABLE_JIT="1")
    run("push_front")
    assert run("push_front", "push_front", "push_back") == expected
    assert run("push_front", "push_front", "push_back") == expected
    assert compiled == [set(), {"_end", "push_front"}, {"push_back"}, set()]
    (part,), (whole,) = (list(log.parent.glob(f"memvirt.memory.lists.{name}-*.nbc")) for name in ("_end", "push_back"))
    assert b"\x7fELF" not in part.read_bytes()
    assert b"\x7fELF" in whole.read_bytes()


@verb
def one(state: object) -> int:
    raise NotImplementedError


@verb
def other(state: object) -> int:
    raise NotImplementedError


class State(NamedTuple):
    number: int


@one.register
def _(state: State) -> int:
    return state.number + 1


@other.register
def _(state: State) -> int:
    return state.number + 2


def test_two_verbs_of_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy may call both `_`, also where parts of two processes meet, whose numbers for functions are the same ones."""
    monkeypatch.setattr(FunctionIdentity, "_unique_ids", itertools.repeat(7))
    both = njit(lambda state: (one(state), other(state)))
    assert both(State(10)) == (11, 12)


class Inside(NamedTuple):
    """One of an outer tuple."""

    numbers: NDArray[np.int64]


class Outside(NamedTuple):
    """A whole, part of which is marked too."""

    numbers: NDArray[np.int64]
    pair: tuple[int, float]
    inside: Any


def test_by_address() -> None:
    """What is marked goes to a kernel and on to those that it calls as one address; each field is read and written in place."""
    by_address(Inside), by_address(Outside)

    @njit(_nrt=False, no_cpython_wrapper=True)  # type: ignore[untyped-decorator]
    def inner(outside: Outside, inside: Inside, place: int) -> float:
        inside.numbers[place] = outside.numbers[place] + 1
        outside.numbers[place] = -1
        return outside.pair[1] + outside.inside.numbers[place]

    @njit(_nrt=False)  # type: ignore[untyped-decorator]
    def outer(outside: Outside) -> float:
        return inner(outside, outside.inside, 0) + inner(outside, outside.inside, 1)  # type: ignore[no-any-return]

    for outside in (Outside(np.arange(2), (7, 0.5), Inside(np.zeros(2, np.int64))) for _ in range(2)):
        assert outer(outside) == 0.5 + 1 + 0.5 + 2
        assert outside.numbers.tolist() == [-1, -1]
        assert outside.inside.numbers.tolist() == [1, 2]
    assert all(default_manager[kind].get_argument_type().is_pointer for each in inner.signatures for kind in each[:2])
    assert {kind.instance_class for each in inner.signatures for kind in each[:2]} == {Outside, Inside}
    with pytest.raises(TypingError):
        outer(outside._replace(numbers=None))


def test_python_is_refused_parts() -> None:
    """A part that Python calls says so, before and after kernels use it: there is nothing to jump to."""

    @inner
    def part(number: int) -> int:
        return number + 1

    @kernel
    def whole(number: int) -> int:
        return part(number)

    for _ in range(2):
        with pytest.raises(TypeError, match="part is for kernels alone"):
            part(1)
        assert whole(1) == 2
