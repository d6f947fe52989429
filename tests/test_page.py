"""The report: what it says, that nothing of a folder is believed, and that it works in a browser."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from memvirt.cost import PARTS
from memvirt.errors import MemvirtError
from memvirt.report import facts, write_report
from memvirt.report.table import CHOSEN, MOST_ROWS, as_data, plain, sampled
from memvirt.result.table import for_csv, harmless, read_results, write_table
from tests.browser import Page, browser
from tests.support import here

BAD = "<script>document.title = 'injected'</script><img src=x onerror=\"document.title = 'injected'\">"
COMMAND = "python -m memvirt.sweep mmu=native,nested 'name=a&b'"


def folder(place: Path, rows: int = 40) -> Path:
    """A sweep's folder: two modes over a number, and a point that failed; one option, one error and the command are hostile."""
    random = np.random.default_rng(1)
    good: list[dict[str, Any]] = [
        {"mmu": ("native", "nested", BAD)[row % 3], "overcommit.ratio": 1 + row % 4 / 4, "point_id": f"p{row}", "replicate": 0, "vm": 0, "status": "ok", "error": None,
         "walks": row, "refs_per_walk": "24:1"} | dict.fromkeys(CHOSEN, 0.0) | {part: 10.0 * place for place, part in enumerate(PARTS)}
        | {"accesses": 100, "slowdown": float(1 + row + random.random()), "l2_tlb_misses": row}
        for row in range(rows)
    ]  # fmt: skip
    bad = [
        {**good[0], "point_id": f"f{row}", "status": "error", "error": f"</script>{BAD}", "slowdown": np.nan} for row in range(5)
    ]
    place.mkdir(parents=True)
    pd.DataFrame([*good, *bad]).to_parquet(place / "results.parquet")
    told = {
        "command": f"{COMMAND} {BAD}",
        "overrides": [],
        "begun": "today",
        "versions": {"memvirt": BAD},
        "replicates": 1,
        "config": {"workload": {"name": "sqlite"}},
    }
    (place / "provenance.json").write_text(json.dumps(told))
    pd.DataFrame({"parameter": ["cpu.memory", BAD], "S1": [0.25, np.nan]}).to_csv(place / "sobol.csv", index=False)
    return place


class Elements(HTMLParser):
    """Which elements a page has, and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_what_it_says(tmp_path: Path) -> None:
    """Question, design, figures, tables, failures with their reason, and the command; one file that names no other host."""
    text = write_report(folder(tmp_path / "mine")).read_text()
    for part in (
        "What do translation mode and overcommit ratio cost one VM that runs sqlite?", "All 12 combinations of", "45 points, 45 rows", "5 without a result",
        'aria-label="slowdown. ', 'aria-label="cycles. ', "overcommit ratio 1: slowdown ",
        "<b>5 × error</b>", "sobol.csv", "python -m memvirt.sweep mmu=native,nested",
    ):  # fmt: skip
        assert part in text, part
    elements = Elements(text).found
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", text)
    assert not re.findall(r"url\((?!#)", text)
    assert {tag for tag, _ in elements} & {"link", "iframe", "object", "embed", "form", "base"} == set()
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert len(text) < 400_000


def test_nothing_of_a_folder_is_an_element(tmp_path: Path) -> None:
    """Hostile texts are texts: of scripts there are the page's own and its data, none is an image, and a policy forbids others."""
    elements = Elements(write_report(folder(tmp_path / "mine")).read_text()).found
    assert [attributes.get("type") for tag, attributes in elements if tag == "script"] == ["application/json", None]
    assert not [tag for tag, _ in elements if tag == "img"]
    assert not [name for _, attributes in elements for name in attributes if name.startswith("on")]
    (policy,) = [attributes["content"] for tag, attributes in elements if attributes.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/=]+';", policy)


def test_a_cell_starts_no_formula(tmp_path: Path) -> None:
    """In CSV files; numbers that are written as texts stay as they are, and Parquet holds what there was."""
    texts = ["=1+1", "+cmd", "-a", "@x", "\tx", "-1.5", "+2e3", "plain", "", None]
    assert [harmless(text) for text in texts] == ["'=1+1", "'+cmd", "'-a", "'@x", "'\tx", *texts[5:]]
    import pyarrow as pa

    table = pa.table({"text": texts, "number": range(len(texts))})
    write_table(table, tmp_path / "a.csv")
    write_table(table, tmp_path / "a.parquet")
    assert read_results(tmp_path / "a.csv")["text"][0] == "'=1+1"
    assert read_results(tmp_path / "a.parquet")["text"][0] == "=1+1"
    assert for_csv(table.slice(5, 3)).equals(table.slice(5, 3))


def test_many_rows_are_a_sample_that_says_so(tmp_path: Path) -> None:
    """10,000 at equal distances, with a link to all."""
    frame = pd.DataFrame({"point_id": range(25_000)})
    shown = sampled(frame, MOST_ROWS)
    assert len(shown) == MOST_ROWS
    assert set(np.diff(shown["point_id"])) == {2, 3}
    place = folder(tmp_path / "mine", MOST_ROWS + 5)
    assert "10,000 of 10,005 rows, at equal distances" in write_report(place, []).read_text()


