"""The guides' mode and policy, built from the pages as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pandas as pd

from memvirt.tlb.replacement import fill, touch, victim
from tests.support import install_plugin, sweep

PAGE_OF_POLICIES = Path(__file__).parent.parent / "docs/new_policy.md"
PAGE = (Path(__file__).parent.parent / "docs/new_mode.md").read_text()


def block(language: str) -> str:
    """The one block of that language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def test_a_mode_in_under_eighty_lines(tmp_path: Path) -> None:
    """A plug-in of the page's two files walks one or two lines a miss, and fills its table by hypercall."""
    source = block("python")
    assert len(source.strip().splitlines()) < 80
    files = {"mmu/mode/hashed.py": source, "conf/mmu/hashed.yaml": block("yaml")}
    plugins = re.search(r'"memvirt.plugins"\]\n(.*?)```', block("toml") + "```", re.DOTALL)
    assert plugins
    command = block("sh").split()
    assert command[:3] == ["python", "-m", "memvirt.sweep"]
    environment = install_plugin(tmp_path / "site", "mine", files)
    smaller = ["workload.accesses=60000", "workload.footprint=64MiB", "executor=serial", "name=guide"]
    sweep(*command[3:], *smaller, cwd=tmp_path, **environment)
    got = pd.read_parquet(tmp_path / "outputs/guide/results.parquet").set_index("mmu")
    hashed, nested = got.loc["hashed"], got.loc["nested"]
    lengths = {int(part.split(":")[0]) for part in hashed["refs_per_walk"].split()}
    assert lengths <= {1, 2}
    assert 1 in lengths
    assert hashed["walks"] == hashed["l2_tlb_misses"] == nested["l2_tlb_misses"]
    assert hashed["walk_cycles"] < nested["walk_cycles"]
    pressed = [
        "overcommit.ratio=1.4",
        "workload.remap_every=5000",
        "guest.prefault=false",
        "mmu=hashed",
        "mmu.buckets_per_page=0.125",
    ]
    sweep("workload=zipf", *pressed, *smaller[:2], "executor=serial", "name=pressed", cwd=tmp_path, **environment)
    row = pd.read_parquet(tmp_path / "outputs/pressed/results.parquet").iloc[0]
    assert row["vm_exits_hypercall"] >= row["minor_faults"] > 0
    assert row["vm_exits_ept_violation"] == row["host_minor_faults"] + row["major_faults"] > 0
    assert row["walks"] == row["l2_tlb_misses"] + row["faulting_walks"]


def test_a_policy_in_twenty_lines() -> None:
    """The page's TLB replacement names the way that was filled last."""
    page = PAGE_OF_POLICIES.read_text()
    (source,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    module: dict[str, Any] = {"__name__": "newest"}
    exec(source, module)
    state = module["make"](8, [4], 1)
    for start, way in ((0, 1), (4, 3), (0, 2)):
        fill(state, start, 4, way)
    touch(state, 0, 4, 0)
    assert (victim(state, 0, 4), victim(state, 4, 4)) == (2, 3)
    assert re.findall(r"```yaml\nname: (.*)\n", page) == ["newest"]
