"""A fleet: how many there are of a kind, in members and in a table."""

from __future__ import annotations

from pathlib import Path

import pytest

import memvirt
from memvirt.errors import ConfigError

TABLE = """name,count,memory,workload,workload.footprint,shares
web,2,4MiB,zipf,2MiB,2000
batch,1,,uniform,1MiB,
"""
MEMBERS = (
    "vms.members=[{count:2,memory:4MiB,workload:{name:zipf,footprint:2MiB},shares:2000},{workload:{name:uniform,footprint:1MiB}}]"
)


def test_a_table_is_its_members(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row a kind; the same machine as the members that say so, whatever the file is called."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fleet.csv").write_text(TABLE)
    point = memvirt.make_point("vms.path=fleet.csv")
    assert point.count == 3
    assert [point.member(vm).workload.name for vm in range(3)] == ["zipf", "zipf", "uniform"]
    assert [point.member(vm).vms.shares for vm in range(3)] == [2000, 2000, 1000]
    assert point.member(2).vms.memory is None
    assert point.model_dump() == memvirt.make_point(MEMBERS).model_dump()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "vms.path=fleet.csv: can't be read"),
        ("name,count\n", "no row of VMs"),
        ("count,memory\n2\n", "line 2: has not as many cells"),
        ("count\n0\n", r"vms.members\[0\].count=0: must be a whole number"),
        ("count,memry\n1,4MiB\n", r"memry=4MiB: there is no such key"),
        ("workload\ngccc\n", "did you mean gcc"),
    ],
)
def test_wrong_tables(text: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        (tmp_path / "fleet.csv").write_text(text)
    with pytest.raises(ConfigError, match=said):
        memvirt.make_point("vms.path=fleet.csv")
