"""A kill ends a sweep soon, whatever its main thread is at."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

BUSY = """
import hashlib, sys
from memvirt.sweep.interrupt import Interrupt
from memvirt.sweep import interrupt
interrupt.GRACE = 0.3
with Interrupt(lambda: "3 of 9 points are kept"):
    print("in C", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 200_000_000)  # minutes without Python, as in a compiler
"""
PATIENT = """
import time
from memvirt.command import leave, run_command
from memvirt.sweep.interrupt import Interrupt

def run(words):
    with Interrupt(lambda: "by force") as interrupt:
        print("in C", flush=True)
        while True:
            time.sleep(0.01)
            interrupt.check()

leave(run_command("memvirt", run, []))
"""


def killed(script: str) -> tuple[int, str, float]:
    """Kill a script when it says that it is under way: exit code, what it said on standard error, and how long it took."""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "in C\n"
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    return process.returncode, said, time.monotonic() - begin


def test_a_kill_ends_what_python_cant_interrupt() -> None:
    code, said, seconds = killed(BUSY)
    assert (code, said) == (143, "3 of 9 points are kept\n")
    assert seconds < 10


def test_a_kill_between_two_steps() -> None:
    """It ends by itself, without force."""
    code, said, _ = killed(PATIENT)
    assert (code, said) == (143, "")
