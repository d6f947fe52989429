"""Trace formats, one file each; a new file is found by itself.

A format's file has

``sniff(sample) -> float``
    How well a file's beginning fits, 0 to 1 (`memvirt.workload.sniff` names scores): by a mark, the size of records, what their
    numbers may be. An ending may help where there is nothing else. Two formats that score alike are refused with their names.
``read(stream, options) -> iterator of Batch``
    The accesses, block by block, from a `Stream` that is unpacked on the way; a `TraceError` says the place of what is wrong.
    Masks, limits and addresses that aren't canonical are the caller's.

and may have

``HOLDS = "accesses"``
    What the file holds; anything but accesses is no workload of TLBs. A page life is read by whoever asks `choose` for it.
``UNFIT = ""``
    Why its accesses can't be looked up in a TLB (they are physical, or samples): they have footprints and page lives alone.
``explain(sample) -> str``
    What a file is that the format can't read, but knows: another stage of the same tool, say.
``PARTS = True``
    ``read`` takes a stream of several parts, a thread's each.
``OWN = True``
    The package's own form, which is read as a whole.
"""

FAMILY = "workload.formats"
