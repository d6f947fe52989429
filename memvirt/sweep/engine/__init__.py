"""Computes a layout of stages, each distinct one once, whatever is lost on the way."""
