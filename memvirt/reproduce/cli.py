"""The command line of `python -m memvirt.reproduce`: run experiments, and hold what they measure against what was published."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from memvirt.command import run_command
from memvirt.errors import ConfigError, MemvirtError, suggest


def parser() -> argparse.ArgumentParser:
    """Describe the arguments."""
    top = argparse.ArgumentParser(
        prog="python -m memvirt.reproduce",
        description="Run experiments and print published numbers beside simulated ones; exit 1 if a verdict isn't the listed one.",
    )
    top.add_argument(
        "names", nargs="*", metavar="NAME", help="a family, an experiment, or a claim's row (T3); all if none is given"
    )
    top.add_argument("--changed", action="store_true", help="run only those whose code or settings changed since they were run")
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
    from memvirt.experiments import claims, families, names

    rows = {claim.name.split()[0].lower(): name for name in names() for claim in claims(name)}
    found = []
    for word in words:
        members = [name for name, about in families().items() if about.family == word]
        if members:
            found += members
            continue
        name = word if word in names() else rows.get(word.lower())
        if name is None:
            hint = suggest(word, [*names(), *rows, *(about.family for about in families().values())])
            raise ConfigError("NAME", word, "is neither an experiment nor a claim" + (f"; {hint}" if hint else ""), names())
        found.append(name)
    return list(dict.fromkeys(found)) if words else names()


def show(name: str) -> None:
    """List an experiment's claims."""
    from memvirt.experiments import claims, families

    family, seconds = families()[name]
    print(f"{name}  ({family}, about {seconds} CPU-s after compilation)")
    for claim in claims(name):
        print(f"  {claim.name:<22} {claim.what}: {claim.published} ({claim.tolerance}; {claim.source})")


def report(name: str, values: dict[str, float], as_it_is: bool) -> int:
    """Print an experiment's claims beside what was measured; returns how many verdicts aren't the listed ones.

    ``as_it_is``: whether it ran at its own size, so that a number that holds, though it is listed as missed, is news.
    """
    from memvirt.experiments import claims
    from memvirt.reproduce.verdict import CHANGED, HOLDS, KNOWN, NEWS, verdict

    news = 0
    width = max(len(claim.what) for claim in claims(name))
    print(f"{'':<22} {'':<{width}} {'published':>16} {'simulated':>12}   tolerance")
    for claim in claims(name):
        value = values.get(claim.name)
        if value is None:  # the sweep was told to leave it out
            print(f"{claim.name:<22} {claim.what:<{width}} {claim.published:>16} {'-':>12}   not in this run")
            continue
        said = verdict(claim, value)
        said = HOLDS if said == CHANGED and not as_it_is else said
        news += said in NEWS
        told = "" if said == HOLDS else f"  {said}" + (f": {claim.note}" if said == KNOWN else "")
        print(f"{claim.name:<22} {claim.what:<{width}} {claim.published:>16} {value:>12.6g}   {claim.tolerance}{told}")
    return news


def plans_only(overrides: Sequence[str]) -> bool:
    """Whether nothing is to be run."""
    return any(word.lower() in ("dry_run=true", "dry_run=1", "dry_run=yes", "dry_run=on") for word in overrides)


def _sweep(name: str, words: list[str]) -> Path:
    """Run an experiment's sweep, in the place of an older one with other words or code; returns its folder."""
    from memvirt.api import run_sweep

    try:
        try:
            return run_sweep(*words, quiet=False).folder
        except ConfigError as wrong:
            if wrong.key != "name":
                raise
            return run_sweep(*words, "overwrite=true", quiet=False).folder
    except MemvirtError as wrong:
        raise MemvirtError(f"{name}: its sweep failed: {wrong}") from wrong


def reproduce(name: str, overrides: list[str]) -> int:
    """Run an experiment's sweep, report, and draw; returns how many verdicts aren't the listed ones (0 of a plan that isn't run).

    Raises
    ------
    MemvirtError
        If the sweep didn't end well.
    """
    from memvirt.experiments import draw, measure, points, remarks, table
    from memvirt.figures import save
    from memvirt.reproduce.verdict import folder_of, keep
    from memvirt.result.table import read_results
    from memvirt.sweep.plan.groups import RUN_KEYS

    folder = folder_of(name)
    words = [f"experiment={name}", f"name={folder.name}", "fail_on_error=true"]
    listed = points(name)
    if listed is not None:
        folder.parent.mkdir(parents=True, exist_ok=True)
        place = folder.with_name(f"{folder.name}.points.csv")
        listed.to_csv(place, index=False)
        words += ["plan=list", f"plan.path={place}"]
    words += overrides
    where = _sweep(name, words)  # elsewhere than `folder` if the words say so
    if plans_only(overrides):
        return 0
    frame = read_results(where / table(name))
    frame.attrs["folder"] = str(where)  # where its epochs are
    restricted = [word for word in overrides if word.partition("=")[0].partition(".")[0] not in RUN_KEYS]
    for word in restricted:
        key, _, value = word.partition("=")
        if (column := key.replace("/", ".")) not in frame.columns:  # a key that was left one value
            frame[column] = int(value) if value.isdigit() else value
    print(f"\n{name}: published beside simulated")
    try:
        values = measure(name, frame)
    except (ZeroDivisionError, KeyError, IndexError, ValueError) as wrong:
        raise MemvirtError(f"{name}: its claims can't be measured in so small or restricted a run ({wrong!r})") from wrong
    if text := remarks(name, frame):
        print(text)
    news = report(name, values, as_it_is=not restricted)
    if not restricted and where == folder:
        keep(name, values)
    print(f"wrote {save(draw(name, frame), where / 'figures' / f'{name}.png')}\n", flush=True)
    return news


def run(argv: list[str]) -> int:
    """Do what the arguments say; returns the exit code."""
    arguments, rest = parser().parse_known_args(argv)
    words = [word for word in [*arguments.names, *rest] if "=" not in word]
    if any(word.startswith("-") for word in words):
        parser().error(f"unrecognized arguments: {' '.join(word for word in words if word.startswith('-'))}")
    from memvirt.experiments import counted

    experiments = chosen(words)
    if arguments.list:
        for name in experiments:
            show(name)
        print(counted(experiments))
        return 0
    from memvirt.reproduce.verdict import kept, write_report

    if arguments.changed:
        same = [name for name in experiments if kept(name)[1]]
        print(f"unchanged since they were run, and left out: {', '.join(same) or 'none'}")
        experiments = [name for name in experiments if name not in same]
    print(counted(experiments), flush=True)
    overrides = [word for word in [*arguments.names, *rest] if "=" in word]
    news = {name: reproduce(name, overrides) for name in experiments}
    if plans_only(overrides):
        return 0
    out = {name: count for name, count in news.items() if count}
    told = ", ".join(f"{name}: {count}" for name, count in out.items())
    print(f"wrote {', '.join(map(str, write_report()))}")
    print(f"{len(news)} experiments; verdicts other than the listed ones: {told or 'none'}")
    return 1 if out else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    return run_command("memvirt.reproduce", run, argv)
