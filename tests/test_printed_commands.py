"""Every command that the documents print can be given: sweeps are planned, tables drawn, reported and compared, traces read and imported.

What is printed in a block of its own is run besides, by ``-m slow``, on shorter workloads where its own are long.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from memvirt.command import COMMANDS
from memvirt.experiments import claims, families, names
from memvirt.policy import names as policies
from memvirt.reproduce.cli import chosen
from memvirt.result.table import epoch_columns, result_columns
from memvirt.sweep.call import read_call
from memvirt.sweep.cli import flags_for_hydra
from memvirt.sweep.help import tables
from memvirt.sweep.plan.groups import all_keys, find_groups
from memvirt.sweep.plan.words import plainly
from memvirt.trace.cli import parser as trace_parser
from memvirt.types import READ_KINDS
from tests.support import here, write_pages

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("docs/**/*.rst"), *ROOT.glob("memvirt/experiments/*/README.md")]
COMMAND = re.compile(r"(?:python -m memvirt\.|(?<![\w/.-])memvirt )(" + "|".join(COMMANDS) + r")(?![\w.|])([^`\n]*)")
#: What stands for something of the reader's own (`hashed` is the mode that docs/new_mode.md makes).
OWN = re.compile(r"\bhashed\b|\b[A-Z]{3,}\b|…|\.\.\.|\$\(|\[|<")


def printed() -> list[tuple[str, str]]:
    """Each command with its arguments, from lines of their own and from running text, once."""
    found = {}
    for page in PAGES:
        for match in COMMAND.finditer(page.read_text().replace("\\\n", " ")):
            found[match[1], re.split(r"\s#\s|\s\|\s|&&|;|\s{2,}", match[2])[0].rstrip("\\").strip().rstrip('.,:)"')] = page
    return sorted(found)


COMMANDS_PRINTED = printed()


def test_there_are_some() -> None:
    assert len(COMMANDS_PRINTED) > 25
    assert {name for name, _ in COMMANDS_PRINTED} >= set(COMMANDS) - {"compare"}
    assert {name for name, _ in COMMANDS_PRINTED} <= {name for name in COMMANDS}


@pytest.mark.parametrize("words", [words for name, words in COMMANDS_PRINTED if name == "sweep" and not OWN.search(words)])
def test_sweeps(words: str) -> None:
    """Their keys and options compose."""
    given = shlex.split(words)
    if "--help" in given:
        assert set(given) - {"--help"} <= set(tables())
        return
    _, rest = flags_for_hydra(given)
    rest = [word for word in rest if not word.startswith(("executor.address", "workload.path", "plan.path"))]
    with plainly(rest):
        call = read_call(rest, ["experiment=default"])
        assert call.settings
        trace = any(word.partition("=")[2] in ("trace", "memory_series", "pageset") for word in rest) or "_reference" in words
        if call.config["study"]["name"] == "none" and not trace:
            assert call.plan().point(0)[0].count >= 1


@pytest.mark.parametrize("words", [words for name, words in COMMANDS_PRINTED if name == "reproduce" and not OWN.search(words)])
def test_reproductions(words: str) -> None:
    """Their names are experiments, claims or families."""
    given = [word for word in shlex.split(words) if not word.startswith("-") and "=" not in word]
    assert set(chosen(given)) <= set(names())
    assert families()
    assert all(claims(name) for name in chosen(given))


def printed_of(name: str) -> list[str]:
    """Arguments of one command."""
    return [words for command, words in COMMANDS_PRINTED if command == name and words]


@pytest.fixture
def sweep_folder(tmp_path: Path) -> Path:
    """`outputs/NAME`, as small as a sweep's tables can be, with every column that there is."""
    mine = tmp_path / "outputs/NAME"
    mine.mkdir(parents=True)
    numbers = {field.name: np.arange(4, dtype=float) + 1 for field in result_columns()}
    about = {
        "point_id": [f"p{row}" for row in range(4)],
        "replicate": 0,
        "vm": 0,
        "status": "ok",
        "error": None,
        "refs_per_walk": "24:1",
        **{f"node_traffic_{kind}": "0>1:1" for kind in READ_KINDS},
    }
    varied = {"mmu": ["native", "nested"] * 2, "machine": ["generic", "zen4"] * 2, "overcommit.ratio": [1.0, 1.0, 2.0, 2.0]}
    pd.DataFrame(about | numbers | about | varied).to_parquet(mine / "results.parquet")
    numbers = {field.name: np.arange(3, dtype=float) for field in epoch_columns()}
    about = {"point_id": "p0", "replicate": 0, "vm": 0, "epoch": [1, 2, 3], "mmu": "nested"}
    pd.DataFrame(about | numbers | about).to_parquet(mine / "epochs.parquet")
    (mine / "provenance.json").write_text(
        '{"overrides": [], "config": {}, "versions": {}, "replicates": 1, "command": "", "begun": ""}'
    )
    return tmp_path


