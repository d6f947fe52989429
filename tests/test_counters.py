"""Counters are declared once: how epochs make a run, what the documentation says, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from memvirt import memory
from memvirt.counters import OVER_EPOCHS, OVER_VMS, Counter, as_counters, in_use, names_of, of_policies, own, record_of, told_apart
from memvirt.errors import MemvirtError
from memvirt.memory.sharing import ksm, none
from memvirt.result import docs, rows
from memvirt.result.rows import COUNTING, columns, counters, over_epochs
from memvirt.sweep.study import one_of_vms
from tests.support import memory_config, trace

PAGE = (Path(__file__).parent.parent / "docs/config.md").read_text()
MORE = Counter("pages_lost", "pages", doc="that nobody finds again")


def test_the_documentation_is_what_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made again it is the same; with a counter more it isn't, nor with another word about one."""
    assert docs.filled(PAGE) == PAGE, "python -m memvirt.result.docs docs/config.md"
    known = counters()
    monkeypatch.setattr(rows, "counters", lambda: (*known, MORE))
    assert "pages_lost" in docs.filled(PAGE)
    monkeypatch.setattr(rows, "counters", lambda: (known[0]._replace(doc="another thing"), *known[1:]))
    assert docs.filled(PAGE) != PAGE


def test_each_column_is_documented() -> None:
    """With a unit, or as one that needs none; counters with words that there are."""
    for each in (*columns("results"), *columns("epochs")):
        assert docs.title(each) in PAGE
        assert each.doc
        assert each.unit
    for each in counters():
        assert each.epochs in OVER_EPOCHS
        assert each.vms in OVER_VMS
        assert (each.kind == "int") == (each.epochs == "sum")


def test_epochs_make_a_run() -> None:
    """By hand: two VMs, three epochs, the last of which the second VM didn't live to see."""
    values, lived = np.array([[1, 5, 3], [2, 4, 0]]), np.array([[True, True, True], [True, True, False]])
    assert over_epochs("sum", values, lived).tolist() == [9, 6]
    assert over_epochs("mean", values, lived).tolist() == [3.0, 3.0]
    assert over_epochs("last", values, lived).tolist() == [3.0, 4.0]
    assert over_epochs("max", values, lived).tolist() == [5.0, 4.0]


def test_vms_make_a_host() -> None:
    """As each counter says; of what is no counter the mean. A point that failed has no number, not a sum of none."""
    columns = ["major_faults", "memory_state", "host_pages", "slowdown"]
    rows = [[0, "ok", 3, 1.0, 50.0, 1.5], [0, "ok", 4, 2.0, 50.0, 2.5], [1, "error", np.nan, np.nan, np.nan, np.nan]]
    frame = pd.DataFrame(rows, columns=["number", "status", *columns])
    found = one_of_vms(frame, columns, "host")
    assert found.loc[0].tolist() == [7.0, 2.0, 50.0, 2.0]
    assert found.loc[1].isna().all()
    assert one_of_vms(frame, ["major_faults"], "sum")["major_faults"].isna().tolist() == [False, True]


def test_a_policy_s_counters_are_there_where_it_is_in_use() -> None:
    """KSM's are its own: no other scanner's machine has them."""
    assert set(ksm.COUNTERS) <= set(counters())
    assert set(ksm.COUNTERS).isdisjoint(own("memory"))
    with_ksm, without = in_use("memory", [ksm.make(1, 1, 0)]), in_use("memory", [none.make(1, 1, 0)])
    assert [each for each in with_ksm if each not in without] == list(ksm.COUNTERS)
    assert of_policies("memory")["memvirt.memory.sharing.ksm"] == ksm.COUNTERS


def test_a_counter_has_one_place() -> None:
    """Two of one name are refused, one of several names and a plain one too."""
    with pytest.raises(MemvirtError, match="walk_refs_in_l2 is declared twice"):
        told_apart([Counter("walk_refs_in_{}", "", "", over=("l1d", "l2")), Counter("walk_refs_in_l2", "", "")])
    for room in COUNTING:
        assert len(set(names_of(own(room)))) == len(names_of(own(room)))


def test_records_are_numbers_by_name() -> None:
    """In a record's fields, arrays among them, and in what a room hands on, each number has its name."""
    kinds = (Counter("walks", "", ""), Counter("refs_in_{}", "", "", over=("l2", "llc")), Counter("exits", "", ""))
    counts = np.zeros((2, 3), record_of(kinds)).view(np.recarray)
    counts[1, 2].walks += 5
    counts[1, 2].refs_in[1] += 7
    counts[0, 0].exits += 1
    found = as_counters(counts, kinds)
    assert found.names == ("walks", "refs_in_l2", "refs_in_llc", "exits")
    assert found.values[1, 2].tolist() == [5, 0, 7, 0]
    assert found.values[0, 0].tolist() == [0, 0, 0, 1]
    with pytest.raises(AttributeError):
        counts[0, 0].typo = 1
    values = memory.run(memory_config(), [trace([1, 2, 1])]).counters
    assert values.values[0, 1, values.names.index("accesses")] == 3
