"""What a sweep file may say, before its configuration keys are looked at."""

from collections import Counter
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field
from pydantic_core import ErrorDetails

from orchestrator.config import Placement, Resources
from orchestrator.config.section import Section
from orchestrator.sweep.edge import owner_of, read_section
from orchestrator.sweep.faults import Faults
from orchestrator.sweep.keys import unknown_key, unknown_setting
from orchestrator.sweep.strict_yaml import Document, KeyPath

SWEEP_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"


def refuse_repeats(seeds: list[int]) -> list[int]:
    """The seeds, if no two are the same."""
    repeated = sorted(seed for seed, times in Counter(seeds).items() if times > 1)
    if repeated:
        raise ValueError(f"{', '.join(map(str, repeated))} stands more than once")
    return seeds


Name = Annotated[str, Field(pattern=SWEEP_NAME)]
Seeds = Annotated[
    list[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(refuse_repeats)
]


class BlockSpec(Section):
    """A product of axes. Every key that is no field is a configuration key and its values."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(init=False)

    cases: dict[Name, dict[str, Any]] = Field(
        default_factory=dict, min_length=1, validate_default=False
    )
    """One axis whose values are named groups of settings."""
    seeds: Seeds = Field(default_factory=list, validate_default=False)
    """In place of the sweep's; none written takes the sweep's."""
    placement: Placement = Field(default_factory=Placement)
    """Laid over the sweep's, key by key."""
    resources: Resources = Field(default_factory=Resources)
    """Laid over the sweep's, key by key."""


class SweepSpec(Section):
    """One file of a chain. What it leaves out, all but the name, comes from what it extends."""

    name: Name = Field(default="", validate_default=False)
    """Required of the file that is loaded, and never inherited."""
    study: Name = Field(default="", validate_default=False)
    """Sweeps that belong together; none written is the sweep's name."""
    question: str = ""
    extends: str | None = Field(default=None, min_length=1)
    """Another sweep or base file, relative to this one."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Configuration, dotted or nested; merged over that of what it extends."""
    grid: list[BlockSpec] = Field(default_factory=lambda: [BlockSpec()], min_length=1)
    """The union of these blocks."""
    seeds: Seeds = Field(default_factory=lambda: [0])
    packages: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list)
    """Folders of packages with attention variants of the user's own, relative to this file."""
    executor: str = "local"
    placement: Placement = Field(default_factory=Placement)
    resources: Resources = Field(default_factory=Resources)
    """What a job asks of a cluster; executors that hand nothing out ignore it, so one file runs
    here and there."""
    max_parallel: int | None = Field(default=None, ge=1)
    """Jobs of this sweep that may run at once; null leaves it to the place."""
    max_failures: int | None = Field(default=5, ge=1)
    """Jobs that may be given up for one kind of failure, if they are more than are done, before a
    watch starts no further ones; null: any number."""


def read_spec(document: Document, faults: Faults) -> SweepSpec | None:
    """The document as a SweepSpec; None if there were faults."""
    return read_section(document, SweepSpec, faults, what="a sweep file", words=_unknown)


def _unknown(detail: ErrorDetails, path: KeyPath) -> str | None:
    """That the fault is a key nobody knows, if it is."""
    key = str(path[-1]) if path else ""
    if detail["type"] == "extra_forbidden":
        return unknown_key(key, owner_of(SweepSpec, path).model_fields)
    if path[:1] == ("grid",) and len(path) == 3:
        return unknown_setting(key, *BlockSpec.model_fields)
    return None
