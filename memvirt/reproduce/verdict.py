"""Published numbers beside simulated ones: what is to be said of each, and the report of all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from memvirt.code import code_digest, own_digest, reach
from memvirt.digest import text_digest
from memvirt.experiments import HERE, Claim, claims, families, names
from memvirt.pipeline.rooms import ROOMS
from memvirt.result.table import write_whole
from memvirt.sweep.finished import told_by

HOLDS, KNOWN, MISSED, CHANGED, ABSENT = "holds", "known miss", "MISSED", "holds, listed as missed", "not in this run"
#: Verdicts that aren't the listed ones.
NEWS = (MISSED, CHANGED)


def verdict(claim: Claim, value: float | None) -> str:
    """Say how a simulated number stands to a published one; a claim with a note is listed as missed, for that reason."""
    if value is None:
        return ABSENT
    if claim.holds(value):
        return CHANGED if claim.note else HOLDS
    return KNOWN if claim.note else MISSED


def folder_of(name: str) -> Path:
    """Where an experiment's sweep is."""
    return Path("outputs") / f"reproduce-{name}"


def _words(value: Any) -> set[str]:
    """Texts anywhere in a config."""
    if isinstance(value, Mapping):
        return set().union(*({str(key)} | _words(each) for key, each in value.items())) if value else set()
    if isinstance(value, list):
        return set().union(*map(_words, value)) if value else set()
    return {str(value)}


def code_of(name: str, told: Mapping[str, Any]) -> str:
    """Digest of the code that an experiment's numbers hang on: the rooms, the policies that its points name, its own files.

    Parameters
    ----------
    name : str
    told : mapping
        Provenance of its sweep.
    """
    used = _words({key: told.get(key) for key in ("config", "axes", "tied", "configs")})
    rooms = sorted({module for room in ROOMS.values() for module in room.code})
    everything, core = set(reach(tuple(rooms))), set(reach(tuple(rooms), with_policies=False))
    policies = sorted(module for module in everything - core if module.rpartition(".")[2] in used)
    own = [f"memvirt.experiments.{name}.measure", f"memvirt.experiments.{name}.figure"]
    settings = (HERE.parent / "conf/experiment" / f"{name}.yaml").read_text()
    return text_digest(
        code_digest(*rooms, *policies, with_policies=False), own_digest(*own), settings, json.dumps(told.get("config"))
    )


def keep(name: str, values: Mapping[str, float]) -> None:
    """Keep what was measured beside the sweep, with the code that it hangs on."""
    folder = folder_of(name)
    about = {"code": code_of(name, told_by(folder) or {}), "values": dict(values)}
    write_whole(folder / "claims.json", lambda part: part.write_text(json.dumps(about, indent=1) + "\n"))


def kept(name: str) -> tuple[dict[str, float], bool]:
    """What was measured last of an experiment as it is, and whether it hangs on today's code."""
    folder = folder_of(name)
    try:
        about = json.loads((folder / "claims.json").read_text())
        values = {str(claim): float(value) for claim, value in about["values"].items()}
    except (OSError, ValueError, KeyError, AttributeError):
        return {}, False
    told = told_by(folder)
    return values, told is not None and about.get("code") == code_of(name, told)


def table() -> pd.DataFrame:
    """Every published number beside the one that was simulated last, with tolerance, verdict and the cause of a miss."""
    rows = []
    for name in names():
        values, is_new = kept(name)
        for claim in claims(name):
            value = values.get(claim.name)
            said = verdict(claim, value) if value is not None else "not run yet"
            rows.append(
                {
                    "family": families()[name].family, "experiment": name, "claim": claim.name, "what": claim.what,
                    "published": claim.published, "simulated": value, "tolerance": claim.tolerance, "verdict": said,
                    "cause": claim.note, "source": claim.source, "code": "today's" if is_new else "older" if values else "",
                }
            )  # fmt: skip
    return pd.DataFrame(rows).sort_values(["family", "experiment"], kind="stable", ignore_index=True)


def write_report() -> list[Path]:
    """Write that table, as CSV and to be read; misses come first."""
    frame = table()
    counts = ", ".join(f"{count} {said}" for said, count in frame["verdict"].value_counts().items())
    lines = ["# Published numbers beside simulated ones", "", f"{len(frame)} numbers: {counts}."]
    order = {MISSED: 0, CHANGED: 1, KNOWN: 2}
    for title, part in (("Missed, and why", frame[frame["verdict"].isin(order)]), *frame.groupby("family")):
        lines += [
            "",
            f"## {title}",
            "",
            "| experiment | claim | published | simulated | tolerance | verdict | source |",
            "|" + "---|" * 7,
        ]
        for row in part.itertuples():
            value = "" if pd.isna(row.simulated) else f"{row.simulated:.6g}"
            said = f"{row.verdict}: {row.cause}" if row.verdict == KNOWN else row.verdict
            cells = (row.experiment, f"{row.claim}: {row.what}", row.published, value, row.tolerance, said, row.source)
            lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    text, sheet = Path("outputs/reproduce.md"), Path("outputs/reproduce.csv")
    write_whole(text, lambda part: part.write_text("\n".join(lines) + "\n"))
    write_whole(sheet, lambda part: frame.to_csv(part, index=False))
    return [text, sheet]
