"""Write the tables into the files that are named, between their marks."""

import sys
from pathlib import Path

from memvirt.sweep.keys.table import filled

if __name__ == "__main__":
    for each in sys.argv[1:]:
        Path(each).write_text(filled(Path(each).read_text()))
