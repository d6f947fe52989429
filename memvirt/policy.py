"""How a policy, found by the name of its file, enters a compiled kernel.

A family is a folder of one-file policies with a few *verbs*: generic functions that each policy
implements for its own type of state. Plain Python picks the implementation by `functools.singledispatch`;
a kernel picks it while it is compiled, by numba's type of the state. So a kernel is written once, calls
``touch(state, …)``, and is compiled once for each policy; neither closures nor rebound globals are
involved, which numba's disk cache would get wrong.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.resources
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import Any

from numba.extending import overload

from memvirt.errors import ConfigError
from memvirt.linking import PartCompiler

PLUGINS = "memvirt.plugins"  #: entry-point group; each entry names a package laid out like memvirt itself


_verbs: list[Any] = []  #: every generic function


def _name(cls: type) -> None:
    """Give a type of state a name of its own, before any kernel is compiled for it.

    numba mangles a kernel's symbol from the bare name of its argument types: two policies that both call their type `State` would
    silently share one compiled body.
    """
    cls.__name__ = f"{cls.__module__}.{cls.__qualname__}".replace(".", "_")


def modules_of(state: type) -> tuple[str, ...]:
    """Names of the modules that a type of state and its verbs are written in."""
    own = [verb.dispatch(state) for verb in _verbs if verb.dispatch(state) is not verb.registry[object]]
    return tuple(sorted({state.__module__, *(implementation.__module__ for implementation in own)}))


def verb(stub: Callable[..., Any]) -> Any:
    """Make a generic function that dispatches on the type of its first argument, in Python and in kernels.

    Parameters
    ----------
    stub : function
        Gives the name and the documentation; its body is the default: usually ``raise NotImplementedError``, and
        then every policy must have its own, or something that a kernel can be compiled from.

    Returns
    -------
    function
        With `functools.singledispatch`'s ``register``. The first argument of every implementation must
        be annotated with a NamedTuple type of the policy's own.
    """
    generic = functools.singledispatch(stub)

    def choose(state: Any, *args: Any) -> Callable[..., Any] | None:
        cls = getattr(state, "instance_class", None)
        chosen = generic.dispatch(cls) if cls is not None else stub
        if chosen is not stub:
            # numba mangles symbols from names and types alone but for a number that another process may give out again: what a
            # policy calls `_` for two verbs would be one body in what is linked from parts of both.
            body = getattr(chosen, "py_func", chosen)
            body.__qualname__ = f"{stub.__name__}.{chosen.__name__}"
        return None if chosen is stub and "NotImplementedError" in stub.__code__.co_names else chosen

    registered: Any = generic.register

    def register(*args: Any) -> Any:
        result = registered(*args)
        for cls in generic.registry:
            if cls is not object:
                _name(cls)
        return result

    generic.register = register  # type: ignore[assignment]
    _verbs.append(generic)
    overload(generic, strict=False, jit_options={"no_cfunc_wrapper": True, "pipeline_class": PartCompiler})(choose)  # type: ignore[typeddict-unknown-key]
    return generic


@functools.cache
def plugin_packages() -> tuple[str, ...]:
    """Names of the installed packages that add policies through the `PLUGINS` entry points."""
    return tuple(sorted({entry.value for entry in importlib.metadata.entry_points(group=PLUGINS)}))


def _rooms(family: str) -> list[str]:
    return [f"{package}.{family}" for package in ["memvirt", *plugin_packages()]]


@functools.cache
def names(family: str) -> list[str]:
    """Names of a family's policies: the files of its folder, memvirt's and each plug-in's.

    Parameters
    ----------
    family : str
        Dotted folder below the package, such as ``tlb.replacement``.
    """
    found = set()
    for room in _rooms(family):
        try:
            package = importlib.import_module(room)
        except ModuleNotFoundError:
            continue
        found |= {m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")}
    return sorted(found)


@functools.cache
def load(family: str, name: str, key: str | None = None) -> ModuleType:
    """Import the policy of that name.

    Parameters
    ----------
    family, name : str
        Folder and file.
    key : str, optional
        The config key to blame; the family itself if not given.

    Raises
    ------
    ConfigError
        If no such file exists. Only names of files in the family's folders are ever imported.
    """
    known = names(family)
    if name not in known:
        raise ConfigError(key or family, name, f"there is no such {family.rpartition('.')[2]}", known)
    for room in _rooms(family):
        try:
            module = importlib.import_module(f"{room}.{name}")
        except ModuleNotFoundError as missing:
            if missing.name is not None and f"{room}.{name}".startswith(missing.name):
                continue
            raise
        for item in vars(module).values():  # those of another policy of the family too, which this one may build upon
            if isinstance(item, type) and issubclass(item, tuple) and item.__module__.rpartition(".")[0] in _rooms(family):
                _name(item)
        return module
    raise ConfigError(key or family, name, "its file could not be imported", known)