PLACEHOLDERS = {
    "--x": "overcommit.ratio",
    "--y": "slowdown",
    "--hue": "mmu",
    "--col": "machine",
    "--where": "vm < 1",
    "--point": "p0",
}


@pytest.mark.parametrize("words", printed_of("figures"))
def test_figures(words: str, sweep_folder: Path) -> None:
    """Each is drawn; its columns are a table's, or keys that a sweep can vary."""
    given = shlex.split(words.replace("[", "").replace("]", ""))
    given = [
        PLACEHOLDERS.get(before, word) if OWN.search(word) else word for before, word in zip(["", *given], given, strict=False)
    ]
    given = given if not given[0].startswith("-") else ["outputs/NAME", *given]
    folder = sweep_folder / "outputs/NAME"
    keys = {
        word
        for word, before in zip(given[1:], given, strict=False)
        if before in PLACEHOLDERS and before not in ("--where", "--point")
    }
    table = pd.read_parquet(folder / "results.parquet")
    for key in keys - set(table.columns):
        assert key in all_keys() or key.replace(".", "/") in find_groups([]), key
        table[key] = [1.0, 2.0, 3.0, 4.0] if key.replace(".", "/") not in find_groups([]) else ["one", "two"] * 2
    table.to_parquet(folder / "results.parquet")
    done = here("memvirt.figures", "outputs/NAME", *given[1:], cwd=sweep_folder)
    assert done.returncode == 0, done.stderr
    assert (sweep_folder / done.stdout.removeprefix("wrote ").strip().splitlines()[-1]).stat().st_size > 5000


def test_what_reads_folders(sweep_folder: Path) -> None:
    """Reports, and one folder beside itself."""
    for words in printed_of("report"):
        done = here("memvirt.report", *shlex.split(OWN.sub("NAME", words)), cwd=sweep_folder)
        assert done.returncode == 0, done.stderr
    for words in printed_of("compare"):
        assert len(words.split()) == 2
        assert here("memvirt.compare", "outputs/NAME", "outputs/NAME", cwd=sweep_folder).returncode == 0


