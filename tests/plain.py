"""The memory room in plain Python, in a process of its own: no policy need be compiled, and the world's books are checked on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any


class Checker:
    """Runs points through `tests.invariants`.

    Returns
    -------
    dict
        Counters summed over VMs and epochs, ``vms`` (of each VM the values of its last epoch), ``checks``; ``ended`` if the machine
        was full; ``broken`` if a book was wrong.
    """

    def __init__(self) -> None:
        words = [sys.executable, "-W", "ignore", "-m", "tests.invariants"]
        environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
        self.process = subprocess.Popen(words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, *words: str) -> dict[str, Any]:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(words) + "\n")
        stdin.flush()
        found: dict[str, Any] = json.loads(stdout.readline())
        assert "broken" not in found, (words, found["broken"])
        return found
