"""What jobs took of what they asked for: attempts as plain values, folded to one row a group."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

from orchestrator.jobs.usage import RankUse

GB = 2**30
"""Bytes of a GB as sweeps ask for them, and SLURM counts."""
PAUSES = ("time/evaluate_s", "time/probe_s", "time/checkpoint_s")
"""Metrics of an epoch: the parts of it in which nothing is trained, nor waits for data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a start of a job asks for: its *shape*; and what more its place would give.

    Attributes:
        place: a partition, ``cluster/partition``; or a machine, which hands nothing out.
        cluster: whether it is the former.
        ranks: of the job, on all nodes.
        gpus: of the job, on all nodes; of one that is shared, its part.
        cpus: of the job, on all nodes; on a machine, one for each thread and loader worker.
        cpus_key: the setting that says how many a rank has.
        memory_gb: of each node; None: not asked for.
        time_s: of a start; None: not asked for.
        stop_s: how long before that it is asked to stop.
        most_memory_gb: what the partition has; None: not known.
        most_time_s: its longest limit; None: not known.
        asks_memory: whether the site lets jobs ask for it.
    """

    place: str
    cluster: bool
    nodes: int
    ranks: int
    gpus: float
    cpus: int
    memory_gb: float | None
    time_s: int | None
    cpus_key: str = "cpus_per_rank"
    jobs_per_allocation: int = 1
    jobs_per_gpu: int = 1
    stop_s: int = 0
    most_memory_gb: float | None = None
    most_time_s: int | None = None
    asks_memory: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptUse:
    """One attempt.

    Attributes:
        job: its id.
        over: whether it has ended.
        seconds: from its start to its end, or until now.
        lost_s: of these, what came to nothing.
        whole_s: of the attempt that made a job done: the time that counts of all its attempts.
        at_limit: whether its time limit ended it.
        lacked_memory: whether it ended for want of memory.
        waited_s: for data, and ``epochs_s`` of which that is told.
        uses: of its ranks, as far as they told.
    """

    job: str
    asked: Asked
    over: bool
    seconds: float
    lost_s: float
    whole_s: float | None = None
    at_limit: bool = False
    lacked_memory: bool = False
    waited_s: float = 0.0
    epochs_s: float = 0.0
    uses: tuple[RankUse, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every rank told what it took."""
        return len(self.uses) == self.asked.ranks

    @property
    def memory_gb(self) -> float | None:
        """The most that was resident on a node; None: not known."""
        nodes: Counter[str] = Counter()
        for use in self.uses:
            nodes[use.host] += use.memory_bytes
        return max(nodes.values()) / GB if self.complete else None

    @property
    def cpus(self) -> float | None:
        """Processors that computed, on average, of all ranks; None: not known."""
        told = [use.cpu_s / use.seconds for use in self.uses if use.seconds > 0]
        return sum(told) if self.complete and told else None

    @property
    def gpu_memory_gb(self) -> float | None:
        """The most that the job took of a GPU; None: not known.

        Of a GPU that jobs share, its part by the device's counter, or what its own allocator held.
        """
        share = self.asked.jobs_per_gpu
        return max(
            (
                max(one.gpu.peak_bytes, (one.gpu.used_bytes or 0) / share) / GB
                for one in self.uses
                if one.gpu
            ),
            default=None,
        )

    @property
    def gpu_capacity_gb(self) -> float | None:
        """Memory of the smallest of its GPUs; None: it has none, or it is not known."""
        return min((one.gpu.memory_bytes / GB for one in self.uses if one.gpu), default=None)

    @property
    def busy(self) -> float | None:
        """The share of time in which its GPUs computed anything; None: not known."""
        told = [one.gpu.busy for one in self.uses if one.gpu and one.gpu.busy is not None]
        return statistics.fmean(told) if told else None

    @property
    def waiting(self) -> float | None:
        """The share of time in which it waited for data; None: no epoch was over."""
        return self.waited_s / self.epochs_s if self.epochs_s > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Of one thing: what was asked for (the most of it), and what was taken in ``n`` cases."""

    n: int
    median: float
    most: float
    asked: float | None

    @classmethod
    def of(cls, values: Iterable[float | None], asked: Iterable[float | None] = ()) -> Self | None:
        """None where nothing is known of it."""
        known = [value for value in values if value is not None]
        if not known:
            return None
        wanted = [value for value in asked if value is not None]
        return cls(
            n=len(known),
            median=statistics.median(known),
            most=max(known),
            asked=max(wanted, default=None),
        )

    @property
    def share(self) -> float | None:
        """The most of what was asked for; None: nothing was."""
        return self.most / self.asked if self.asked else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Several attempts together.

    Attributes:
        time_s: of jobs that are done, in all their attempts, without what was lost; asked: of one.
        memory_gb: resident on a node.
        gpu_memory_gb: of a GPU; asked: what it has.
        gpu_busy: share of time.
        cpus: of a job.
        waiting: for data; share of the time of epochs.
        hours: by the clock on the wall.
        gpu_hours: of all GPUs together; ``idle``: as far as their counters told.
    """

    jobs: int
    done: int
    starts: int
    limits_reached: int
    time_s: Taken | None
    memory_gb: Taken | None
    gpu_memory_gb: Taken | None
    gpu_busy: Taken | None
    cpus: Taken | None
    waiting: Taken | None
    hours: float
    hours_lost: float
    gpu_hours: float
    gpu_hours_lost: float
    gpu_hours_idle: float | None

    def to_plain(self) -> dict[str, Any]:
        """As ``usage --json`` prints it."""
        return asdict(self)


