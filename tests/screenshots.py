"""Screenshots of a page, to be looked at: python -m tests.screenshots PAGE.html [PAGE.html …] -o FOLDER

Each as it is, dark, on a narrow screen, as a printer and as the red-green-blind see it; which of its elements the first key presses reach is printed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.browser import Page, browser

FOCUS = (
    "(() => {const e = document.activeElement; return (e.ariaLabel || e.textContent || e.id || e.tagName).trim().slice(0, 30)})()"
)


def shoot(path: Path, folder: Path) -> None:
    """Look at one page in all ways."""
    stem = folder / path.stem
    with Page(path) as page:
        reached = []
        for _ in range(12):
            page.press("Tab")
            reached.append(page.ask(FOCUS))
        print(f"{path}: Tab reaches {', '.join(reached)}")
        page.screenshot(stem.with_name(f"{path.stem}-focus.png"), whole=False)
        page.ask("document.activeElement.blur(), scrollTo(0, 0)")
        page.screenshot(stem.with_name(f"{path.stem}-light.png"))
        page("Emulation.setEmulatedVisionDeficiency", type="deuteranopia")
        page.screenshot(stem.with_name(f"{path.stem}-deuteranopia.png"))
        page("Emulation.setEmulatedVisionDeficiency", type="none")
        page("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
        page.screenshot(stem.with_name(f"{path.stem}-dark.png"))
        page("Emulation.setEmulatedMedia", features=[])
        page("Emulation.setDeviceMetricsOverride", width=420, height=900, deviceScaleFactor=1, mobile=True)
        page.screenshot(stem.with_name(f"{path.stem}-narrow.png"))
        page("Emulation.clearDeviceMetricsOverride")
        page("Emulation.setEmulatedMedia", media="print")
        page.screenshot(stem.with_name(f"{path.stem}-print.png"))
        for told in page.wrong():
            print(f"{path}: {told}")


def main() -> None:
    """Look at pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pages", type=Path, nargs="+")
    parser.add_argument("-o", dest="folder", type=Path, default=Path("screenshots"))
    arguments = parser.parse_args()
    if browser() is None:
        parser.error("no Chromium here: apt-get install chromium")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for path in arguments.pages:
        shoot(path, arguments.folder)


if __name__ == "__main__":
    main()
