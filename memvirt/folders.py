"""The user's own folders: what lies in them is believed, so nobody else may have been able to put it there."""

from __future__ import annotations

import os
import secrets
import stat
import tempfile
from pathlib import Path

from memvirt.errors import FolderError


def cache_home() -> Path:
    """Folder of all that memvirt keeps for the user; nothing in it is missed when it is thrown away."""
    chosen, caches = os.environ.get("MEMVIRT_CACHE_DIR"), os.environ.get("XDG_CACHE_HOME")
    if chosen:
        return Path(chosen)
    try:
        return Path(caches or Path.home() / ".cache") / "memvirt"
    except RuntimeError:  # a user without a home
        return fallback_home()


def fallback_home() -> Path:
    """What stands in for `cache_home` where that can't be written or isn't the user's."""
    return Path(tempfile.gettempdir()) / f"memvirt-{os.getuid()}"


def private_folder(*places: Path) -> Path:
    """The first of some folders that is the user's alone; it is made if it isn't there.

    One that others can read is closed to them; one that others could write to may hold what they put there, and isn't taken.

    Parameters
    ----------
    places : Path
        The folder, then what stands in for it.

    Raises
    ------
    FolderError
        If none of them is.
    """
    reasons = []
    for place in places:
        reason = _claim(place)
        if reason is None:
            return place
        reasons.append(f"{place} {reason}")
    raise FolderError("; ".join(reasons))


def _claim(place: Path) -> str | None:
    """Make a folder, or check that it is this user's alone; why it can't be had, or None."""
    user = os.getuid()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            place.mkdir(mode=0o700)
        except FileExistsError:
            if place.lstat().st_uid not in (user, 0):  # a link of somebody else's, who can turn it elsewhere
                return "belongs to another user"
        status = place.stat()
        if not stat.S_ISDIR(status.st_mode):
            return "is not a folder"
        if status.st_uid != user:
            return "belongs to another user"
        if status.st_mode & 0o022:
            return f"can be written by others (mode {stat.S_IMODE(status.st_mode):o}): remove it"
        if stat.S_IMODE(status.st_mode) != 0o700:
            place.chmod(0o700)
        if not os.access(place, os.W_OK | os.X_OK):
            return "can't be written"
    except OSError as wrong:
        return f"can't be made: {wrong.strerror}"
    return None


def secret() -> bytes:
    """What only this user's processes know, 32 bytes: with it they tell what they wrote themselves.

    Where no folder is the user's alone, another each time.
    """
    fresh = secrets.token_bytes(32)
    try:
        folder = private_folder(cache_home() / "secret", fallback_home() / "secret")
        path, part = folder / "key", folder / f".key.{secrets.token_hex(8)}"
        if not path.exists():
            part.write_bytes(fresh)
            part.chmod(0o600)
            try:
                os.link(part, path)  # whole at once; the first of several processes makes it
            except FileExistsError:
                pass
            finally:
                part.unlink()
        found = path.read_bytes()
    except (OSError, FolderError):
        return fresh
    return found if len(found) == len(fresh) else fresh
