"""The one decorator for compiled kernels, with a cache that can't be stale and needn't be made twice on a machine.

numba looks only at a kernel's own file to decide whether its cached code is fresh, so an edited policy would go on returning its
old answers, and it keeps apart what is installed in two folders, so each clone would compile again. Here a kernel's machine code
is one file, named by the code of its module and of all that it imports, and by the types that it is compiled for, policies'
code included. The same sources thus share it wherever they lie, and an edit of one policy compiles no other anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import hashlib
import importlib
import os
import pickle
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numba
from numba import njit
from numba.core import types
from numba.core.compiler import CompileResult
from numba.core.compiler_lock import global_compiler_lock
from numba.core.serialize import dumps

from memvirt.by_address import ByAddress
from memvirt.code import code_digest
from memvirt.folders import cache_home, fallback_home, private_folder
from memvirt.linking import PartCompiler, rebuild
from memvirt.policy import modules_of

F = TypeVar("F", bound=Callable[..., Any])


def _load_without_scipy() -> None:
    """Load numba's functions of arrays without SciPy, which takes half a second.

    They load its linear algebra to see whether it is there; whoever compiles a product of matrices loads it then.
    """
    if "numba.np.arraymath" in sys.modules:
        return
    from numba.np import linalg

    load = linalg.ensure_blas
    linalg.ensure_blas = lambda: None
    try:
        arraymath: Any = importlib.import_module("numba.np.arraymath")
    finally:
        linalg.ensure_blas = load
    arraymath.ensure_blas = load


_load_without_scipy()


@cache
def kernel_folder() -> Path:
    """Where machine code is kept. It is read back with pickle, so the folder must be this user's alone."""
    return private_folder(cache_home() / "kernels", fallback_home() / "kernels")


@cache
def _code_of_state(cls: type) -> str:
    """Digest of the code that comes into a kernel with a type of policy's state: that of all its verbs."""
    return code_digest(*modules_of(cls), with_policies=False)


def _parts(kind: Any) -> Iterator[Any]:
    """Classes of the named tuples that a type is made of."""
    if isinstance(kind, types.BaseNamedTuple | ByAddress):
        yield kind.instance_class  # type: ignore[union-attr]
    if isinstance(kind, types.BaseTuple | ByAddress):
        for part in kind.types:  # type: ignore[union-attr]
            yield from _parts(part)


def compiling() -> int:
    """How many kernels are being compiled on this machine now, one inside another counted too."""
    found = 0
    folder = kernel_folder()
    for name in os.listdir(folder):  # thousands of names, which a pattern would take 40 ms to look through
        if not name.endswith(".lock"):
            continue
        with contextlib.suppress(OSError), (folder / name).open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found += 1
    return found


def _arguments(signature: Any) -> tuple[Any, ...]:
    return signature if isinstance(signature, tuple) else tuple(signature.args)


class Compiled(NamedTuple):
    """One compilation, as the log in `kernel_folder` has it: when it ended, CPU seconds without kernels inside, and of what."""

    ended: float
    seconds: float
    kernel: str
    policies: str

    @classmethod
    def read(cls, line: str) -> Compiled:
        """Read a line of the log."""
        ended, seconds, kernel, policies = line.rstrip("\n").split("\t")
        return cls(float(ended), float(seconds), kernel, policies)


def compilations() -> Path:
    """Log of what was compiled on this machine: a line each, as `Compiled` reads it."""
    return kernel_folder() / "compiled.log"


_inside: list[float] = []  #: CPU seconds of the kernels compiled inside each of those that are being compiled; one lock guards them


