"""What the host loop's tables are made of, field by field: one record for each thing of a kind.

Times are in ns, sizes in frames of 4 KiB, frames and pages are numbered over all VMs unless a field says otherwise. "None" is
`memvirt.memory.state.NOTHING`, -1. A list is a chain of records, each of which names the next.
"""

from __future__ import annotations

from memvirt.typing import F8, I1, I2, I4, I8, TwoI4


class Page:
    """A base page of a guest."""

    vpn: I8  # number within its address space
    content: I8  # number of its contents, while no frame holds them
    frame: I4  # guest frame behind it, or none
    first: I4  # first of the pages that share the guest's (larger) page
    end: I4  # one past the last of those
    row: I4  # of the guest's tables
    host_order: I2  # of the host's page behind it when first mapped, 255 until then
    written: I2  # of a file's page: the flusher's look before it was written last, -1 if it wasn't since it was read
    order: I1  # of the guest's page
    cow: I1  # whether it is read-only for copy-on-write
    file: I1  # whether it is a file's, so that the guest's disk holds it
    swapped: I1  # whether the guest's own swap holds it, instead of its memory or besides; of a file's: whether it was dropped


class Frame:
    """A guest frame. What is said of the host page is kept at the first frame of that whole page."""

    content: I8  # number of its contents: 0 is zeros, equal numbers are equal contents
    hfn: I4  # host frame behind it, or none
    page: I4  # page mapped there, or none
    next_free: I4  # next of the list that it is on: of free, ballooned or cached frames
    sharer: I4  # next guest frame before the same host frame, or none
    sharer_before: I4  # and the one before it
    seen: I4  # epoch of the last access
    gone: I4  # how many pages of its VM had been evicted when it was
    vm: I2  # whose it is
    packed: I2  # of the host page: its slot in a compressed cache, in quarters of a page or bytes; 0 if none, -1 if it needs none
    order: I1  # of the host page behind it
    swapped: I1  # of the host page: whether swap holds a copy
    dirty: I1  # of the host page: whether memory differs from what swap holds
    accessed: I1  # bits: 1 since it was backed, 2 since it was last sampled, 4 since its age was last looked at
    role: I1  # what the guest has there: `FREE`, `DATA`, …
    ahead: I1  # whether it was read ahead and not accessed yet


class HostFrame:
    """A host frame."""

    next_free: I4  # next free frame of its node
    node: I2  # NUMA node that it is on
    stable: I2  # whether it is read-only since it was merged
    refs: I4  # how many guest frames it lies behind
    owner: I4  # the one of them that stands for it in replacement (its first, for a large page)


class Table:
    """A page table."""

    frame: I4  # guest frame that holds it, or none; of a guest's table
    hfn: I4  # host frame that holds it, or none; of the host's table, and in one dimension of a guest's


class TableNodes:
    """Where tables of one kind go."""

    node: I8  # a NUMA node, or how one is chosen: `AS_DATA`, `LOCAL`, `INTERLEAVE`, `REPLICATED`
    turn: I8  # node whose turn it is, of those that are interleaved
    copies: I8  # of each table, beside the one that stands for all
    follows: I8  # whether a table moves to the node of most of its children


class Bump:
    """A source of frame numbers.

    Rows ``2 v`` (data) and ``2 v + 1`` (tables, where they are kept apart) are VM ``v``'s, the last is the host's.
    """

    next: I8  # next small frame
    end: I8  # end of the block that small frames come from
    block: I8  # first block not taken yet; counts in the first row of each pair


