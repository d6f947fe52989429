"""Config section of the TLBs: named arrays beside the policies that all of them share."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_serializer, model_validator

from memvirt.config import Choice, PageSize, Section, Seed

OTHER_KEYS = ("replacement", "index", "inclusion", "coalesce", "pcid", "vpid", "seed", "arrays")


class Array(Section):
    """One array: the level it is looked up at, the page sizes that it holds, and its geometry.

    ``hit_cycles`` is what looking it up takes, beyond the levels before; a level that finds nothing takes its slowest array's.
    ``ways`` may be ``full``. Where several arrays of a level hold a size, a hash bit of the page's number
    chooses; where several sizes share an array, each is indexed by its own page number. ``index`` overrules the section's.
    ``side``: what a level 1 array is for: all of them ``both``, or each ``data`` or ``instruction`` (where a trace has fetches);
    instead of ``data`` there may be some for ``load`` and some for ``store``.
    """

    level: Literal[1, 2]
    page_sizes: list[PageSize] = Field(min_length=1)
    entries: int = Field(ge=1, le=1 << 20)
    ways: int | Literal["full"]
    hit_cycles: int = Field(0, ge=0, le=1_000_000)
    index: Literal["modulo", "xor"] | None = None
    side: Literal["both", "data", "instruction", "load", "store"] = "both"

    @property
    def associativity(self) -> int:
        """Ways as a number."""
        return self.entries if self.ways == "full" else self.ways

    @property
    def sets(self) -> int:
        """Number of sets."""
        return self.entries // self.associativity


class Tlb(Section):
    """The TLBs of one CPU, as a preset of `conf/tlb` describes them.

    Array names are keys of the section itself, ``tlb.l1_4k.entries``; ``pcid`` and ``vpid`` say that entries are
    tagged by address space and by VM, rather than flushed on a switch. ``inclusion``: ``inclusive`` takes out of the L1 what leaves
    the L2; ``exclusive`` has an entry in one of the two, so a walk fills the L1, whose victims go to the L2, and an L2 hit moves
    up. ``coalesce``: entries of 4K pages cover up to so many aligned neighbours whose frames are neighbours too (CoLT, Pham et al.,
    MICRO'12).
    """

    arrays: dict[str, Array]
    replacement: Choice
    index: Literal["modulo", "xor"] = "modulo"
    inclusion: Literal["neither", "inclusive", "exclusive"] = "neither"
    coalesce: Literal[1, 2, 4, 8] = 1
    pcid: bool = True
    vpid: bool = True
    seed: Seed = 0

    def of_side(self, level: int, side: str) -> dict[str, Array]:
        """Arrays of a level that serve a side, by name; ``data`` is loads, where stores have arrays of their own."""
        sides = ("both", "data", "load") if side == "data" else ("both", side)
        return {name: array for name, array in self.arrays.items() if array.level == level and (level == 2 or array.side in sides)}

    def has_side(self, side: str) -> bool:
        """Whether instructions, or stores, have a first level of their own."""
        return any(array.side == side for array in self.arrays.values())

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "arrays" in data:
            return data
        arrays = {name: value for name, value in data.items() if name not in OTHER_KEYS and isinstance(value, dict)}
        return {"arrays": arrays, **{name: value for name, value in data.items() if name not in arrays}}

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        arrays = {name: array.model_dump() for name, array in self.arrays.items()}
        others = {name: getattr(self, name) for name in ("index", "inclusion", "coalesce", "pcid", "vpid", "seed")}
        return {**arrays, **others, "replacement": self.replacement.model_dump()}

    @model_validator(mode="after")
    def _possible(self) -> Tlb:
        from memvirt.errors import ConfigError  # kept out of the module's names

        if not any(array.level == 1 for array in self.arrays.values()):
            raise ConfigError("tlb", ", ".join(self.arrays), "no array is of level 1")
        for name, array in self.arrays.items():
            ways = array.associativity
            if ways < 1 or array.entries % ways:
                raise ConfigError(f"tlb.{name}.ways", array.ways, f"must divide the array's {array.entries} entries")
            if (array.index or self.index) == "xor" and array.sets & (array.sets - 1):
                key = f"tlb.{name}.index" if array.index else "tlb.index"
                raise ConfigError(key, "xor", f"{name} has {array.sets} sets, which is no power of two")
        sides = {array.side for array in self.arrays.values() if array.level == 1}
        if sides - {"instruction"} not in ({"both"}, {"data"}, {"load", "store"}) or {"both", "instruction"} <= sides:
            raise ConfigError(
                "tlb",
                ", ".join(sorted(sides)),
                "level 1 arrays must all be for both sides, or each for data or instructions, or loads, stores or instructions",
            )
        for level, side in ((1, "data"), (1, "store"), (1, "instruction"), (2, "both")):
            for size in ("4K", "2M", "1G"):
                holders = [name for name, array in self.of_side(level, side).items() if size in array.page_sizes]
                if len(holders) > 2:
                    raise ConfigError(f"tlb.{holders[2]}.page_sizes", size, "two arrays of a level hold it already")
        return self
