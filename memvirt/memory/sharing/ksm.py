"""Linux' KSM: one scanner over all mergeable memory, a stable tree of merged pages, an unstable one of candidates.

Follows mm/ksm.c of Linux 6.18, measured on the real kernel (`experiment=linux_ksm`). Every page has an item, made when it
is first visited. A visit to a page that isn't merged takes its item out of its tree; if the page changed since the last
visit, that is all (*volatile*); if a merged page equals it, they are shared; if another unchanged page of this scan does, the
two become a merged page; else it waits for such a one until the next scan (*unshared*). A merged page takes
`max_page_sharing` pages; the next two of that content begin another one, a *dup* in the content's chain.

Pages of zeros can be left to the kernel's zero page (`use_zero_pages`): any number of them, apart from the trees and the other
counts, and passed over by the scanner from then on. Here the first of them is that page, so the host has one frame less than there.

Nothing is undone when a write breaks a page out: counters and lists change when the scanner comes to the item, or when a
search in the stable tree meets a merged page that nobody maps.

The kernel orders its trees by the pages' bytes, and keeps them balanced as red-black trees. Here they are digital search
trees (Coffman, Eve, CACM 1970) over scrambled content numbers: as deep, and a search meets as many others on its way, but
not the same ones. And a page that changes while it is in the unstable tree can't lead a search astray.
"""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BeforeValidator, Field

from memvirt.config import Section, TimeNs
from memvirt.counters import Counter
from memvirt.jit import inner, inner_apart
from memvirt.memory.contents import ZEROS
from memvirt.memory.log import has_room
from memvirt.memory.measure import measure
from memvirt.memory.share import protect_merged, share, split
from memvirt.memory.sharing import is_small, mergeable, scan
from memvirt.memory.sharing._advisor import MODES, advise, make_advisor
from memvirt.memory.state import NOTHING, Now, World
from memvirt.random import mix64
from memvirt.typing import Int
from memvirt.workload.schedule import as_schedule

#: Knobs in /sys/kernel/mm/ksm that there are not.
NOT_MODELLED = {
    "merge_across_nodes": "pages are merged wherever they are",
    "run": "the scanner always runs: reclaim.sharing=none for none",
}
MOST_SKIPS = 16  #: full scans after which there is no page left that is only skipped for now

# Where an item is.
NO_ITEM, OUTSIDE, UNSTABLE, STABLE = range(4)

COUNTERS = (
    Counter("ksm_pages_shared", "pages", doc="merged pages, as in /sys/kernel/mm/ksm", epochs="last", vms="same"),
    Counter("ksm_pages_sharing", "pages", doc="that map merged pages, besides one each, as there", epochs="last", vms="same"),
    Counter("ksm_pages_unshared", "pages", doc="that wait for an equal one, as there", epochs="last", vms="same"),
    Counter("ksm_pages_volatile", "pages", doc="that changed too fast to be looked for, as there", epochs="last", vms="same"),
    Counter(
        "ksm_zero_pages",
        "pages",
        doc="of zeros that map the kernel's zero page when it last scanned, as there",
        epochs="last",
        vms="same",
    ),
    Counter("ksm_full_scans", "scans", doc="of all mergeable memory, as there", epochs="last", vms="same"),
    Counter("ksm_pages_scanned", "pages", doc="visits of pages, as there", epochs="last", vms="same"),
)

#: What is known of a guest frame, from its first visit on.
ITEM = np.dtype(
    [
        ("checksum", "<i8"),  # its content at the last visit that looked, -1 if none did
        ("node", "<i4"),  # merged page that it is listed at
        ("serial", "<i4"),  # that node's ``serial`` when it was
        ("where", "u1"),  # `NO_ITEM`, `OUTSIDE`, …
        ("age", "u1"),  # visits in vain (smart_scan)
        ("skips", "u1"),  # visits to be skipped for them
    ],
    align=True,
)

#: A merged page.
NODE = np.dtype(
    [
        ("hfn", "<i4"),  # its host frame
        ("length", "<i4"),  # items listed
        ("next", "<i4"),  # next of its chain; of a free node, the next free one
        ("place", "<i4"),  # its content's place in the tree
        ("serial", "<i4"),  # a number of its own, -1 of a free node
    ],
    align=True,
)

#: A content in the stable tree.
PLACE = np.dtype(
    [
        ("content", "<i8"),  # its number
        ("pruned_ns", "<f8"),  # when its chain was last cleared of unmapped dups
        ("first", "<i4"),  # first merged page of its chain; of a free place, the next free one
    ],
    align=True,
)

