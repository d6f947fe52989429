"""memvirt: what does this memory-virtualization design cost this workload?"""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("memvirt")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
