"""Trace formats: one file each, with ``read(path, limit) -> Recording``, and ``SUFFIX`` where a file's ending tells the format."""

FAMILY = "workload.formats"
