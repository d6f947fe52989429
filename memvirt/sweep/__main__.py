"""`python -m memvirt.sweep`."""

from memvirt.command import begin, leave
from memvirt.sweep.cli import main

if __name__ == "__main__":
    begin()
    leave(main())
