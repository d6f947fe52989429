"""A sweep from plan to tables."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from memvirt.errors import FailedRows, MemvirtError, Unfinished, WriteError
from memvirt.policy import load
from memvirt.result.table import read_results, write_table, write_whole
from memvirt.sweep import finished
from memvirt.sweep.call import Call
from memvirt.sweep.estimate import describe, remember_rates
from memvirt.sweep.plan.mix import odd_mix, renamed_keys
from memvirt.sweep.plan.plan import Plan
from memvirt.sweep.plan.todo import Todo
from memvirt.sweep.report import Voice, stage_report
from memvirt.sweep.store.provenance import all_code, provenance, utc_time
from memvirt.sweep.store.store import Store
from memvirt.sweep.store.tables import plan_table, write_tables
from memvirt.sweep.study import Study
from memvirt.sweep.work import TooManyFailures, Work

MOST_SAID = 8  #: lines of what files don't say


def sweep(call: Call, voice: Voice) -> Path:
    """Plan and run a sweep; returns its folder.

    Parameters
    ----------
    call : Call
    voice : Voice
        Says how it goes.

    Raises
    ------
    MemvirtError
        For a bad argument or config, before anything is run.
    Unfinished
        If a disk is full or more points failed than may; what is done is kept.
    FailedRows
        If rows failed and ``fail_on_error`` is set; the tables are complete.
    KeyboardInterrupt
        If it was stopped (`Terminated` by SIGTERM); its text is that of `Unfinished`.
    """
    started = time.monotonic()
    work = Work(call.settings, voice)
    if not (call.settings.dry_run or call.settings.resume):
        work.start()
    try:
        kind = load("sweep.study", call.config["study"]["name"], "study").make(call)
        if mix := odd_mix(kind.plan.stitch, call.folders):
            voice.say(mix)
        if renamed := renamed_keys(call.overrides()):
            voice.say(renamed)
        return _plan_only(call, kind.plan, voice) if call.settings.dry_run else _run(call, work, kind, started)
    finally:
        work.close()


def _tell_one_point(call: Call, plan: Plan, voice: Voice) -> None:
    """Say it where keys were given, but none varies, and no experiment brings values of its own."""
    if not call.axes and len(plan.choices) == 1 and call.experiment is None and call.config["study"]["name"] == "none":
        voice.say("one point: what isn't given has its base value; experiment=default, with the same keys, varies the main job")


def _tell_assumed(plan: Plan, voice: Voice) -> None:
    """Say what the files behind workloads don't say."""
    said = list(plan.sections.assumed)
    for each in said[:MOST_SAID]:
        voice.say(each)
    if len(said) > MOST_SAID:
        voice.say(f"and {len(said) - MOST_SAID} more of that kind: memvirt trace info FILE tells them")


def _plan_only(call: Call, plan: Plan, voice: Voice) -> Path:
    todo = Todo(plan)
    for line in describe(plan, todo, call.settings):
        voice.conclude(line)
    _tell_one_point(call, plan, voice)
    _tell_assumed(plan, voice)
    folder = Path(call.settings.output) / call.name(_ids(call, todo))
    there = "" if finished.told_by(folder) is None else ", where a finished sweep is already"
    voice.conclude(f"nothing was run; it would be written to {folder}{there}")
    return folder


def _ids(call: Call, todo: Todo) -> list[str] | None:
    return list(todo.wanted.ids) if call.config["study"]["name"] == "none" else None


def _run(call: Call, work: Work, kind: Any, started: float) -> Path:
    settings, begun = call.settings, utc_time()
    store: Store | None = None
    try:
        todo = Todo(kind.plan)
        _tell_assumed(kind.plan, work.voice)
        folder = Path(settings.output) / call.name(_ids(call, todo))
        if finished.is_done(call, todo, folder):
            work.voice.conclude(finished.report(call, todo, folder))
            return folder
        replaces = settings.overwrite and finished.told_by(folder) is not None
        store = Store(folder, all_code(), replaces)
        store.open(settings.resume)
        if settings.executor.address is not None:
            work.executor()  # join the cluster, or say why not, before anything else is said
        for damage in store.damaged:
            work.voice.say(f"damaged, and computed again: {store.folder}/{damage}")
        study = Study(call, work, store, todo)
        work.last_words = lambda: _stopped(study, "stopped")
        try:
            kind.run(study)
            _tell_one_point(call, kind.plan, work.voice)
            failed = _conclude(study, begun, started)
        except KeyboardInterrupt as stopped:
            raise type(stopped)(_stopped(study, "stopped")) from None
        except (WriteError, TooManyFailures) as wrong:
            raise Unfinished(_stopped(study, str(wrong))) from wrong
        if failed and settings.fail_on_error:
            raise FailedRows(f"fail_on_error=true: {failed} rows failed; the tables are complete")
        return folder
    finally:
        if store is not None:
            store.close()


