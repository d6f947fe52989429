"""The site, made by Sphinx from what the repository has: pip install -e '.[docs]' && python -m sphinx -W -c docs . build/site

The repository's root is the source, so that pages link to each other, to READMEs and to sources as they do in a checkout.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent

project = "memvirt"
author = "The memvirt maintainers"
copyright = "the memvirt maintainers, Apache-2.0"
release = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]  # type: ignore[index]

extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "cluster/README.md",
    "tests/benchmarks/README.md",
    "memvirt/experiments/*/README.md",
    "memvirt/workload/recorded/README.md",
]
exclude_patterns = [".*", "build", "dist", "outputs"]
myst_heading_anchors = 4  # a link to a heading that isn't there is an error
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_title = f"memvirt {release}"
html_copy_source = html_show_sourcelink = False
html_show_sphinx = False

#: A link to a folder, or to a file that a page needn't have a copy of: the path is what a reader of the site can use.
TARGET = re.compile(r"(?<!!)\[([^\]]*)\]\((?!https?:|#|mailto:)([^)#]+)(?:#[^)]*)?\)")


def _paths_of_sources(app: Any, name: str, source: list[str]) -> None:
    """Name sources by their paths, where the repository's pages link to them; pages and pictures stay links."""
    folder = (ROOT / name).parent

    def named(match: re.Match[str]) -> str:
        words, target = match[1], (folder / match[2]).resolve()
        if not target.exists():
            return match[0]  # told by Sphinx
        path = target.relative_to(ROOT).as_posix()
        if target.suffix in (".md", ".png", ".ipynb"):
            return match[0]
        return f"`{path}`" if words.strip("`") in (path, target.name, path.removeprefix("memvirt/")) else f"{words} (`{path}`)"

    source[0] = TARGET.sub(named, source[0])


def setup(app: Any) -> None:
    """Register the above."""
    app.connect("source-read", _paths_of_sources)
