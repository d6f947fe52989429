"""Where memvirt keeps what it may need again, in folders that nobody else can write to."""

from __future__ import annotations

import os
import stat
import tempfile
from functools import cache
from pathlib import Path


def is_private(path: Path) -> bool:
    """Whether a folder belongs to this user and nobody else can write there."""
    try:
        told = path.lstat()
    except OSError:
        return False
    mine = told.st_uid == os.getuid() and not told.st_mode & (stat.S_IRWXG | stat.S_IRWXO)
    return stat.S_ISDIR(told.st_mode) and mine and os.access(path, os.W_OK)


def private_folder(path: Path) -> Path:
    """Make a folder of mode 0700, or take one's own that is there.

    Raises
    ------
    OSError
        If it can't be made, or is another user's, or a link: what is read there is run.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    told = path.lstat()
    if stat.S_ISDIR(told.st_mode) and told.st_uid == os.getuid():
        path.chmod(0o700)
    if not is_private(path):
        raise PermissionError(f"{path} is not a folder of this user's alone")
    return path


@cache
def cache_folder() -> Path:
    """Folder of compiled kernels and what else is cached: ``MEMVIRT_CACHE_DIR``, else the user's cache, else a temporary one."""
    chosen = os.environ.get("MEMVIRT_CACHE_DIR")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    try:
        return private_folder(Path(chosen) if chosen else home / "memvirt")
    except (OSError, RuntimeError):
        pass
    try:
        return private_folder(Path(tempfile.gettempdir()) / f"memvirt-{os.getuid()}")
    except OSError:
        return private_folder(Path(tempfile.mkdtemp(prefix="memvirt-")))
