"""What the host loop's tables are made of, field by field: one record for each thing of a kind.

Times are in ns, sizes in frames of 4 KiB, frames and pages are numbered over all VMs unless a field says otherwise. "None" is
`memvirt.memory.state.NOTHING`, -1. A list is a chain of records, each of which names the next.
"""

from __future__ import annotations

import numpy as np

#: A base page of a guest.
PAGE = np.dtype(
    [
        ("vpn", "<i8"),  # number within its address space
        ("content", "<i8"),  # number of its contents, while no frame holds them
        ("frame", "<i4"),  # guest frame behind it, or none
        ("first", "<i4"),  # first of the pages that share the guest's (larger) page
        ("end", "<i4"),  # one past the last of those
        ("row", "<i4"),  # of the guest's tables
        ("order", "<i2"),  # of the guest's page
        ("host_order", "<i2"),  # of the host's page behind it when first mapped, 255 until then
        ("cow", "<i2"),  # whether it is read-only for copy-on-write
        ("swapped", "<i2"),  # whether the guest's own swap holds it: instead of its memory or, where a frame does too, besides
    ],
    align=True,
)

#: A guest frame. What is said of the host page is kept at the first frame of that whole page.
FRAME = np.dtype(
    [
        ("content", "<i8"),  # number of its contents: 0 is zeros, equal numbers are equal contents
        ("hfn", "<i4"),  # host frame behind it, or none
        ("page", "<i4"),  # page mapped there, or none
        ("next_free", "<i4"),  # next of the list that it is on: of free, ballooned or cached frames
        ("sharer", "<i4"),  # next guest frame before the same host frame, or none
        ("sharer_before", "<i4"),  # and the one before it
        ("seen", "<i4"),  # epoch of the last access
        ("gone", "<i4"),  # how many pages of its VM had been evicted when it was
        ("vm", "<i2"),  # whose it is
        ("packed", "<i2"),  # of the host page: the compressed slot that holds it, in quarters of a page or bytes; 0 if none
        ("order", "i1"),  # of the host page behind it
        ("swapped", "i1"),  # of the host page: whether swap holds a copy
        ("dirty", "i1"),  # of the host page: whether memory differs from what swap holds
        ("accessed", "i1"),  # bits: 1 since it was backed, 2 since it was last sampled
        ("role", "i1"),  # what the guest has there: `FREE`, `DATA`, …
        ("ahead", "i1"),  # whether it was read ahead and not accessed yet
    ],
    align=True,
)

#: A host frame.
HOST_FRAME = np.dtype(
    [
        ("next_free", "<i4"),  # next free frame of its node
        ("node", "<i2"),  # NUMA node that it is on
        ("stable", "<i2"),  # whether it is read-only since it was merged
        ("refs", "<i4"),  # how many guest frames it lies behind
        ("owner", "<i4"),  # the one of them that stands for it in replacement (its first, for a large page)
    ],
    align=True,
)

#: A page table.
TABLE = np.dtype(
    [
        ("frame", "<i4"),  # guest frame that holds it, or none; of a guest's table
        ("hfn", "<i4"),  # host frame that holds it, or none; of the host's table, and in one dimension of a guest's
    ],
    align=True,
)

#: A source of frame numbers. Rows ``2 v`` (data) and ``2 v + 1`` (tables, where they are kept apart) are VM ``v``'s, the last is
#: the host's.
BUMP = np.dtype(
    [
        ("next", "<i8"),  # next small frame
        ("end", "<i8"),  # end of the block that small frames come from
        ("block", "<i8"),  # first block not taken yet; counts in the first row of each pair
    ],
    align=True,
)

