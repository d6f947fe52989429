"""A sweep's folder: a journal of the points that are done, and the tables made of it at the end.

Only the driver writes. A point's rows go to the journal as soon as they are known, so that nothing computed is lost; the
tables are written whole when the sweep is complete, and until then the old ones stay.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import TextIO

from memvirt.errors import ConfigError, MemvirtError
from memvirt.result import Row, epoch_schema, result_schema, to_table, write_table, write_whole
from memvirt.sweep.plan import Plan, PlannedPoint

JOURNAL = "journal.jsonl"
#: Results of these are kept on a resume; the rest is tried again.
FINAL = ("ok", "error")


class Store:
    """The folder of one sweep.

    Parameters
    ----------
    folder : Path
    code : str
        Digest of the code; what another version of it computed isn't kept on a resume.
    """

    def __init__(self, folder: Path, code: str) -> None:
        self.folder, self.code = folder, code
        self.entries: dict[str, Row] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock: TextIO = (folder / ".lock").open("w")
        except OSError as wrong:
            raise ConfigError("output", folder, f"can't be written: {wrong.strerror}") from wrong
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise MemvirtError(f"name={folder.name}: another sweep is writing to {folder}; choose another name") from None
        self._journal: TextIO | None = None

    def open(self, resume: bool) -> None:
        """Read the journal if the sweep is resumed, else begin another; the old one is kept beside it.

        Raises
        ------
        MemvirtError
            If it can't be read or written.
        """
        path = self.folder / JOURNAL
        try:
            if resume and path.exists():
                self._read(path)
            elif path.exists():
                os.replace(path, path.with_name("journal.previous.jsonl"))
            self._journal = path.open("a")
            if self._journal.tell() and not path.read_bytes().endswith(b"\n"):
                self._journal.write("\n")  # after a line that was cut short
        except OSError as wrong:
            raise ConfigError("output", path, f"can't be written: {wrong.strerror}") from wrong

    def _read(self, path: Path) -> None:
        for line in path.read_text().splitlines():
            try:
                entry = json.loads(line)
                keep = entry["code"] == self.code and entry["status"] in FINAL
            except (ValueError, KeyError, TypeError):  # a line cut short by a crash
                continue
            if keep:
                self.entries[entry["point_id"]] = entry

    def add(self, point_id: str, entry: Row) -> None:
        """Keep a point's result."""
        assert self._journal is not None
        whole = {"point_id": point_id, "code": self.code, **entry}
        self.entries[point_id] = whole
        try:
            self._journal.write(json.dumps(whole) + "\n")
            self._journal.flush()
        except OSError as wrong:
            raise MemvirtError(f"{self.folder / JOURNAL}: {wrong.strerror}") from wrong

    def write(self, plan: Plan, provenance: Row) -> list[Row]:
        """Write the tables and where they come from; returns the result's rows."""
        varied = {axis.key: axis.values for axis in plan.axes}
        rows: list[Row] = []
        epochs: list[Row] = []
        for point in plan.points:
            rows += self._rows(point)
            head = self._head(point)
            epochs += [{**head, **epoch} for epoch in self.entries[point.point_id]["epochs"]]
        table = to_table(rows, result_schema(varied))
        write_table(to_table(epochs, epoch_schema(varied)), self.folder / "epochs.parquet")
        write_table(table, self.folder / "results.csv")
        write_table(table, self.folder / "results.parquet")
        text = json.dumps(provenance, indent=1)
        write_whole(self.folder / "provenance.json", lambda part: part.write_text(text + "\n"))
        return rows

    @staticmethod
    def _head(point: PlannedPoint) -> Row:
        return {**point.varied, "point_id": point.point_id, "replicate": 0}

    def _rows(self, point: PlannedPoint) -> list[Row]:
        entry = self.entries[point.point_id]
        head = {**self._head(point), "status": entry["status"], "error": entry["error"]}
        return [{**head, **row} for row in entry["rows"]]

    def close(self) -> None:
        """Let go of the folder."""
        if self._journal is not None:
            self._journal.close()
        self._lock.close()
