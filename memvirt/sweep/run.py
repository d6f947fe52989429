"""A sweep from plan to tables."""

from __future__ import annotations

import datetime
import importlib.metadata
import platform
import re
import shlex
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from memvirt.digest import text_digest
from memvirt.errors import ConfigError, MemvirtError
from memvirt.jit import code_digest
from memvirt.policy import plugin_packages
from memvirt.stages import CODE
from memvirt.sweep.engine import Engine, Failure, Result
from memvirt.sweep.executors import make_executor
from memvirt.sweep.groups import find_groups
from memvirt.sweep.plan import NOT_OF_A_POINT, Plan, PlannedPoint, make_plan
from memvirt.sweep.report import Watch, stage_report
from memvirt.sweep.stitch import Composer
from memvirt.sweep.store import Store

#: Receives the exit code; set by the command line, since Hydra lets a sweeper return nothing.
finished: Callable[[int], None] = lambda code: None  # noqa: E731
#: Hydra's flags and where its user's options are, as given; a resumed or repeated sweep needs them again.
flags: list[str] = []


def all_code() -> str:
    """Digest of all code that a row can depend on."""
    return code_digest(("compute.py", "stages.py", *sorted({room for rooms in CODE.values() for room in rooms})))


def check_settings(settings: dict[str, Any]) -> None:
    """Refuse settings of the sweep's own that can't be.

    Raises
    ------
    ConfigError
    """
    for key in ("resume", "fail_on_error"):
        if not isinstance(settings[key], bool):
            raise ConfigError(key, settings[key], "must be true or false")
    name = settings["name"]
    if name is not None and (not str(name) or str(name) in (".", "..") or "/" in str(name)):
        raise ConfigError("name", name, "must be the name of a folder, without slashes")
    if not settings["output"]:
        raise ConfigError("output", settings["output"], "must be a folder")
    workers = settings["executor"].get("workers")
    if workers is not None and (not isinstance(workers, int) or isinstance(workers, bool) or workers < 1):
        raise ConfigError("executor.workers", workers, "must be a positive number, or null for one a core")
    if settings["executor"].get("address") is not None:
        raise ConfigError("executor.address", settings["executor"]["address"], "joining a cluster is not built yet; leave it null")


def folder_name(settings: dict[str, Any], plan: Plan, experiment: str | None, plain: bool) -> str:
    """Name of the sweep's folder: as given, or the experiment's, with a hash of the plan where that isn't run as it stands."""
    if settings["name"] is not None:
        return str(settings["name"])
    if experiment and plain:
        return experiment
    return f"{experiment or 'sweep'}-{text_digest(*(point.point_id for point in plan.points))[:8]}"


def provenance(plan: Plan, command: str, begin: str) -> dict[str, Any]:
    """What is needed to make the same rows again."""
    packages = ("memvirt", "numba", "numpy", "hydra-core", "ray", "pandas", "pyarrow")
    files = {path: digest for point in plan.points for path, digest in point.traces.items()}
    return {
        "command": command,
        "overrides": plan.overrides,
        "code": all_code(),
        "traces": files,
        "versions": {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}},
        "plugins": plugin_packages(),
        "machine": platform.platform(),
        "begun": begin,
        "ended": now(),
        "axes": {axis.key: list(axis.values) for axis in plan.axes},
        "points": [{"point_id": p.point_id, "varied": p.varied, "config": p.config} for p in plan.points],
    }


