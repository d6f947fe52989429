"""From launch to exit: CPU seconds of a command, its kernels in the cache."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

COMMANDS = {
    "help": ["memvirt", "sweep", "--help"],
    "dry_run": ["memvirt.sweep", "dry_run=true"],
    "point": [
        "memvirt.sweep", "mmu=nested", "workload.accesses=20000", "executor=serial", "figures=false", "report=false", "reuse=false",
        "overwrite=true", "name=point",
    ],
}  # fmt: skip


@pytest.mark.benchmark(timer=time.perf_counter)
@pytest.mark.parametrize("name", COMMANDS)
def test_start(benchmark: Any, name: str, tmp_path: Path) -> None:
    """Both clocks: the wall's is the benchmark's own."""
    spent: list[float] = []
    environment = dict(os.environ)  # an installed package has its bytecode; without it a start compiles 0.6 s of sources
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def run() -> None:
        command = [sys.executable, "-m", *COMMANDS[name]]
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        spent.append(usage.ru_utime + usage.ru_stime)

    run()  # compiles what isn't
    benchmark.pedantic(run, rounds=5)
    benchmark.extra_info["CPU seconds"] = round(min(spent), 2)
