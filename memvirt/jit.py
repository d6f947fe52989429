"""The one decorator for compiled kernels, with a cache that can't be stale.

numba looks only at a kernel's own file to decide whether its cached code is fresh, so an edited policy
would go on returning its old answers. Here the cache directory is named by a hash of every source that
can enter the room's kernels: memvirt's own and each plug-in's.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba import njit

from memvirt.policy import plugin_packages

F = TypeVar("F", bound=Callable[..., Any])


def sources_digest(places: Iterable[Path], left_out: Iterable[str] = ()) -> str:
    """Hash Python sources that aren't empty, by path and content.

    Parameters
    ----------
    places : iterable of Path
        Files, and folders for all that lies below them,
    left_out : iterable of str
        but for their own folders of these names.
    """
    digest, without = hashlib.blake2b(digest_size=16), set(left_out)
    for place in places:
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
            if path.stat().st_size and without.isdisjoint(path.relative_to(place).parts[:1]):
                digest.update(str(path.relative_to(place.parent)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


#: What every kernel can contain, besides the rooms' own folders.
CORE = ("types.py", "policy.py", "jit.py", "random.py")
ROOMS = ("workload", "memory", "tlb", "mmu")


@cache
def code_digest(rooms: tuple[str, ...] = ROOMS) -> str:
    """Hash of the code that some rooms' results can depend on: memvirt's sources and its plug-ins', but for other rooms' folders.

    Parameters
    ----------
    rooms : tuple of str
        Folders below the package.
    """
    here = Path(__file__).parent
    places = [here / name for name in (*CORE, *rooms)]
    for package in plugin_packages():
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            places += [Path(place) for place in spec.submodule_search_locations]
    return sources_digest(places, set(ROOMS) - set(rooms))


#: Whose code can enter a room's kernels, itself included; any room's those of others.
USES = {"memory": ("memory",), "tlb": ("tlb",), "mmu": ("memory", "mmu", "tlb")}


@cache
def _cache_directory(rooms: tuple[str, ...]) -> str:
    chosen = os.environ.get("MEMVIRT_CACHE_DIR")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    base = Path(chosen) if chosen else home / "memvirt"
    place = base / "numba" / f"{numba.__version__}-{code_digest(rooms)}"
    try:
        place.mkdir(parents=True, exist_ok=True)
        if not os.access(place, os.W_OK):
            raise PermissionError
    except OSError:
        place = Path(tempfile.gettempdir()) / f"memvirt-{os.getuid()}" / place.name
        place.mkdir(parents=True, exist_ok=True)
    return str(place)


def kernel(function: F) -> F:
    """Compile a function with numba, its machine code cached on disk.

    Kernels allocate nothing, so numba needn't count references to arrays (half of a walk's time otherwise), and they
    are inlined, since the state that they hand each other is many words long (half of what is then left).
    """
    return _compile(function, inline=True, from_python=True)


def kernel_apart(function: F) -> F:
    """As `kernel`, but not inlined where it is called."""
    return _compile(function, inline=False, from_python=True)


def inner(function: F) -> F:
    """As `kernel`, for one that only kernels call: without what takes Python's arguments apart, a third of compiling."""
    return _compile(function, inline=True, from_python=False)


def inner_apart(function: F) -> F:
    """As `inner`, but not inlined where it is called."""
    return _compile(function, inline=False, from_python=False)


def _compile(function: F, inline: bool, from_python: bool) -> F:
    package, _, rest = function.__module__.partition(".")
    rooms = USES.get(rest.partition(".")[0], ROOMS) if package == "memvirt" else ROOMS
    numba.config.CACHE_DIR = _cache_directory(rooms)  # type: ignore[attr-defined]  # read while decorating
    options: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False, "forceinline": inline}
    options |= {"no_cfunc_wrapper": True, "no_cpython_wrapper": not from_python}
    return njit(**options)(function)  # type: ignore[no-any-return]
