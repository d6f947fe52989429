"""Random command lines over every group and key, each run as the command line runs it, in a process of its own and in plain Python.

``python -m tests.random_configs FIRST LAST`` runs those of the seeds from FIRST to below LAST in two processes, and prints each that
doesn't end well; one number prints its words and what became of it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import json
import os
import queue
import random
import resource
import subprocess
import sys
import tempfile
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple, get_args, get_origin

LIMIT = 150.0  #: CPU seconds that a point may take before it is said to hang; ten times as long if it only waits
MEMORY = 6 << 30  #: bytes of address space of a process
#: Groups and keys that say how a sweep runs.
NOT_OF_A_POINT = ("plan", "study", "executor", "experiment", "figure", "hydra")
#: Workloads that are refused unless they are given a file.
NEED_A_FILE = ("trace", "pageset", "memory_series")
#: Keys whose large values take long by right; they are drawn small, or so large that they must be refused.
LENGTHS = {
    "workload.accesses": (50, 300), "workload.repeat": (1, 2), "vms.count": (1, 4), "workload.footprint": (8192, 2 << 20),
    "workload.processes": (1, 3), "guest.page_struct": (0, 256), "clock.daemon_speedup": (1, 100), "replicates": (1, 2), "vms.vcpus": (1, 4),
    "workload.seconds": (1, 2),
}  # fmt: skip
HUGE = (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1, 2**63, 2**64, 10**30)
RUBBISH = (
    "rubbish",
    "-1",
    "0",
    "null",
    "nan",
    "inf",
    "[]",
    "{}",
    "''",
    "true",
    "1.5",
    "1e400",
    "-0.0",
    "[1,2]",
    "64KiB",
    "4K",
    "3s",
    "2 pages",
)
SIZES = (
    "0",
    "1",
    "4095",
    "4096",
    "8KiB",
    "12KiB",
    "64KiB",
    "1MiB",
    "2M",
    "3 pages",
    "513 pages",
    "64MiB",
    "1GiB",
    "1T",
    "16777216T",
    "0.5K",
)
TIMES = ("0", "1", "0.5ns", "80ns", "3us", "1ms", "250ms", "1s", "60s", "3600s", "1e6s", "1e12s", "1e300s", "1e-300", "4e15")
FLOATS = (
    "0",
    "1e-300",
    "1e-9",
    "0.001",
    "0.25",
    "0.5",
    "0.999999",
    "1",
    "1.0000001",
    "1.5",
    "2",
    "17",
    "1000",
    "1e6",
    "1e9",
    "1e18",
    "1e300",
)


def leaves(prefix: str, node: Any) -> Iterator[tuple[str, Any]]:
    """Keys of a config, dotted, with their values."""
    if isinstance(node, dict) and node:
        for name, value in node.items():
            yield from leaves(f"{prefix}.{name}" if prefix else str(name), value)
    else:
        yield prefix, node


@functools.cache
def field_of(key: str, *names: str) -> Any:
    """The pydantic field behind a key; None if a policy's own options have no section. ``names``: of the policies on its path."""
    from pydantic import BaseModel

    from memvirt.pipeline.point import Point
    from memvirt.policy import load
    from memvirt.tlb.config import Array

    model: Any = Point
    parts = key.split(".")
    if parts[0] == "tlb" and len(parts) == 3 and parts[1] != "replacement":
        return Array.model_fields.get(parts[2])
    for place, part in enumerate(parts):
        fields = getattr(model, "model_fields", {})
        field = fields.get(part)
        if field is None and parts[0] == "reclaim" and names[place - 1]:
            family = "memory." + (".".join(parts[1:place]) or "reclaim")
            if not hasattr(importlib.import_module(f"memvirt.{family}"), "__path__"):  # one file has all of them
                return None
            options = getattr(load(family, names[place - 1]), "Options", None)
            return options.model_fields.get(part) if options is not None else None
        if field is None or place == len(parts) - 1:
            return field
        kinds = [field.annotation, *get_args(field.annotation)]
        model = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
    return None


