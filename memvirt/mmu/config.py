"""Config sections of the MMU: the mode with its page-walk caches, and the data caches that hold table entries."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from memvirt.config import Section, Size


class PwcArray(Section):
    """A page-walk cache of one level."""

    entries: int = Field(ge=0, le=4096)
    """[entries] That it holds; 0: there is none."""
    ways: int | Literal["full"] = "full"
    """[ways] Of a set; `full`: one set."""

    @model_validator(mode="after")
    def _divides(self) -> PwcArray:
        if self.entries and self.ways != "full" and (self.ways < 1 or self.entries % self.ways):
            raise ValueError(f"ways={self.ways} must divide the {self.entries} entries")
        return self


class PwcSizes(Section):
    """The page-walk caches of one dimension, by the level whose entries they hold."""

    pml5e: PwcArray = PwcArray(entries=2)
    """Cache of entries of level 5."""
    pml4e: PwcArray = PwcArray(entries=2)
    """Cache of entries of level 4."""
    pdpte: PwcArray = PwcArray(entries=4)
    """Cache of entries of level 3."""
    pde: PwcArray = PwcArray(entries=32, ways=4)
    """Cache of entries of level 2."""


class Pwc(Section):
    """Page-walk caches."""

    enabled: bool = True
    """Whether there are page-walk caches."""
    rule: Literal["combined", "entries", "unified", "dmt"] = "combined"
    """What they hold. `combined`: in the guest's dimension, where in host memory the next table is (Intel SDM vol. 3, section
    30.4); `entries`: single entries above the lowest level, in one cache (AMD's: Bhargava et al., ASPLOS'08); `unified`: what
    `combined` holds and translations of guest frames, in one array (Arm's: Neoverse N1 TRM); `dmt`: as the DMT simulator has it
    ([model.md](model.md)).
    """
    dimensions: Literal[1, 2] = 2
    """[dimensions] 1: of the guest's tables only; 2: the host's as well."""
    entries: PwcArray = PwcArray(entries=24)
    """The one cache of the rules `entries` and `unified`."""
    guest: PwcSizes = PwcSizes()
    """Caches of the guest's tables, by level, under the rules `combined` and `dmt`."""
    host: PwcSizes = PwcSizes()
    """Caches of the host's tables, by level, under the same rules."""


class Mmu(BaseModel):
    """The translation mode, by the name of its file, its walk caches, and options of its own."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)
    name: str
    pwc: Pwc = Pwc()
    """Page-walk caches; the machine sets their sizes."""
    nested_tlb: PwcArray = PwcArray(entries=0)
    """Cache of translations from guest frames to host pages, which saves whole host walks; under `mmu.pwc.rule=unified` it has no
    say.
    """
    ad_bits: bool = False
    """Keep accessed and dirty bits, whose updates cost."""
    host_ad: bool = True
    """Whether the host's entries have them; if not, it write-protects to know what is dirty."""

    @model_validator(mode="after")
    def _known(self) -> Mmu:
        from memvirt.errors import ConfigError
        from memvirt.policy import load

        module = load("mmu.mode", self.name, "mmu")
        known, limits = getattr(module, "OPTIONS", {}), getattr(module, "LIMITS", {})
        for key, value in (self.model_extra or {}).items():
            if key not in known:
                raise ConfigError(f"mmu.{key}", value, f"{self.name} has no such key", [*COMMON_KEYS, *known])
            check_option(f"mmu.{key}", value, known[key], limits.get(key))
        return self

    @property
    def options(self) -> dict[str, Any]:
        """Options of the mode's own, as its YAML file names them, of their defaults' types (1e6 is read as a float)."""
        from memvirt.policy import load

        known = getattr(load("mmu.mode", self.name, "mmu"), "OPTIONS", {})
        given = self.model_extra or {}
        return {name: int(value) if type(known.get(name)) is int else value for name, value in given.items()}


MOST = (1 << 31) - 1  #: of a mode's own option whose file sets no limits
COMMON_KEYS = ("name", "pwc", "nested_tlb", "ad_bits", "host_ad")


def check_option(key: str, value: Any, known: Any, limits: tuple[float, float] | None = None) -> None:
    """Refuse a value of a mode's own option that isn't of the kind of its default, or one of the choices, or within limits.

    Parameters
    ----------
    key : str
        As the command line writes it.
    value : object
    known : bool, int, float or tuple of str
        What a mode's ``OPTIONS`` says of it: its default, or the choices, the first of which is the default.
    limits : (float, float), optional
        What its ``LIMITS`` says: the least and the most. Else 0 and 1 for a share, whose default is a fraction up to 1, and 0 and
        `MOST` for any other number.

    Raises
    ------
    ConfigError
    """
    from memvirt.errors import ConfigError

    if isinstance(known, tuple):
        if value not in known:
            raise ConfigError(key, value, "is none of its values", list(known))
        return
    if isinstance(known, bool):
        if not isinstance(value, bool):
            raise ConfigError(key, value, "must be true or false")
        return
    least, most = limits or (0, 1 if isinstance(known, float) and known <= 1 else MOST)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(key, value, f"must be like {known}")
    if not least <= value <= most or (isinstance(known, int) and value != int(value)):
        what = "a whole number" if isinstance(known, int) else "a number"
        raise ConfigError(key, value, f"must be {what} from {least} to {most}")


class CacheArray(Section):
    """One data cache: 64-byte lines, true LRU, indexed by host-physical address."""

    size: Size = Field(gt=0, le=1 << 36)
    """Of the cache, in lines of 64 bytes."""
    ways: int = Field(ge=1, le=64)
    """[ways] Of a set; replacement is LRU."""

    @model_validator(mode="after")
    def _possible(self) -> CacheArray:
        if self.size % (64 * self.ways):
            raise ValueError(f"{self.ways} ways of 64-byte lines must divide the size")
        return self

    @property
    def sets(self) -> int:
        """Number of sets."""
        return self.size // (64 * self.ways)


class LastLevel(CacheArray):
    """The last level, which several CPUs share."""

    cpus: int | None = Field(default=None, ge=1)
    """[CPUs] Neighbouring CPUs of a node that share one (AMD's core complexes); null: all of a node's."""


class Cache(Section):
    """Data caches: ``none``; ``pte`` holds table entries only; ``full`` data as well. L1D and L2 are each CPU's own."""

    name: Literal["none", "pte", "full"]
    l1d: CacheArray = CacheArray(size=32 << 10, ways=8)
    """First level, each CPU's own."""
    l2: CacheArray = CacheArray(size=256 << 10, ways=8)
    """Second level, each CPU's own."""
    llc: LastLevel = LastLevel(size=16 << 20, ways=16)
    """Last level."""
