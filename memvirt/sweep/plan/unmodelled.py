"""Knobs of real systems that a policy's file says it hasn't got, so that who asks for one is told so and not of a name like it."""

from __future__ import annotations

from memvirt.policy import load, names

#: Groups that choose a policy, and the families that those are of.
FAMILIES = {"reclaim": "memory.reclaim"} | {
    f"reclaim.{part}": f"memory.{part}" for part in ("replacement", "sharing", "balloon", "compression")
}


def unmodelled(key: str) -> str:
    """What ``NOT_MODELLED`` of the files of a key's policies says of it; empty if none knows the name.

    Parameters
    ----------
    key : str
        Dotted, of which there is none.
    """
    group, _, name = key.rpartition(".")
    family = FAMILIES.get(group)
    for policy in names(family) if family else ():
        said = getattr(load(family, policy, group), "NOT_MODELLED", {}).get(name)
        if said:
            return f"{policy}'s {name} is not modelled ({said})"
    return ""