def kinds_of(annotation: Any) -> list[Any]:
    """A union's types."""
    args = get_args(annotation)
    if get_origin(annotation) is Literal or not args or get_origin(annotation) in (list, dict):
        return [annotation]
    return [kind for arg in args for kind in kinds_of(arg)]


@functools.cache
def life_names() -> frozenset[str]:
    """Workloads that are page lives."""
    from memvirt.policy import names
    from memvirt.workload.life import FAMILY

    return frozenset(names(FAMILY))


def written(value: Any) -> str:
    """A value as the command line writes it."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{name}:{written(each)}" for name, each in value.items()) + "}"
    return str(value)


class Drawer:
    """Draws command lines of one seed."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)

    def words(self, compose: Callable[[list[str]], dict[str, Any]], groups: dict[str, list[str]]) -> list[str]:
        """Groups' options, then keys of them."""
        draw = self.draw
        named = [option for option in groups["workload"] if option not in NEED_A_FILE or draw.random() < 0.25]
        chosen = {"workload": draw.choice(named)}
        for group, options in groups.items():
            if draw.random() < (0.6 if "/" not in group else 0.3):
                chosen[group] = draw.choice(options)
        words = [f"{group}={option}" for group, option in chosen.items()]
        config = compose(words)
        known = dict(leaves("", config))
        wild = draw.random() < 0.6
        members, lives = config["vms"]["members"], config["workload"]["name"] in life_names()
        if members:
            words.append(f"vms.members={self.smaller(members, life_names() | (frozenset(['']) if lives else frozenset()))}")
        for key in draw.sample(sorted(known), min(len(known), draw.choice((0, 0, 1, 1, 2, 3, 5, 8)))):
            if key.endswith(".name"):
                continue
            words.append(f"{key}={self.value(key, known[key], config, wild and draw.random() < 0.35)}")
        given = {word.partition("=")[0] for word in words}
        words += [
            f"{key}={draw.randint(*LENGTHS[key])}"
            for key in ("workload.accesses", "workload.seconds")
            if key not in given and key in known
        ]
        if lives and "workload.detail" not in given:
            words.append(f"workload.detail={written(self.detail())}")
        if lives and "vms.scale" not in given:
            words.append("vms.scale=1")
        if lives and "workload.warmup" not in given:
            words.append("workload.warmup=0")
        if "workload.footprint" in known and "workload.footprint" not in given:
            words.append(f"workload.footprint={draw.choice(('8KiB', '64KiB', '512KiB', '2MiB'))}")
        if "ksm_tool" in chosen["workload"] and "workload.idle_time" not in given:
            words.append("workload.idle_time=1ms")
        if draw.random() < 0.3 and "overcommit.ratio" not in given:
            words.append(f"overcommit.ratio={draw.choice(('1.1', '1.5', '3'))}")
        if draw.random() < 0.05:
            words.append(draw.choice(MEMBERS))
        return words

    def detail(self) -> dict[str, Any]:
        """A short detail of a page life; its own is of millions of accesses."""
        accesses = self.draw.randint(*LENGTHS["workload.accesses"])
        return {"name": self.draw.choice(("zipf", "uniform")), "accesses": accesses, "footprint": "64KiB"}

    def smaller(self, members: list[dict[str, Any]], lives: frozenset[str]) -> str:
        """A scenario's VMs with few accesses each, as the command line writes them; ``lives``: names of lives, "" if the point's own is one."""

        few = []
        for member in members[: self.draw.randint(1, 6)]:
            work = member.get("workload", {})
            work = {"name": work} if isinstance(work, str) else dict(work)
            work["accesses"] = self.draw.randint(*LENGTHS["workload.accesses"])
            if "footprint" in work:
                work["footprint"] = self.draw.choice(("64KiB", "1MiB"))
            life = work.get("name", "") in lives
            if life:
                work |= {"seconds": self.draw.randint(*LENGTHS["workload.seconds"]), "warmup": 0, "detail": self.detail()}
            few.append(written({**member, **({"memory": "4MiB"} if life else {}), "workload": work}))
        return "[" + ",".join(few) + "]"

    def value(self, key: str, current: Any, config: dict[str, Any], wild: bool) -> str:
        """A value of a key: of its type and within its bounds, at them or beyond."""
        draw = self.draw
        if wild and draw.random() < 0.1:
            return draw.choice(RUBBISH)
        if key in LENGTHS:
            return str(draw.choice(HUGE[5:]) if wild and draw.random() < 0.2 else draw.randint(*LENGTHS[key]))
        names, node = [], config
        for part in key.split(".")[:-1]:
            node = node.get(part) or {}
            names.append(str(node.get("name", "")) if isinstance(node, dict) else "")
        field = field_of(key, *names)
        kinds = kinds_of(field.annotation) if field is not None else [type(current)]
        kind = draw.choice([each for each in kinds if each is not type(None)] or [str])
        if type(None) in kinds and draw.random() < 0.2:
            return "null"
        bounds = {
            name: getattr(each, name)
            for each in (field.metadata if field is not None else ())
            for name in ("ge", "gt", "le", "lt")
            if hasattr(each, name)
        }
        parser = next((each.func.__name__ for each in (field.metadata if field is not None else ()) if hasattr(each, "func")), "")
        if get_origin(kind) is Literal:  # pages of 1G are a quarter of a million frames each, too many for plain Python
            return str(draw.choice([choice for choice in get_args(kind) if choice != "1G"]))
        if kind is bool:
            return draw.choice(("true", "false"))
        if (kind is str and self.is_time(current)) or "time" in parser:
            within = (
                TIMES[2:6] if key in ("workload.idle_time", "vms.start") else TIMES[2:10]
            )  # a look every 100 us is slow in Python
            return draw.choice((*within, *TIMES[10:]) if wild else within)
        if "size" in parser:
            return draw.choice(SIZES if wild else SIZES[3:12])
        if kind in (int, float):
            edges = [each + step for each in bounds.values() for step in (-1, 0, 1)]
            if kind is float:
                return str(draw.choice((*FLOATS, *edges, *HUGE) if wild else FLOATS[3:13]))
            small = [1, 2, 3, 4, 7, 8, 16, 64, 100, 1000]
            return str(draw.choice((*small, *edges, *HUGE) if wild else small))
        if get_origin(kind) is list or kind is list:
            return draw.choice(("[4K]", "[2M]", "[4K,2M]", "[4K,2M,1G]", "[1G]", "[]"))
        if isinstance(current, str):
            return draw.choice(
                (current, "as_data", "local", "interleave", "first_touch", "lru", "fifo", "random", "clock", "none", "linux")
            )
        return draw.choice(RUBBISH)

    @staticmethod
    def is_time(current: Any) -> bool:
        from memvirt.config import parse_time_ns

        with contextlib.suppress(ValueError):
            return isinstance(current, str) and parse_time_ns(current) >= 0
        return False