#: Where the scanner is, and what it has counted.
CURSOR = np.dtype(
    [
        ("frame", "<i8"),  # next guest frame to visit
        ("left", "<i8"),  # pages left of this batch
        ("batch", "<i8"),  # pages that the last batch had
        ("woken", "<i8"),  # how often it was woken
        ("full_scans", "<i8"),  # as /sys/kernel/mm/ksm has them, to pages_unshared
        ("pages_scanned", "<i8"),
        ("pages_skipped", "<i8"),
        ("pages_shared", "<i8"),
        ("pages_sharing", "<i8"),
        ("pages_unshared", "<i8"),
        ("items_used", "<i8"),  # guest frames that have an item
        ("free_node", "<i8"),  # first free node
        ("free_place", "<i8"),  # first free place
        ("zero", "<i8"),  # host frame that is the zero page, -1 if there is none
        ("zero_pages", "<i8"),  # that it is behind
        ("nodes", "<i8"),  # nodes ever made
    ],
    align=True,
)

#: What the `Options` say.
RULES = np.dtype(
    [
        ("pages_to_scan", "<i8"),
        ("sleep", "<f8"),  # ns
        ("max_page_sharing", "<i8"),
        ("smart_scan", "<i8"),
        ("first_sight", "<i8"),
        ("use_zero_pages", "<i8"),
        ("chains_prune", "<f8"),  # ns
        ("interval", "<f8"),  # ns
    ],
    align=True,
)


class State(NamedTuple):
    """The scanner.

    Attributes
    ----------
    items : (frames,) ITEM
    nodes : (frames,) NODE
    places : (frames,) PLACE
    stable, unstable : (frames + 1, 2) int32
        Below each place, and each frame, of the two trees; the last row leads to the root.
    node_of : (host frames,) int32
        The merged page of a host frame that is `stable`.
    cursor, rules : (1,) CURSOR, RULES
    advisor : (1,) ADVISOR
    schedule : (wakings,) int64
        Pages scanned in all when it has been woken so often; empty where `sleep` sets the pace.
    """

    items: Any
    nodes: Any
    places: Any
    stable: NDArray[np.int32]
    unstable: NDArray[np.int32]
    node_of: NDArray[np.int32]
    cursor: Any
    rules: Any
    advisor: Any
    schedule: NDArray[np.int64]


def _long_enough(sleep: float) -> float:
    if sleep < 1e6:
        raise ValueError("must be 1ms at the least, with its unit")
    return sleep


def _mode(mode: str) -> str:
    if mode not in MODES:
        raise ValueError(f"is one of {', '.join(MODES)}")
    return mode


class Options(Section):
    """Options: the knobs in /sys/kernel/mm/ksm, and two more."""

    pages_to_scan: int = Field(100, ge=1, lt=1 << 31)
    """[pages] Visited at each waking, as in /sys/kernel/mm/ksm."""
    sleep: Annotated[TimeNs, AfterValidator(_long_enough)] = 20e6
    """From one waking to the next (there: `sleep_millisecs`); 1ms at the least."""
    max_page_sharing: int = Field(256, ge=2, lt=1 << 31)
    """[pages] That one merged page stands for at the most, as there."""
    smart_scan: bool = True
    """Pass over pages that were visited in vain, more often each time, as there."""
    first_sight: bool = False
    """Search a page in the tree of merged pages before it is checked for change, as until Linux 6.10; the kernel measured is 6.18.
    """
    use_zero_pages: bool = False
    """Merge pages of zeros with the kernel's zero page and not with each other, as there: without limit, in no tree."""
    chains_prune: TimeNs = Field(2e9, ge=0)
    """How often chains of merged pages of one content are cleared (there: `stable_node_chains_prune_millisecs`)."""
    advisor_mode: Annotated[str, AfterValidator(_mode)] = "none"
    """Who sets `pages_to_scan`: you (`none`), or the kernel's advisor, by how long each full scan took (`scan-time`)."""
    advisor_target_scan_time: int = Field(200, ge=1, lt=1 << 31)
    """[s] That a full scan should take, as there."""
    advisor_max_cpu: int = Field(70, ge=1, le=100)
    """[%] Of a CPU that the scanner takes at the most, as there."""
    advisor_min_pages_to_scan: int = Field(500, ge=1, lt=1 << 31)
    """[pages] At each waking that the advisor begins with, as there."""
    advisor_max_pages_to_scan: int = Field(30000, ge=1, lt=1 << 31)
    """[pages] At each waking at the most, as there."""
    schedule: Annotated[tuple[int, ...] | None, BeforeValidator(as_schedule)] = None
    """A CSV of `pages_scanned`, or a list: every `interval` scan until so many were scanned in all, whatever `sleep` says; null:
    as `sleep` says.
    """
    interval: Annotated[TimeNs, AfterValidator(_long_enough)] = 100e6
    """From one row of that schedule to the next."""


