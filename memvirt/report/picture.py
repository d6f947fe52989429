"""Figures as parts of a page."""

from __future__ import annotations

import base64
import io
import re
import xml.etree.ElementTree as ET
from pathlib import Path

from matplotlib import rc_context

from memvirt.drawing.style import Picture

SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
ET.register_namespace("", SVG)
ET.register_namespace("xlink", LINK)


def inline(figure: Picture, prefix: str, name: str) -> str:
    """A figure as an SVG element whose marks say what they are to who points at them.

    Parameters
    ----------
    figure : Picture
    prefix : str
        Of all its ids, so that those of several figures don't meet.
    name : str
        What a screen reader calls it.
    """
    buffer = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": prefix}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    root = ET.fromstring(buffer.getvalue())
    for each in root.findall(f"{{{SVG}}}metadata"):
        root.remove(each)
    marks = {each.get("id"): each for each in root.iter() if each.get("id") in figure.told}
    for gid, texts in figure.told.items():
        if gid in marks:
            _tell(marks[gid], texts)
    for each in root.iter():
        for key, value in each.attrib.items():
            if key == "id":
                each.set(key, f"{prefix}-{value}")
            elif key == f"{{{LINK}}}href" and value.startswith("#"):
                each.set(key, f"#{prefix}-{value[1:]}")
            elif "url(#" in value:
                each.set(key, re.sub(r"url\(#", f"url(#{prefix}-", value))
    width = root.get("width", "")
    root.attrib.pop("height", None)
    root.set("style", f"width: min(100%, calc(1.25 * {width})); height: auto")
    root.attrib.pop("width", None)
    root.set("role", "img")
    root.set("aria-label", name)
    return ET.tostring(root, encoding="unicode")


def _tell(group: ET.Element, texts: list[str]) -> None:
    """Give a mark its text; each point of a line its own, if all of them were drawn."""
    points = list(group.iter(f"{{{SVG}}}use"))
    places = points if points else [group]
    if len(places) == len(texts):
        for place, text in zip(places, texts, strict=True):
            title = ET.Element(f"{{{SVG}}}title")
            title.text = text
            place.insert(0, title)


def embedded(path: Path) -> str:
    """A PNG file as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
