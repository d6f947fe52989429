"""A sweep's folder: journal, shards, and the tables made of them at the end.

Only the driver writes. Rows go to the journal as soon as they are known; when that has grown, they become a shard,
and the journal begins anew. A shard is three Parquet files, each written whole, moved to its place and named by the
digest of what is in it: ``results`` and ``epochs`` hold rows by result, ``points`` says which result each point has
and names the other two. The tables replace the old ones when the sweep is complete.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from memvirt.digest import hash_file
from memvirt.errors import ConfigError, MemvirtError, WriteError
from memvirt.sweep.store.block import Block, epochs_schema, from_bytes, results_schema
from memvirt.sweep.store.journal import Damage, Entry, Journal, read_entries

JOURNAL = "journal.bin"
SHARDS = "shards"
POINTS = pa.schema([("point_id", pa.string()), ("key", pa.string())])
SHARD_POINTS = 5_000
SHARD_BYTES = 64 << 20
#: Points of these are kept on a resume; the rest is tried again.
FINAL = ("ok", "error")


class Store:
    """The folder of one sweep.

    Parameters
    ----------
    place : Path
    code : str
        Digest of the code; what another version of it computed isn't kept on a resume.
    replaces : bool
        Whether there is a finished sweep, which this one is to replace when it is complete.

    Attributes
    ----------
    folder : Path
        Where it is made: at its place, or beside what it replaces.
    points : dict of str
        Key of the rows of each point that is done, by its id.
    known : set of str
        Keys of the results whose rows are here.
    damaged : list of str
        What was found to be damaged on a resume.
    """

    def __init__(self, place: Path, code: str, replaces: bool = False) -> None:
        folder = place.with_name(f".{place.name}.new") if replaces else place
        self.folder, self.code, self.place = folder, code, place
        self.points: dict[str, str] = {}
        self.known: set[str] = set()
        self.damaged: list[str] = []
        self._shards: list[tuple[Path, Path]] = []
        self._fresh: list[tuple[str, str]] = []
        self._blocks: list[Block] = []
        self._journal: Journal | None = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock: TextIO = (folder / ".lock").open("w")
        except OSError as wrong:
            raise ConfigError("output", folder, f"can't be written: {wrong.strerror}") from wrong
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise MemvirtError(f"name={self.place.name}: another sweep is writing to {folder}; choose another name") from None

    def open(self, resume: bool) -> None:
        """Read what there is if the sweep is resumed, else begin another; the old one's is kept beside it.

        Raises
        ------
        ConfigError
            If it can't be read or written.
        """
        path, shards = self.folder / JOURNAL, self.folder / SHARDS
        try:
            if resume:
                self._read_shards(shards)
                self._read_journal(path)
            else:
                for old in (path, shards):
                    before = old.with_name(f"{old.stem}.previous{old.suffix}")
                    if old.exists():
                        shutil.rmtree(before, ignore_errors=True)
                        os.replace(old, before)
            self._journal = Journal(path)
        except OSError as wrong:
            raise ConfigError("output", path, f"can't be written: {wrong.strerror}") from wrong

    def _read_shards(self, folder: Path) -> None:
        for path in sorted(folder.glob("*-points-*.parquet")):
            try:
                about, results, epochs = self._check_shard(path)
                if about.schema.metadata[b"code"].decode() != self.code:
                    continue
                for part, schema in ((results, results_schema()), (epochs, epochs_schema())):
                    if not pq.read_schema(part).equals(schema):
                        raise ValueError(f"{part.name} has other columns")
                keys = pq.read_table(results, columns=["key", "status"])
            except (OSError, ValueError, KeyError, pa.ArrowException) as wrong:
                self.damaged.append(f"{path.relative_to(self.folder)}: {' '.join(str(wrong).split()):.120}")
                continue
            self._learn(about.column("point_id").to_pylist(), about.column("key").to_pylist(), keys)
            self._shards.append((results, epochs))

    @staticmethod
    def _check_shard(path: Path) -> tuple[pa.Table, Path, Path]:
        def check(part: Path) -> Path:
            if not part.exists():
                raise ValueError(f"{part.name} is not there")
            if part.stem.rpartition("-")[2] != hash_file(part, 8):
                raise ValueError(f"{part.name} is not what was written")
            return part

        about = pq.read_table(check(path))
        meta = about.schema.metadata or {}
        if not about.schema.equals(POINTS):
            raise ValueError(f"{path.name} has other columns")
        return about, *(check(path.with_name(meta[name].decode())) for name in (b"results", b"epochs"))

    def _read_journal(self, path: Path) -> None:
        if not path.exists():
            return
        begin = 0
        for end, entry in read_entries(path):
            why = entry.why if isinstance(entry, Damage) else self._take(entry)
            if why:
                self.damaged.append(f"{path.name}: its frame at byte {begin:,}: {why:.120}")
            begin = end
        lost = path.stat().st_size - begin
        if lost:
            self.damaged.append(f"{path.name}: its last {lost:,} bytes are not whole")

    def _take(self, entry: Entry) -> str:
        """Take over what a frame holds; why it can't be, if so."""
        if entry.about["code"] != self.code:
            return ""
        rows = None
        if entry.block is not None:
            try:
                from_bytes(entry.block.epochs, epochs_schema())
                rows = from_bytes(entry.block.results, results_schema())
            except ValueError as wrong:
                return " ".join(str(wrong).split())
            self._blocks.append(entry.block)
        ids, keys = zip(*entry.about["points"], strict=True) if entry.about["points"] else ((), ())
        self._learn(ids, keys, rows)
        self._fresh += zip(ids, keys, strict=True)
        return ""

    def _learn(self, ids: Iterable[str], keys: Iterable[str], rows: pa.Table | None) -> None:
        """Take points over, but for those to be tried again and those whose rows aren't here."""
        if rows is not None:
            found = dict(zip(rows.column("key").to_pylist(), rows.column("status").to_pylist(), strict=True))
            self.known.update(key for key, status in found.items() if status in FINAL)
        for point_id, key in zip(ids, keys, strict=True):
            if key in self.known:
                self.points[point_id] = key
            else:
                self.points.pop(point_id, None)

    def add(self, block: Block | None, points: list[tuple[str, str]]) -> None:
        """Keep rows, and which points have them.

        Raises
        ------
        WriteError
            If the disk doesn't take them.
        """
        assert self._journal is not None
        try:
            self._journal.add({"code": self.code, "points": points}, block)
            self.points.update(points)
            self._fresh += points
            if block is not None:
                self._blocks.append(block)
            if len(self._fresh) >= SHARD_POINTS or self._journal.bytes >= SHARD_BYTES:
                self._write_shard()
        except OSError as wrong:
            raise WriteError(wrong.filename or self._journal.path, wrong) from wrong

    def note(self, point_id: str, details: str) -> None:
        """Write a traceback down, if there is one.

        Raises
        ------
        WriteError
            If the disk doesn't take it.
        """
        if not details:
            return
        path = self.folder / "tracebacks.txt"
        try:
            with path.open("a") as file:
                file.write(f"point {point_id}\n{details}\n")
        except OSError as wrong:
            raise WriteError(path, wrong) from wrong

    def _tables(self) -> tuple[pa.Table, pa.Table]:
        """Rows that are in no shard yet."""
        results = [from_bytes(block.results, results_schema()) for block in self._blocks]
        epochs = [from_bytes(block.epochs, epochs_schema()) for block in self._blocks]
        return (
            pa.concat_tables(results) if results else results_schema().empty_table(),
            pa.concat_tables(epochs) if epochs else epochs_schema().empty_table(),
        )

    def _write_shard(self) -> None:
        """Make a shard of what the journal holds, and begin it anew."""
        assert self._journal is not None
        folder = self.folder / SHARDS
        folder.mkdir(exist_ok=True)
        numbers = [path.name.partition("-")[0] for path in folder.glob("*.parquet")]
        number = 1 + max((int(each) for each in numbers if each.isdecimal()), default=0)
        results, epochs = (
            self._write_part(folder, f"{number:06}-{name}", table)
            for name, table in zip(("results", "epochs"), self._tables(), strict=True)
        )
        ids, keys = zip(*self._fresh, strict=True) if self._fresh else ((), ())
        about = pa.table([ids, keys], schema=POINTS)
        meta = {"code": self.code, "results": results.name, "epochs": epochs.name}
        self._write_part(folder, f"{number:06}-points", about.replace_schema_metadata(meta))
        self._shards.append((results, epochs))
        self._journal.close()
        self._journal.path.unlink()
        self._journal = Journal(self._journal.path)
        self._fresh, self._blocks = [], []

    @staticmethod
    def _write_part(folder: Path, stem: str, table: pa.Table) -> Path:
        part = folder / f".{stem}.part"
        pq.write_table(table, part, compression="zstd")
        with part.open("rb") as file:
            os.fsync(file.fileno())
        whole = folder / f"{stem}-{hash_file(part, 8)}.parquet"
        os.replace(part, whole)
        return whole

    def results(self) -> Iterator[pa.Table]:
        """Rows of every result that is here, a shard at a time; where a key stands twice, the later rows hold."""
        for path, _ in self._shards:
            yield pq.read_table(path, schema=results_schema())
        yield self._tables()[0]

    def epochs(self) -> Iterator[pa.Table]:
        """Their epochs, a shard at a time."""
        for _, path in self._shards:
            yield pq.read_table(path, schema=epochs_schema())
        yield self._tables()[1]

    def finish(self) -> Path:
        """The tables are complete: put the folder in its place, and say where that is."""
        if self.folder != self.place:
            if self._journal is not None:
                self._journal.close()
            before = self.place.with_name(f".{self.place.name}.old")
            shutil.rmtree(before, ignore_errors=True)
            os.rename(self.place, before)
            os.rename(self.folder, self.place)
            shutil.rmtree(before, ignore_errors=True)
            self.folder = self.place
        return self.place

    def close(self) -> None:
        """Let go of the folder."""
        if self._journal is not None:
            self._journal.close()
        self._lock.close()
