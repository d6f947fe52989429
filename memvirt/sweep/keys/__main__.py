"""Write the tables into the files that are named, between their marks, and into the package, for `--help`."""

import sys
from pathlib import Path

from memvirt.sweep.keys.table import PACKAGED, filled, tables

if __name__ == "__main__":
    PACKAGED.write_text(tables() + "\n")
    for each in sys.argv[1:]:
        Path(each).write_text(filled(Path(each).read_text()))
