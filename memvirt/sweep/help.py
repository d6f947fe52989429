"""What `--help` says, from files alone: nothing of the simulator, pandas or numba is loaded for it."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from memvirt.errors import MemvirtError, suggest

PACKAGE = Path(__file__).parent.parent
CONF, KEYS = PACKAGE / "conf", Path(__file__).parent / "keys/keys.md"
WIDEST = 120  #: columns
RUN, SET_UP = "run", "ksm"  #: tables of keys that are no group's
TITLE = "memvirt: what does this memory-virtualization design cost this workload?"
ABOUT = """It simulates the whole path of a guest's memory access: guest page tables, translation, TLBs, page-walk and data caches,
NUMA placement, and a host that has promised more memory than it has. A point is one such machine with one workload. A sweep
computes many, each distinct stage once, and leaves a table and its figures in outputs/NAME."""
USAGE = "usage: memvirt sweep [KEY=VALUE[,VALUE...]]...\n       Several values with commas between make a grid axis."
EXAMPLES = {
    "memvirt sweep": "the main job",
    "memvirt sweep experiment=default mmu=native": "the main job, one of its axes held",
    "memvirt sweep mmu=native,nested tlb=skylake,zen4 name=mine": "your own grid; all else is base",
    "memvirt sweep mmu=native,nested guest.page_size=4K,2M dry_run=true": "what it would take",
    "memvirt sweep workload=trace workload.path=FILE mmu=nested": "your own trace",
}
MORE = {
    "memvirt sweep --help GROUP": "its keys, with unit, range and default (`run`: how a sweep runs)",
    "memvirt sweep ARGUMENTS --cfg job": "the composed config (--hydra-help: Hydra's flags)",
    "memvirt sweep --config-dir FOLDER": "options of your own",
    'eval "$(memvirt completion bash)"': "completes commands, groups, options and keys",
}


class Row(NamedTuple):
    """A key, as its table has it."""

    key: str
    of: str
    values: str
    default: str
    unit: str
    text: str


def _plain(text: str) -> str:
    """A cell without its marks."""
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text).replace("`", "").replace("\\|", "|").strip()


def tables() -> dict[str, list[Row]]:
    """Rows of each group, and of what is none, by its name."""
    found: dict[str, list[Row]] = {}
    rows: list[Row] = []
    for line in KEYS.read_text().splitlines():
        if line.startswith("## "):
            title = re.match(r"## `(\w+)`", line)
            rows = found[title[1] if title else RUN] = []
        elif line.startswith("| `"):
            first, *cells = (_plain(cell) for cell in re.split(r"(?<!\\)\|", line)[1:-1])
            key, _, of = first.partition(" of ")
            rows.append(Row(key, of, *cells))
    return found


def _leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in node.items() if isinstance(node, dict) else ():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{name}.")
        elif name not in ("defaults", "name"):
            yield f"{prefix}{name}", value


def _shown(value: Any) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def main_job() -> dict[str, str]:
    """What the main job sets: values of keys, and options of groups, those that it varies with commas between."""
    said = yaml.safe_load((CONF / "experiment/default.yaml").read_text())
    grid = said.pop("hydra", {}).get("sweeper", {}).get("params", {})
    found: dict[str, Any] = {}
    for each in said.pop("defaults", []):
        for key, option in each.items() if isinstance(each, dict) else ():
            group = key.removeprefix("override /")
            found[group.replace("/", ".")] = option
            path = CONF / group / f"{option}.yaml"
            if path.is_file():
                found.update(_leaves(yaml.safe_load(path.read_text()), group.replace("/", ".") + "."))
    found.update(_leaves(said))
    found.update({key: value if isinstance(value, str) else ",".join(map(str, value)) for key, value in grid.items()})
    return {key: _shown(value) for key, value in found.items()}


def _width() -> int:
    return min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST)


def _wrapped(text: str, first: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False)


def _pairs(pairs: dict[str, str], width: int) -> list[str]:
    """Commands, each with what it does: beside it where there is room, else below."""
    wide = 2 + max(map(len, pairs))
    if wide + 2 + max(map(len, pairs.values())) <= width:
        return [f"  {words:<{wide - 2}}  {does}" for words, does in pairs.items()]
    return [line for words, does in pairs.items() for line in (f"  {words}", f"      {does}")]


def overview() -> str:
    """What memvirt is, how it is called, five examples, and the groups."""
    found, own, width = tables(), main_job(), _width()
    lines = [TITLE, "", *textwrap.wrap(ABOUT, width), "", *USAGE.splitlines(), "", "examples:", *_pairs(EXAMPLES, width)]
    lines += ["", f"  {'group':<11}{'base':<10}{'main job':<23}", f"  {'-' * 5:<11}{'-' * 4:<10}{'-' * 8:<23}"]
    for name, rows in found.items():
        if name in (RUN, SET_UP):
            continue
        first = rows[0]
        text = re.split(r"[.;(] |: | \(", first.text)[0].strip(" .")
        job = own.get(name, first.default if name != "experiment" else "default")
        lines += _wrapped(text, f"  {name:<11}{first.default:<10}{job:<22} ", width)
    varied = [f"{key}={value}" for key, value in own.items() if "," in value and key not in found]
    lines += _wrapped(f"besides, the main job varies {', '.join(varied)}", "  ", width) if varied else []
    rule = "A key that isn't given has its base value, unless experiment= names a study, whose values and grid then hold."
    return "\n".join([*lines, "", *textwrap.wrap(rule, width), "", *_pairs(MORE, width)])


def about(word: str) -> str:
    """Keys of a group, or one of them.

    Raises
    ------
    MemvirtError
        If there is none of that name.
    """
    found, own, width = tables(), main_job(), _width()
    name = word.replace("/", ".")
    rows = found.get(name) or [row for each in found.values() for row in each if f"{row.key}.".startswith(f"{name}.")]
    if not rows:
        known = [*found, *(row.key for each in found.values() for row in each)]
        raise MemvirtError(
            f"--help {word}: there is no such group or key; {suggest(word, known) if len(word) > 2 else 'see --help'}"
        )
    lines = []
    for row in rows:
        unit = f" [{row.unit}]" if row.unit else ""
        of = f" (of {row.of})" if row.of else ""
        default = f"; default {row.default}" if row.default else ""
        job = f", main job {own[row.key]}" if own.get(row.key, row.default) != row.default else ""
        lines += _wrapped(f"{row.values}{default}{job}".lstrip("; "), f"{row.key}{unit}{of}  ", width)
        lines += textwrap.wrap(row.text, width, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)
