"""`python -m memvirt.reproduce`."""

from memvirt.reproduce.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