def make(frames: int, host_frames: int, seed: int, **options: Any) -> State:
    """State for guest frames 0 … ``frames`` - 1, none of which was visited."""
    chosen = Options(**options)
    nodes, places, cursor = np.zeros(frames, NODE), np.zeros(frames, PLACE), np.zeros(1, CURSOR)
    nodes["next"] = places["first"] = np.arange(1, frames + 1)
    rules = np.array([tuple(getattr(chosen, name) for name in RULES.names or ())], RULES).view(np.recarray)
    if chosen.advisor_mode != "none":
        rules.pages_to_scan = chosen.advisor_min_pages_to_scan
    cursor["left"], cursor["zero"] = rules.pages_to_scan[0], NOTHING
    limits = chosen.advisor_target_scan_time, chosen.advisor_max_cpu, chosen.advisor_max_pages_to_scan
    return State(
        np.zeros(frames, ITEM).view(np.recarray),
        nodes.view(np.recarray),
        places.view(np.recarray),
        np.full((frames + 1, 2), NOTHING, np.int32),
        np.full((frames + 1, 2), NOTHING, np.int32),
        np.full(host_frames, NOTHING, np.int32),
        cursor.view(np.recarray),
        rules,
        make_advisor(chosen.advisor_mode, *limits),
        np.array([] if chosen.schedule is None else [0, *chosen.schedule], np.int64),
    )


@scan.register
def _scan(state: State, world: World, now: Now) -> float:
    cursor, rules = state.cursor[0], state.rules[0]
    scheduled = state.schedule.size > 0
    until = state.schedule[min(cursor.woken, state.schedule.size - 1)] if scheduled else 0
    scanned, scans = np.int64(cursor.pages_scanned), np.int64(cursor.full_scans)
    while not scheduled or (
        cursor.pages_scanned < until and (cursor.pages_scanned > scanned or cursor.full_scans - scans < MOST_SKIPS)
    ):
        if not has_room(world):
            return now.time_ns
        if not visit(state, world, now) and not scheduled:
            break
    cursor.zero_pages = zero_pages(state, world)
    if state.advisor[0].advises and cursor.full_scans > scans:
        rules.pages_to_scan = advise(state.advisor, world, now, rules.pages_to_scan, cursor.pages_scanned)
        cursor.left = rules.pages_to_scan
    if scheduled:
        if cursor.left < rules.pages_to_scan and cursor.frame == state.items.size:
            visit(state, world, now)  # the batch goes on, and finds that the scan is through
        cursor.woken += 1
        return now.time_ns + rules.interval  # type: ignore[no-any-return]
    done = np.float64(cursor.batch) * world.rules[0].scan_ns
    slept = rules.sleep * world.rules[0].scale  # a page that stands for many is scanned so much less often
    return now.time_ns + (slept + done) / world.rules[0].speedup  # type: ignore[no-any-return]


@inner_apart
def visit(state: State, world: World, now: Now) -> bool:
    """Visit the next page; False if that, or the end of a full scan, is the end of the batch."""
    cursor = state.cursor[0]
    frame = next_frame(state, world)
    if frame == NOTHING:
        cursor.batch = state.rules[0].pages_to_scan - cursor.left
        cursor.left = state.rules[0].pages_to_scan
        return False
    compare_and_merge(state, world, now, frame)
    vm = np.int64(world.frames[frame].vm)
    world.counts[vm, world.vms[vm].epoch].host_scanning_ns += np.int64(world.rules[0].scan_ns)
    cursor.pages_scanned += 1
    cursor.left -= 1
    if cursor.left > 0:
        return True
    cursor.batch = cursor.left = state.rules[0].pages_to_scan
    return False


