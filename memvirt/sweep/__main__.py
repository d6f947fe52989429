"""`python -m memvirt.sweep`."""

from memvirt.sweep.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
