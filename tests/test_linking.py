"""Kernels that only kernels call: kept as parts, and linked into what Python calls."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from numba import njit
from numba.core.bytecode import FunctionIdentity

from memvirt.jit import Compiled
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
