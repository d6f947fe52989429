"""The tables of keys: a row a key, a table a group."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from omegaconf import OmegaConf
from pydantic import BaseModel

from memvirt.config import Choice
from memvirt.pipeline.point import Point
from memvirt.policy import load, names
from memvirt.result.docs import put_between
from memvirt.sweep.keys.read import comments, kind_of, kind_of_value, split, texts, values_of
from memvirt.sweep.plan.compose import open_configs
from memvirt.sweep.settings import Settings
from memvirt.tlb.config import Array, Tlb

CONF = Path(__file__).parent.parent.parent / "conf"
PACKAGED = Path(__file__).parent / "keys.md"  #: the tables alone, which `--help` reads
BEGIN, END = "<!-- keys: made by memvirt.sweep.keys -->", "<!-- end of keys -->"
#: Families of policies whose keys stand in a group's options, where the two are named differently.
FAMILIES = {"mmu": "mmu.mode", "workload": "workload.synthetic", "reclaim": "memory.reclaim", "tlb/replacement": "tlb.replacement"}
#: Groups whose options are no policies with a file of their own each.
RULES = ("plan", "study", "reclaim/victims")
TITLES = {"run": "How a sweep runs", "ksm": "`ksm`, of `experiment=linux_ksm` alone"}
ELSEWHERE = "the preset's"  #: as a default


class Key(NamedTuple):
    """A row.

    Attributes
    ----------
    name : str
        Dotted, as on the command line.
    values : str
        Choices, or the bounds of a number.
    default, unit, text : str
    of : tuple of str
        The only options of its group that have it.
    """

    name: str
    values: str
    default: str
    unit: str
    text: str
    of: tuple[str, ...] = ()

    @property
    def row(self) -> str:
        """Its line of a table."""
        of = f" of {', '.join(f'`{each}`' for each in self.of)}" if self.of else ""
        return f"| `{self.name}`{of} | {self.values} | {self.default} | {self.unit} | {self.text} |"


@cache
def groups() -> dict[str, list[str]]:
    """Options of each group, with slashes: memvirt's own, without plug-ins'."""
    found: dict[str, list[str]] = {}
    for path in sorted(CONF.glob("*/**/*.yaml")):
        found.setdefault(path.parent.relative_to(CONF).as_posix(), []).append(path.stem)
    return found


def shown(value: object) -> str:
    """A value as the command line takes it."""
    if value is ELSEWHERE:
        return ELSEWHERE
    return f"`{str(value).lower() if isinstance(value, bool) else 'null' if value is None else value}`"


def of_model(model: type[BaseModel], prefix: str, defaults: Any, leave: tuple[str, ...] = ("name",)) -> Iterator[Key]:
    """Rows of a section, those of its parts below it.

    Parameters
    ----------
    model : type
    prefix : str
        What its keys begin with.
    defaults : mapping
        Its part of the default config.
    leave : tuple of str
        Fields that are no keys.
    """
    told = texts(model)
    for name, field in model.model_fields.items():
        if name in leave:
            continue
        key, default = f"{prefix}{name}", defaults.get(name, field.default) if isinstance(defaults, dict) else field.default
        kind = kind_of(field.annotation, tuple(field.metadata))
        part = field.annotation if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel) else None
        unit, text = split(told.get(name), f"{model.__module__}.{model.__name__}", key, kind.is_number)
        group = key.replace(".", "/")
        if part is not None and group in groups():
            yield Key(key, ", ".join(f"`{each}`" for each in groups()[group]), shown(default["name"]), "", text)
        else:
            whole = part is not None
            yield Key(key, "" if whole else values_of(kind), "" if whole else shown(default), unit or kind.unit, text)
        if part is Choice:
            yield from of_policies(group)
        elif part is not None:
            yield from of_model(part, f"{key}.", default if isinstance(default, dict) else default.model_dump())


def of_policies(group: str, known: tuple[str, ...] = ()) -> Iterator[Key]:
    """Rows of keys that options of a group have of their own, those that say the same in one.

    Parameters
    ----------
    group : str
        With slashes.
    known : tuple of str
        Keys that all of them have.
    """
    family = FAMILIES.get(group, "memory." + group.partition("/")[2])
    found: dict[Key, list[str]] = {}
    for option in groups()[group]:
        path = CONF / group / f"{option}.yaml"
        module = load(family, option) if not group.startswith(RULES) and option in names(family) else None
        for key in own_keys(path, f"{group.replace('/', '.')}.", module, known):
            found.setdefault(key, []).append(option)
    for key, options in found.items():
        yield key._replace(of=() if options == groups()[group] else tuple(options))


def own_keys(path: Path, prefix: str, module: ModuleType | None, known: tuple[str, ...]) -> Iterator[Key]:
    """Rows of what stands in an option's file."""
    content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    section = getattr(module, "Options", None)
    if section is not None:
        yield from of_model(section, prefix, content)
        return
    limits, told = getattr(module, "OPTIONS", {}), comments(path)

    def rows(node: Any, above: str) -> Iterator[Key]:
        for name, value in node.items():
            dotted = f"{above}{name}"
            if dotted in ("defaults", "name", *known):
                continue
            kind = kind_of_value(value, limits.get(name), prefix == "mmu.")
            unit, text = split(told.get(dotted), path.relative_to(CONF).as_posix(), f"{prefix}{dotted}", kind.is_number)
            whole = isinstance(value, dict)
            yield Key(f"{prefix}{dotted}", "" if whole else values_of(kind), "" if whole else shown(value), unit or kind.unit, text)
            if whole:
                yield from rows(value, f"{dotted}.")

    yield from rows(content, "")


