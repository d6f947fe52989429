"""The package's own form of a trace: one Parquet file that says what it holds, written and read a chunk at a time.

Columns are those of `Accesses`, in row groups of `CHUNK`, each with its checksum: ``page`` (number of a page, in the order of
first touch), ``line`` and ``gap``. The file's metadata holds the header (`memvirt.workload.own.header`), so a reader knows counts,
pages and origin without reading an access, and neither writer nor reader ever holds more than a few chunks.
"""

from memvirt.workload.own.header import SUFFIX, VERSION, Header
from memvirt.workload.own.reader import OwnFile
from memvirt.workload.own.writer import FLAGS, OwnWriter

__all__ = ["FLAGS", "SUFFIX", "VERSION", "Header", "OwnFile", "OwnWriter"]
