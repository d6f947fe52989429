"""The command line of `python -m memvirt.reproduce`: run experiments, and hold what they measure against what was published."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from memvirt.command import run_command
from memvirt.errors import ConfigError, MemvirtError, suggest


def parser() -> argparse.ArgumentParser:
    """Describe the arguments."""
    top = argparse.ArgumentParser(
        prog="python -m memvirt.reproduce",
        description="Run experiments and print published numbers beside simulated ones; exit 1 if one is out of tolerance.",
    )
    top.add_argument("names", nargs="*", metavar="NAME", help="an experiment, or a claim's row (T3); all if none is given")
    top.add_argument("--list", action="store_true", help="list experiments and their claims, and run none")
    top.epilog = "KEY=VALUE arguments are passed on to the sweep, such as executor=serial or workload.accesses=100000."
    return top


def chosen(words: list[str]) -> list[str]:
    """Experiments that some names mean: their own, or those of their claims' rows.

    Raises
    ------
    ConfigError
        For a name that means none.
    """
    from memvirt.experiments import claims, names

    rows = {claim.name.split()[0].lower(): name for name in names() for claim in claims(name)}
    found = []
    for word in words:
        name = word if word in names() else rows.get(word.lower())
        if name is None:
            hint = suggest(word, [*names(), *rows])
            raise ConfigError("NAME", word, "is neither an experiment nor a claim" + (f"; {hint}" if hint else ""), names())
        found.append(name)
    return list(dict.fromkeys(found)) if words else names()


def show(name: str) -> None:
    """List an experiment's claims."""
    from memvirt.experiments import claims

    print(name)
    for claim in claims(name):
        print(f"  {claim.name:<22} {claim.what}: {claim.published} ({claim.tolerance}; {claim.source})")


def report(name: str, values: dict[str, float]) -> int:
    """Print an experiment's claims beside what was measured; returns how many are out of tolerance."""
    from memvirt.experiments import claims

    missed = 0
    width = max(len(claim.what) for claim in claims(name))
    print(f"{'':<22} {'':<{width}} {'published':>16} {'simulated':>12}   tolerance")
    for claim in claims(name):
        value = values.get(claim.name)
        if value is None:  # the sweep was told to leave it out
            print(f"{claim.name:<22} {claim.what:<{width}} {claim.published:>16} {'-':>12}   not in this run")
            continue
        good = claim.holds(value)
        missed += not good
        verdict = "" if good else "  MISSED" + (f": {claim.note}" if claim.note else "")
        print(f"{claim.name:<22} {claim.what:<{width}} {claim.published:>16} {value:>12.6g}   {claim.tolerance}{verdict}")
    return missed


def reproduce(name: str, overrides: list[str]) -> int:
    """Run an experiment's sweep, report, and draw; returns how many claims are out of tolerance.

    Raises
    ------
    MemvirtError
        If the sweep didn't end well.
    """
    from memvirt.experiments import draw, measure, points, remarks, table
    from memvirt.figures import save
    from memvirt.result.table import read_results

    folder = Path("outputs") / f"reproduce-{name}"
    words = [
        sys.executable,
        "-m",
        "memvirt.sweep",
        f"experiment={name}",
        f"name=reproduce-{name}",
        "fail_on_error=true",
    ]
    listed = points(name)
    if listed is not None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = folder.with_name(f"{folder.name}.points.csv")
        listed.to_csv(place, index=False)
        words += ["plan=list", f"plan.path={place}"]
    words += overrides
    if subprocess.run(words).returncode:
        raise MemvirtError(f"{name}: its sweep failed; run it alone: {' '.join(words[1:])}")
    frame = read_results(folder / table(name))
    frame.attrs["folder"] = str(folder)  # where its epochs are
    for word in overrides:  # a key that was left one value is no column
        key, _, value = word.partition("=")
        if (key not in frame.columns and "." in key) or key in ("workload", "mmu"):
            frame[key] = frame.get(key, int(value) if value.isdigit() else value)
    print(f"\n{name}: published beside simulated")
    try:
        values = measure(name, frame)
    except (ZeroDivisionError, KeyError, IndexError, ValueError) as wrong:
        raise MemvirtError(f"{name}: its claims can't be measured in so small or restricted a run ({wrong!r})") from wrong
    if text := remarks(name, frame):
        print(text)
    missed = report(name, values)
    print(f"wrote {save(draw(name, frame), folder / 'figures' / f'{name}.png')}\n", flush=True)
    return missed


def run(argv: list[str]) -> int:
    """Do what the arguments say; returns the exit code."""
    arguments, rest = parser().parse_known_args(argv)
    words = [word for word in [*arguments.names, *rest] if "=" not in word]
    if any(word.startswith("-") for word in words):
        parser().error(f"unrecognized arguments: {' '.join(word for word in words if word.startswith('-'))}")
    experiments = chosen(words)
    if arguments.list:
        for name in experiments:
            show(name)
        return 0
    missed = {name: reproduce(name, [word for word in [*arguments.names, *rest] if "=" in word]) for name in experiments}
    out = {name: count for name, count in missed.items() if count}
    told = ", ".join(f"{name}: {count}" for name, count in out.items())
    print(f"{len(missed)} experiments; claims out of tolerance: {told or 'none'}")
    return 1 if out else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    return run_command("memvirt.reproduce", run, argv)