class KernelCache:
    """Machine code of one kernel on disk, as numba's dispatcher asks for it (`numba.core.caching._Cache`).

    Parameters
    ----------
    function : callable
        What was decorated.
    """

    def __init__(self, function: Callable[..., Any], is_part: bool) -> None:
        self._function = function
        self._is_part = is_part
        self._name = f"{function.__module__}.{function.__qualname__}"

    @cached_property
    def _code(self) -> str:
        return code_digest(self._function.__module__, with_policies=False)

    @property
    def cache_path(self) -> str:
        """Folder."""
        return str(kernel_folder())

    def path(self, signature: Any, target: Any) -> Path:
        """File of the machine code for some types of arguments."""
        arguments = _arguments(signature)
        states = {
            f"{cls.__module__}.{cls.__qualname__}{cls._fields}": _code_of_state(cls) for kind in arguments for cls in _parts(kind)
        }
        words = (numba.__version__, self._code, str(arguments), sorted(states.items()), target.codegen().magic_tuple())
        return kernel_folder() / f"{self._name}-{hashlib.blake2b(repr(words).encode(), digest_size=16).hexdigest()}.nbc"

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Compiled code for some types of arguments; None if there is none, or none that can be read."""
        target.refresh()
        try:
            kept = pickle.loads(self.path(signature, target).read_bytes())
            return rebuild(target, kept) if self._is_part else CompileResult._rebuild(target, *kept)  # type: ignore[no-untyped-call]
        except FileNotFoundError:
            return None
        except Exception:  # damaged: compiled again
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep compiled code; where the disk is full it is not kept."""
        if compiled.lifted or compiled.library.has_dynamic_globals:  # holds addresses of this process
            return
        for environment in compiled._find_referenced_environments():
            if not self._is_part:
                compiled.library.codegen.set_env(environment.env_name, environment)
        path = self.path(signature, compiled.target_context)
        part = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            part.write_bytes(dumps(compiled._reduce()))  # type: ignore[no-untyped-call]
            os.replace(part, path)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink()

    @contextlib.contextmanager
    def alone(self, signature: Any, target: Any) -> Iterator[None]:
        """Have only one process on the machine compile this kernel for these types; others wait for it, and load it."""
        target.refresh()
        path = self.path(signature, target)
        if path.exists():
            yield
            return
        try:
            lock = path.with_suffix(".lock").open("w")
        except OSError:  # no place to keep it either
            yield
            return
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _inside.append(0.0)
            begin, missing = time.process_time(), not path.exists()
            try:
                yield
                if missing:
                    self._log(signature, time.process_time() - begin - _inside[-1])
            finally:
                _inside.pop()
                if _inside:
                    _inside[-1] += time.process_time() - begin
                with contextlib.suppress(OSError):
                    path.with_suffix(".lock").unlink()

    def _log(self, signature: Any, seconds: float) -> None:
        states = [cls.__module__ for kind in _arguments(signature) for cls in _parts(kind) if cls.__name__ != cls.__qualname__]
        line = f"{time.time():.1f}\t{seconds:.2f}\t{self._name}\t{' '.join(states)}\n"
        with contextlib.suppress(OSError), compilations().open("a") as log:
            log.write(line)

    def enable(self) -> None:
        """Do nothing: it always is."""

    def disable(self) -> None:
        """Do nothing."""

    def flush(self) -> None:
        """Do nothing: files are named by what is in them."""


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
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "_nrt": False, "forceinline": inline}
    options |= {"no_cfunc_wrapper": True, "no_cpython_wrapper": not from_python}
    if not from_python:
        options["pipeline_class"] = PartCompiler
    dispatcher: Any = njit(**options)(function)
    if dispatcher is not function:  # the same function where NUMBA_DISABLE_JIT is set
        _keep_on_disk(dispatcher, KernelCache(function, is_part=not from_python))
        if not from_python:
            _refuse_python(dispatcher)
    return dispatcher  # type: ignore[no-any-return]


def _refuse_python(dispatcher: Any) -> None:
    """Say what is wrong where Python calls a part: there is no machine code that it could jump to."""

    def add_overload(compiled: Any) -> None:
        dispatcher.overloads[tuple(compiled.signature.args)] = compiled  # but not where calls from Python look

    def refuse(*args: object, **words: object) -> None:
        name = f"{dispatcher.py_func.__module__}.{dispatcher.py_func.__qualname__}"
        raise TypeError(f"{name} is for kernels alone (memvirt.jit.inner); make it a kernel, or call its .py_func")

    dispatcher.add_overload, dispatcher._compile_for_args = add_overload, refuse


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    """Have Python look for garbage a seventieth as often: a twentieth of the time of compiling otherwise, which leaves little."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _keep_on_disk(dispatcher: Any, kept: KernelCache) -> None:
    compile_here = dispatcher.compile

    def compile_once(signature: Any) -> Any:
        with global_compiler_lock, _rare_collections(), kept.alone(signature, dispatcher.targetctx):
            return compile_here(signature)

    dispatcher._cache, dispatcher.compile = kept, compile_once
