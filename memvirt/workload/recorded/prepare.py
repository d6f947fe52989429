"""Make the inputs of the programs that the shipped traces were recorded from; see README.md beside this file.

Usage: python prepare.py FOLDER
"""

from __future__ import annotations

import random
import sqlite3
import sys
from pathlib import Path

GRAPH = """\
import random
rng = random.Random(7)
nodes = [f"node{number:06d}" for number in range(60_000)]
edges = {name: rng.choices(nodes, k=4) for name in nodes}
rank = dict.fromkeys(nodes, 0)
here = nodes[0]
while True:
    for _ in range(64):
        rank[here] += 1
        here = rng.choice(edges[here])
    here = rng.choice(nodes)
"""


def database(path: Path) -> None:
    """A table of orders with two indexes, about 28 MB."""
    path.unlink(missing_ok=True)
    rng = random.Random(7)
    with sqlite3.connect(path) as base:
        base.execute("create table orders (id integer primary key, customer integer, amount integer, note text)")
        rows = ((i, rng.randrange(20_000), rng.randrange(10_000), f"{rng.getrandbits(400):0100x}") for i in range(200_000))
        base.executemany("insert into orders values (?, ?, ?, ?)", rows)
        base.execute("create index by_customer on orders (customer)")
        base.execute("create index by_amount on orders (amount)")


def queries(path: Path) -> None:
    """Random look-ups over both indexes, and updates."""
    rng = random.Random(8)
    lines = ["pragma cache_size = -200000;", "begin;"]
    for _ in range(60_000):
        kind = rng.random()
        if kind < 0.5:
            lines.append(f"select sum(amount) from orders where customer = {rng.randrange(20_000)};")
        elif kind < 0.8:
            lines.append(f"select note from orders where id = {rng.randrange(200_000)};")
        else:
            lines.append(f"update orders set amount = amount + 1 where id = {rng.randrange(200_000)};")
    path.write_text("\n".join([*lines, "commit;"]) + "\n")


def source(path: Path) -> None:
    """A C file of many functions for the compiler."""
    rng = random.Random(9)
    parts = ["struct item { int key; double weight; struct item *next; };"]
    for number in range(3000):
        a, b = rng.randrange(1, 99), rng.randrange(1, 99)
        call = f" + f{number - 1}(p, n - 1)" if number else ""
        parts.append(
            f"int f{number}(struct item *p, int n) {{ int s = {a}; for (int i = 0; i < n; i++) {{ if (p && p->key % {b} == 0) "
            f"{{ s += p->key * {a} - (int)p->weight; p = p->next; }} else s ^= i << {a % 7}; }} return s{call}; }}"
        )
    path.write_text("\n".join(parts) + "\n")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    database(folder / "orders.db")
    queries(folder / "queries.sql")
    (folder / "graph.py").write_text(GRAPH)
    source(folder / "many.c")
