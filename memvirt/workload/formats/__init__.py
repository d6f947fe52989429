"""Trace formats: one file each, with ``read(path, limit) -> Recording``."""

FAMILY = "workload.formats"