#: A VM. Its lists of frames have two heads: of small and of large pages.
VM = np.dtype(
    [
        ("page_base", "<i8"),  # its first page
        ("frame_base", "<i8"),  # its first guest frame
        ("used", "<i8"),  # frames in use by the guest
        ("limit", "<i8"),  # frames of its memory
        ("resident", "<i8"),  # frames that the host backs
        ("done", "<i8"),  # accesses made
        ("warmup", "<i8"),  # accesses that are warm-up
        ("counted_from", "<f8"),  # when the warm-up ended, negative before
        ("epoch", "<i8"),  # that it is in
        ("noted", "<i8"),  # epoch up to which the host's state was noted
        ("free", "<i4", (2,)),  # list of free frames that were used before
        ("reported", "<i4", (2,)),  # list of free frames that the host was told of
        ("balloon", "<i4", (2,)),  # list of frames in the balloon
        ("cache_first", "<i8"),  # first frame of clean page cache, or none
        ("freed", "<i8"),  # frames on the lists of free ones
        ("cached", "<i8"),  # frames of clean page cache
        ("ballooned", "<i8"),  # frames in the balloon
        ("never_used", "<i8"),  # those of them that the guest never used
        ("balloon_target", "<i8"),  # frames that the balloon should hold
        ("balloon_most", "<i8"),  # frames that the balloon may hold
        ("pressed", "<i8"),  # the access, plus one, before which the balloon was pressed in vain
        ("guest_swapped", "<i8"),  # pages on the guest's own swap
        ("guest_swap", "<i8"),  # the most of them
        ("copies", "<i8"),  # those of them that are in its memory too
        ("copy_next", "<i8"),  # page from which on such copies are looked for when swap is full
        ("shared", "<i8"),  # guest frames that share their host frame
        ("saved", "<i8"),  # those of them that don't own it
        ("swapped", "<i8"),  # pages on host swap
        ("compressed", "<i8"),  # pages in the compressed cache
        ("evicted", "<i8"),  # pages that the host took so far
        ("ahead_last", "<i8"),  # last page that was read ahead for
        ("ahead_window", "<i8"),  # its window
        ("ahead_hits", "<i8"),  # pages of that window that were accessed
        ("shares", "<f8"),  # its claim to memory
        ("least", "<i8"),  # resident pages that it is never asked for
        ("most", "<i8"),  # resident pages that it may have, 0 for any number
        ("active", "<f8"),  # the host's estimate of its active pages
        ("fits_1k", "<f8"),  # share of its pages that fit 1 KiB when compressed
        ("fits_2k", "<f8"),  # and 2 KiB
    ],
    align=True,
)

#: A vCPU.
ACTOR = np.dtype(
    [
        ("vm", "<i8"),  # whose it is
        ("cpu", "<i8"),  # physical CPU that it runs on
        ("vcpu", "<i8"),  # its number within the VM
        ("vcpus", "<i8"),  # of how many
        ("position", "<i8"),  # accesses made
        ("total", "<i8"),  # accesses dealt to it
        ("begin", "<i8"),  # first access that its window holds
        ("filled", "<i8"),  # one past the last of those
        ("asid", "<i8"),  # address space that is loaded
        ("ready", "<f8"),  # from when on it may run
        ("event_next", "<i8"),  # next of its own events
        ("event_end", "<i8"),  # one past the last of those
    ],
    align=True,
)

#: A physical CPU.
CPU = np.dtype(
    [
        ("clock", "<f8"),  # its time
        ("slice_end", "<f8"),  # end of the present slice
        ("current", "<i8"),  # vCPU that runs, -1 if none did yet
        ("node", "<i8"),  # NUMA node that it is on
        ("label", "<i8"),  # its number in the order of first use, -1 while unused
    ],
    align=True,
)

#: A NUMA node.
NODE = np.dtype(
    [
        ("capacity", "<i8"),  # data frames never used
        ("free", "<i8"),  # data frames free in all
        ("free_small", "<i4"),  # first of the list of free small frames
        ("free_large", "<i4"),  # first of the list of free large blocks
    ],
    align=True,
)

