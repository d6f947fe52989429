"""Ray: workers that are killed, limits, and (marker slow) a cluster of three nodes under a storm of kills."""

from __future__ import annotations

import contextlib
import os
import random
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from tests.support import BARE, command, here, sweep
from tests.sweeps import SMALL, descendants, foreign_listeners, points_in, table

NODES = """
import sys
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 400_000_000})
nodes = [cluster.add_node(num_cpus=1, object_store_memory=400_000_000) for _ in range(2)]
print(cluster.address, flush=True)
for line in sys.stdin:
    if line.strip() == "kill":
        cluster.remove_node(nodes.pop(), allow_graceful=False)
        print("killed", flush=True)
cluster.shutdown()
"""
LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}


def workers(pid: int) -> list[int]:
    """Ray's workers below a process."""
    found = []
    for each in descendants(pid):
        with contextlib.suppress(OSError):
            name = Path(f"/proc/{each}/cmdline").read_bytes().replace(b"\0", b" ")
            if name.startswith(b"ray::Worker"):
                found.append(each)
    return found


class Storm(threading.Thread):
    """Kills one of Ray's workers below a process now and then, once the journal holds more than at the last kill.

    On a busy machine a worker takes longer to start than it would live otherwise.
    """

    def __init__(self, pid: int, every: float, seed: int, journal: Path) -> None:
        super().__init__(daemon=True)
        self.pid, self.every, self.random, self.journal = pid, every, random.Random(seed), journal
        self.killed, self.over = 0, threading.Event()

    def run(self) -> None:
        """Go on until it is over."""
        seen = 0
        while not self.over.wait(self.random.uniform(0.5, 1.5) * self.every):
            found, size = workers(self.pid), self.journal.stat().st_size if self.journal.exists() else 0
            if found and size != seen:
                seen = size
                with contextlib.suppress(OSError):
                    os.kill(self.random.choice(found), signal.SIGKILL)
                    self.killed += 1

    def stop(self) -> int:
        """End it; returns how many it killed."""
        self.over.set()
        self.join()
        return self.killed


