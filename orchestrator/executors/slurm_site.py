"""What a cluster says of itself and of its user's limits: for each the command, and its answer."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from orchestrator.executors.slurm_queries import NoAnswer, ask

PARTITION_FORMAT = "%R|%a|%l|%D|%c|%m|%G|%t"
USABLE = ("idle", "mix", "alloc", "comp", "plnd", "resv")
"""Beginnings of the states of nodes that run jobs, or will."""
LIMITS = {
    "MaxJobs": "jobs that run at once",
    "MaxSubmit": "jobs in the queue at once",
    "MaxTRES": "of one job",
    "MaxTRESPU": "of a user's jobs together",
    "MaxJobsPU": "of a user's jobs that run at once",
    "MaxSubmitPU": "of a user's jobs in the queue at once",
    "MaxWall": "time of one job",
    "GrpTRES": "of all jobs together",
    "GrpJobs": "jobs of all users that run at once",
    "GrpTRESMins": "resources times minutes, in all",
}
"""Names of limits in SLURM's accounting, and of what."""
ASSOCIATION = (
    *("Account", "Partition", "QOS", "MaxJobs", "MaxSubmit", "MaxTRES", "MaxWall"),
    *("GrpTRES", "GrpJobs", "GrpTRESMins"),
)
QUALITY = (
    *("Name", "MaxWall", "MaxTRES", "MaxTRESPU", "MaxJobsPU", "MaxSubmitPU"),
    *("GrpTRES", "GrpJobs", "GrpTRESMins"),
)


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """One partition as SLURM has it; of nodes that differ, the largest of each."""

    up: bool
    minutes: int | None
    """Its longest time limit; None: there is none."""
    nodes: int
    usable: int
    cores: int
    mem_gb: float
    gpus: int
    gpu_types: tuple[str, ...]


def partitions() -> dict[str, PartitionFacts]:
    """Every partition that this user sees, by name.

    Raises:
        NoAnswer: SLURM did not say.
    """
    return parse_partitions(ask("sinfo", "--noheader", f"--format={PARTITION_FORMAT}"))


def parse_partitions(answer: str) -> dict[str, PartitionFacts]:
    """The lines of sinfo, one for each kind and state of nodes, put together by partition."""
    found: dict[str, PartitionFacts] = {}
    for line in answer.splitlines():
        cells = [cell.strip().rstrip("+") for cell in line.split("|")]
        if len(cells) != len(PARTITION_FORMAT.split("|")):
            raise NoAnswer(f"sinfo: a line that cannot be read: {line.strip()[:80]!r}")
        name, up, limit, nodes, cores, mem, gres, state = cells
        gpus = [(kind.strip(":"), int(count)) for kind, count in _GPU.findall(gres)]
        here = found.get(name, PartitionFacts(up == "up", minutes_of(limit), 0, 0, 0, 0, 0, ()))
        types = dict.fromkeys([*here.gpu_types, *(kind for kind, _ in gpus if kind)])
        found[name] = PartitionFacts(
            up=here.up,
            minutes=here.minutes,
            nodes=here.nodes + int(nodes),
            usable=here.usable + int(nodes) * state.startswith(USABLE),
            cores=max(here.cores, int(cores)),
            mem_gb=max(here.mem_gb, int(mem) / 1024),
            gpus=max(here.gpus, sum(count for _, count in gpus)),
            gpu_types=tuple(types),
        )
    return found


def minutes_of(limit: str) -> int | None:
    """A time limit as SLURM writes it: ``1-00:00:00``, ``12:00:00``, ``30:00``; None for none."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", limit)
    if match is None:
        return None
    days, hours, minutes, _ = (int(part or 0) for part in match.groups())
    return (days * 24 + hours) * 60 + minutes


def associations(user: str) -> list[Mapping[str, str]]:
    """Under which accounts a user may submit, and what limits these have; only those that are set.

    Raises:
        NoAnswer: SLURM's accounting did not say.
    """
    answer = ask(*_SHOW, "assoc", f"user={user}", f"format={','.join(ASSOCIATION)}")
    return list(parse_table(answer, ASSOCIATION))


def qualities() -> list[Mapping[str, str]]:
    """The cluster's QOS, and what limits they have.

    Raises:
        NoAnswer: SLURM's accounting did not say.
    """
    return list(parse_table(ask(*_SHOW, "qos", f"format={','.join(QUALITY)}"), QUALITY))


def parse_table(answer: str, columns: tuple[str, ...]) -> Iterator[Mapping[str, str]]:
    """Lines of sacctmgr with ``|`` between cells; empty cells are left out."""
    for line in answer.splitlines():
        cells = dict(zip(columns, line.split("|"), strict=False))
        yield {name: cell for name, cell in cells.items() if cell}


def told_limits(row: Mapping[str, str]) -> str:
    """The limits that a row has, in words."""
    return ", ".join(f"{name} {row[name]} ({of})" for name, of in LIMITS.items() if name in row)


_SHOW = ("sacctmgr", "--noheader", "--parsable2", "show")
_GPU = re.compile(r"gpu(:[A-Za-z][\w.-]*)?:(\d+)")
