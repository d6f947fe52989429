"""Which code an outcome hangs on: digests of modules by what they import, so that neither a kept stage nor a kernel can be stale.

A module's digest is made of its syntax tree and those of all modules of memvirt and its plug-ins that it imports, however
deep and however late. Docstrings don't count, nor do texts given as ``doc=``: what is only read by people recomputes nothing.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.util
import json
import os
import pkgutil
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from memvirt.errors import FolderError
from memvirt.folders import cache_home, fallback_home, private_folder
from memvirt.policy import plugin_packages

KNOWN = 4000  #: parsed sources that are remembered, at the most
STARTED = time.time()  #: about when this process read its code


class _Bare(ast.NodeTransformer):
    """Takes out what only people read, and what only type checkers do."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """Drop docstrings."""
        return None if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str) else self.generic_visit(node)

    def visit_keyword(self, node: ast.keyword) -> ast.AST | None:
        """Drop ``doc=`` of calls."""
        return None if node.arg == "doc" else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST | None:
        """Drop ``if TYPE_CHECKING:``."""
        return None if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" else self.generic_visit(node)


@cache
def _roots() -> dict[str, Path]:
    """Folders of the packages whose code is ours: memvirt's and its plug-ins'."""
    found = {}
    for package in {"memvirt", *(package.partition(".")[0] for package in plugin_packages())}:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.submodule_search_locations:
            found[package] = Path(next(iter(spec.submodule_search_locations)))
    return found


@cache
def _origin(module: str) -> Path | None:
    """Source file of one of our modules, found without importing it; None if there is none, or it is another's."""
    package, _, below = module.partition(".")
    root = _roots().get(package)
    if root is None:
        return None
    place = root.joinpath(*below.split(".")) if below else root
    for path in (place / "__init__.py", place.with_suffix(".py")):
        if path.is_file():
            return path
    return None


def _imports(tree: ast.AST, module: str, path: Path) -> Iterator[str]:
    """Full names that a module imports; of ``from a import b`` both ``a`` and ``a.b``, which may be a module."""
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{each.name}" for each in node.names)


class _Module(NamedTuple):
    """What is known of a module's source: a digest of its code, the names that it imports, whether it is a family of policies."""

    own: str
    imports: tuple[str, ...]
    is_family: bool


def _parse(source: bytes, module: str, path: Path) -> _Module:
    tree = _Bare().visit(ast.parse(source, str(path)))
    own = hashlib.blake2b(ast.dump(tree).encode(), digest_size=16).hexdigest()
    is_family = path.name == "__init__.py" and any(
        isinstance(node, ast.Assign) and any(isinstance(name, ast.Name) and name.id == "FAMILY" for name in node.targets)
        for node in tree.body
    )
    return _Module(own, tuple(sorted({name for name in _imports(tree, module, path) if name != module})), is_family)


def _memo_folder() -> Path:
    try:
        return private_folder(cache_home() / "sources", fallback_home() / "sources")
    except FolderError:  # then nothing is found there, and nothing kept
        return Path(os.devnull)


class _Memo:
    """Parsed sources by their content, kept on disk: to parse all of them takes a second of each process."""

    def __init__(self) -> None:
        rules = hashlib.blake2b(Path(__file__).read_bytes(), digest_size=8).hexdigest()
        self._file = _memo_folder() / f"{sys.version_info[0]}.{sys.version_info[1]}-{rules}.json"
        self._known: dict[str, Any] = {}
        self._used: set[str] = set()
        self._new = 0
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(self._file.read_text())
            self._known = known if isinstance(known, dict) else {}

    def read(self, module: str, path: Path) -> _Module:
        source = path.read_bytes()
        key = f"{module}:{hashlib.blake2b(source, digest_size=16).hexdigest()}"
        self._used.add(key)
        with contextlib.suppress(KeyError, TypeError, ValueError):
            own, imports, is_family = self._known[key]
            return _Module(str(own), tuple(map(str, imports)), bool(is_family))
        found = _parse(source, module, path)
        self._known[key], self._new = found, self._new + 1
        return found

    def save(self) -> None:
        if self._new:
            self._new = 0
            if len(self._known) > KNOWN:
                self._known = {key: found for key, found in self._known.items() if key in self._used}
            part = self._file.with_name(f"{self._file.name}.{os.getpid()}")
            with contextlib.suppress(OSError):
                part.write_text(json.dumps(self._known))
                os.replace(part, self._file)


_memo = cache(_Memo)


def _is_outdated(module: str, path: Path) -> bool:
    """Whether a module was loaded and its file then written to: what runs here isn't what stands there."""
    loaded = getattr(sys.modules.get(module), "__file__", None)
    return loaded is not None and Path(loaded) == path and path.stat().st_mtime > STARTED


@cache
def _read(module: str) -> _Module:
    path = _origin(module) or Path(str(sys.modules[module].__file__))  # a kernel of somebody's own script
    found = _memo().read(module, path)
    if _is_outdated(module, path):  # nobody else may take what is made here for what the file says
        found = found._replace(own=f"{found.own}, of process {os.getpid()} at {STARTED}")
    return found._replace(imports=tuple(name for name in found.imports if _origin(name) is not None))


def _policies(family: str) -> Iterator[str]:
    """Modules of a family's folder, memvirt's and each plug-in's."""
    below = family.partition(".")[2]
    for package in ("memvirt", *plugin_packages()):
        path = _origin(f"{package}.{below}")
        if path is not None and path.name == "__init__.py":
            yield from (f"{package}.{below}.{each.name}" for each in pkgutil.iter_modules([str(path.parent)]))


@cache
def reach(modules: tuple[str, ...], with_policies: bool = True) -> tuple[str, ...]:
    """Modules whose code some modules' outcome can depend on, themselves included.

    Parameters
    ----------
    modules : tuple of str
        Dotted names.
    with_policies : bool
        Whether the policies of each family that is met count as imported; they are found by the names of their files.
    """
    waiting, found = list(modules), set(modules)
    while waiting:
        module = waiting.pop()
        source = _read(module)
        for name in (*source.imports, *(_policies(module) if source.is_family and with_policies else ())):
            if name not in found:
                found.add(name)
                waiting.append(name)
    _memo().save()
    return tuple(sorted(found))


@cache
def code_digest(*modules: str, with_policies: bool = True) -> str:
    """Hash of the code that some modules' outcome can depend on.

    Parameters
    ----------
    modules : str
        Dotted names.
    with_policies : bool
        As in `reach`.
    """
    digest = hashlib.blake2b(digest_size=16)
    for module in reach(modules, with_policies):
        digest.update(f"{module}:{_read(module).own};".encode())
    return digest.hexdigest()


@cache
def own_digest(*modules: str) -> str:
    """Hash of the code of some modules without what they import."""
    return hashlib.blake2b("".join(_read(module).own for module in modules).encode(), digest_size=16).hexdigest()
