"""What is measured is the CPU time of this process: other work on the machine counts as little as it can."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Say in the JSON which code was measured."""
    import numba
    import numpy

    import memvirt
    from memvirt.sweep.store.provenance import all_code

    machine_info["memvirt"] = {
        "version": memvirt.__version__,
        "code": all_code(),
        "numba": numba.__version__,
        "numpy": numpy.__version__,
    }