@pytest.mark.parametrize("words", printed_of("trace"))
def test_traces(words: str, tmp_path: Path) -> None:
    """What is read is read; what is recorded (tests/test_readme.py, tests/test_visited.py) is understood."""
    if len(words.split()) == 1:
        assert words in ("info", "import", "record")
        return
    (tmp_path / "FILE").write_text(" L 1000,8\n S 2000,8\nI  400000,4\n" * 50)
    write_pages(tmp_path / "ls.parquet", range(50))
    given = shlex.split(words.replace("[", "").replace("]", ""))
    arguments = trace_parser().parse_args(given)
    if arguments.verb == "record":
        assert arguments.command
        return
    done = here("memvirt.trace", *given, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_shell() -> None:
    """What `cache` and `completion` take."""
    assert {word for words in printed_of("cache") for word in words.split("|")} == {"clean", "size"}
    for shell in {word for words in printed_of("completion") for word in words.split("|")}:
        assert here("memvirt.completion", shell, cwd=ROOT).returncode == 0


def blocks() -> list[tuple[str, list[str]]]:
    """Sweeps and what follows them, of each page of questions, as printed in blocks of their own."""
    found = []
    for page in sorted((ROOT / "docs").glob("*.md")):
        lines = [
            line
            for block in re.findall(r"```sh\n(.*?)```", page.read_text().replace("\\\n", " "), re.DOTALL)
            for line in block.splitlines()
        ]
        own = [
            line
            for line in lines
            if line.startswith(("python -m memvirt.sweep", "python -m memvirt.figures")) and not OWN.search(line)
        ]
        if any("name=" in line for line in own):
            found.append((page.name, own))
    return found


SAR = """Linux 6.1.0 (host)  11/27/26  _x86_64_  (2 CPU)

09:50:00 AM kbmemfree kbmemused kbanonpg kbcached kbactive
09:55:00 AM     60000    460000   200000   220000   300000
10:00:00 AM     50000    470000   210000   220000   340000
10:05:00 AM     60000    460000   200000   220000   300000
"""
VMS = """vm,time,working_set,touched,cache,free,busy
0,0,1900,5200,2100,700,0.3
0,600,2900,5300,2100,600,0.6
1,0,400,1500,900,1500,0.05
1,600,420,1500,900,1500,0.05
"""
MOST = 20_000  #: accesses of a sweep that asks for more
SHORT_LIFE = [
    "vms.scale=128",
    "epoch.time=30s",
    "workload.seconds=240",
]  #: what a sweep of the main job's web servers asks for besides
ONE_PANEL = ["mmu=nested", "machine=generic", "numa=uma", "reclaim=swap"]  #: what is left of the main job


def shorter(words: list[str]) -> list[str]:
    """A sweep's words with a restriction of size where its own is long, so that each takes seconds once its kernels are compiled."""
    many = "name=scales" in words or ("experiment=safe_overcommit" in words and "name=mine" not in words)
    if many:  # 64 VMs under five policies, or samples of 24, take minutes: planned
        return [*words, "dry_run=true"]
    if "experiment=safe_overcommit" in words:
        return ["reclaim=swap" if word.startswith("reclaim=") else word for word in words]
    if not words:
        return ["experiment=default", *ONE_PANEL, *SHORT_LIFE, "name=default"]
    if "experiment=default" in words:
        return [*words, *SHORT_LIFE]
    if any(word.partition("=")[2] in policies("workload.life") for word in words):
        return words
    kept = [word for word in words if not word.startswith("workload.accesses=")]
    own = [int(word.partition("=")[2]) for word in words if word.startswith("workload.accesses=")]
    return [*kept, f"workload.accesses={min([MOST, *own])}"]


@pytest.mark.slow
@pytest.mark.parametrize(("page", "lines"), blocks())
def test_blocks(page: str, lines: list[str], tmp_path: Path) -> None:
    """One after the other, as a reader would; each leaves its tables, its figures and its report."""
    (tmp_path / "sar.txt").write_text(SAR)
    (tmp_path / "vms.csv").write_text(VMS)
    write_pages(tmp_path / "ls.parquet", [*range(50)] * 20)
    for line in lines:
        _, _, module, *words = shlex.split(line)
        more = ["executor=serial"] if "executor=serial" not in words else []
        given = [*shorter(words), *more] if module == "memvirt.sweep" else words
        done = here(module, *given, cwd=tmp_path)
        assert done.returncode == 0, (page, line, done.stderr)
        if module == "memvirt.sweep" and "dry_run=true" not in given:
            assert " 0 failed" in done.stdout, (page, line, done.stdout)
            folder = tmp_path / done.stdout.rpartition("wrote ")[2].partition("/results.parquet")[0]
            assert (folder / "report.html").stat().st_size > 5000
            assert list((folder / "figures").glob("*.png"))
        if module == "memvirt.figures":
            assert (tmp_path / done.stdout.removeprefix("wrote ").split("\n")[0]).stat().st_size > 5000
