"""The node of the CPU that touches the page first: Linux's default (mm/mempolicy.c, MPOL_DEFAULT)."""

from __future__ import annotations

from memvirt.memory.placement._turns import OF_CPU, Turns, make_turns


def make(nodes: int) -> Turns:
    """State of the policy."""
    return make_turns([OF_CPU])
