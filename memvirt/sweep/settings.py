"""How a sweep runs: the config's keys that change no number."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from memvirt.config import Section, Size, TimeNs
from memvirt.errors import ConfigError
from memvirt.pipeline.point import checked


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _count(value: object) -> object:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise ValueError("must be a whole number, or null")
    return value


Switch = Annotated[bool, BeforeValidator(_switch)]
Count = Annotated[int | None, BeforeValidator(_count)]


class ExecutorSettings(Section):
    """Where stages are computed."""

    name: str
    workers: Count = Field(None, ge=1)
    """[processes] That compute; null: one a core."""
    address: str | None = None
    """A running Ray cluster to join, `auto` or HOST:PORT ([cluster](../cluster/README.md)); null: this machine alone."""
    memory: Size | None = Field(None, gt=0)
    """Bytes of intermediate results held at a time; null: what the machine allows."""

    @field_validator("address", mode="before")
    @classmethod
    def _address(cls, value: object) -> object:
        if value is not None and not (isinstance(value, str) and (value in ("auto", "local") or ":" in value)):
            raise ValueError("must be auto or HOST:PORT of a running Ray cluster, or null for this machine alone")
        return None if value == "local" else value


class Settings(Section):
    """Of the sweep's own."""

    name: str | None
    """The sweep's folder is `output`/`name`; null: after the experiment and the plan."""
    output: str
    """Folder of all sweeps."""
    resume: Switch
    """Keep the points that are there, compute the rest; those that crashed or took too long are tried again."""
    overwrite: Switch
    """Replace a finished sweep of the same `name`, when this one is complete. Without it the same plan and code is done already,
    and another is refused.
    """
    reuse: Switch
    """Keep stages that took long in `output`/.stages, and take them from there. They are data, and only what you wrote yourself is
    believed (by a key in your own cache folder).
    """
    reuse_limit: Size = Field(ge=0)
    """What these stages may take on disk."""
    dry_run: Switch
    """Print the plan, its distinct stages, and an estimate of time and memory; run nothing."""
    figures: Switch
    """Draw the sweep's figures; a study's own are always drawn."""
    report: Switch
    """Write `report.html`, the sweep as one page; `python -m memvirt.report` does so later."""
    fail_on_error: Switch
    """Exit 1 if a row failed."""
    max_failures: Count = Field(None, ge=0)
    """[points] Stop as soon as more have failed; null: never."""
    timeout: TimeNs | None = Field(None, gt=0)
    """Time that a point's stages may take, one after the other, compilation not counted; a point beyond it has status `timeout`;
    null: any.
    """
    executor: ExecutorSettings
    """Where stages are computed: by Ray's workers, or one after the other in this process."""

    @field_validator("name", mode="before")
    @classmethod
    def _name(cls, value: object) -> object:
        if value is None:
            return value
        if str(value) in ("", ".", "..") or "/" in str(value):
            raise ValueError("must be the name of a folder, without slashes")
        return str(value)

    @field_validator("output", mode="before")
    @classmethod
    def _output(cls, value: object) -> str:
        if not value:
            raise ValueError("must be a folder")
        return str(Path(str(value)))


def read_settings(config: dict[str, Any]) -> Settings:
    """Check the settings among a config's keys.

    Raises
    ------
    ConfigError
    """
    settings: Settings = checked(Settings, {key: config[key] for key in Settings.model_fields}, "")
    if settings.executor.name == "serial" and settings.executor.address is not None:
        raise ConfigError("executor.address", settings.executor.address, "is for executor=ray")
    return settings