#: What there is one of, and changes.
CLOCK = np.dtype(
    [
        ("bus_ns", "<f8"),  # when the swap device's bus is free
        ("awaited_ns", "<f8"),  # when that is done which the present access waits for
        ("quiet", "<i8"),  # 1 while the machine is prepared, and nothing is logged or counted
        ("runs", "<i8"),  # rows written of the log of runs
        ("events", "<i8"),  # rows written of the log of events
        ("merged", "<i8"),  # length of the merged order so far
        ("cpus", "<i8"),  # CPUs in use
        ("contents", "<i8"),  # number of the contents that were written last
        ("total", "<i8"),  # data frames of the host
        ("free", "<i8"),  # those that are free
        ("pool", "<i8"),  # those that hold compressed pages
        ("state", "<i8"),  # the host's memory state
        ("sharing_due", "<f8"),  # when the scanner works next
        ("balloon_due", "<f8"),  # when balloons move next
        ("reclaim_due", "<f8"),  # when the host's policy acts next of its own accord
    ],
    align=True,
)

#: What there is one of, and the config fixes.
RULES = np.dtype(
    [
        ("dimensions", "<i8"),  # 2, or 1 where VMs are processes of the host
        ("nodes", "<i8"),  # NUMA nodes
        ("ns_per_instruction", "<f8"),
        ("minor_fault_ns", "<f8"),  # what a fault takes, its I/O apart
        ("slice_ns", "<f8"),  # how long a vCPU runs before another takes its turn
        ("epoch_ns", "<f8"),  # length of an epoch, 0 where that is counted in accesses
        ("quantum", "<i8"),  # accesses that a CPU makes before the next one is looked at
        ("epoch_accesses", "<i8"),  # length of an epoch, 0 where that is a time
        ("share", "<i8"),  # accesses dealt to a vCPU at a time
        ("tracked", "<i8"),  # whether the host can run short, so that replacement must see every access
        ("contents", "<i8"),  # whether it matters what is written
        ("forks", "<i8"),  # whether some guest forks, so that writes may find their page read-only
        ("charge_tables", "<i8"),  # whether page tables take data frames
        ("keep_mapped", "<i8"),  # whether pages stay mapped and writable, whatever the workload says
        ("host_levels", "<i8"),  # of the host's tables, 0 for none
        ("margin", "<i8"),  # events that one access, or one step of background work, can write at the most
        ("block", "<i8"),  # frames that an area of a guest takes at a time
        ("table_area", "<i8"),  # the area that tables come from: 1 for one of their own
        ("table_order", "<i8"),  # of the host pages behind tables, -1 if as behind data
        ("split", "<i8"),  # whether a large host page is split when it is swapped out, and not made where no block is free
        ("per_vm", "<i8"),  # whether reclaim asks for victims of one VM
        ("foresees", "<i8"),  # whether replacement knows the future
        ("readahead", "<i8"),  # frames that are read at once from swap, at the most
        ("read_latency_ns", "<f8"),  # of the swap device
        ("write_latency_ns", "<f8"),
        ("ns_per_page", "<f8"),  # what the data of a page take on its bus
        ("share_ns", "<f8"),  # what merging a page takes
        ("cow_ns", "<f8"),  # what copying a merged page takes
        ("compress_ns", "<f8"),
        ("decompress_ns", "<f8"),
        ("scan_ns", "<f8"),  # what a scanner takes for a page
        ("sample_ns", "<f8"),  # what a sampler takes for a page
        ("speedup", "<f8"),  # seconds of background work for each of the VMs'
    ],
    align=True,
)

#: An event of a vCPU's own program.
OWN_EVENT = np.dtype(
    [
        ("at", "<i8"),  # its own access before which it is effective
        ("kind", "<i8"),  # `GuestEvent`
        ("asid", "<i8"),
        ("page", "<i8"),  # row of the VM's `Pages`
        ("call", "<i8"),  # whether it begins a system call
    ],
    align=True,
)
