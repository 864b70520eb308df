"""What a sweep file may say, before its configuration keys are looked at."""

from collections import Counter
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import ErrorDetails

from orchestrator.config import Placement, Resources
from orchestrator.config.command import Command
from orchestrator.config.search import Search
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
_NAME_SCHEMA = {"type": "string", "pattern": SWEEP_NAME}
Expected = Literal["artifacts", "none", "contested"]
"""What may be known of a model: that it has artifacts, that it has none, that nobody is sure."""
Seeds = Annotated[
    list[Annotated[int, Field(ge=0)]],
    Field(min_length=1, json_schema_extra={"uniqueItems": True}),
    AfterValidator(refuse_repeats),
]


Extended = Annotated[
    list[Annotated[str, Field(min_length=1)]],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value or []),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string", "minLength": 1}},
                {"type": "null"},
            ]
        }
    ),
]


class BlockSpec(Section):
    """A product of axes. Every key that is no field is a configuration key and its values."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(init=False)

    cases: dict[Name, dict[str, Any]] = Field(
        default_factory=dict, min_length=1, validate_default=False
    )
    """One axis whose values are named groups of settings."""
    zip: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(
        default_factory=dict, min_length=1, validate_default=False
    )
    """One axis along which several keys change together: lists of one length."""
    where: str | None = Field(default=None, min_length=1)
    """An expression that holds at the points to keep, as well as the sweep's own."""
    seeds: Seeds = Field(default_factory=list, validate_default=False)
    """In place of the sweep's; none written takes the sweep's."""
    placement: Placement = Field(default_factory=Placement)
    """Laid over the sweep's, key by key."""
    resources: Resources = Field(default_factory=Resources)
    """Laid over the sweep's, key by key."""


class PretrainedSpec(Section):
    """A model of timm's, with the weights that timm has for it."""

    model: Name
    """What timm calls it, with the tag of its weights."""
    expect: Expected | None = None
    """What is known of it: told beside what is found, and no part of what its job is."""


def _by_case(written: object) -> object:
    """Models by what they are called, where they are listed by name alone."""
    if isinstance(written, list) and all(isinstance(name, str) for name in written):
        written = {name: name for name in written}
    if isinstance(written, dict):
        return {n: {"model": one} if isinstance(one, str) else one for n, one in written.items()}
    return written


Pretrained = Annotated[
    dict[Name, PretrainedSpec],
    Field(min_length=1),
    BeforeValidator(_by_case),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": _NAME_SCHEMA, "minItems": 1},
                {
                    "type": "object",
                    "minProperties": 1,
                    "propertyNames": _NAME_SCHEMA,
                    "additionalProperties": {
                        "anyOf": [
                            _NAME_SCHEMA,
                            {
                                "type": "object",
                                "properties": {
                                    "model": _NAME_SCHEMA,
                                    "expect": {"enum": [*get_args(Expected)]},
                                },
                                "required": ["model"],
                                "additionalProperties": False,
                            },
                        ]
                    },
                },
            ]
        }
    ),
]


class ParentsSpec(Section):
    """The models that are looked at: those of jobs, or pretrained ones."""

    sweeps: list[Annotated[str, Field(min_length=1)]] = Field(
        default_factory=list, min_length=1, validate_default=False
    )
    """All jobs of these: a file, relative to this one, or the name of a sweep that was launched."""
    where: str | None = Field(default=None, min_length=1)
    """An expression over a job's settings; those jobs are meant for which it holds."""
    timm: Pretrained = Field(default_factory=dict, validate_default=False)
    """Models of timm's, in place of jobs, for an analysis: a list of names, or by case, each a name
    or a mapping of ``model`` and ``expect``."""

    @model_validator(mode="after")
    def _of_one_kind(self) -> Self:
        if bool(self.sweeps) == bool(self.timm):
            raise ValueError(
                "it names either sweeps or models of timm's, as in sweeps: [exp1.yaml]"
            )
        if self.timm and self.where is not None:
            raise ValueError("where chooses among jobs; leave out the models that are not meant")
        return self


class SweepSpec(Section):
    """One file of a chain. What it leaves out, all but the name, comes from what it extends."""

    name: Name = Field(default="", validate_default=False)
    """Required of the file that is loaded, and never inherited."""
    study: Name = Field(default="", validate_default=False)
    """Sweeps that belong together; none written is the sweep's name."""
    question: str = ""
    """What it is to find out."""
    task: Literal["train", "evaluate", "analyze"] = "train"
    """What its jobs do."""
    of: ParentsSpec | None = None
    """Of a sweep that evaluates or analyses, and of no other: the models that it looks at."""
    extends: Extended = Field(default_factory=list)
    """Another sweep or base file, relative to this one, or a list of them: later ones win."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Configuration, dotted or nested; merged over that of what it extends."""
    grid: list[BlockSpec] = Field(default_factory=lambda: [BlockSpec()], min_length=1)
    """The union of these blocks."""
    where: str | None = Field(default=None, min_length=1)
    """An expression that holds at the points to keep."""
    derive: dict[str, Any] = Field(default_factory=dict)
    """Settings that expressions give, after all others; dotted or nested."""
    seeds: Seeds = Field(default_factory=lambda: [0])
    """Every point is a job for each of these."""
    packages: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list)
    """Folders of packages with attention variants of the user's own, relative to this file."""
    executor: str = "local"
    """Where jobs run."""
    placement: Placement = Field(default_factory=Placement)
    """How they run there, without a change of what they are."""
    resources: Resources = Field(default_factory=Resources)
    """What a job asks of a cluster; executors that hand nothing out ignore it, so one file runs
    here and there."""
    max_parallel: int | None = Field(default=None, ge=1)
    """Jobs of this sweep that may run at once; null leaves it to the place."""
    max_failures: int | None = Field(default=5, ge=1)
    """Jobs that may be given up for one kind of failure, if they are more than are done, before a
    watch starts no further ones; null: any number."""
    max_gpu_hours: float | None = Field(default=None, ge=0)
    """GPU-hours that all starts of its jobs may take together: a launch that would go beyond is
    refused, and a watch starts no further job once they are spent; null: any number."""
    search: Search | None = None
    """Jobs that do badly are stopped early, by whoever watches; null: all are trained to their
    end."""
    notify: Command | None = None
    """A command that whoever watches runs, in this file's folder, when the sweep has ended, when
    jobs fail alike, and when ``max_gpu_hours`` are spent: its words, or a text that is split into
    them without a shell. It reads the event as JSON; null: the one of the cluster's profile."""


def read_spec(document: Document, faults: Faults) -> SweepSpec | None:
    """The document as a SweepSpec; None if there were faults."""
    return read_section(document, SweepSpec, faults, what="a sweep file", words=_unknown)


def _unknown(detail: ErrorDetails, path: KeyPath) -> str | None:
    """That the fault is a key nobody knows, if it is."""
    key = str(path[-1]) if path else ""
    if detail["type"] == "extra_forbidden":
        if key in BlockSpec.model_fields and len(path) == 1:
            return f"{key} belongs in a block of grid"
        return unknown_key(key, owner_of(SweepSpec, path).model_fields)
    if path[:1] == ("grid",) and len(path) == 3:
        if key in SweepSpec.model_fields and key not in BlockSpec.model_fields:
            return f"{key} belongs beside grid, not in a block"
        return unknown_setting(key, *BlockSpec.model_fields)
    if path[:1] == ("grid",) and path[2:3] == ("zip",) and len(path) == 4:
        return unknown_setting(key)
    return None