def test_workers_that_are_killed(tmp_path: Path) -> None:
    """A worker is killed every second or two, if points were done since the last: the table is a serial run's to the last bit.

    Ray listens on loopback alone meanwhile, and afterwards nothing is left to do.
    """
    words = [*SMALL, "workload.accesses=200000", "mmu=native,shadow,nested", "tlb=skylake,zen4", "overcommit.ratio=range(1,2,0.2)"]
    words += ["reuse=false", *BARE]
    sweep(*words, "executor=serial", "name=quiet", cwd=tmp_path)  # compiles too, which takes longer than a worker lives below
    run = [sys.executable, "-m", "memvirt.sweep", *words, "executor=ray", "name=storm"]
    process = subprocess.Popen(run, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    journal = tmp_path / "outputs/storm/journal.bin"
    storm = Storm(process.pid, 1.5, 1, journal)
    seen = 0
    while process.poll() is None and not points_in(journal):
        found = foreign_listeners(process.pid)
        if found:
            process.kill()
        assert not found, f"Ray listens on {found}"
        seen += bool(workers(process.pid))
        time.sleep(0.1)
    assert seen > 3
    storm.start()
    _, said = process.communicate(timeout=300)
    assert storm.stop() >= 1
    assert process.returncode == 0, said
    sweep(*run[3:], "resume=true", cwd=tmp_path)  # what was hit each time by chance is tried again
    assert "nothing to compute" in here("memvirt.sweep", *run[3:], "resume=true", cwd=tmp_path).stdout
    pd.testing.assert_frame_equal(table(tmp_path / "outputs/storm"), table(tmp_path / "outputs/quiet"), check_exact=True)


def test_a_limit_on_ray(tmp_path: Path) -> None:
    """Points that take too long are given up and told; the workers that were at them are replaced; the others finish."""
    words = ["workload=zipf", "vms.count=1", "reuse=false", "executor=ray", "name=limit"]
    done = sweep(*words, "workload.accesses=1000,400000000", "workload.footprint=64MiB", "timeout=8s", cwd=tmp_path)
    frame = table(tmp_path / "outputs/limit").set_index("workload.accesses")
    assert frame.loc[1000, "status"] == "ok"
    assert frame.loc[400_000_000, "status"] == "timeout"
    assert "beyond its time limit of 8 s" in frame.loc[400_000_000, "error"]
    assert "1 failed" in done.stdout.splitlines()[-1]


@pytest.fixture
def cluster() -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A cluster of three nodes with a core each on this machine: its process and its address."""
    process = subprocess.Popen(
        [sys.executable, "-c", NODES], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **LOOPBACK}
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert ":" in address
    yield process, address
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    process.wait(timeout=60)


@pytest.mark.slow
def test_three_nodes(cluster: tuple[subprocess.Popen[str], str], tmp_path: Path) -> None:
    """A sweep joins a running cluster, uses its nodes, reads a trace that only the driver has, and listens on loopback only."""
    process, address = cluster
    trace = tmp_path / "mine.bin"
    import numpy as np

    (np.random.default_rng(0).integers(0, 4000, 60_000).astype("<u8") << 12).tofile(trace)
    words = [
        "workload=trace",
        "workload.path=mine.bin",
        "mmu=native,nested",
        "tlb=skylake,zen4",
        "overcommit.ratio=1,1.5",
        "reuse=false",
    ]
    joined = sweep(*words, f"executor.address={address}", "name=joined", cwd=tmp_path, **LOOPBACK)
    assert "0 failed" in joined.stdout.splitlines()[-1]
    assert foreign_listeners(process.pid) == []
    sweep(*words, "executor=serial", "name=alone", cwd=tmp_path)
    pd.testing.assert_frame_equal(table(tmp_path / "outputs/joined"), table(tmp_path / "outputs/alone"), check_exact=True)


@pytest.mark.slow
def test_another_version_is_refused(cluster: tuple[subprocess.Popen[str], str], tmp_path: Path) -> None:
    """Workers that would compute something else are not used."""
    _, address = cluster
    script = (
        "import sys, memvirt\nmemvirt.__version__ = '99'\nfrom memvirt.sweep.cli import main\nraise SystemExit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", script, *SMALL, "mmu=native", f"executor.address={address}"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=200, env={**os.environ, **LOOPBACK})
    assert done.returncode == 2, done.stderr
    assert "is 0.1.0, here it is 99" in done.stderr


@pytest.mark.slow
def test_chaos(cluster: tuple[subprocess.Popen[str], str], tmp_path: Path) -> None:
    """2,000 points; workers killed every few seconds, one node killed, the driver killed twice: the quiet run's table, bit for bit."""
    process, address = cluster
    words = [*SMALL, "workload.accesses=50000", "mmu=native,shadow,nested", "tlb=haswell,skylake,zen2,zen4", "reuse=false"]
    words += ["overcommit.ratio=range(1,3.5,0.05)", "cpu=skylake,zen4", "replicates=2", "numa=uma,two_socket"]
    words = [word for word in words if not word.startswith("numa")]
    run = [sys.executable, "-m", "memvirt.sweep", *words, f"executor.address={address}", "name=chaos"]
    journal, shards = tmp_path / "outputs/chaos/journal.bin", tmp_path / "outputs/chaos/shards"
    storm = Storm(process.pid, 2.5, 7, journal)
    storm.start()
    done = 0
    for attempt in range(2):
        driver = subprocess.Popen([*run, "resume=true"], cwd=tmp_path, env={**os.environ, **LOOPBACK})
        while driver.poll() is None and points_in(journal) < done + 300:
            time.sleep(0.1)
        if attempt == 1:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write("kill\n")
            process.stdin.flush()
            assert process.stdout.readline().strip() == "killed"
            time.sleep(5)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        done = points_in(journal)
        assert done < 2400 or shards.exists()
    for _ in range(3):  # what crashed by chance is tried again
        finished = command("memvirt.sweep", *run[3:], "resume=true", cwd=tmp_path, **LOOPBACK)
        assert finished.returncode == 0, finished.stderr
        if "0 failed" in finished.stdout.splitlines()[-1]:
            break
    assert storm.stop() >= 5
    assert "from an earlier run" in finished.stderr
    sweep(*words, "executor=ray", "name=quiet", cwd=tmp_path)
    quiet = pd.read_parquet(tmp_path / "outputs/quiet/results.parquet")
    assert quiet["point_id"].nunique() == 2400
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "outputs/chaos/results.parquet"), quiet, check_exact=True)
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "outputs/chaos/epochs.parquet"), pd.read_parquet(tmp_path / "outputs/quiet/epochs.parquet"),
        check_exact=True,
    )  # fmt: skip
    assert shlex.join(run)