class Vm:
    """A VM. Its lists of frames have two heads: of small and of large pages."""

    page_base: I8  # its first page
    frame_base: I8  # its first guest frame
    used: I8  # frames in use by the guest
    limit: I8  # frames of its memory
    resident: I8  # frames that the host backs
    done: I8  # accesses made
    warmup: I8  # accesses that are warm-up
    counted_from: F8  # when the warm-up ended, negative before
    epoch: I8  # that it is in
    noted: I8  # epoch up to which the host's state was noted
    stalled_ns: F8  # for how long one of its vCPUs or more waited for memory so far
    lived_until: F8  # until when one of its vCPUs at the least wasn't asleep
    free: TwoI4  # list of free frames that were used before
    reported: TwoI4  # list of free frames that the host was told of
    balloon: TwoI4  # list of frames in the balloon
    cache_first: I8  # first frame of clean page cache, or none
    freed: I8  # frames on the lists of free ones
    cached: I8  # frames of clean page cache
    files: I8  # frames of files' pages that the workload visits
    came_back: I8  # pages until the guest forgets that one of those came back
    file_cost: F8  # of giving up files' pages, of late
    own_cost: F8  # of giving up programs' own
    turn: F8  # what is due of the latter, of a page
    ballooned: I8  # frames in the balloon
    never_used: I8  # those of them that the guest never used
    balloon_target: I8  # frames that the balloon should hold
    balloon_most: I8  # frames that the balloon may hold
    pressed: I8  # the access, plus one, before which the balloon was pressed in vain
    guest_swapped: I8  # pages on the guest's own swap
    guest_swap: I8  # the most of them
    copies: I8  # those of them that are in its memory too
    guest_read: I8  # pages that it read from there so far
    copy_next: I8  # page from which on such copies are looked for when swap is full
    shared: I8  # guest frames that share their host frame
    saved: I8  # those of them that don't own it
    swapped: I8  # pages on host swap
    compressed: I8  # pages in the compressed cache
    evicted: I8  # pages that the host took so far
    nodes: I8  # NUMA nodes that its data may be on, a bit each
    ahead_last: I8  # last page that was read ahead for
    ahead_window: I8  # its window
    ahead_hits: I8  # pages of that window that were accessed
    shares: F8  # its claim to memory
    least: I8  # resident pages that it is never asked for
    most: I8  # resident pages that it may have, 0 for any number
    high: I8  # resident pages from which on it gives up its own and is held up, 0 for none
    over: I8  # pages that it got beyond that since it was last held up
    active: F8  # the host's estimate of its active pages
    fits_1k: F8  # share of its pages that fit 1 KiB when compressed
    fits_2k: F8  # and 2 KiB


class Actor:
    """A vCPU."""

    vm: I8  # whose it is
    cpu: I8  # physical CPU that it runs on
    home: I8  # node on which its guest sees it, wherever it runs; -1 if it is shown none
    ran_on: I8  # that it ran on last, -1 while it ran on none
    beside: I8  # next vCPU of that CPU, itself if there is none but it
    vcpu: I8  # its number within the VM
    vcpus: I8  # of how many
    position: I8  # accesses made
    total: I8  # accesses dealt to it
    begin: I8  # first access that its window holds
    filled: I8  # one past the last of those
    asid: I8  # address space that is loaded
    ready: F8  # from when on it may run
    start: F8  # when its VM began to
    pace_ns: F8  # CPU time of an access, 0 where its instructions say
    away_from: F8  # when it began to be away last, waiting for memory or asleep
    away_until: F8  # until when
    stalled: I8  # whether it waited for memory
    event_next: I8  # next of its own events
    event_end: I8  # one past the last of those


class Cpu:
    """A physical CPU."""

    clock: F8  # its time
    slice_end: F8  # end of the present slice
    current: I8  # vCPU that runs, -1 if none did yet
    node: I8  # NUMA node that it is on
    label: I8  # its number in the order of first use, -1 while unused
    ring: I8  # one of its vCPUs: it was the turn of that one last, while none has run; -1 if it has none


class Node:
    """A NUMA node."""

    capacity: I8  # data frames never used
    free: I8  # data frames free in all
    free_small: I4  # first of the list of free small frames
    free_large: I4  # first of the list of free large blocks


