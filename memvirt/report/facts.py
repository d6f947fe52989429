"""What a page says of a sweep, gathered from its folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from memvirt import experiments
from memvirt.drawing.monitor import monitor
from memvirt.drawing.style import Picture, needs
from memvirt.drawing.sweep import overview
from memvirt.drawing.words import listed, said, short, varied
from memvirt.errors import ConfigError, MemvirtError
from memvirt.report.picture import embedded, inline
from memvirt.report.table import MOST_ROWS, as_data, plain, sampled, texts
from memvirt.result.choose import of_point, waited_longest
from memvirt.result.table import read_results

OWN = ("slowdown", "cycles")  #: figures that a sweep draws of itself
TABLES = ("results.csv",)  #: that aren't a study's
MOST_PICTURES, MOST_BYTES = 12, 1 << 20  #: files with pictures that are embedded, and how large each may be
MOST_FAILURES, FEW = 50, 3
MOST_VALUES = 6
FILES = ("results.parquet", "results.csv", "epochs.parquet", "plan.parquet", "provenance.json")


def read_provenance(folder: Path) -> dict[str, Any]:
    """What is known of how a table was made; nothing if that can't be read."""
    try:
        found = json.loads((folder / "provenance.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _experiment(told: dict[str, Any]) -> str | None:
    words = [str(word) for word in told.get("overrides", [])]
    return next((word.partition("=")[2] for word in words if word.startswith("experiment=")), None)


def question(frame: pd.DataFrame, told: dict[str, Any]) -> str:
    """The question that a sweep answers: its experiment's, or one made of what it varies."""
    name = _experiment(told)
    if name in experiments.names():
        return (experiments.HERE / str(name) / "README.md").read_text().partition("\n")[0].lstrip("# ")
    keys = [key for key in varied(frame) if frame[key].nunique(dropna=False) > 1]
    who = _who(frame, told)
    if not keys:
        return f"What does memory cost {who}?"
    return f"What {'do' if len(keys) > 1 else 'does'} {listed(map(short, keys))} cost {who}?"


def _who(frame: pd.DataFrame, told: dict[str, Any]) -> str:
    count = int(frame["vm"].max()) + 1 if len(frame) else 1
    workload = told.get("config", {}).get("workload", {}).get("name")
    runs = f" that run{'s' if count == 1 else ''} {said(workload)}" if workload and "workload" not in frame else ""
    return f"{'one VM' if count == 1 else f'{count} VMs'}{runs}"


def design(frame: pd.DataFrame, told: dict[str, Any]) -> str:
    """Which points there are, in a sentence."""
    keys = [key for key in varied(frame) if frame[key].nunique(dropna=False) > 1]
    parts, product = [], 1
    for key in keys:
        values = list(pd.unique(frame[key].dropna()))
        product *= frame[key].nunique(dropna=False)
        few = ", ".join(map(said, values[:MOST_VALUES])) + (", …" if len(values) > MOST_VALUES else "")
        parts.append(f"{short(key)} ({few})" if len(values) <= 2 * MOST_VALUES else f"{len(values)} values of {short(key)}")
    replicates = int(told.get("replicates", 1))
    combinations = len(frame[keys].drop_duplicates()) if keys else 1
    times = f", each {replicates} times with other seeds" if replicates > 1 else ""
    if not keys:
        return f"One point{times}; {_who(frame, told)}."
    which = f"All {product:,} combinations" if combinations == product else f"{combinations:,} of the {product:,} combinations"
    return f"{which} of {listed(parts)}{times}; {_who(frame, told)} in each."


def failures(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Points without a result by reason, most frequent first: ``status``, ``error``, how many ``points``, ``where`` some are."""
    bad = frame[frame["status"] != "ok"].drop_duplicates("point_id")
    keys = [key for key in varied(frame) if frame[key].nunique(dropna=False) > 1]
    found = []
    for (status, error), rows in bad.fillna({"error": ""}).groupby(["status", "error"], sort=False):
        where = ["; ".join(f"{short(key)} {said(row[key])}" for key in keys) for _, row in rows.head(FEW).iterrows()]
        found.append(
            (len(rows), {"status": status, "error": error, "points": len(rows), "where": [each for each in where if each]})
        )
    return [each for _, each in sorted(found, key=lambda pair: -pair[0])[:MOST_FAILURES]]


def _pictures(
    folder: Path, frame: pd.DataFrame, told: dict[str, Any], given: Sequence[tuple[str, Picture]] | None
) -> list[dict[str, str]]:
    """The sweep's own figures as SVG, and what else was drawn into the folder."""
    files = sorted((folder / "figures").glob("*.png"))
    if given is None:
        given = []
        if not files or any(path.stem in OWN for path in files):
            averages = not any(str(word) == "plan=list" for word in told.get("overrides", []))
            try:
                given = overview(frame, varied(frame), averages)
            except MemvirtError:  # nothing to draw: the page says which rows failed
                given = []
    found = []
    for number, (name, figure) in enumerate(given):
        title = name.replace("_", " ")
        said_of = figure._suptitle.get_text().replace("\n", " ") if figure._suptitle else ""  # type: ignore[attr-defined]
        about = ". ".join(filter(None, [title, said_of, "The table below has the numbers."]))
        svg = inline(figure, f"f{number}", about)
        found.append({"name": name, "svg": svg, "file": f"figures/{name}.pdf" if (folder / f"figures/{name}.pdf").exists() else ""})
    drawn = {name for name, _ in given}
    others = [path for path in files if path.stem not in drawn and path.stat().st_size < MOST_BYTES]
    for path in others[:MOST_PICTURES]:
        found.append({"name": path.stem, "svg": "", "image": embedded(path), "file": f"figures/{path.name}"})
    return found


def _timeline(folder: Path, point: str | None, vm: int | None) -> dict[str, str] | None:
    """Monitors of a point, the one that waits longest unless one is chosen; None without epochs."""
    path = folder / "epochs.parquet"
    if not path.is_file():
        return None
    epochs = of_point(read_results(path), point)
    if epochs.empty or epochs["epoch"].nunique() < 2:
        return None
    rows = epochs[epochs["point_id"] == waited_longest(epochs)]
    rows = rows[rows["replicate"] == rows["replicate"].min()]
    if vm is not None:
        if vm not in set(rows["vm"]):
            raise ConfigError("--vm", vm, "the point has no such VM", sorted(rows["vm"].unique()))
        rows = rows[rows["vm"] == vm]
    where = ", ".join(f"{short(key)} {said(rows[key].iloc[0])}" for key in varied(rows))
    chosen = str(rows["point_id"].iloc[0])
    why = "the chosen point" if point else "the point whose VMs wait for memory the longest"
    text = f"Monitors of {why}{f' ({where})' if where else ''}, epoch by epoch; point {chosen[:12]}."
    try:
        return {"text": text, "svg": inline(monitor(rows), "m", text)}
    except MemvirtError:  # another version's columns
        return None


def _studies(folder: Path) -> list[dict[str, Any]]:
    """Tables that a study wrote, such as a sensitivity study's indices."""
    found = []
    for path in sorted(folder.glob("*.csv")):
        if path.name not in TABLES:
            try:
                table = pd.read_csv(path)
            except (OSError, ValueError):
                continue
            found.append({"name": path.name, **texts(table, 100)})
    return found


def _origin(told: dict[str, Any]) -> list[tuple[str, str]]:
    """Where the rows come from, in pairs."""
    versions = told.get("versions", {})
    pairs = [
        ("begun", told.get("begun", "")),
        ("ended", told.get("ended", "")),
        ("machine", told.get("machine", "")),
        ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
        ("code", told.get("code", "")),
        ("plug-ins", ", ".join(map(str, told.get("plugins", [])))),
        ("traces", ", ".join(f"{name}: {digest}" for name, digest in told.get("traces", {}).items())),
    ]
    return [(name, str(text)) for name, text in pairs if text]


def gather(folder: Path, pictures: Sequence[tuple[str, Picture]] | None, point: str | None, vm: int | None) -> dict[str, Any]:
    """Gather what a page says; parameters and errors as `memvirt.report.write_report` has them."""
    frame, told = read_results(folder), read_provenance(folder)
    needs(frame, ["point_id", "vm", "status", "error"])
    good = frame[frame["status"] == "ok"]
    shown = sampled(good, MOST_ROWS)
    return {
        "question": question(frame, told),
        "design": design(frame, told),
        "points": int(frame["point_id"].nunique()),
        "rows": len(frame),
        "good": len(good),
        "shown": len(shown),
        "failures": failures(frame),
        "pictures": _pictures(folder, frame, told, pictures),
        "data": as_data(shown) if len(shown) else "",
        "plain": plain(good),
        "timeline": _timeline(folder, point, vm),
        "studies": _studies(folder),
        "origin": _origin(told),
        "command": str(told.get("command", "")),
        "files": [name for name in FILES if (folder / name).exists()],
    }
