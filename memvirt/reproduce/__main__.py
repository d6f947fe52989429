"""Run `python -m memvirt.reproduce`."""

import sys

from memvirt.reproduce.cli import main

sys.exit(main())
