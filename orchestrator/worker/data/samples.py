"""What a source hands over to be stored."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.jobs.datasets import Members, Split


@dataclass(frozen=True, slots=True)
class Sample:
    """One image to be stored: ``suffix`` is jpg or png, as the bytes are."""

    key: str
    split: Split
    label: int
    image_bytes: bytes
    suffix: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file that is not stored, and why."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the manifest says of a dataset beyond what is counted.

    ``only_val``: it is for evaluation alone, so that no class needs training images. ``remote``:
    URLs of the training shards, which are not kept.
    """

    name: str
    source: str
    split_rule: str
    classes: tuple[str, ...]
    label_space: str | None = None
    passed_over: Mapping[str, int] = field(default_factory=dict)
    members: Members | None = None
    only_val: bool = False
    remote: tuple[str, ...] = ()