MEMBERS = (
    "vms.members=[{workload:zipf},{vcpus:2}]", "vms.members=[]", "vms.members=[1]", "vms.members=[{}]", "vms.members=[null]",
    "vms.members=[{workload:{name:gups}},{memory:1MiB}]", "vms.members=[{contents:{zero:0.5}}]", "vms.members=[{workload:nothing}]",
    "vms.members=[{limit:64KiB}]", "vms.members=[{count:3}]", "vms.members=[{workload:{accesses:99999999999999999999}}]",
)  # fmt: skip


class Verdict(NamedTuple):
    """How a command line ended: ``ok``, ``row`` (rows with a reason), ``refused`` (exit 2), else a defect: ``traceback``, ``hang``, ``crash``."""

    seed: int
    words: list[str]
    how: str
    said: str


GOOD = ("ok", "row", "refused")


def judge(words: list[str], folder: Path) -> tuple[str, str]:
    """Run a command line in this process; how it ended, and what it said."""
    import pandas as pd

    from memvirt.sweep.cli import main

    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main([*words, "executor=serial", "reuse=false", f"output={folder}", "name=one"])
    except BaseException:
        return "traceback", traceback.format_exc()
    said = err.getvalue().strip()
    if code == 2:
        lines = [line for line in said.splitlines() if line.startswith("memvirt.sweep: ")]
        good = "Traceback" not in said and len(lines) == 1 and said.splitlines()[-1] == lines[0]
        return ("refused" if good else "traceback"), said
    if code != 0:
        return "traceback", f"exit {code}: {said}"
    if "dry_run=true" in words:
        return "ok", out.getvalue()
    frame = pd.read_parquet(folder / "one" / "results.parquet")
    if (folder / "one" / "tracebacks.txt").exists():
        return "traceback", (folder / "one" / "tracebacks.txt").read_text()
    failed = frame[frame["status"] != "ok"]
    if failed.empty:
        wrong = [name for name in ("accesses", "instructions", "cycles") if not (frame[name] >= 0).all()]
        return ("traceback", f"negative or missing: {wrong} {frame[wrong].to_dict('list')}") if wrong else ("ok", "")
    return ("row" if failed["error"].str.len().min() > 10 else "traceback"), str(failed["error"].iloc[0])


