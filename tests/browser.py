"""A headless Chromium, driven through its debugging pipe; no package is needed for it."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PATIENCE = 60.0  #: seconds


def browser() -> str | None:
    """Chromium's path; None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Page:
    """One page, from a file, without any network."""

    def __init__(self, path: Path, width: int = 1280, height: int = 900) -> None:
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        low = [*os.pipe(), *os.pipe()]
        theirs, self.out, self.into, ours = (fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, 10) for each in low)
        for each in low:
            os.close(each)
        # Chromium reads from 3 and writes to 4; a shell puts the pipes there
        words = [
            browser(),
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--remote-debugging-pipe",
            "--no-first-run",
        ]
        words += [
            f"--user-data-dir={self.profile.name}",
            f"--window-size={width},{height}",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "about:blank",
        ]
        command = f'exec "$@" 3<&{theirs} 4>&{ours} {theirs}<&- {ours}>&-'
        self.process = subprocess.Popen(["bash", "-c", command, "bash", *words], pass_fds=(theirs, ours), stderr=subprocess.DEVNULL)  # type: ignore[list-item]
        os.close(theirs)
        os.close(ours)
        self.rest, self.number, self.session = b"", 0, None
        self.told: list[dict[str, Any]] = []
        target = next(each for each in self("Target.getTargets")["targetInfos"] if each["type"] == "page")
        self.session = self("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for name in ("Page", "Runtime", "Log", "Network"):
            self(f"{name}.enable")
        self("Page.navigate", url=path.resolve().as_uri())
        self.until("document.readyState === 'complete'")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *why: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.out)
        os.close(self.into)
        self.profile.cleanup()

    def __call__(self, method: str, **params: Any) -> dict[str, Any]:
        self.number += 1
        message = {"id": self.number, "method": method, "params": params} | ({"sessionId": self.session} if self.session else {})
        os.write(self.out, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while True:
            while b"\0" in self.rest:
                text, _, self.rest = self.rest.partition(b"\0")
                answer = json.loads(text)
                if answer.get("id") == self.number:
                    assert "error" not in answer, (method, answer)
                    return answer["result"]  # type: ignore[no-any-return]
                self.told.append(answer)
            assert select.select([self.into], [], [], max(0.0, end - time.monotonic()))[0], f"{method}: no answer"
            found = os.read(self.into, 1 << 20)
            assert found, "the browser has ended"
            self.rest += found

    def ask(self, script: str) -> Any:
        """What an expression is; a promise's value."""
        answer = self("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, (script, answer)
        return answer["result"].get("value")

    def until(self, script: str) -> None:
        """Wait until an expression holds."""
        end = time.monotonic() + PATIENCE
        while not self.ask(script):
            assert time.monotonic() < end, script
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        """Click the middle of an element, as a mouse does."""
        place = self.ask(
            f"(() => {{const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
            " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]})()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def type(self, text: str) -> None:
        """Write into what has the focus."""
        self("Input.insertText", text=text)

    def press(self, key: str) -> None:
        """Press a key."""
        codes = {"Enter": 13, "Tab": 9}
        for kind in ("keyDown", "keyUp"):
            more = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            self("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=codes[key], **more)

    def wrong(self) -> list[str]:
        """What went wrong on the page: errors of scripts, and what its policy forbade; and what it asked the network for."""
        self.ask("1")
        found = []
        for each in self.told:
            if each["method"] in ("Runtime.exceptionThrown", "Log.entryAdded"):
                found.append(json.dumps(each["params"]))
            elif each["method"] == "Network.requestWillBeSent" and not each["params"]["request"]["url"].startswith(
                ("file:", "data:")
            ):
                found.append(each["params"]["request"]["url"])
        return found

    def screenshot(self, path: Path, whole: bool = True) -> None:
        """Save what the page looks like."""
        path.write_bytes(base64.b64decode(self("Page.captureScreenshot", captureBeyondViewport=whole)["data"]))

    def pdf(self, path: Path) -> None:
        """Print it."""
        path.write_bytes(base64.b64decode(self("Page.printToPDF", landscape=True, printBackground=True)["data"]))
