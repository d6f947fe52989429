"""Tables that others export, with their own names of columns: sar, sadf, virsh, Prometheus, CSV of any kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from memvirt.errors import ConfigError, MemvirtError, TraceError
from memvirt.workload import Workload, check
from memvirt.workload.exports import seconds
from memvirt.workload.life.memory_series import read

SAR = """Linux 6.1.0 (host)  11/27/26  _x86_64_  (2 CPU)

11:50:00 PM kbmemfree kbmemused kbcached kbactive
11:55:00 PM      1000      9000     2000     4000
12:00:00 AM       900      9100     2000     4100

12:00:00 AM  pgpgin/s pgpgout/s fault/s majflt/s
12:05:00 AM      1.00      2.00    3.00     4.00

12:00:00 AM kbmemfree kbmemused kbcached kbactive
12:05:00 AM       800      9200     2100     4200
Average:          900      9100     2033     4100
"""
SADF = """# hostname;interval;timestamp;kbmemfree;kbmemused;kbcached;kbactive
host;300;2026-11-27 23:55:00 UTC;1000;9000;2000;4000
host;300;2026-11-28 00:00:00 UTC;900;9100;2000;4100
# hostname;interval;timestamp;kbmemfree;kbmemused;kbcached;kbactive
host;300;2026-11-28 00:05:00 UTC;800;9200;2100;4200
"""
VIRSH = "".join(
    f"actual 10000\nswap_in 0\nkbmemused {used}\nkbcached {cached}\nlast_update {time}\nkbactive {active}\n\n"
    for time, used, cached, active in ((100, 9000, 2000, 4000), (400, 9100, 2000, 4100), (700, 9200, 2100, 4200))
)
PROMETHEUS = json.dumps(
    {
        "status": "success",
        "data": {
            "resultType": "matrix",
            "result": [
                {
                    "metric": {"__name__": name, "instance": instance},
                    "values": [[100.5 + 300 * step, str(first + each * step)] for step in range(3)],
                }
                for instance in ("b:9100", "a:9100")
                for name, first, each in (("used", 7000, 50), ("active", 4000, 100))
            ],
        },
    }
)
CSV = "when\tused, all\tkbcached\tkbactive\n0\t9000\t2000\t4000\n300\t9100\t2000\t4100\n600\t9200\t2100\t4200\n"
USED = "working_set:kbactive touched:kbmemused-kbcached"
WANTED = ([0, 300, 600], [4000, 4100, 4200], [7000, 7100, 7100])


@pytest.mark.parametrize(
    ("text", "columns", "unit"),
    [
        (SAR, USED, "KiB"),
        (SADF, f"time:timestamp {USED}", "KiB"),
        (VIRSH, f"time:last_update {USED}", "KiB"),
        (CSV.replace("used, all", "kbmemused"), f"time:when {USED}", "KiB"),
    ],
)
def test_exports(text: str, columns: str, unit: str, tmp_path: Path) -> None:
    """The same three samples in each form, over midnight, as sums and differences of columns."""
    path = tmp_path / "export"
    path.write_text(text)
    table, _ = read(str(path), columns)
    times = table["time"] - table["time"][0]
    assert (times.tolist(), table["working_set"].tolist(), table["touched"].tolist()) == WANTED
    check(Workload(name="memory_series", path=str(path), columns=columns, unit=unit))


def test_prometheus(tmp_path: Path) -> None:
    """A metric is a column, an instance a VM."""
    path = tmp_path / "answer.json"
    path.write_text(PROMETHEUS)
    table, _ = read(str(path), "working_set:active touched:used")
    assert table["vm"].tolist() == [0, 0, 0, 1, 1, 1]
    assert table["time"].tolist() == [100.5, 400.5, 700.5] * 2
    assert table["working_set"].tolist() == [4000, 4100, 4200] * 2


@pytest.mark.parametrize(
    ("text", "columns", "why"),
    [
        (SAR, "", "has no column working_set"),
        (
            SAR,
            "working_set:kbactive touched:kbmemuse",
            "has no column kbmemuse for touched .workload.columns.; it has time, kbmemfree",
        ),
        (SAR, "touched=kbactive", "is no NAME:COLUMN"),
        (SAR, "workingset:kbactive", "a table has no workingset; did you mean working_set?"),
        (SAR.replace("4200", "4200 7"), USED, "line 11: has 5 columns, its heading 4"),
        (SADF.replace("2026-11-28 00:00", "yesterday 00:00"), f"time:timestamp {USED}", "line 3: timestamp is 'yesterday"),
        (SADF.replace("9100", "100"), f"time:timestamp {USED}", "line 3: kbmemused-kbcached is -1900"),
        (VIRSH.replace("kbactive 4100", "other 4100"), f"time:last_update {USED}", "line 8: begins a block without the names"),
        (PROMETHEUS.replace("__name__", "name"), USED, "is no answer to a range query of Prometheus"),
        ("{", USED, "is no answer to a range query of Prometheus"),
        ("Linux 6.1\n", USED, "has no column"),
    ],
)
def test_what_is_wrong_is_told(text: str, columns: str, why: str, tmp_path: Path) -> None:
    """In one line, with the line."""
    path = tmp_path / "export"
    path.write_text(text)
    with pytest.raises((TraceError, ConfigError), match=why) as wrong:
        Workload(name="memory_series", path=str(path), **({"columns": columns} if columns else {}))
    assert isinstance(wrong.value, MemvirtError)
    assert "\n" not in str(wrong.value)


def test_times() -> None:
    """Numbers, dates, times of day."""
    assert seconds("12:00:01 AM") == 1
    assert seconds("12:30:00 PM") == 12.5 * 3600
    assert seconds("23:00:00") == 23 * 3600
    assert seconds("1970-01-02T00:00:00Z") == seconds("1970-01-02 00:00:00 UTC") == 86400
    with pytest.raises(ValueError, match="noon"):
        seconds("noon")
