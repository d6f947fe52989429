"""`python -m memvirt.trace`."""

from memvirt.trace.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
