"""Sets in order of recency: one vector does what a list does."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from memvirt.jit import kernel
from memvirt.policy import load
from memvirt.recency import LANES, bring_first
from memvirt.tlb.replacement import INVALID, take


@kernel
def _bring(tags: Any, at: Any, ways: Any, tag: Any, empty: Any, enters: Any) -> Any:
    return bring_first(tags, np.uint64(at), ways, tags.dtype.type(tag), tags.dtype.type(empty), enters)


def _by_list(row: list[int], tag: int, empty: int, enters: bool) -> bool:
    """The same on a list, as the words say it."""
    found = tag in row
    if found or enters:
        row.remove(
            tag if found else empty if empty in row else row[-1]
        )  # of a set that is full, the last one's value is the only one
        row.insert(0, tag)
    return found


USES = st.lists(st.tuples(st.integers(1, 30), st.booleans(), st.booleans()), max_size=60)


@settings(deadline=None)  # the first use compiles
@given(ways=st.integers(1, LANES), dtype=st.sampled_from([np.uint32, np.uint64, np.int64]), uses=USES)
def test_a_set_is_a_list(ways: int, dtype: Any, uses: list[tuple[int, bool, bool]]) -> None:
    """Whatever is looked up, entered or taken out, and its neighbours stay as they are."""
    tags = np.full((3, LANES), 77, dtype)
    tags[1, :ways] = 0
    row = [0] * ways
    for tag, enters, drops in uses:
        assert bool(_bring(tags, LANES, ways, tag, 0, enters)) == _by_list(row, tag, 0, enters)
        if drops:
            row[len(row) // 2] = 0
            tags[1, len(row) // 2] = 0
        assert tags[1, :ways].tolist() == row
    assert (tags[0] == 77).all() and (tags[2] == 77).all() and (tags[1, ways:] == 77).all()


@kernel
def _take(state: Any, tags: Any, start: Any, ways: Any, tag: Any) -> Any:
    return take(state, tags, start, ways, np.uint32(tag))


@settings(deadline=None)
@given(ways=st.sampled_from([3, 16, 17, 32, 40]), uses=st.lists(st.tuples(st.integers(1, 50), st.integers(0, 5)), max_size=200))
def test_lru_of_any_size(ways: int, uses: list[tuple[int, int]]) -> None:
    """LRU's own way through a set, large or small, with holes or without, is a list's: the same stay."""
    empty = int(INVALID)
    tags, row = np.full(ways + 2, 99, np.uint32), [empty] * ways
    tags[1:-1] = empty
    state = load("tlb.replacement", "lru").make(ways + 2, [ways], 1)
    for tag, drops in uses:
        assert bool(_take(state, tags, 1, ways, tag)) == _by_list(row, tag, empty, True)
        if drops == 0:  # taken out, by its tag
            row[row.index(tag)] = empty
            tags[1:-1][tags[1:-1] == tag] = empty
        assert sorted(tags[1:-1].tolist()) == sorted(row)
    assert tags[0] == tags[-1] == 99
