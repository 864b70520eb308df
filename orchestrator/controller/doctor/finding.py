"""What a check finds, and what it looks at."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from orchestrator.config import ClusterProfile
from orchestrator.jobs.layout import Root


class Level(StrEnum):
    """How good it is."""

    OK = "ok"
    WARN = "warn"
    """Jobs run, but less well than they could, or not all of them."""
    BAD = "bad"
    """Jobs fail, or results may be lost."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found, with numbers, and what to do about it, if anything."""

    level: Level
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """What is looked at: a run root, data, a cluster, a store, as a launch would take them."""

    root_path: Path
    data_root: Path
    cluster: ClusterProfile | None = None
    store: str | None = None
    """As asked for; None: what `sync` would take."""

    @property
    def root(self) -> Root | None:
        """The run root, if it was made already."""
        root = Root(self.root_path)
        return root if root.record.is_file() else None


Look = Callable[[Patient], Iterator[Finding]]


def ok(found: str) -> Finding:
    """Nothing to do."""
    return Finding(Level.OK, found)


def warn(found: str, advice: str) -> Finding:
    """Something a person should know."""
    return Finding(Level.WARN, found, advice)


def bad(found: str, advice: str) -> Finding:
    """Something a person has to mend."""
    return Finding(Level.BAD, found, advice)
