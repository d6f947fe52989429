"""Mutated trace files: each is read or refused in one line, soon, and within a bounded memory."""

from __future__ import annotations

import gzip
import random
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from memvirt.errors import MemvirtError
from memvirt.workload import Workload, life_of
from memvirt.workload.batch import Options
from memvirt.workload.files import import_file
from tests.trace_files import FORMS

FILES = 10_000  #: of each format
SECONDS, MEMORY_KIB = 10, 1 << 20
WORDS = [b"0", b"-1", b"0x", b"\xff" * 8, b"\0" * 8, b"\n", b",", b"nan", b"1e400", b"9" * 40, b"\x7f\xff\xff\xff", b"#", b"=="]


def mutated(content: bytes, draw: random.Random) -> bytes:
    """Bytes changed, cut, doubled, moved or written over, a few times."""
    changed = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 5, 30))):
        at = draw.randrange(len(changed)) if changed else 0
        length = draw.choice((1, 4, 8, 100))
        kind = draw.randrange(7)
        if kind <= 1 and changed:
            changed[at] ^= 1 << draw.randrange(8) if kind else draw.randrange(256)
        elif kind == 2:
            del changed[at : at + length]
        elif kind == 3:
            changed[at:at] = draw.choice(WORDS)
        elif kind == 4:
            changed[at : at + length] = draw.choice(WORDS)
        elif kind == 5:
            changed[at:at] = changed[at // 2 : at // 2 + length]
        elif draw.random() < 0.1:
            del changed[at:]
    return bytes(changed)


def too_slow(_: int, __: FrameType | None) -> None:
    raise TimeoutError("took too long")


DATA = Path(__file__).parent / "data"
MASIM = b"a, 40960, none\nb, 20480\n\nfirst\n3000\na, 1, 64, 80, wo\n\nsecond\n2000\nb, 0, 8192, 50, ro\n"
SAR = b"Linux 6.1 (host)\n\n23:50:00 free used active\n" + b"".join(b"23:5%d:00 5 9 4\n" % n for n in range(1, 9))
LIVES = {
    "damon": (DATA / "damon_raw.txt").read_bytes(),
    "damon_json": (DATA / "damon.json").read_bytes(),
    "masim": MASIM,
    "sar": SAR,
}


def fuzz_lives(name: str, folder: Path, files: int, seed: int = 1) -> int:
    """Read mutated files of a page life; how many were read after all."""
    draw, read = random.Random(f"{name} {seed}"), 0
    signal.signal(signal.SIGALRM, too_slow)
    for number in range(files):
        path = folder / f"{number}"  # a name of its own, since what is read is remembered
        path.write_bytes(mutated(LIVES[name], draw))
        signal.alarm(SECONDS)
        try:
            if name == "sar":
                life_of(Workload(name="memory_series", path=str(path), columns="working_set:active touched:used"))
            else:
                life_of(Workload(name="pageset", path=str(path)))
            read += 1
        except MemvirtError as wrong:
            assert "\n" not in str(wrong), wrong
            assert len(str(wrong)) < 1000, wrong
        finally:
            signal.alarm(0)
        path.unlink()
    return read


def fuzz(name: str, folder: Path, files: int, seed: int = 1) -> int:
    """Import mutated files of a format; how many were read after all."""
    form, draw = FORMS[name], random.Random(f"{name} {seed}")
    content = form.write([(draw.randrange(1, 1 << 30) << 4, draw.random() < 0.5) for _ in range(60)])
    content = gzip.compress(content) if name == "pages" else content
    path, out = folder / f"a.{form.ending}", folder / "out.parquet"
    pattern = form.arguments[1] if form.arguments else None
    read = 0
    signal.signal(signal.SIGALRM, too_slow)
    for number in range(files):
        path.write_bytes(mutated(content, draw))
        signal.alarm(SECONDS)
        try:
            import_file(path, out, (None, name.removesuffix("_decimal"))[number % 2], options=Options(pattern=pattern))
            out.unlink()
            read += 1
        except MemvirtError as wrong:
            assert "\n" not in str(wrong), wrong
            assert len(str(wrong)) < 1000, wrong
        except BaseException:
            (folder / f"{name}-{number}").write_bytes(path.read_bytes())
            raise
        finally:
            signal.alarm(0)
        assert not out.exists()
        assert not list(folder.glob("*.part"))
    return read


@pytest.mark.slow
@pytest.mark.parametrize(("judge", "name"), [*((fuzz, name) for name in FORMS), *((fuzz_lives, name) for name in LIVES)])
def test_mutated_files(judge: Callable[[str, Path, int], int], name: str, tmp_path: Path) -> None:
    """No other exception, no hang, no file left behind, under 1 GiB; of traces and of page lives."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert 0 < judge(name, tmp_path, FILES) < FILES
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < max(before + MEMORY_KIB // 2, MEMORY_KIB)
