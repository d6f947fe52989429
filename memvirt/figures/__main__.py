"""`python -m memvirt.figures`."""

from memvirt.figures.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
