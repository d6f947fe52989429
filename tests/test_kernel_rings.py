"""No kernels call each other in a ring: compiled that works, but from the cache the next process crashes."""

from __future__ import annotations

import ast
from pathlib import Path

import memvirt

HERE = Path(memvirt.__file__).parent
DECORATORS = {"kernel", "kernel_apart", "inner", "inner_apart"}

Graph = dict[str, set[str]]


def _decorated(node: ast.FunctionDef) -> tuple[bool, str | None]:
    """Whether a function is compiled; the name of the verb that it implements."""
    for each in node.decorator_list:
        if isinstance(each, ast.Name) and (each.id in DECORATORS or each.id == "verb"):
            return True, None
        if isinstance(each, ast.Attribute) and each.attr == "register" and isinstance(each.value, ast.Name):
            return True, each.value.id
    return False, None


def calls(root: Path, package: str) -> Graph:
    """Which compiled function calls which, by full name; a verb calls each of its implementations."""
    bodies: dict[str, tuple[str, ast.FunctionDef]] = {}
    names: dict[str, dict[str, str]] = {}
    verbs: list[tuple[str, str, str]] = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        module = ".".join((package, *(parts[:-1] if parts[-1] == "__init__" else parts)))
        tree = ast.parse(path.read_text())
        mine = names[module] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                mine.update({each.asname or each.name: f"{node.module}.{each.name}" for each in node.names})
            elif isinstance(node, ast.FunctionDef):
                mine.setdefault(node.name, f"{module}.{node.name}")
                compiled, verb = _decorated(node)
                if compiled:
                    bodies[f"{module}.{node.name}"] = module, node
                    if verb is not None:
                        verbs.append((module, verb, f"{module}.{node.name}"))
    graph: Graph = {}
    for name, (module, node) in bodies.items():
        called = {each.func.id for each in ast.walk(node) if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)}
        graph[name] = {full for word in called if (full := names[module].get(word)) in bodies}
    for module, verb, implementation in verbs:
        full = names[module].get(verb)
        if full in graph:
            graph[full].add(implementation)
    return graph


def ring(graph: Graph) -> list[str]:
    """Name the members of a ring, in order; none if there is none."""
    done: set[str] = set()

    def search(name: str, path: list[str]) -> list[str]:
        if name in path:
            return path[path.index(name) :]
        if name in done:
            return []
        for each in sorted(graph[name]):
            found = search(each, [*path, name])
            if found:
                return found
        done.add(name)
        return []

    for name in sorted(graph):
        found = search(name, [])
        if found:
            return found
    return []


def test_no_ring() -> None:
    """Over all kernels and verbs of memvirt."""
    graph = calls(HERE, "memvirt")
    assert len(graph) > 300
    assert sum(map(len, graph.values())) > 500
    assert ring(graph) == []


def test_a_ring_is_found(tmp_path: Path) -> None:
    """Also one that goes through a verb."""
    (tmp_path / "family.py").write_text(
        "from m.back import around\n@verb\ndef act(state): ...\n@inner\ndef first(x):\n    act(x)\n"
    )
    (tmp_path / "policy.py").write_text("from m.family import act, first\n@act.register\ndef _act(state):\n    first(state)\n")
    (tmp_path / "back.py").write_text("@kernel\ndef around(x): ...\n")
    assert ring(calls(tmp_path, "m")) == ["m.family.act", "m.policy._act", "m.family.first"]