def _stopped(study: Study, why: str) -> str:
    store, plans = study.store, study.work.wanted
    total = sum(len(wanted.ids) for wanted in plans)
    done = sum(point in store.points for wanted in plans for point in wanted.ids)
    again = ["overwrite=true"] if study.call.settings.overwrite else []
    command = study.call.command(store.place.name, [*again, "resume=true"])
    return f"{why}: {done} of {total} points are kept in {store.folder}; go on with\n{command}"


def _conclude(study: Study, begun: str, started: float) -> int:
    """Write the tables, draw, and say what came of it; returns how many rows failed."""
    call, work, folder = study.call, study.work, study.store.folder
    work.finish()
    name = study.store.place.name
    told = provenance([each.plan for each in work.wanted], call.command(name, []), call.overrides(), begun)
    told["plan"] = finished.identity(call, study.first)
    if work.tallies:
        told["stages"] = {room: dataclasses.asdict(tally) for room, tally in work.tallies.items()}
        told["longest_chain_seconds"], told["most_bytes_held"] = work.chain, work.most_bytes
    statuses = write_tables(work.wanted, study.store)
    written = ["results.parquet", "results.csv", "epochs.parquet", "provenance.json"]
    for number, (wanted, ids) in enumerate(zip(work.wanted, study.ids, strict=True)):
        file = "plan.parquet" if len(work.wanted) == 1 else f"plan-{number + 1}.parquet"
        write_table(plan_table(wanted.plan, ids), folder / file)
        written.append(file)
    pictures = _draw(folder, study) if statuses.get("ok") and call.settings.figures else Drawn([], [])
    write_whole(folder / "provenance.json", lambda part: part.write_text(json.dumps(told, indent=1) + "\n"))
    page = _report(folder, study, pictures) if call.settings.report else []
    folder = study.store.finish()
    conclude = work.voice.conclude
    if work.tallies:
        conclude(stage_report(work.tallies))
        conclude(f"longest chain of stages {work.chain:.1f} CPU-s; at most {work.most_bytes / 2**20:,.0f} MiB held between stages")
        remember_rates(call.settings, work.lengths)
    else:
        conclude("nothing to compute: every point is in the journal")
    for line in study.said:
        conclude(line)
    points, rows = len({point for wanted in work.wanted for point in wanted.ids}), sum(statuses.values())
    failed = rows - statuses.get("ok", 0)
    if failed:
        conclude(_first_failure(folder, [axis.key for axis in work.wanted[0].plan.axes]))
    conclude(f"wrote {folder}/{', '.join([*written, *study.written, *pictures.paths, *page])}")
    conclude(f"{points} points, {rows} rows, {failed} failed, {time.monotonic() - started:.1f} s")
    return failed


def _first_failure(folder: Path, axes: list[str]) -> str:
    frame = read_results(folder)
    first = frame[frame["status"] != "ok"].iloc[0]
    where = ", ".join(f"{axis}={first[axis]}" for axis in axes)
    return f"first failure{' at ' if where else ''}{where}: {first['error']}"


class Drawn(NamedTuple):
    """The sweep's own figures by name, and where they are below its folder."""

    pictures: list[tuple[str, Any]]
    paths: list[str]


def _draw(folder: Path, study: Study) -> Drawn:
    """Draw the sweep's own figures."""
    from memvirt.figures import draw_sweep, save_all

    if study.draws_itself:
        return Drawn([], [])
    averages = study.call.config["plan"]["name"] != "list"
    say = study.work.voice.say
    try:
        pictures = draw_sweep(read_results(folder), [axis.key for axis in study.plan.axes], averages)
        paths = save_all(pictures, folder / "figures")
    except WriteError as wrong:
        say(f"{wrong}: the tables are complete, but not every figure is drawn; draw them with")
        say(study.call.command(study.store.place.name, ["resume=true"]))
        return Drawn([], [])
    except MemvirtError as wrong:
        say(f"no figure drawn: {wrong}")
        return Drawn([], [])
    return Drawn(pictures, [str(path.relative_to(folder)) for path in paths])


def _report(folder: Path, study: Study, drawn: Drawn) -> list[str]:
    """Write the sweep's page; its name below the folder."""
    from memvirt.report import write_report

    try:
        return [write_report(folder, drawn.pictures, name=study.store.place.name).name]
    except MemvirtError as wrong:
        study.work.voice.say(f"no report: {wrong}; the tables are complete")
        return []
