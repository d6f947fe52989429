"""Config keys are declared once, and docs/keys.md is made of what declares them."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from memvirt.config import Section, Size
from memvirt.sweep.keys import table
from memvirt.sweep.keys.read import Kind, comments, kind_of_value, split
from memvirt.sweep.keys.table import filled, of_model, sections
from memvirt.sweep.plan.groups import all_keys, find_groups

PAGE = (Path(__file__).parent.parent / "docs/keys.md").read_text()


class Some(Section):
    """A section of a test's."""

    size: Size = Field(4096, gt=0)
    """Of it."""
    pages: int | None = Field(None, ge=1, le=8)
    """[pages] Of it; null:
    all.
    """
    bare: bool = False


class Unitless(Section):
    """Another."""

    number: float = 0.5
    """Of what?"""


def test_the_documentation_is_what_is_declared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made again it is the same; with another text, or another bound, it isn't."""
    assert filled(PAGE) == PAGE, "python -m memvirt.sweep.keys docs/keys.md"
    assert table.PACKAGED.read_text() == table.tables() + "\n", "python -m memvirt.sweep.keys docs/keys.md"
    found = sections()
    first = found["cpu"][1]
    for changed in (first._replace(text="another thing"), first._replace(values="> 1")):
        monkeypatch.setattr(table, "sections", lambda row=changed: {**found, "cpu": [found["cpu"][0], row, *found["cpu"][2:]]})
        assert filled(PAGE) != PAGE


def test_each_key_has_a_row() -> None:
    """Every group, and every key of every option's file: those of a TLB's arrays by what arrays have."""
    rows = [key for found in sections().values() for key in found]
    told = {key.name for key in rows}
    arrays = {name.split(".")[1] for name in all_keys() if name.startswith("tlb.") and name.endswith(".entries")}
    for name in [*all_keys(), *(group.replace("/", ".") for group in find_groups([]))]:
        parts = name.split(".")
        if (parts[-1] in ("name", "defaults") and len(parts) > 1) or parts[0] in ("hydra", "defaults"):
            continue
        if parts[0] == "machine" and len(parts) > 1:  # whole configs: their keys are those of other groups
            continue
        if parts[0] == "tlb" and len(parts) > 1 and parts[1] in arrays:
            parts[1] = "ARRAY"
        if parts != ["tlb", "ARRAY"]:
            assert ".".join(parts) in told, name
    assert len({(key.name, key.of) for key in rows}) == len(rows)


def test_a_field_makes_a_row() -> None:
    """Its bounds, its unit and the string below it."""
    size, pages = list(of_model(Some, "some.", {"pages": 2}, ("bare",)))
    assert size.row == "| `some.size` | > 0 | `4096` | bytes | Of it |"
    assert pages.row == "| `some.pages` | ≥ 1 and ≤ 8, `null` | `2` | pages | Of it; null: all |"


def test_a_key_without_a_text_is_refused() -> None:
    """And a number without a unit, naming the key and where it is declared."""
    with pytest.raises(ValueError, match=r"some\.bare has no text in tests\.test_keys\.Some"):
        list(of_model(Some, "some.", {}))
    with pytest.raises(ValueError, match=r"some\.number is a number.*doesn't begin with a unit"):
        list(of_model(Unitless, "some.", {}))
    with pytest.raises(ValueError, match=r"mmu\.ways has no text in mmu/some\.yaml"):
        split(None, "mmu/some.yaml", "mmu.ways", True)


def test_a_policy_s_keys(tmp_path: Path) -> None:
    """Comments of a YAML file's lines; what a mode's options may be."""
    path = tmp_path / "some.yaml"
    path.write_text("# Above.\ndefaults:\n  - lru: some  # Which\nsampling:  # How\n  period: 30s   # Of it\nname: some\nways: 3\n")
    assert comments(path) == {"defaults.lru": "Which", "sampling": "How", "sampling.period": "Of it"}
    assert kind_of_value("a", ("a", "b")) == Kind(("a", "b"))
    assert kind_of_value(0.5, 0.5, is_mode=True).bounds == ("≥ 0", "≤ 1")
    assert kind_of_value(0.5, 0.5).bounds == ("≥ 0",)
    assert kind_of_value("10us").unit == "ns"