@measure.register
def _measure(state: State, counts: Any) -> None:
    cursor = state.cursor[0]
    counts.ksm_pages_shared = cursor.pages_shared
    counts.ksm_pages_sharing = cursor.pages_sharing
    counts.ksm_pages_unshared = cursor.pages_unshared
    counts.ksm_pages_volatile = cursor.items_used - cursor.pages_shared - cursor.pages_sharing - cursor.pages_unshared
    counts.ksm_zero_pages = cursor.zero_pages
    counts.ksm_full_scans = cursor.full_scans
    counts.ksm_pages_scanned = cursor.pages_scanned


@inner
def next_frame(state: State, world: World) -> Int:
    """Advance to the next mergeable frame that isn't skipped; -1 where a full scan ends, which also ends a batch."""
    cursor = state.cursor[0]
    while cursor.frame < state.items.size:
        frame = cursor.frame
        cursor.frame += 1
        if not mergeable(world, frame) or maps_zero_page(state, world, frame):
            forget(state, world, frame)
            continue
        item = state.items[frame]
        if item.where == NO_ITEM:
            cursor.items_used += 1
            item.where = OUTSIDE
            item.checksum = NOTHING
            item.age = item.skips = 0
        if not (state.rules[0].smart_scan and skipped(state, world, frame)):
            return frame  # type: ignore[no-any-return]
    cursor.frame = 0
    cursor.full_scans += 1
    state.unstable[state.items.size, 0] = NOTHING
    return NOTHING


@inner_apart
def forget(state: State, world: World, frame: Int) -> None:
    """Free the item of a frame that is no longer backed."""
    if state.items[frame].where != NO_ITEM:
        take_out(state, world, frame)
        state.items[frame].where = NO_ITEM
        state.cursor[0].items_used -= 1


@inner_apart
def skipped(state: State, world: World, frame: Int) -> bool:
    """Tell whether smart_scan passes over a page for now: the longer it found no match, the more scans."""
    item = state.items[frame]
    if world.host_frames[world.frames[frame].hfn].stable:
        return False
    age = item.age
    item.age = min(age + 1, 255)
    if age < 3:
        return False
    if item.skips == 0:
        item.skips = 1 if age <= 3 else 2 if age <= 5 else 4 if age <= 8 else 8
        return False
    item.skips -= 1
    state.cursor[0].pages_skipped += 1
    take_out(state, world, frame)
    return True


@inner_apart
def compare_and_merge(state: State, world: World, now: Now, frame: Int) -> None:
    """Visit one page."""
    item, page = state.items[frame], world.frames[frame]
    if world.host_frames[page.hfn].stable:
        return
    take_out(state, world, frame)
    content = page.content
    if state.rules[0].first_sight and merge_into_stable(state, world, now, frame):
        return
    if item.checksum != content:
        item.checksum = content
        return
    if state.rules[0].use_zero_pages and content == ZEROS:
        merge_with_zero_page(state, world, now, frame)
        return
    if not state.rules[0].first_sight and merge_into_stable(state, world, now, frame):
        return
    other = search_unstable(state, world, frame, content)
    if other == NOTHING:
        return
    order = page.order
    if order > 0 and frame >> order == other >> order and world.frames[other].order == order:
        split(world, now, frame >> order << order)  # two parts of one large page merge in the next scan
        return
    take_out(state, world, other)
    if not is_small(world, now, frame) or not is_small(world, now, other) or page.hfn == NOTHING:
        return
    share(world, now, other, frame)
    node = new_node(state, now, content, np.int64(page.hfn))
    append(state, other, node)
    append(state, frame, node)


@inner
def merge_into_stable(state: State, world: World, now: Now, frame: Int) -> bool:
    """Share a page with a merged one that has room for it, if any."""
    node = search_stable(state, world, now, world.frames[frame].content)
    if node != NOTHING and world.frames[frame].order > 0:
        if not is_small(world, now, frame):
            return True
        node = search_stable(state, world, now, world.frames[frame].content)  # it may have gone to make room for a table
    if node == NOTHING:
        return False
    share(world, now, frame, np.int64(world.host_frames[state.nodes[node].hfn].owner))
    append(state, frame, node)
    return True


@inner
def is_zero_page(state: State, world: World, hfn: Int) -> bool:
    """Tell whether a host frame is the zero page still: it is written, or taken away, as others are."""
    host = world.host_frames[hfn]
    return host.stable != 0 and state.node_of[hfn] == NOTHING and world.frames[host.owner].content == ZEROS  # type: ignore[no-any-return]


