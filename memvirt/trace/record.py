"""Recording a program's memory accesses with Valgrind's Lackey, through a pipe: its text is never stored."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess

from memvirt.errors import MemvirtError
from memvirt.workload.files import Recording, from_addresses
from memvirt.workload.formats.lackey import read_stream


def record(command: list[str], limit: int | None, skip: int, fetches: bool = False) -> Recording:
    """Run a command under Lackey and keep its data accesses (and ``fetches``) ``skip`` to ``skip + limit``.

    Raises
    ------
    MemvirtError
        If Valgrind or the command isn't there, or nothing was recorded.
    """
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise MemvirtError("recording needs Valgrind, which is not installed (Debian: apt-get install valgrind)")
    if shutil.which(command[0]) is None:
        raise MemvirtError(f"there is no command {command[0]}")
    version = subprocess.run([valgrind, "--version"], capture_output=True, text=True, check=False).stdout.strip()
    read_end, write_end = os.pipe()
    traced = [valgrind, "--tool=lackey", "--trace-mem=yes", "--basic-counts=no", f"--log-fd={write_end}", *command]
    process = subprocess.Popen(traced, pass_fds=[write_end], start_new_session=True)
    os.close(write_end)
    try:
        with os.fdopen(read_end, "rb", buffering=1 << 20) as stream:
            columns = read_stream(stream, "Lackey's output", limit, skip, fetches)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if columns[0].size == 0:
        raise MemvirtError(f"{command[0]} made no more than {skip} data accesses: nothing was recorded")
    return from_addresses(*columns, {"command": shlex.join(command), "tool": f"{version} lackey", "skip": skip, "limit": limit})
