"""What each rank of an attempt took of its machine, as the rank itself writes it down."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from orchestrator.errors import RootError
from orchestrator.jobs.files import read_record, refuse_newer, to_json
from orchestrator.jobs.layout import AttemptFolder

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUse:
    """A rank's GPU, so far.

    Attributes:
        name: what its maker calls it.
        memory_bytes: what it has.
        peak_bytes: the most that this rank's allocator held of it.
        used_bytes: the most that was taken of it by everybody, by its own counter; None: it has
            none that can be read.
        busy: the share of time in which anything ran on it, the mean of looks at its own counter;
            None as above.
    """

    name: str
    memory_bytes: int
    peak_bytes: int
    used_bytes: int | None
    busy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankUse:
    """A rank and its helpers, so far.

    Attributes:
        rank: its number.
        host: where it runs.
        seconds: since its job was claimed, by the clock on the wall.
        cpu_s: of processors, helpers that have ended included.
        memory_bytes: the most that was resident.
        memory_source: ``pss``, what several processes share counted once; ``rss``, where that
            cannot be read: counted for each of them.
        gpu: None where it used none.
    """

    rank: int
    host: str
    seconds: float
    cpu_s: float
    memory_bytes: int
    memory_source: str
    gpu: GpuUse | None = None

    def to_bytes(self) -> bytes:
        """The content of its file."""
        return to_json({"schema": SCHEMA, **asdict(self)})

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "RankUse":
        """The use that a record tells.

        Raises:
            KeyError: something is missing in it.
        """
        told = {name: plain[name] for name in cls.__slots__ if name != "gpu"}
        gpu = plain["gpu"] and GpuUse(**{name: plain["gpu"][name] for name in GpuUse.__slots__})
        return cls(**told, gpu=gpu)


def read_usage(attempt: AttemptFolder) -> tuple[RankUse, ...]:
    """What the ranks of an attempt told, in their order; a damaged record counts as not there.

    Raises:
        RootError: one is of a newer version.
    """
    found = []
    for path in attempt.usages():
        try:
            plain = read_record(path)
        except (FileNotFoundError, RootError):
            continue
        refuse_newer(path, plain.get("schema"), SCHEMA)
        try:
            found.append(RankUse.of(plain))
        except (KeyError, TypeError):
            continue
    return tuple(sorted(found, key=lambda use: use.rank))