def judge_point(words: list[str], config: dict[str, Any], groups: set[str]) -> tuple[str, str]:
    """As `judge`, but without Hydra around it, which takes most of the time; ``config`` is composed of the groups among the words."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    from memvirt.errors import MemvirtError
    from memvirt.pipeline.layout import Layout
    from memvirt.sweep.engine.engine import Engine
    from memvirt.sweep.executor.local import Serial
    from memvirt.sweep.plan.sections import Sections
    from memvirt.sweep.plan.stitch import put
    from memvirt.sweep.store.block import from_bytes, results_schema

    failures: list[Any] = []
    blocks: list[Any] = []
    try:
        for override in OverridesParser.create().parse_overrides([word for word in words if word.partition("=")[0] not in groups]):
            key = override.get_key_element()
            config = put(config, key.split("."), override.value(), key)
        stitch: Any = SimpleNamespace(valid=True, of_section={}, section=lambda name, choice: config[name])
        point, _ = Sections(stitch)([], 0)
        layout = Layout()
        wanted = {layout.add(point).number: [0]}
    except (MemvirtError, HydraException) as wrong:
        return "refused", str(wrong)
    except BaseException:
        return "traceback", traceback.format_exc()
    try:
        Engine(layout, wanted, Serial(), lambda block, pairs: blocks.append(block), lambda at, why: failures.append(why)).run()
    except BaseException:
        return "traceback", traceback.format_exc()
    for why in failures:
        return ("traceback", why.details) if why.details else ("row", why.error)
    frame = from_bytes(next(filter(None, blocks)).results, results_schema()).to_pandas()
    wrong = [name for name in ("accesses", "instructions", "cycles") if not (frame[name] >= 0).all()]
    return ("traceback", f"negative or missing: {frame[wrong].to_dict('list')}") if wrong else ("ok", "")


def worker() -> None:
    """Answer seeds from the standard input: first the words of each, then its verdict."""
    import warnings

    import hydra.core.global_hydra

    warnings.simplefilter("ignore")
    import numpy as np

    np.seterr(all="ignore")
    from memvirt.sweep import run
    from memvirt.sweep.plan.compose import open_configs
    from memvirt.sweep.plan.stitch import plain
    from tests.quick_records import quicken

    quicken()
    from memvirt.sweep.plan.groups import find_groups

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    run._draw = lambda folder, study: run.Drawn([], [])  # pictures take the most time, and are tested elsewhere
    groups = {name: options for name, options in sorted(find_groups([]).items()) if name.partition("/")[0] not in NOT_OF_A_POINT}

    composed: dict[tuple[str, ...], dict[str, Any]] = {}

    def compose(words: list[str]) -> dict[str, Any]:
        if tuple(words) not in composed:
            composed.clear()
            composed[tuple(words)] = compose_anew(words)
        return composed[tuple(words)]

    def compose_anew(words: list[str]) -> dict[str, Any]:
        config = plain(open_configs(words).master)
        return {
            name: value for name, value in config.items() if name.partition("/")[0] in {group.partition("/")[0] for group in groups}
        }

    answer = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        order = json.loads(line)
        words = order["words"] or Drawer(order["seed"]).words(compose, groups)
        answer.write(json.dumps(words) + "\n")
        if order["whole"]:
            hydra.core.global_hydra.GlobalHydra.instance().clear()
            with tempfile.TemporaryDirectory() as folder:
                verdict = judge(words, Path(folder))
        else:
            verdict = judge_point(words, compose([word for word in words if word.partition("=")[0] in groups]), set(groups))
        answer.write(json.dumps(verdict) + "\n")


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has taken."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Runner:
    """A process that judges command lines, started again when it hangs or dies."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __call__(self, seed: int, words: list[str] | None = None, whole: bool = False) -> Verdict:
        if self._process is None:
            command = [sys.executable, "-W", "ignore", "-m", "tests.random_configs", "worker"]
            environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
            self._process = subprocess.Popen(
                command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        process = self._process
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        over, late = threading.Event(), threading.Event()

        def watch() -> None:
            begun, waited = cpu_seconds(process.pid), 0
            while not over.wait(1.0):
                waited += 1
                if cpu_seconds(process.pid) - begun > LIMIT or waited > 10 * LIMIT:
                    late.set()
                    process.kill()
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            process.stdin.write(json.dumps({"seed": seed, "words": words, "whole": whole}) + "\n")
            process.stdin.flush()
            first, second = process.stdout.readline(), process.stdout.readline()
        finally:
            over.set()
            watcher.join()
        given = json.loads(first) if first else words or []
        if second:
            return Verdict(seed, given, *json.loads(second))
        self._process = None
        process.kill()
        said = process.stderr.read()[-3000:]
        return Verdict(seed, given, "hang" if late.is_set() else "crash", said)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def run_all(seeds: range, processes: int = 2) -> Iterator[Verdict]:
    """Verdicts of seeds as they come; each tenth by the whole command line."""
    todo: queue.SimpleQueue[int] = queue.SimpleQueue()
    done: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
    for seed in seeds:
        todo.put(seed)

    def work() -> None:
        runner = Runner()
        with contextlib.suppress(queue.Empty):
            while True:
                seed = todo.get_nowait()
                done.put(runner(seed, whole=seed % 10 == 0))
        runner.close()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(processes)]
    for thread in threads:
        thread.start()
    for _ in seeds:
        yield done.get()


def main() -> None:
    """Run what the arguments say."""
    if sys.argv[1] == "worker":
        worker()
        return
    first, last = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else int(sys.argv[1]) + 1
    count: Counter[str] = Counter()
    for verdict in run_all(range(first, last), min(2, last - first)):
        count[verdict.how] += 1
        if verdict.how not in GOOD or last - first == 1:
            print(f"--- {verdict.seed} {verdict.how}: {' '.join(verdict.words)}\n{verdict.said[-1500:]}", flush=True)
        if os.environ.get("VERBOSE"):
            print(verdict.seed, verdict.how, verdict.said[:200].replace("\n", " "), flush=True)
    print(dict(count))


if __name__ == "__main__":
    main()
