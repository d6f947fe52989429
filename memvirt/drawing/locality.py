"""Local shares over a run: which part of a VM's accesses finds its data, and its page tables, on the node of its CPU."""

from __future__ import annotations

import pandas as pd
from matplotlib.ticker import MaxNLocator

from memvirt.drawing.style import DASHES, Picture, needs, subplots, use

#: Columns of what is remote, of those that a run has: tables are counted where pages or vCPUs move.
KINDS = {
    "remote_accesses": "data",
    "guest_tables_remote": "guest's or process's tables",
    "host_tables_remote": "host's tables",
}
MOST_VMS = 6  #: that are drawn


def locality(epochs: pd.DataFrame, title: str = "") -> Picture:
    """Draw one point's local shares over its epochs, a panel a VM.

    Parameters
    ----------
    epochs : DataFrame
        The epochs of one point.
    title : str
        Which point it is.

    Raises
    ------
    MemvirtError
        If a column isn't there.
    """
    use()
    needs(epochs, ["epoch", "vm", "accesses", "remote_accesses"])
    remote = epochs.groupby("vm")["remote_accesses"].sum().sort_values(ascending=False, kind="stable")
    vms = sorted(remote.index[:MOST_VMS])
    figure, panels = subplots(1, len(vms), figsize=(max(5.0, 3.2 * len(vms)), 3.4), squeeze=False, sharey=True)
    for axes, vm in zip(panels.flat, vms, strict=True):
        mine = epochs[(epochs["vm"] == vm) & (epochs["accesses"] > 0)].sort_values("epoch")
        for place, (column, name) in enumerate(KINDS.items()):
            if column in mine and mine[column].notna().any():
                share = 1 - mine[column] / mine["accesses"]
                axes.plot(mine["epoch"], share, label=name, color=f"C{place}", dashes=DASHES[place])
        axes.set(title=f"VM {vm}", xlabel="epoch", ylim=(-0.03, 1.03))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    panels[0, 0].set_ylabel("local share of accesses")
    handles, texts = panels[0, 0].get_legend_handles_labels()
    few = f"{len(vms)} of {len(remote)} VMs, those with most that is remote" if len(remote) > len(vms) else None
    figure.legend(handles, texts, loc="outside upper center", ncols=len(KINDS), title=few)
    figure.supxlabel(title, fontsize="small", color="0.3")
    return figure