@inner
def maps_zero_page(state: State, world: World, frame: Int) -> bool:
    """Tell whether the zero page is behind a guest frame."""
    zero = np.int64(state.cursor[0].zero)
    return zero != NOTHING and world.frames[frame].hfn == zero and is_zero_page(state, world, zero)


@inner
def zero_pages(state: State, world: World) -> Int:
    """Count the guest frames that the zero page is behind."""
    zero = np.int64(state.cursor[0].zero)
    return np.int64(world.host_frames[zero].refs) if zero != NOTHING and is_zero_page(state, world, zero) else np.int64(0)


@inner_apart
def merge_with_zero_page(state: State, world: World, now: Now, frame: Int) -> None:
    """Put the zero page behind a guest frame of zeros; the one behind it becomes it if there is none."""
    if not is_small(world, now, frame) or world.frames[frame].hfn == NOTHING:
        return
    zero = np.int64(state.cursor[0].zero)
    if zero != NOTHING and is_zero_page(state, world, zero):
        share(world, now, frame, np.int64(world.host_frames[zero].owner))
        return
    protect_merged(world, now, frame)
    zero = np.int64(world.frames[frame].hfn)
    state.cursor[0].zero, state.node_of[zero] = zero, NOTHING


@inner
def path_of(content: Int) -> np.uint64:
    """Return the turns that lead to a content in both trees, the lowest bit first."""
    return mix64(np.uint64(content))  # type: ignore[no-any-return]


@inner_apart
def search_unstable(state: State, world: World, frame: Int, content: Int) -> Int:
    """Find a candidate of this scan that has a content, or else make ``frame`` one and return -1.

    A candidate on the way that is no longer backed ends the search for nothing.
    """
    above, turn, path = state.items.size, np.uint64(0), path_of(content)
    other = np.int64(state.unstable[above, turn])
    while other != NOTHING:
        if state.items[other].where == UNSTABLE:
            if world.frames[other].hfn < 0:
                return NOTHING
            if world.frames[other].content == content:
                return other
        above, turn, path = other, path & np.uint64(1), path >> np.uint64(1)
        other = np.int64(state.unstable[above, turn])
    state.unstable[above, turn] = frame
    state.unstable[frame, 0] = state.unstable[frame, 1] = NOTHING
    state.items[frame].where = UNSTABLE
    state.cursor[0].pages_unshared += 1
    return NOTHING


@inner
def roomy(state: State, node: Int) -> bool:
    """Tell whether a merged page takes another sharer."""
    return state.nodes[node].length < state.rules[0].max_page_sharing  # type: ignore[no-any-return]


@inner
def unmapped(state: State, world: World, node: Int) -> bool:
    """Tell whether a merged page was freed since its node was made."""
    hfn = state.nodes[node].hfn
    return not world.host_frames[hfn].stable or state.node_of[hfn] != node


@inner_apart
def search_stable(state: State, world: World, now: Now, content: Int) -> Int:
    """Find a merged page of a content with room for a sharer; -1 if there is none."""
    path, place = path_of(content), np.int64(state.stable[state.places.size, 0])
    while place != NOTHING:
        node = best_dup(state, world, now, place)
        if node == NOTHING:  # the place is gone: from the root again
            path, place = path_of(content), np.int64(state.stable[state.places.size, 0])
            continue
        if state.places[place].content == content:
            return node if roomy(state, node) else NOTHING
        place = np.int64(state.stable[place, path & np.uint64(1)])
        path >>= np.uint64(1)
    return NOTHING


@inner_apart
def best_dup(state: State, world: World, now: Now, number: Int) -> Int:
    """Choose from a chain the merged page that the next sharer gets, dropping unmapped ones; -1 if all were.

    It is the first with room; every `chains_prune`, the fullest with room, of the whole chain. It comes first from then
    on if it has room for one more.
    """
    place = state.places[number]
    prune = now.time_ns - place.pruned_ns >= state.rules[0].chains_prune
    if prune:
        place.pruned_ns = now.time_ns
    found, node = NOTHING, np.int64(place.first)
    while node != NOTHING:
        following = np.int64(state.nodes[node].next)
        if unmapped(state, world, node):
            remove_node(state, node)
        elif found == NOTHING or (
            roomy(state, node) and (not roomy(state, found) or state.nodes[node].length > state.nodes[found].length)
        ):
            found = node
            if roomy(state, found) and not prune:
                break
        node = following
    if found != NOTHING and found != place.first and state.nodes[found].length + 1 < state.rules[0].max_page_sharing:
        unlink(state, found)
        state.nodes[found].next = place.first
        place.first = found
    return found


