"""Time of each room of one nested point, after compilation: python tests/benchmarks/rooms.py [--override KEY=VALUE ...]

The geometry is that of `experiment=nested_reference`; each room's time is the best of several, in one process.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from memvirt.pipeline.compute import compute
from memvirt.pipeline.layout import graph
from memvirt.pipeline.point import Point
from memvirt.sweep.plan.plan import NOT_OF_A_POINT


def build(overrides: list[str]) -> Point:
    """Compose a point."""
    with initialize_config_module("memvirt.conf", version_base="1.3"):
        config = OmegaConf.to_container(compose("config", overrides=overrides), resolve=True)
    return Point.build({key: value for key, value in config.items() if key not in NOT_OF_A_POINT})


class Step(NamedTuple):
    """A stage of a point's own chain, with all that it reads."""

    room: str
    config: Any
    inputs: list[dict[str, Any]]


def chain(point: Point) -> Iterator[Step]:
    """Stages of a point in their order; each is computed when the next is asked for."""
    stages = graph(point)
    done: dict[int, dict[str, Any]] = {}
    for stage in stages[: point.count + 4]:
        inputs = [
            {name: done[each.number][name] for name in fields} for each, fields in zip(stage.inputs, stage.reads, strict=True)
        ]
        step = Step(stage.room, stage.config.value, inputs)
        yield step
        done[stage.number] = compute(*step)[0]


def measure(point: Point, times: int) -> tuple[dict[str, float], int]:
    """Best CPU seconds of each room of the point's own chain, and its accesses."""
    seconds: dict[str, float] = {}
    accesses = 0
    for step in chain(point):
        best = float("inf")
        for _ in range(times + 1):
            begin = time.process_time()
            fields = compute(*step)[0]
            best = min(best, time.process_time() - begin)
        seconds[step.room] = seconds.get(step.room, 0.0) + best
        if step.room == "memory":
            accesses = fields["schedule"].accesses
    return seconds, accesses


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workload", nargs="+", default=["sqlite", "gcc", "cpython"])
    parser.add_argument("--override", nargs="*", default=[])
    parser.add_argument("--times", type=int, default=3)
    given = parser.parse_args()
    print(
        f"{'workload':<16}{'accesses':>10}"
        + "".join(f"{room:>10}" for room in ("workload", "memory", "tlb", "mmu", "cost"))
        + f"{'tlb..cost':>12}"
    )
    for name in given.workload:
        seconds, accesses = measure(build(["experiment=nested_reference", f"workload={name}", *given.override]), given.times)
        rest = seconds["tlb"] + seconds["mmu"] + seconds["cost"]
        rates = [accesses / max(seconds[room], 1e-9) / 1e6 for room in ("workload", "memory", "tlb", "mmu", "cost")]
        print(
            f"{name:<16}{accesses:>10,}"
            + "".join(f"{rate:>10.0f}" for rate in rates)
            + f"{accesses / rest / 1e6:>12.1f}  million references/s"
        )
