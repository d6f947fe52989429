"""`python -m memvirt.trace`: import, record and describe traces."""
