"""Compression, then swap: what `reclaim.replacement` names stays in memory where `reclaim.compression` takes it, as `swap` says."""

from __future__ import annotations

from memvirt.memory.reclaim.swap import State, make

__all__ = ["State", "make"]
