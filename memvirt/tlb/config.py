"""Config section of the TLBs: named arrays beside the policies that all of them share."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_serializer, model_validator

from memvirt.config import Choice, PageSize, Section, Seed

OTHER_KEYS = ("replacement", "index", "inclusion", "coalesce", "pcid", "vpid", "seed", "arrays")


class Array(Section):
    """One array: the level it is looked up at, the page sizes that it holds, and its geometry."""

    level: Literal[1, 2]
    """At which it is looked up."""
    page_sizes: list[PageSize] = Field(min_length=1)
    """Sizes of the pages that it holds. Where two arrays of a level hold a size, a hash bit of the page's number chooses; where
    several sizes share an array, each is indexed by its own page number.
    """
    entries: int = Field(ge=1, le=1 << 20)
    """[entries] Translations that it holds."""
    ways: int | Literal["full"]
    """[ways] Of a set; `full`: one set."""
    hit_cycles: int = Field(0, ge=0, le=1_000_000)
    """[cycles] That looking it up takes beyond the levels before; a level that finds nothing takes its slowest array's."""
    index: Literal["modulo", "xor"] | None = None
    """How the set is chosen; null: as `tlb.index` says."""
    side: Literal["both", "data", "instruction", "load", "store"] = "both"
    """What an array of level 1 is for: all of them `both`; or each `data` or `instruction`; or `load` and `store` for data (Ice
    Lake and later).
    """

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

    Array names are keys of the section itself, ``tlb.l1_4k.entries``.
    """

    arrays: dict[str, Array]
    replacement: Choice
    """Which entry of a set goes."""
    index: Literal["modulo", "xor"] = "modulo"
    """How the set is chosen: page number modulo sets, or its bits XORed (TLB;DR, USENIX Security'22)."""
    inclusion: Literal["neither", "inclusive", "exclusive"] = "neither"
    """`inclusive`: what leaves the L2 leaves the L1; `exclusive`: an entry is in one of the two."""
    coalesce: Literal[1, 2, 4, 8] = 1
    """[pages] Neighbouring 4K pages that one entry may cover, if their frames are neighbours too (CoLT, Pham et al., MICRO'12)."""
    pcid: bool = True
    """Entries are tagged by address space, so that a switch needn't flush them."""
    vpid: bool = True
    """Entries are tagged by VM, so that a switch needn't flush them."""
    seed: Seed = 0
    """[1] Of the random policies."""

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
