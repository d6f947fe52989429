"""Bad input: one line, exit 2, the key, the reason, the nearest name; never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

from memvirt.sweep.plan.words import below_swept
from tests.support import command, here

CASES = {
    "mmuu=native": "did you mean mmu?",
    "mmu=nativ": "did you mean native?",
    "mmu=native,nestd": "did you mean nested?",
    "tlb.l1_4k.entires=3": "did you mean tlb.l1_4k.entries?",
    "tlb.l1_4k.ways=5": "must divide the array's 64 entries",
    "overcommit.ratio=abc": "overcommit.ratio=abc: ",
    "overcommit.ratio=1,-2": "overcommit.ratio=-2: ",
    "reclaim=rubbish": "choose from balloon, cold_age, compression, esx, linux, none, senpai, sharing, swap",
    "reclaim.replacement=lruu": "did you mean lru?",
    "host.page_size=8K": "choose from 1G, 2M, 4K, thp",
    "workload.seed=1,1": "stands twice in the grid",
    "workload=trace": "workload.path=FILE",
    "workload=trace workload.path=none.txt": "none.txt: there is no such file",
    "workload=trace workload.path=bad.txt": "bad.txt, line 2: ",
    "workload=trace workload.path=odd.bin": "odd.bin, byte 8: ",
    "workload=trace workload.path=bad.txt workload.format=lakey": "did you mean lackey?",
    "executor.address=10.0.0.1": "must be auto or HOST:PORT of a running Ray cluster",
    "executor.address=127.0.0.1:1": "executor.address=127.0.0.1:1: no Ray cluster can be joined there",
    "executor.address=auto executor=serial": "executor.address=auto: is for executor=ray",
    "executor.memory=plenty": "executor.memory=plenty: a size is written like",
    "timeout=soon": "timeout=soon: a time is written like",
    "max_failures=-1": "max_failures=-1: ",
    "replicates=0": "replicates=0: must be a whole number from 1",
    "plan=sobl": "did you mean sobol?",
    "plan=lhs plan.points=0 mmu=native,nested": "plan.points=0: must be a whole number",
    "plan=list": "plan.path=FILE",
    "plan=list plan.path=none.csv": "plan.path=none.csv: there is no such file",
    "plan=list plan.path=wrong.csv": "tlb.l3: ",
    "plan=morris mmu=native,nested": "needs at least one interval",
    "mmu=interval(1,2)": "",
    "plan=lhs overcommit.ratio=interval(2,1)": "must go up",
    "study=sensitivity mmu=native,nested": "needs at least one interval",
    "study=sensitivity study.column=slow overcommit.ratio=interval(1,2)": "did you mean slowdown?",
    "study=search study.minimize=slow mmu=native,nested": "did you mean slowdown?",
    "study=search": "nothing is swept",
    "mmu=native,nested plan.constraints=[\"mmu=='shadow'\"]": "rule out all of the 2 points",
    "executor.workers=0": "executor.workers=0: ",
    "output=/proc/nowhere executor=serial": "can't be written",
    "name=a/b": "name=a/b: ",
    "resume=perhaps": "resume=perhaps: must be true or false",
    "+extra=1": "keys can't be added",
    "~tlb": "keys can't be taken away",
    "tlb=": "must name one of the group's options",
    "mmu={a:1}": "must name one of the group's options",
    "tlb.l2.ways=[1": "[1",
    "nonsense": "KEY=VALUE",
    "experiment=defaul": "did you mean default?",
    "name=a,b": "can't be swept",
    "vms.count=0": "vms.count=0: ",
    "overcommit.ratio=interval(1,2)": "use range(FROM,TO,STEP) or commas",
    "tlb=skylake,zen4 tlb.l1_4k.entries=32": "no such key in the option that is chosen for tlb",
    "clock.daemon_speedup=0": "greater than or equal to 0.000001",
    "reclaim.states=esx6 reclaim=esx": "did you mean esx5?",
    "vms.members=[{workload:gccc}]": "did you mean gcc?",
    "mmu=native reclaim=balloon": "reclaim.balloon=driver: a process of the host (mmu=native) has no balloon",
    "mmu=nested,native reclaim=swap,esx overcommit.ratio=1.5": "at the point mmu=native reclaim=esx; plan.constraints leaves out",
    "reclaim/replacement=opt overcommit.ratio=1.5 vms.vcpus=2": "of one vCPU a VM",
    "numa.placement=nearest": "choose from bind, first_touch, interleave, preferred, weighted_interleave",
    "mmu.pwc.guest.pde.ways=5": "must divide the 32 entries",
    "overcommit.ratio=glob(1*)": "write its values with commas between",
    "workload.seed=interval(1,7) plan=random plan.points=4": "must be whole numbers: workload.seed=int(interval(1,7))",
    "hydra.sweep.dir=x": "a sweep's folder is output=FOLDER and name=NAME",
    "hydra.searchpath=[file://none]": "there is no such folder",
    "workload=trace workload.path=${hydra:job.name}.u32": "only ${hydra:runtime.cwd} is known",
    "workload=trace workload.path=a=b.u32": "a=b.u32: there is no such file",
    "--shell-completion install=bash": "memvirt completion bash",
}


@pytest.mark.parametrize("words", CASES)
def test_sweep(words: str, tmp_path: Path) -> None:
    """Through the command line; in a process of its own where Ray might be started, and once without."""
    (tmp_path / "bad.txt").write_text(" L 04222cac,4\n L zz\n")
    (tmp_path / "odd.bin").write_bytes(bytes(8) + b"123")
    (tmp_path / "wrong.csv").write_text("mmu,tlb.l3\nnative,5\n")
    if "executor." in words or words == "mmuu=native":
        done = command("memvirt.sweep", *words.split(), cwd=tmp_path)
    else:
        done = here("memvirt.sweep", *words.split(), "executor=serial", cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert CASES[words] in done.stderr
    assert not list(tmp_path.glob("outputs/*/results.parquet"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("memvirt.trace info none.parquet", "no such file"),
        ("memvirt.trace import bad.txt -o a.parquet", "bad.txt, line 2"),
        ("memvirt.trace import bad.txt -o a.bin", "NAME.parquet"),
        ("memvirt.trace import bad.txt -o a.parquet --format lakey", "did you mean lackey?"),
        ("memvirt.trace import good.txt -o a.parquet --limit 0", "--limit=0"),
        ("memvirt.trace import good.txt -o /proc/a.parquet", "/proc/a.parquet"),
        ("memvirt.trace record -o a.parquet", "what to record"),
        ("memvirt.figures none --x a --y b", "no such result table"),
        ("memvirt.figures good.csv --x aa --y b", "--x=aa"),
        ("memvirt.figures good.csv --x name --y b --kind lin", "did you mean line?"),
        ("memvirt.figures good.csv --x name --y b --kind line", "not a column of numbers"),
        ("memvirt.figures good.csv --x b --y b -o a.doc", "picture format"),
        ("memvirt.figures good.csv --x b --y b --kind heat", "needs --hue"),
    ],
)
def test_other_commands(words: str, said: str, tmp_path: Path) -> None:
    """Of traces and figures."""
    (tmp_path / "bad.txt").write_text(" L 04222cac,4\n L zz\n")
    (tmp_path / "good.txt").write_text(" L 04222cac,4\n")
    (tmp_path / "good.csv").write_text("name,b,status\nx,1,ok\ny,2,ok\n")
    module, *arguments = words.split()
    done = here(module, *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert said in done.stderr


def test_a_value_for_all_options_that_have_the_key() -> None:
    """A key that the default option lacks may be given once for several others; one that some of them lack can't."""
    groups = {"reclaim": ["swap", "esx", "linux"], "reclaim/device": ["nvme"], "workload": ["zipf"]}
    words = ["reclaim=esx,linux", "reclaim.scale=8", "reclaim/device=nvme", "reclaim.device.channels=2", "workload.seed=1"]
    got = [
        "reclaim=esx,linux",
        "reclaim.scale=choice(8)",
        "reclaim/device=nvme",
        "reclaim.device.channels=choice(2)",
        "workload.seed=1",
    ]
    assert below_swept(words, groups) == got
    assert below_swept(["reclaim=esx", *words[1:]], groups) == ["reclaim=esx", *words[1:]]


def test_help_and_config(tmp_path: Path) -> None:
    """Hydra's own flags."""
    assert "overcommit" in command("memvirt.sweep", "--help", cwd=tmp_path).stdout
    shown = here("memvirt.sweep", "-m", "mmu=native", "--cfg", "job", cwd=tmp_path)
    assert shown.returncode == 0
    assert "name: native" in shown.stdout
    assert not HydraConfig.initialized()  # else `${hydra:runtime.cwd}` is this folder for the rest of the process
