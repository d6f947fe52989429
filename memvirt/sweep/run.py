"""A sweep from plan to tables."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.metadata
import json
import platform
import re
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from memvirt.digest import text_digest
from memvirt.errors import MemvirtError, WriteError
from memvirt.policy import load, plugin_packages
from memvirt.result.table import write_table, write_whole
from memvirt.sweep.cli import config_dirs
from memvirt.sweep.estimate import describe, remember_rates
from memvirt.sweep.plan.choices import Design
from memvirt.sweep.plan.groups import find_groups
from memvirt.sweep.plan.mix import odd_mix
from memvirt.sweep.plan.plan import Plan, make_design, own_settings, parse, plan_design
from memvirt.sweep.plan.stitch import Composer
from memvirt.sweep.report import stage_report
from memvirt.sweep.settings import Settings, read_settings
from memvirt.sweep.store.provenance import all_code
from memvirt.sweep.store.store import Store
from memvirt.sweep.store.tables import plan_table, write_tables
from memvirt.sweep.study import Study
from memvirt.sweep.work import Todo, TooManyFailures, Work

#: Receives the exit code; set by the command line, since Hydra lets a sweeper return nothing.
finished: Callable[[int], None] = lambda code: None  # noqa: E731
#: Hydra's flags and where its user's options are, as given; a resumed or repeated sweep needs them again.
flags: list[str] = []


class Call:
    """One call of the sweep, as the user made it.

    Attributes
    ----------
    fixed, axes
        Overrides with one value, and what is swept.
    config : dict
        Keys that are not part of a point.
    settings : Settings
    experiment : str, optional
    """

    def __init__(self, compose: Composer, arguments: list[str], params: dict[str, Any]) -> None:
        groups = find_groups([])
        for option_group in compose.loader.list_groups(""):
            groups.setdefault(option_group, [])
        words = [word for word in arguments if not word.startswith("hydra.")]
        self.compose = compose
        self.fixed, self.axes = parse(words, params, groups, compose.loader)
        self.config = own_settings(compose, self.fixed, self.axes)
        self.settings: Settings = read_settings(self.config)
        named = next((word.partition("=")[2] for word in words if word.startswith("experiment=")), None)
        self.experiment = named if named != "null" else None
        self.plain = all(re.split("[=/.]", word)[0] in (*Settings.model_fields, "experiment") for word in words)

    def plan(self, design: Design | None = None) -> Plan:
        """Plan a design: the one that was asked for, if none is given."""
        chosen = design if design is not None else make_design(self.axes, self.config["plan"])
        return plan_design(self.compose, self.fixed, chosen, self.config)

    def overrides(self) -> list[str]:
        """From these the same sweep is made again."""
        swept = []
        for axis in self.axes:
            if axis.interval is not None:
                swept.append(f"{axis.key}={axis.interval}")
            else:
                swept.append(",".join([axis.override(0), *axis.texts[1:]]))
        return [*self.fixed, *swept]

    def name(self, ids: list[str] | None) -> str:
        """Name of the sweep's folder: as given, or the experiment's, with a hash of the points where that isn't run as it is."""
        if self.settings.name is not None:
            return self.settings.name
        if self.experiment and self.plain:
            return self.experiment
        what = ids if ids is not None else [each for each in self.overrides() if each.split("=")[0] not in Settings.model_fields]
        return f"{self.experiment or 'sweep'}-{text_digest(*what)[:8]}"

    def command(self, name: str, more: list[str]) -> str:
        """The command line that makes this sweep."""
        words = [*flags, *self.overrides()]
        keys = {word.partition("=")[0] for word in words}
        words += [f"{key}={value}" for key, value in (("output", self.settings.output), ("name", name)) if key not in keys]
        words = [word for word in words if not word.startswith(("resume=", "dry_run="))]
        return "python -m memvirt.sweep " + shlex.join([*words, *more])


def provenance(call: Call, work: Work, command: str, begin: str) -> dict[str, Any]:
    """What is needed to make the same rows again, and each point's config: the first one's, with its varied keys exchanged."""
    packages = ("memvirt", "numba", "numpy", "hydra-core", "ray", "pandas", "pyarrow", "scipy", "SALib")
    plans = [wanted.plan for wanted in work.wanted]
    plan = plans[0]
    parts = plan.stitch.parts
    axes: dict[str, Any] = {}
    for place, axis in enumerate(plan.axes):
        if axis.is_group and plan.stitch.valid and (place, 0) in parts:
            axes[axis.key] = {text: parts[place, at] for at, text in enumerate(axis.texts)}
        elif axis.interval is not None:
            axes[axis.key] = str(axis.interval)
        else:
            axes[axis.key] = list(axis.values)
    told: dict[str, Any] = {
        "command": command,
        "overrides": call.overrides(),
        "code": all_code(),
        "traces": {path: digest for each in plans for path, digest in each.sections.traces.items()},
        "versions": {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}},
        "plugins": plugin_packages(),
        "machine": platform.platform(),
        "begun": begin,
        "ended": now(),
        "points": len(plan),
        "replicates": plan.replicates,
        "config": plan.config(0),
        "axes": axes,
    }
    if work.tallies:
        told["stages"] = {room: dataclasses.asdict(tally) for room, tally in work.tallies.items()}
        told["longest_chain_seconds"], told["most_bytes_held"] = work.chain, work.most_bytes
    if plan.stitch.ties:  # groups that reach beyond their part: what each combination of options makes
        told["tied"] = plan.stitch.tied_sections()
    if not plan.stitch.valid:  # options that reach beyond their group: each config for itself
        told["configs"] = [plan.config(number * plan.replicates) for number in range(len(plan.choices))]
    return told