@inner
def unlink(state: State, node: Int) -> None:
    """Take a merged page out of its chain."""
    place, following = state.places[state.nodes[node].place], state.nodes[node].next
    if place.first == node:
        place.first = following
        return
    before = np.int64(place.first)
    while state.nodes[before].next != node:
        before = np.int64(state.nodes[before].next)
    state.nodes[before].next = following


@inner_apart
def new_node(state: State, now: Now, content: Int, hfn: Int) -> Int:
    """Make a merged page without sharers, the first of its content's chain."""
    cursor, above, turn, path = state.cursor[0], state.places.size, np.uint64(0), path_of(content)
    number = np.int64(state.stable[above, turn])
    while number != NOTHING and state.places[number].content != content:
        above, turn, path = number, path & np.uint64(1), path >> np.uint64(1)
        number = np.int64(state.stable[above, turn])
    if number == NOTHING:
        number = np.int64(cursor.free_place)
        cursor.free_place = state.places[number].first
        state.places[number].content, state.places[number].first = content, NOTHING
        state.stable[above, turn] = number
        state.stable[number, 0] = state.stable[number, 1] = NOTHING
    place = state.places[number]
    if place.first == NOTHING or state.nodes[place.first].next == NOTHING:
        place.pruned_ns = now.time_ns
    created = np.int64(cursor.free_node)
    node = state.nodes[created]
    cursor.free_node = node.next
    cursor.nodes += 1
    node.hfn, node.length, node.serial, node.place, node.next = hfn, 0, cursor.nodes, number, place.first
    place.first = created
    state.node_of[hfn] = created
    return created


@inner
def append(state: State, frame: Int, number: Int) -> None:
    """List a frame at a merged page that it now maps."""
    item, node, cursor = state.items[frame], state.nodes[number], state.cursor[0]
    if node.length == 0:
        cursor.pages_shared += 1
    else:
        cursor.pages_sharing += 1
    node.length += 1
    item.node, item.serial, item.where = number, node.serial, STABLE


@inner
def listed(state: State, frame: Int) -> bool:
    """Tell whether the merged page that a frame was listed at is still in the tree."""
    item = state.items[frame]
    return item.where == STABLE and state.nodes[item.node].serial == item.serial  # type: ignore[no-any-return]


@inner_apart
def take_out(state: State, world: World, frame: Int) -> None:
    """Take an item out of the tree that it is in."""
    item, cursor = state.items[frame], state.cursor[0]
    if listed(state, frame):
        node = np.int64(item.node)
        if unmapped(state, world, node):
            remove_node(state, node)
        else:
            state.nodes[node].length -= 1
            cursor.pages_sharing -= 1
    elif item.where == UNSTABLE:
        cursor.pages_unshared -= 1
    item.where = OUTSIDE


@inner_apart
def remove_node(state: State, number: Int) -> None:
    """Drop a merged page that nobody maps, and with it all the items that were listed there."""
    node, cursor = state.nodes[number], state.cursor[0]
    unlink(state, number)
    if state.places[node.place].first == NOTHING:
        remove_place(state, np.int64(node.place))
    cursor.pages_shared -= 1
    cursor.pages_sharing -= node.length - 1
    node.serial = NOTHING
    node.next = cursor.free_node
    cursor.free_node = number


@inner
def remove_place(state: State, number: Int) -> None:
    """Take a content out of the stable tree: a leaf from below it comes in its place."""
    above, turn, path = state.places.size, np.uint64(0), path_of(state.places[number].content)
    leaf = np.int64(state.stable[above, turn])
    while leaf != number:
        above, turn, path = leaf, path & np.uint64(1), path >> np.uint64(1)
        leaf = np.int64(state.stable[above, turn])
    while True:
        side = np.uint64(0) if state.stable[leaf, 0] != NOTHING else np.uint64(1)
        if state.stable[leaf, side] == NOTHING:
            break
        above, turn, leaf = leaf, side, np.int64(state.stable[leaf, side])
    state.stable[above, turn] = NOTHING
    kept, moved = state.places[number], state.places[leaf]
    kept.content, kept.pruned_ns, kept.first = moved.content, moved.pruned_ns, moved.first
    node = np.int64(kept.first)
    while node != NOTHING:
        state.nodes[node].place = number
        node = np.int64(state.nodes[node].next)
    moved.first = state.cursor[0].free_place
    state.cursor[0].free_place = leaf
