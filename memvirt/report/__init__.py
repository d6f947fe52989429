"""A sweep as one HTML page: question, figures, table, failures, monitors, and how to make it again; it needs no network.

What the page shows comes from a folder that somebody else may have made, so nothing of it is believed: texts are escaped, pictures
are embedded as pictures, and a content security policy lets only the page's own script run.

The table's script is the page's own, of a hundred lines: Tabulator 6.5.3 took 0.2 to 1.9 s to sort or filter 10,000 rows where
this takes some milliseconds, and would be nine tenths of a small page.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from memvirt.drawing.style import Picture
from memvirt.result.table import write_whole

__all__ = ["NAME", "write_report"]

NAME = "report.html"


@cache
def _part(name: str) -> str:
    """A file of this folder."""
    return resources.files(__name__).joinpath(name).read_text("utf-8")


def _script(name: str) -> str:
    """A script, which mustn't end its element."""
    text = _part(name)
    assert "</script" not in text.lower(), name
    return text


def _hash(text: str) -> str:
    """A script's digest, by which a policy knows it."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def render(facts: dict[str, Any]) -> str:
    """Make the page.

    Parameters
    ----------
    facts : dict
        As `memvirt.report.facts.gather` gives.
    """
    import jinja2

    script = _script("page.js")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return template.from_string(_part("page.html.j2")).render(facts, style=_part("page.css"), script=script, digest=_hash(script))


def write_report(
    folder: Path,
    pictures: Sequence[tuple[str, Picture]] | None = None,
    point: str | None = None,
    vm: int | None = None,
    name: str | None = None,
) -> Path:
    """Write a sweep's page into its folder.

    Parameters
    ----------
    folder : Path
        With the tables that the sweep left.
    pictures : sequence of (str, Picture), optional
        The sweep's own figures by name; drawn again if not given.
    point, vm : str and int, optional
        Whose monitors are shown: the beginning of a ``point_id``, and one of its VMs; by default those that wait longest.
    name : str, optional
        Of the sweep, if it isn't the folder's.

    Returns
    -------
    Path

    Raises
    ------
    MemvirtError
        If there are no tables, or no such point or VM; a WriteError if the place can't be written.
    """
    from memvirt.report.facts import gather

    text = render({**gather(folder, pictures, point, vm), "title": name or folder.resolve().name})
    path = folder / NAME
    write_whole(path, lambda part: part.write_text(text, "utf-8"))
    return path