class Clock:
    """What there is one of, and changes."""

    bus_ns: F8  # when the swap device's bus is free
    awaited_ns: F8  # when that is done which the present access waits for
    copied_ns: F8  # what merged pages took that were copied for it
    reclaimed_ns: F8  # what reclaim has taken that the present access waits for
    quiet: I8  # 1 while the machine is prepared, and nothing is logged or counted
    runs: I8  # rows written of the log of runs
    events: I8  # rows written of the log of events
    merged: I8  # length of the merged order so far
    cpus: I8  # CPUs in use
    contents: I8  # number of the contents that were written last
    total: I8  # data frames of the host
    free: I8  # those that are free
    pool: I8  # those that hold compressed pages
    state: I8  # the host's memory state
    sharing_due: F8  # when the scanner works next
    balloon_due: F8  # when balloons move next
    watch_due: F8  # when the host looks next at which sampled pages are idle
    move_due: F8  # when the scheduler looks next at where vCPUs are
    hint_due: F8  # when memory is scanned next for who uses it
    reclaim_due: F8  # when the host's policy acts next of its own accord
    epochs_until: F8  # until when all VMs have places for their epochs


class Rules:
    """What there is one of, and the config fixes."""

    dimensions: I8  # 2, or 1 where VMs are processes of the host
    nodes: I8  # NUMA nodes
    ns_per_instruction: F8
    minor_fault_ns: F8  # what a fault takes, its I/O apart
    slice_ns: F8  # how long a vCPU runs before another takes its turn
    epoch_ns: F8  # length of an epoch, 0 where that is counted in accesses
    quantum: I8  # accesses that a CPU makes before the next one is looked at
    quantum_ns: F8  # and how long these may take, of accesses that have a pace
    epoch_accesses: I8  # length of an epoch, 0 where that is a time
    deal: I8  # accesses dealt to a vCPU at a time
    tracked: I8  # whether the host can run short, so that replacement must see every access
    contents: I8  # whether it matters what is written
    follows: I8  # whether the scheduler must know which nodes' memory each vCPU accesses
    forks: I8  # whether some guest forks, so that writes may find their page read-only
    charge_tables: I8  # whether page tables take data frames
    keep_mapped: I8  # whether pages stay mapped and writable, whatever the workload says
    host_levels: I8  # of the host's tables, 0 for none
    margin: I8  # events that one access, or one step of background work, can write at the most
    block: I8  # frames that an area of a guest takes at a time
    table_area: I8  # the area that tables come from: 1 for one of their own
    table_order: I8  # of the host pages behind tables, -1 if as behind data
    split: I8  # whether a large host page is split when it is swapped out, and not made where no block is free
    per_vm: I8  # whether reclaim asks for victims of one VM
    foresees: I8  # whether replacement knows the future
    slots: I8  # pages that host swap holds, 0 for any number
    readahead: I8  # frames that are read at once from swap, at the most
    read_latency_ns: F8  # of the swap device
    write_latency_ns: F8
    ns_per_page: F8  # what the data of a page take on its bus
    merge_ns: F8  # what merging a page takes
    cow_ns: F8  # what copying a merged page takes
    migrate_ns: F8  # what moving a page to another node takes, copying left out
    copy_ns: F8  # what copying 4 KiB takes
    reclaim_ns: F8  # what taking a page takes of a CPU
    swap_out_ns: F8  # and what writing one out does
    reclaim_waits: I8  # whether who faults waits for that
    compress_ns: F8
    decompress_ns: F8
    scan_ns: F8  # what a scanner takes for a page
    sample_ns: F8  # what a sampler takes for a page
    speedup: F8  # seconds of background work for each of the VMs'
    scale: F8  # real pages that a page stands for


class OwnEvent:
    """An event of a vCPU's own program."""

    at: I8  # its own access before which it is effective
    kind: I8  # `GuestEvent`
    asid: I8
    page: I8  # row of the VM's `Pages`
    call: I8  # whether it begins a system call
