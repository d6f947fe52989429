"""`python -m memvirt.sweep`."""

from memvirt.command import leave
from memvirt.sweep.cli import main

if __name__ == "__main__":
    leave(main())
