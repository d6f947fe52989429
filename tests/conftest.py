"""Fixtures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.traces import SHA256, addresses


@pytest.fixture(scope="session")
def reference_traces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the reference traces as raw addresses."""
    folder = tmp_path_factory.mktemp("traces")
    for name in SHA256:
        addresses(name).astype("<u8").tofile(folder / f"{name}.bin")
    return folder
