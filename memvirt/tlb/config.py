"""Config section of the TLBs: named arrays beside the policies that all of them share."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_serializer, model_validator

from memvirt.config import Choice, PageSize, Section

OTHER_KEYS = ("replacement", "index", "pcid", "vpid", "seed", "arrays")


class Array(Section):
    """One array: the level it is looked up at, the page sizes that it holds, and its geometry.

    ``ways`` may be ``full``. Where several arrays of a level hold a size, a hash bit of the page's number
    chooses; where several sizes share an array, each is indexed by its own page number.
    """

    level: Literal[1, 2]
    page_sizes: list[PageSize] = Field(min_length=1)
    entries: int = Field(ge=1, le=1 << 20)
    ways: int | Literal["full"]
    hit_cycles: int = Field(0, ge=0)

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
    tagged by address space and by VM, rather than flushed on a switch.
    """

    arrays: dict[str, Array]
    replacement: Choice
    index: Literal["modulo", "xor"] = "modulo"
    pcid: bool = True
    vpid: bool = True
    seed: int = 0

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
        others = {"index": self.index, "pcid": self.pcid, "vpid": self.vpid, "seed": self.seed}
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
            if self.index == "xor" and array.sets & (array.sets - 1):
                raise ConfigError("tlb.index", "xor", f"{name} has {array.sets} sets, which is no power of two")
        for level in (1, 2):
            for size in ("4K", "2M", "1G"):
                holders = [name for name, array in self.arrays.items() if array.level == level and size in array.page_sizes]
                if len(holders) > 2:
                    raise ConfigError(f"tlb.{holders[2]}.page_sizes", size, "two arrays of a level hold it already")
        return self
