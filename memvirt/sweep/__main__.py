"""`python -m memvirt.sweep`."""

import os
import sys

from memvirt.sweep.cli import main

if __name__ == "__main__":
    code = main()
    # All is written and stopped. What is left is to unload, which takes most of a second, and Ray, if it is still starting for a
    # sweep that was refused: what it has started dies with this process.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