def now() -> str:
    """The time, with its zone."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def run_sweep(loader: Any, master: DictConfig, arguments: list[str], params: dict[str, Any]) -> None:
    """Plan and run; called by the Hydra sweeper.

    Raises
    ------
    MemvirtError
        For a bad argument or config, before anything is run.
    """
    compose = Composer(loader, master)
    groups = find_groups([])
    for option_group in loader.list_groups(""):
        groups.setdefault(option_group, [])
    plan = make_plan(compose, [word for word in arguments if not word.startswith("hydra.")], params, groups)
    settings = plan.settings
    check_settings(settings)
    own = [word for word in arguments if re.split("[=/.]", word)[0] not in NOT_OF_A_POINT]
    experiment = next((word.partition("=")[2] for word in arguments if word.startswith("experiment=")), None)
    name = folder_name(settings, plan, experiment if experiment != "null" else None, plain=not own)
    folder = Path(str(settings["output"])) / name
    store = Store(folder, all_code())
    try:
        finished(_run(plan, store, folder, name))
    finally:
        store.close()


def _command(plan: Plan, settings: dict[str, Any], name: str, more: list[str]) -> str:
    words = [*flags, *plan.overrides]
    keys = {word.partition("=")[0] for word in words}
    words += [f"{key}={value}" for key, value in (("output", settings["output"]), ("name", name)) if key not in keys]
    words = [word for word in words if not word.startswith("resume=")]
    return "python -m memvirt.sweep " + shlex.join([*words, *more])


def _run(plan: Plan, store: Store, folder: Path, name: str) -> int:
    settings, begin, started = plan.settings, now(), time.monotonic()
    store.open(settings["resume"])
    kept = [point for point in plan.points if point.point_id in store.entries]
    todo = [point for point in plan.points if point.point_id not in store.entries]
    said = f"{len(kept)} of them from an earlier run, " if kept else ""
    print(f"{len(plan.points)} points, {said}{plan.composed} configs composed; writing to {folder}", file=sys.stderr, flush=True)
    tallies: dict[str, Any] = {}
    if todo:
        stop = _compute(todo, store, settings, len(plan.points), len(kept), tallies)
        if stop:
            done = sum(point.point_id in store.entries for point in plan.points)
            print(f"stopped: {done} of {len(plan.points)} points are kept in {folder}; go on with", file=sys.stderr)
            print(_command(plan, settings, name, ["resume=true"]), file=sys.stderr)
            return 130
    rows = store.write(plan, provenance(plan, _command(plan, settings, name, []), begin))
    failed = sum(row["status"] != "ok" for row in rows)
    pictures = _draw(folder, plan)
    if tallies:
        print(stage_report(tallies))
    else:
        print("nothing to compute: every point is in the journal")
    if failed:
        first = next(row for row in rows if row["status"] != "ok")
        where = ", ".join(f"{axis.key}={first[axis.key]}" for axis in plan.axes)
        print(f"first failure{' at ' if where else ''}{where}: {first['error']}")
    print(f"wrote {folder}/results.parquet, results.csv, epochs.parquet, provenance.json{''.join(f', {p}' for p in pictures)}")
    seconds = time.monotonic() - started
    print(f"{len(plan.points)} points, {len(rows)} rows, {failed} failed, {seconds:.1f} s")
    return 1 if failed and settings["fail_on_error"] else 0


def _compute(
    todo: list[PlannedPoint], store: Store, settings: dict[str, Any], points: int, kept: int, tallies: dict[str, Any]
) -> bool:
    """Compute the points that are missing; True if it was stopped."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    watch = Watch(points, kept)
    executor = None

    def point_finished(number: int, result: Result) -> None:
        watch.one_more(not isinstance(result, Failure))
        if isinstance(result, Failure):
            entry = {
                "status": result.status,
                "error": result.error,
                "details": result.details,
                "rows": [{"vm": vm} for vm in range(todo[number].point.count)],
                "epochs": [],
            }
        else:
            entry = {"status": "ok", "error": "", **result}
        store.add(todo[number].point_id, entry)

    try:
        executor = make_executor(settings["executor"])
        engine = Engine(executor, point_finished, watch)
        engine.run({number: point.point for number, point in enumerate(todo)})
        tallies.update(engine.tallies)
    except KeyboardInterrupt:
        return True
    finally:
        signal.signal(signal.SIGTERM, before)
        watch.close()
        if executor is not None:
            executor.close()
    return False


def _draw(folder: Path, plan: Plan) -> list[str]:
    """Draw the sweep's own figures; their names below the folder."""
    from memvirt.figures import draw_sweep
    from memvirt.result import read_results

    try:
        paths = draw_sweep(read_results(folder), [axis.key for axis in plan.axes], folder / "figures")
    except MemvirtError as wrong:
        print(f"no figure drawn: {wrong}", file=sys.stderr)
        return []
    return [str(path.relative_to(folder)) for path in paths]
