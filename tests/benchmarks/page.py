"""How long a report's table of ten thousand rows takes to repaint, in a headless Chromium: python tests/benchmarks/page.py [--rows 10000]

With all columns; for a click on a column's title, a word and a number written into a filter, clearing it, and a jump: milliseconds from the event until the
browser has drawn the next frame, the median and the worst of nine; the worst is the first, which has nothing worked out yet.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[2]))

from memvirt.report import write_report
from memvirt.report.table import CHOSEN
from tests.browser import Page
from tests.test_page import folder

SCRIPT = """
(async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
  const paint = async (act) => { await frame(); const begin = performance.now(); act(); await frame(); return performance.now() - begin; };
  const grid = document.querySelector('#grid');
  const type = (column, text) => { const field = grid.querySelectorAll('input')[column]; field.value = text; field.dispatchEvent(new Event('input')); };
  const acts = {
    sort: () => grid.querySelector('th:nth-child(3) button').click(),
    'filter a word': () => type(0, 'nested'), 'clear it': () => type(0, ''),
    'filter digits': () => type(3, '7'), 'clear them': () => type(3, ''),
    jump: () => { grid.scrollTop = (grid.scrollTop + 50000) % 200000; },
  };
  const found = {};
  for (const [name, act] of Object.entries(acts)) found[name] = [];
  for (let turn = 0; turn < 9; turn++) for (const [name, act] of Object.entries(acts)) found[name].push(await paint(act));
  return JSON.stringify(found);
})()
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as place:
        big = folder(Path(place) / "big", rows - 5)
        table, random = pd.read_parquet(big / "results.parquet"), np.random.default_rng(0)
        for name in CHOSEN:  # each column is something, so that all are shown
            table[name] = random.lognormal(3, 2, rows)
        table.to_parquet(big / "results.parquet")
        path = write_report(big, [])
        print(f"{rows:,} rows, {path.stat().st_size / 2**20:.1f} MiB; load of the machine: {os.getloadavg()[0]:.1f}")
        with Page(path) as page:
            page.until("document.body.classList.contains('grid')")
            for name, times in json.loads(page.ask(SCRIPT)).items():
                times.sort()
                print(f"{name}: {times[len(times) // 2]:.0f} ms, worst {times[-1]:.0f}")


if __name__ == "__main__":
    main()
