"""Fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plain import Checker
from tests.traces import SHA256, addresses


@pytest.fixture(scope="session")
def reference_traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the reference traces as raw addresses."""
    folder = tmp_path_factory.mktemp("traces")
    for name in SHA256:
        addresses(name).astype("<u8").tofile(folder / f"{name}.bin")
    return folder


@pytest.fixture(scope="session")
def plain() -> Iterator[Checker]:
    """The memory room in plain Python, checked as it goes."""
    checker = Checker()
    yield checker
    checker.process.kill()
