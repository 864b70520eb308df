"""What a source hands over to be stored."""

from dataclasses import dataclass

from orchestrator.jobs.datasets import Split


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
    """What the manifest says of a dataset beyond what is counted."""

    name: str
    source: str
    split_rule: str
    classes: tuple[str, ...]