def figures(attempts: Sequence[AttemptUse]) -> Figures:
    """What these attempts took."""
    told = [(one.asked.gpus * one.seconds, one.busy) for one in attempts]
    idle = [seconds * (1 - busy) for seconds, busy in told if busy is not None]
    return Figures(
        jobs=len({one.job for one in attempts}),
        done=sum(one.whole_s is not None for one in attempts),
        starts=len(attempts),
        limits_reached=sum(one.at_limit for one in attempts),
        time_s=_taken(attempts, lambda one: one.whole_s, lambda one: one.asked.time_s),
        memory_gb=_taken(attempts, lambda one: one.memory_gb, lambda one: one.asked.memory_gb),
        gpu_memory_gb=_taken(
            attempts, lambda one: one.gpu_memory_gb, lambda one: one.gpu_capacity_gb
        ),
        gpu_busy=_taken(attempts, lambda one: one.busy),
        cpus=_taken(attempts, lambda one: one.cpus, lambda one: one.asked.cpus),
        waiting=_taken(attempts, lambda one: one.waiting),
        hours=sum(one.seconds for one in attempts) / 3600,
        hours_lost=sum(one.lost_s for one in attempts) / 3600,
        gpu_hours=sum(seconds for seconds, _ in told) / 3600,
        gpu_hours_lost=sum(one.asked.gpus * one.lost_s for one in attempts) / 3600,
        gpu_hours_idle=sum(idle) / 3600 if idle else None,
    )


def by_shape(attempts: Iterable[AttemptUse]) -> dict[Asked, list[AttemptUse]]:
    """The attempts of each shape, in order of appearance."""
    shapes: dict[Asked, list[AttemptUse]] = {}
    for one in attempts:
        shapes.setdefault(one.asked, []).append(one)
    return shapes


def by_value(
    attempts: Iterable[AttemptUse], values: Mapping[str, str]
) -> dict[str, list[AttemptUse]]:
    """The attempts of each value, in order of appearance; ``values``: by job."""
    groups: dict[str, list[AttemptUse]] = {}
    for one in attempts:
        groups.setdefault(values[one.job], []).append(one)
    return groups


Reading = Callable[[AttemptUse], float | None]


def _taken(
    attempts: Sequence[AttemptUse], value: Reading, asked: Reading = lambda _: None
) -> Taken | None:
    return Taken.of(map(value, attempts), map(asked, attempts))
