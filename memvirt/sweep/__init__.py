"""`python -m memvirt.sweep`: a grid of designs, each distinct stage computed once."""