def now() -> str:
    """The time, with its zone."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def say(text: str) -> None:
    """Tell the user, beside the output."""
    print(text, file=sys.stderr, flush=True)


def run_sweep(loader: Any, master: DictConfig, arguments: list[str], params: dict[str, Any]) -> None:
    """Plan and run; called by the Hydra sweeper.

    Raises
    ------
    MemvirtError
        For a bad argument or config, before anything is run.
    """
    started = time.monotonic()
    call = Call(Composer(loader, master), arguments, params)
    work = Work(call.settings)
    if not (call.settings.dry_run or call.settings.resume):
        work.start()
    try:
        kind = load("sweep.study", call.config["study"]["name"], "study").make(call)
        if mix := odd_mix(kind.plan.stitch, config_dirs(flags)):
            say(mix)
        finished(_dry_run(call, kind.plan) if call.settings.dry_run else _run(call, work, kind, started))
    finally:
        work.close()


def _dry_run(call: Call, plan: Plan) -> int:
    todo = Todo(plan)
    for line in describe(plan, todo, call.settings):
        print(line)
    print(f"nothing was run; it would be written to {Path(call.settings.output) / call.name(_ids(call, todo))}")
    return 0


def _ids(call: Call, todo: Todo) -> list[str] | None:
    return list(todo.wanted.ids) if call.config["study"]["name"] == "none" else None


def _run(call: Call, work: Work, kind: Any, started: float) -> int:
    settings, begin = call.settings, now()
    store: Store | None = None
    try:
        todo = Todo(kind.plan)
        folder = Path(settings.output) / call.name(_ids(call, todo))
        store = Store(folder, all_code())
        store.open(settings.resume)
        if settings.executor.address is not None:
            work.executor()  # join the cluster, or say why not, before anything else is said
        for damage in store.damaged:
            say(f"damaged, and computed again: {folder}/{damage}")
        try:
            return _go(call, kind, Study(call, work, store, todo), begin, started)
        except KeyboardInterrupt:
            return _stopped(call, work, store, "stopped", 130)
        except (WriteError, TooManyFailures) as wrong:
            return _stopped(call, work, store, str(wrong), 1)
    finally:
        if store is not None:
            store.close()


def _stopped(call: Call, work: Work, store: Store, why: str, code: int) -> int:
    total = sum(len(wanted.ids) for wanted in work.wanted)
    done = sum(point in store.points for wanted in work.wanted for point in wanted.ids)
    say(f"{why}: {done} of {total} points are kept in {store.folder}; go on with")
    say(call.command(store.folder.name, ["resume=true"]))
    return code


def _go(call: Call, kind: Any, study: Study, begin: str, started: float) -> int:
    work, store = study.work, study.store
    kind.run(study)
    work.finish()
    folder = store.folder
    command = call.command(folder.name, [])
    told = json.dumps(provenance(call, work, command, begin), indent=1)
    statuses = write_tables(work.wanted, store)
    write_whole(folder / "provenance.json", lambda part: part.write_text(told + "\n"))
    written = ["results.parquet", "results.csv", "epochs.parquet", "provenance.json"]
    for number, (wanted, ids) in enumerate(zip(work.wanted, study.ids, strict=True)):
        file = "plan.parquet" if len(work.wanted) == 1 else f"plan-{number + 1}.parquet"
        write_table(plan_table(wanted.plan, ids), folder / file)
        written.append(file)
    pictures = _draw(folder, study) if statuses.get("ok") else []
    if work.tallies:
        print(stage_report(work.tallies))
        print(f"longest chain of stages {work.chain:.1f} CPU-s; at most {work.most_bytes / 2**20:,.0f} MiB held between stages")
        remember_rates(work)
    else:
        print("nothing to compute: every point is in the journal")
    for line in study.said:
        print(line)
    points, rows = sum(len(wanted.ids) for wanted in work.wanted), sum(statuses.values())
    failed = rows - statuses.get("ok", 0)
    if failed:
        print(_first_failure(folder, [axis.key for axis in work.wanted[0].plan.axes]))
    print(f"wrote {folder}/{', '.join([*written, *study.written, *pictures])}")
    print(f"{points} points, {rows} rows, {failed} failed, {time.monotonic() - started:.1f} s")
    return 1 if failed and call.settings.fail_on_error else 0


def _first_failure(folder: Path, axes: list[str]) -> str:
    from memvirt.result.table import read_results

    frame = read_results(folder)
    first = frame[frame["status"] != "ok"].iloc[0]
    where = ", ".join(f"{axis}={first[axis]}" for axis in axes)
    return f"first failure{' at ' if where else ''}{where}: {first['error']}"


def _draw(folder: Path, study: Study) -> list[str]:
    """Draw the sweep's own figures; their names below the folder."""
    from memvirt.figures import draw_sweep
    from memvirt.result.table import read_results

    if study.draws_itself:
        return []
    averages = study.call.config["plan"]["name"] != "list"
    try:
        paths = draw_sweep(read_results(folder), [axis.key for axis in study.plan.axes], folder / "figures", averages)
    except WriteError as wrong:
        say(f"{wrong}: the tables are complete, but not every figure is drawn; draw them with")
        say(study.call.command(folder.name, ["resume=true"]))
        return []
    except MemvirtError as wrong:
        say(f"no figure drawn: {wrong}")
        return []
    return [str(path.relative_to(folder)) for path in paths]
