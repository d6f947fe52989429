"""One Python file and one YAML file add a policy: shown with a TLB policy, a page-replacement policy and a mode of a plug-in."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.support import command, install_plugin, sweep

MRU = '''
"""Most recently used goes first."""
from typing import NamedTuple
import numpy as np
from numpy.typing import NDArray
from memvirt.counters import Counter
from memvirt.tlb.replacement import count_own, drop, fill, touch, victim

COUNTERS = (Counter("mru_victims", "entries", doc="that went though they were used last"),)

class State(NamedTuple):
    """The way used last of each set, and how many went."""
    latest: NDArray[np.int64]
    gone: NDArray[np.int64]

def make(slots, ways, seed):
    return State(np.zeros(slots, np.int64), np.zeros(1, np.int64))

@touch.register
def _touch(state: State, start, ways, way):
    state.latest[start] = way

@fill.register
def _fill(state: State, start, ways, way):
    state.latest[start] = way

@victim.register
def _victim(state: State, start, ways):
    state.gone[0] += 1
    return state.latest[start]

@count_own.register
def _count_own(state: State, counts):
    counts.mru_victims += state.gone[0]
    state.gone[0] = 0

@drop.register
def _drop(state: State, start, ways, way):
    pass
'''

LIFO = '''
"""Last in, first out."""
from typing import NamedTuple
import numpy as np
from numpy.typing import NDArray
from memvirt.counters import Counter
from memvirt.memory.lists import Chain, make_chain, push_front, unlink
from memvirt.memory.measure import measure
from memvirt.memory.replacement import insert, remove, touch, victim

COUNTERS = (Counter("lifo_pages", "pages", doc="on the stack", epochs="last"),)

class State(NamedTuple):
    """Pages, the newest first, and how many."""
    stack: Chain
    pages: NDArray[np.int64]

def make(size, seed):
    return State(make_chain(size), np.zeros(1, np.int64))

@insert.register
def _insert(state: State, item):
    push_front(state.stack, item)
    state.pages[0] += 1

@touch.register
def _touch(state: State, item):
    pass

@victim.register
def _victim(state: State):
    return np.int64(state.stack.next[state.stack.next.size - 1])

@remove.register
def _remove(state: State, item):
    unlink(state.stack, item)
    state.pages[0] -= 1

@measure.register
def _measure(state: State, counts):
    counts.lifo_pages = state.pages[0]
'''

MODE = '''
"""A machine whose walks read each table twice."""
from typing import NamedTuple
import numpy as np
from memvirt.counters import Counter
from memvirt.mmu.mode import on_event, walk
from memvirt.mmu.port import begin_walk, end_walk
from memvirt.mmu.pwc import Pwc, make_pwc
from memvirt.mmu.radix import walk_guest
from memvirt.types import Traits

COUNTERS = (Counter("second_looks", "walks", doc="that read each table again"),)
TRAITS = Traits(dimensions=1)
ZERO = np.int64(0)

class State(NamedTuple):
    """Page-walk caches."""
    pwc: Pwc

def make(setup):
    return State(make_pwc(setup))

@walk.register
def _walk(state: State, port, page):
    begun = begin_walk(port)
    walk_guest(state.pwc, port, page, ZERO)
    walk_guest(state.pwc, port, page, ZERO)
    port.counts[0].second_looks += 1
    end_walk(port, begun, ZERO)

@on_event.register
def _on_event(state: State, port, event, page):
    pass
'''

FILES = {
    "tlb/replacement/mru.py": MRU,
    "conf/tlb/replacement/mru.yaml": "name: mru\n",
    "memory/replacement/lifo.py": LIFO,
    "conf/reclaim/replacement/lifo.yaml": "name: lifo\n",
    "mmu/mode/twice.py": MODE,
    "conf/mmu/twice.yaml": "name: twice\npwc: {enabled: false}\n",
}


@pytest.fixture
def plugin(tmp_path: Path) -> dict[str, str]:
    """An installed package, laid out as memvirt is, with an entry point; returns the environment that finds it."""
    return install_plugin(tmp_path / "site", "extra", FILES)


def test_plugin(plugin: dict[str, str], tmp_path: Path) -> None:
    """Each is found by its name beside memvirt's own, by Ray's workers too, and computes something else."""
    words = [
        "workload=zipf",
        "workload.accesses=10000",
        "workload.footprint=8MiB",
        "overcommit.ratio=2.5",
        "mmu.pwc.enabled=false",
    ]
    words += ["mmu=native,twice", "tlb.replacement=lru,mru", "reclaim.replacement=lru,lifo", "name=plug"]
    sweep(*words, "executor=ray", "executor.workers=1", cwd=tmp_path, **plugin)
    frame = pd.read_parquet(tmp_path / "outputs/plug/results.parquet").set_index(["mmu", "tlb.replacement", "reclaim.replacement"])
    assert (frame["status"] == "ok").all(), frame["error"].tolist()
    twice, native = frame.loc["twice", "lru", "lru"], frame.loc["native", "lru", "lru"]
    # native counts the walks that ran into a fault too
    assert twice["refs_per_walk"] == f"8:{twice['walks']}"
    assert twice["walks"] == native["l2_tlb_misses"] == native["walks"] - native["faulting_walks"]
    assert twice["second_looks"] == twice["walks"]
    assert frame["second_looks"].xs("native", level="mmu").isna().all()
    mru, lifo = frame.loc["native", "mru", "lru"], frame.loc["native", "lru", "lifo"]
    assert mru["l1_tlb_misses"] != native["l1_tlb_misses"]
    assert 0 < mru["mru_victims"] <= mru["l1_tlb_misses"] + mru["l2_tlb_misses"]
    assert frame["mru_victims"].xs("lru", level="tlb.replacement").isna().all()
    assert mru["major_faults"] == native["major_faults"]
    assert lifo["major_faults"] != native["major_faults"]
    assert lifo["lifo_pages"] == lifo["resident_pages"] > 0  # in the one epoch; who doesn't use the policy has none of its counters
    assert frame["lifo_pages"].xs("lru", level="reclaim.replacement").isna().all()


def test_an_edited_plugin_is_compiled_again(plugin: dict[str, str], tmp_path: Path) -> None:
    """No stale answer from a cache: numba's, or the sweep's own journal."""
    words = [
        "workload=zipf",
        "workload.accesses=5000",
        "mmu=native",
        "tlb.replacement=mru",
        "executor=serial",
        "name=edit",
        "resume=true",
    ]
    sweep(*words, cwd=tmp_path, **plugin)
    first = pd.read_parquet(tmp_path / "outputs/edit/results.parquet")["l1_tlb_misses"][0]
    source = tmp_path / "site/extra/tlb/replacement/mru.py"
    source.write_text(MRU.replace("return state.latest[start]", "return (state.latest[start] + 1) % ways"))
    sweep(*words, cwd=tmp_path, **plugin)
    assert pd.read_parquet(tmp_path / "outputs/edit/results.parquet")["l1_tlb_misses"][0] != first


def test_without_it(tmp_path: Path) -> None:
    """A plug-in that isn't installed isn't there."""
    done = command("memvirt.sweep", "mmu=twice", cwd=tmp_path)
    assert done.returncode == 2
    assert "there is no such option" in done.stderr
