"""Folders whose contents are believed: the user's own, closed to others, or none."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pytest

from memvirt import folders
from memvirt.errors import FolderError
from memvirt.folders import private_folder, secret


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_a_new_folder_is_the_users_alone(tmp_path: Path) -> None:
    """Whatever the umask; one that others could only read is closed to them."""
    before = os.umask(0)
    try:
        made = private_folder(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert made == tmp_path / "a" / "b"
    assert mode(made) == 0o700
    (made / "kept").touch()
    made.chmod(0o755)
    assert private_folder(made) == made
    assert mode(made) == 0o700
    assert (made / "kept").exists()


def test_a_foreign_folder_is_left_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that others could write to, a file, another user's; where none is left, the error names each and why."""
    opened, file, spare = tmp_path / "open", tmp_path / "file", tmp_path / "spare"
    opened.mkdir()
    opened.chmod(0o770)
    file.touch()
    assert private_folder(opened, file, spare) == spare
    assert mode(opened) == 0o770
    with pytest.raises(
        FolderError, match=re.escape(f"{opened} can be written by others (mode 770): remove it; {file} is not a folder")
    ):
        private_folder(opened, file)
    with pytest.raises(FolderError, match="can't be made"):
        private_folder(file / "below")
    monkeypatch.setattr(folders.os, "getuid", lambda: spare.stat().st_uid + 1)
    with pytest.raises(FolderError, match=re.escape(f"{spare} belongs to another user")):
        private_folder(spare)


def test_a_link_of_ones_own_may_lead_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache on another disk is a habit; somebody else's link leads where they want, and a broken one nowhere."""
    place, link, broken = tmp_path / "place", tmp_path / "link", tmp_path / "broken"
    place.mkdir()
    link.symlink_to(place)
    broken.symlink_to(tmp_path / "nowhere")
    assert private_folder(link) == link
    assert mode(place) == 0o700
    with pytest.raises(FolderError, match="can't be made"):
        private_folder(broken)


def test_a_secret_is_one_for_all_processes_of_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begun at the same time too; without a folder of one's own it is another each time."""
    monkeypatch.setenv("MEMVIRT_CACHE_DIR", str(tmp_path))
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(secret())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {secret()}
    assert len(secret()) == 32
    assert mode(tmp_path / "secret") == 0o700
    assert mode(tmp_path / "secret" / "key") == 0o600
    assert os.listdir(tmp_path / "secret") == ["key"]
    (tmp_path / "secret").chmod(0o777)
    monkeypatch.setattr(folders, "fallback_home", lambda: tmp_path / "secret" / "key")
    assert secret() != secret()