def sections() -> dict[str, list[Key]]:
    """All rows, memvirt's own without plug-ins', by the group or the part of the config that they are of."""
    config: Any = OmegaConf.to_container(open_configs([]).master, resolve=False)
    above, top = texts(Point) | texts(Settings), comments(CONF / "config.yaml")
    chosen = {
        next(iter(each)): str(next(iter(each.values())))
        for each in OmegaConf.load(CONF / "config.yaml").defaults
        if each != "_self_"
    }
    found = {}
    for group, option in chosen.items():
        if "/" in group or group not in groups():
            continue
        _, text = split(above.get(group) or top.get(f"defaults.{group}"), "config.yaml, Point or Settings", group, False)
        rows = [
            Key(group, ", ".join(f"`{each}`" for each in groups()[group]), shown(None if option == "None" else option), "", text)
        ]
        field = Point.model_fields.get(group) or Settings.model_fields.get(group)
        model: Any = field.annotation if field is not None else None
        if model is Tlb:
            rows += of_model(Array, "tlb.ARRAY.", dict.fromkeys(Array.model_fields, ELSEWHERE))
        if model is not None:
            rows += of_model(model, f"{group}.", config[group], ("name", "arrays"))
        if group in ("mmu", "workload", "reclaim", "plan", "study"):
            rows += of_policies(group, tuple(model.model_fields) if model is not None else ())
        found[group] = rows
    experiment = CONF / "experiment/linux_ksm.yaml"
    told = comments(experiment)
    found["ksm"] = []
    for name, value in OmegaConf.to_container(OmegaConf.load(experiment), resolve=False)["ksm"].items():  # type: ignore[index, call-overload, union-attr]
        kind = kind_of_value(value)
        unit, text = split(told.get(f"ksm.{name}"), "experiment/linux_ksm.yaml", f"ksm.{name}", kind.is_number)
        found["ksm"].append(Key(f"ksm.{name}", values_of(kind), shown(value), unit or kind.unit, text))
    run = [each for each in of_model(Settings, "", config) if "." not in each.name and each.name != "executor"]
    name = Settings.model_fields["name"]
    unit, text = split(texts(Settings).get("name"), "Settings", "name", False)
    _, again = split(top.get("replicates"), "config.yaml", "replicates", False)
    found["run"] = [
        Key("name", values_of(kind_of(name.annotation)), "`null`", unit, text),
        *run,
        Key("replicates", "≥ 1", "`1`", "1", again),
    ]
    return found


def tables() -> str:
    """One row a key, a table for each group."""
    parts = []
    for name, rows in sections().items():
        lines = [
            f"## {TITLES.get(name, f'`{name}`')}",
            "",
            "| key | values | default | unit | what it is |",
            "|---|---|---|---|---|",
        ]
        lines += [each.row for each in rows]
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def filled(text: str) -> str:
    """A text with the tables between its two marks."""
    return put_between(text, BEGIN, END, tables())
