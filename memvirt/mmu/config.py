"""Config sections of the MMU: the mode with its page-walk caches, and the data caches that hold table entries."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from memvirt.config import Section, Size


class PwcArray(Section):
    """A page-walk cache of one level: 0 entries for none; ``ways`` may be ``full``."""

    entries: int = Field(ge=0, le=4096)
    ways: int | Literal["full"] = "full"

    @model_validator(mode="after")
    def _divides(self) -> PwcArray:
        if self.entries and self.ways != "full" and (self.ways < 1 or self.entries % self.ways):
            raise ValueError(f"ways={self.ways} must divide the {self.entries} entries")
        return self


class PwcSizes(Section):
    """The page-walk caches of one dimension, by the level whose entries they hold."""

    pml5e: PwcArray = PwcArray(entries=2)
    pml4e: PwcArray = PwcArray(entries=2)
    pdpte: PwcArray = PwcArray(entries=4)
    pde: PwcArray = PwcArray(entries=32, ways=4)


class Pwc(Section):
    """Page-walk caches.

    ``rule``: ``combined`` holds, in the guest's dimension, where in host memory the next guest table is (Intel's
    combined mappings, SDM vol. 3 section 30.4); ``dmt`` is the published simulator's that PUBLISHED counts come
    from: all levels probed and filled at every walk, a guest hit saves no host walk, and the last host walk uses none.
    """

    enabled: bool = True
    rule: Literal["combined", "dmt"] = "combined"
    guest: PwcSizes = PwcSizes()
    host: PwcSizes = PwcSizes()


class Mmu(BaseModel):
    """The translation mode, by the name of its file, its page-walk caches, and options of its own."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    name: str
    pwc: Pwc = Pwc()

    @model_validator(mode="after")
    def _known(self) -> Mmu:
        from memvirt.errors import ConfigError
        from memvirt.policy import load

        module = load("mmu.mode", self.name, "mmu")
        for key in self.model_extra or {}:
            if key not in getattr(module, "OPTIONS", ()):
                raise ConfigError(f"mmu.{key}", self.options[key], "there is no such key", ["name", "pwc"])
        return self

    @property
    def options(self) -> dict[str, Any]:
        """What the mode's own YAML file sets besides."""
        return dict(self.model_extra or {})


class CacheArray(Section):
    """One data cache: 64-byte lines, true LRU, indexed by host-physical address."""

    size: Size = Field(gt=0)
    ways: int = Field(ge=1, le=64)

    @model_validator(mode="after")
    def _possible(self) -> CacheArray:
        if self.size % (64 * self.ways):
            raise ValueError(f"{self.ways} ways of 64-byte lines must divide the size")
        return self

    @property
    def sets(self) -> int:
        """Number of sets."""
        return self.size // (64 * self.ways)


class Cache(Section):
    """Data caches: ``none``; ``pte`` holds table entries only; ``full`` data as well. L1D and L2 of each CPU, LLC of each node."""

    name: Literal["none", "pte", "full"]
    l1d: CacheArray = CacheArray(size=32 << 10, ways=8)
    l2: CacheArray = CacheArray(size=256 << 10, ways=8)
    llc: CacheArray = CacheArray(size=16 << 20, ways=16)