def test_columns_that_are_nothing_are_left_out(tmp_path: Path) -> None:
    """And texts of the data can't end its element."""
    frame = read_results(folder(tmp_path / "mine"))
    text = as_data(frame)
    names = [column["name"] for column in json.loads(text)]
    assert names == ["mmu", "overcommit.ratio", "status", "slowdown", "accesses"]
    assert "<" not in text
    assert json.loads(text)[0]["values"][2] == BAD
    assert plain(frame, 3)["rows"][0] == ["native", "1", "ok", plain(frame, 3)["rows"][0][3], "100"]


def test_command(tmp_path: Path) -> None:
    """`memvirt report`: its mistakes are told in one line."""
    folder(tmp_path / "mine")
    done = here("memvirt.report", "mine", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "wrote mine/report.html\n")
    (tmp_path / "empty").mkdir()
    for words, why in ((["none"], "is no sweep's folder"), (["empty"], "no such result table")):
        bad = here("memvirt.report", *words, cwd=tmp_path)
        assert bad.returncode == 2
        assert why in bad.stderr
    pd.DataFrame({"vm": [0]}).to_parquet(tmp_path / "empty/results.parquet")
    with pytest.raises(MemvirtError, match="no column point_id, status, error"):
        write_report(tmp_path / "empty")


def test_questions() -> None:
    """Of an experiment its own; else one made of what varies."""
    frame = pd.DataFrame({"mmu": ["native", "nested"], "point_id": ["a", "b"], "vm": [0, 1]})
    assert facts.question(frame, {"overrides": ["experiment=walk_references"]}).startswith(("How", "What", "References", "T", "W"))
    assert facts.question(frame, {}) == "What does translation mode cost 2 VMs?"
    assert facts.design(frame.iloc[:1], {"replicates": 3}) == "One point, each 3 times with other seeds; one VM."


@pytest.mark.browser
@pytest.mark.skipif(browser() is None, reason="no Chromium here: apt-get install chromium")
def test_in_a_browser(tmp_path: Path) -> None:
    """Sorted by clicks and by keys, filtered, shown plainly and printed, without scripts of others and without a network."""
    place = write_report(folder(tmp_path / "mine"))
    with Page(place) as page:
        page.until("document.body.classList.contains('grid')")
        slow = "[...document.querySelectorAll('#grid tbody tr[aria-rowindex] td:nth-child(3)')].map((cell) => parseFloat(cell.textContent))"
        assert page.ask("document.querySelector('#count').textContent") == "40 of 40 rows"
        page.click("#grid th:nth-child(3) button")
        found = page.ask(slow)
        assert found == sorted(found)
        assert page.ask("document.querySelector('#grid th:nth-child(3)').ariaSort") == "ascending"
        page.press("Enter")  # the button that was clicked has the focus
        again = page.ask(slow)
        assert again == sorted(again, reverse=True)
        assert again[0] >= found[-1]
        assert page.ask("document.querySelector('#grid th:nth-child(3)').ariaSort") == "descending"
        page.ask("document.querySelector('#grid input').focus()")
        page.type("nested")
        assert page.ask("document.querySelector('#count').textContent") == "13 of 40 rows"
        page.press("Tab")
        page.type("1..1.25")
        assert page.ask("document.activeElement.ariaLabel") == "filter overcommit ratio"
        assert page.ask("document.querySelector('#count').textContent") == "7 of 40 rows"
        assert (
            page.ask(
                "[...document.querySelectorAll('#grid td:nth-child(1)')].some((cell) => cell.children.length && !cell.querySelector('input'))"
            )
            is False
        )
        shown = "getComputedStyle(document.querySelector('{}')).display"
        assert (page.ask(shown.format("#grid")), page.ask(shown.format("#plain"))) == ("block", "none")
        page.click("#switch")
        assert (page.ask(shown.format("#grid")), page.ask(shown.format("#plain"))) == ("none", "block")
        page("Emulation.setEmulatedMedia", media="print")
        assert (page.ask(shown.format("#grid")), page.ask(shown.format("#plain"))) == ("none", "block")
        names = [
            node["name"]["value"]
            for node in page("Accessibility.getFullAXTree")["nodes"]
            if node.get("role", {}).get("value") in ("image", "img")
        ]
        assert any(name.startswith("slowdown. ") for name in names)
        assert page.ask("document.querySelectorAll('figure svg title').length") > 10
        assert page.ask("document.title") == "mine – memvirt"
        page.screenshot(tmp_path / "page.png")
        page.pdf(tmp_path / "page.pdf")
        assert page.wrong() == []
    assert (tmp_path / "page.png").stat().st_size > 20_000
    assert (tmp_path / "page.pdf").stat().st_size > 20_000
